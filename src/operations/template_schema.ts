import { z } from 'zod';
import { nameSchema } from '../base/config.ts';
import { termsSchema } from '../protocol/secrets.ts';

/**
 * The strict schema of `templates/<name>/template.yaml`: what a template asks of the operator, as data. A template has no code of the
 * host's: its scripts run in the sandbox, like any command of the agent. `{{name}}` in its files stands for a parameter.
 */
const lineSchema = z
  .string()
  .max(400)
  .regex(/^[^\p{C}]+$/u, 'must be one line of text');

const parameterSchema = z
  .strictObject({
    about: lineSchema,
    example: lineSchema,
    /** Of the whole value. */
    pattern: z.string().refine(isPattern, 'must be a regular expression'),
    /** Absent: it must be given. */
    default: lineSchema.optional(),
  })
  .refine(
    ({ pattern, example, default: value }) => [example, value ?? example].every((text) => fits(pattern, text)),
    'has an example or a default that its own pattern refuses',
  );
export type Parameter = z.infer<typeof parameterSchema>;

/** A secret that the operator sets, by the words of `glass secret set`. */
const secretSchema = z
  .strictObject({
    name: nameSchema,
    about: lineSchema,
    kind: z.enum(['bearer', 'basic', 'oauth2']),
    user: lineSchema.optional(),
    hosts: z.array(z.string()).min(1),
  })
  .superRefine(({ kind, user, hosts }, context) => {
    const token_url = 'https://login.example.com/token'; // it stands in the value that the operator types
    const form = { kind, ...(user === undefined ? {} : { user }), ...(kind === 'oauth2' ? { token_url } : {}) };
    const parsed = termsSchema.safeParse({ form, hosts });
    if (!parsed.success) context.addIssue({ code: 'custom', message: parsed.error.issues[0]!.message });
  });

const taskSchema = z.strictObject({
  when: lineSchema,
  zone: lineSchema.optional(),
  text: z.string().min(1),
  /** A line of shell; a parameter in it becomes one quoted word. */
  gate: lineSchema.optional(),
  catch_up: z.enum(['skip', 'once', 'all']).default('once'),
});

export const templateSchema = z.strictObject({
  summary: lineSchema,
  parameters: z.record(nameSchema, parameterSchema).default({}),
  /** Programs of the sandbox that it uses besides a shell. */
  needs: z.array(z.enum(['curl', 'git', 'node'])).default([]),
  secrets: z.array(secretSchema).default([]),
  /** Where it speaks; absent: wherever the operator likes. */
  chat: z
    .strictObject({
      about: lineSchema,
      example: lineSchema,
      engage: z.enum(['always', 'mention', 'mention-sticky']).default('always'),
    })
    .optional(),
  tasks: z.array(taskSchema).default([]),
  /** What else the operator should know or do. */
  notes: z.array(lineSchema).default([]),
});
export type Template = z.infer<typeof templateSchema>;

/** Whether a value is one line of up to 200 characters that the pattern takes whole. */
export function fits(pattern: string, value: string): boolean {
  return /^[^\p{C}]{1,200}$/u.test(value) && new RegExp(`^(?:${pattern})$`, 'u').test(value);
}

function isPattern(text: string): boolean {
  try {
    return new RegExp(`^(?:${text})$`, 'u') instanceof RegExp;
  } catch {
    return false;
  }
}
