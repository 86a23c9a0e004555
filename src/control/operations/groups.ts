import { z } from 'zod';
import { nameSchema } from '../../base/config.ts';
import { PLAIN_TEMPLATE } from '../../operations/templates.ts';
import { NOTHING, type Operation, value } from './operation.ts';

const INPUTS = {
  group: z.strictObject({ group: nameSchema }),
  fresh: z.strictObject({
    group: nameSchema,
    template: z.string().max(100).default(PLAIN_TEMPLATE),
    /** Its parameters. */
    set: z.record(z.string(), z.string()).default({}),
    /** Where it is to speak; only for what is said of the next steps. */
    to: z
      .string()
      .max(400)
      .regex(/^[a-z][a-z0-9-]*:[^\s\p{C}]+$/u, 'must be a chat such as "telegram:-1001234567890"')
      .nullable()
      .default(null),
  }),
  inspect: z.strictObject({
    group: nameSchema,
    depth: z.enum(['quick', 'full']).default('full'),
    canary: z.boolean().default(false),
  }),
  apply: z.strictObject({
    group: nameSchema,
    hash: z.string().regex(/^[0-9a-f]{64}$/, 'must be the hash that `plan` showed'),
  }),
};

/** Groups and their authority. */
export const GROUPS: readonly Operation[] = [
  {
    name: 'groups',
    summary: 'every group: what is in force, and what its file says besides',
    input: NOTHING,
    handle: async ({ groups }) => value({ groups: groups.names().map((name) => groups.show(name)) }),
  },
  {
    name: 'group_show',
    summary: 'what a group may see, reach and spend',
    input: INPUTS.group,
    handle: async ({ groups }, input: z.infer<typeof INPUTS.group>) => value(groups.show(input.group)),
  },
  {
    name: 'group_new',
    summary: 'make the files of a group from a template, and say what comes next',
    input: INPUTS.fresh,
    handle: async ({ groups }, { group, template, set, to }: z.infer<typeof INPUTS.fresh>) => {
      const filled = groups.filled(template, set);
      groups.create(group, filled);
      return value({ ...(await groups.plan(group)), template, steps: filled.steps(group, to) });
    },
  },
  {
    name: 'templates',
    summary: 'what a new group can be made from, and what each needs',
    input: NOTHING,
    handle: async ({ groups }) => value({ templates: groups.templates() }),
  },
  {
    name: 'group_plan',
    summary: 'what applying a group’s file would change',
    input: INPUTS.group,
    handle: async ({ groups }, input: z.infer<typeof INPUTS.group>) => value(await groups.plan(input.group)),
  },
  {
    name: 'group_image',
    summary: 'make what the programs of a planned group come from: lines of progress, then `ready` or `error`',
    input: INPUTS.group,
    handle: async ({ groups }, input: z.infer<typeof INPUTS.group>) => ({
      kind: 'stream',
      run: async (write) => {
        const ref = await groups.prepare(input.group, (text) => write({ t: 'progress', text }));
        write({ t: 'ready', ref });
      },
    }),
  },
  {
    name: 'group_apply',
    summary: 'put exactly what was planned in force',
    input: INPUTS.apply,
    handle: async ({ groups, operator }, input: z.infer<typeof INPUTS.apply>) =>
      value(await groups.apply(input.group, input.hash, operator)),
  },
  {
    name: 'inspect',
    summary: 'prove a group’s boundary by trying to break it, and show what it is',
    input: INPUTS.inspect,
    handle: async ({ groups, inspect }, input: z.infer<typeof INPUTS.inspect>) => {
      const declared = groups.show(input.group);
      return value({ ...(await inspect(input.group, input.depth, input.canary)), declared });
    },
  },
];
