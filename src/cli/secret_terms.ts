import { parseArgs } from 'node:util';
import { messageOf, OperatingError } from '../base/errors.ts';
import { type SecretTerms, termsSchema } from '../protocol/secrets.ts';

/** The words of `glass secret set`: what a secret is, besides its value. */

const OPTIONS = {
  kind: { type: 'string' },
  host: { type: 'string', multiple: true },
  header: { type: 'string' },
  format: { type: 'string' },
  user: { type: 'string' },
  parameter: { type: 'string' },
  next: { type: 'boolean', default: false },
  stdin: { type: 'boolean', default: false },
} as const;

export interface SetWords {
  words: string[];
  next: boolean;
  stdin: boolean;
  /** `kind` absent: as it is. */
  kind: string | undefined;
  hosts: string[] | undefined;
  /** What the kind needs besides: `header`, `user`. */
  fields: Record<string, string>;
}

/** Throws `OperatingError('usage')`. */
export function setWords(args: string[]): SetWords {
  try {
    const { values, positionals } = parseArgs({ args, options: OPTIONS, allowPositionals: true, strict: true });
    const { kind, host, next, stdin, ...fields } = values;
    return { words: positionals, next, stdin, kind, hosts: host, fields: { ...fields } };
  } catch (error) {
    throw new OperatingError('usage', messageOf(error).split('\n')[0]!);
  }
}

/**
 * The terms that the words ask for; undefined: none, so that the secret keeps those that it has. `before`: what it has.
 * `token_url`: of the value, where that is JSON. Throws `OperatingError('usage')` with what is wrong.
 */
export function termsOf(
  { kind, hosts, fields }: SetWords,
  before: SecretTerms | null,
  token_url: string | undefined,
): SecretTerms | undefined {
  if (kind === undefined && hosts === undefined && Object.keys(fields).length === 0 && token_url === undefined)
    return undefined;
  const form =
    kind === undefined && before !== null
      ? { ...before.form, ...fields }
      : { kind: kind ?? 'model', ...(kind === 'header' ? { format: '{}' } : {}), ...fields };
  const asked = token_url === undefined ? form : { ...form, token_url };
  const parsed = termsSchema.safeParse({ form: asked, hosts: hosts ?? before?.hosts ?? [] });
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  throw new OperatingError('usage', `${path.filter((part) => part !== 'form').join('.') || 'kind'}: ${message}`);
}

/** A secret's kind and hosts for a person. */
export function termsWords({ form, hosts }: SecretTerms): string {
  switch (form.kind) {
    case 'header':
      return `${form.kind} ${form.header}: ${form.format} → ${hosts.join(' ')}`;
    case 'basic':
      return `${form.kind} ${form.user} → ${hosts.join(' ')}`;
    case 'query':
      return `${form.kind} ${form.parameter} → ${hosts.join(' ')}`;
    case 'oauth2':
      return `${form.kind} by ${form.token_url} → ${hosts.join(' ')}`;
    case 'channel':
      return form.kind;
    default:
      return `${form.kind} → ${hosts.join(' ') || 'the model of an applied authority'}`;
  }
}

/** The address of a token service is no secret: it stands among the terms, and the rest is the value. Throws as `setWords`. */
export function splitCredentials(text: string): { value: string; token_url: string | undefined } {
  try {
    const { token_url, ...rest } = JSON.parse(text);
    return { value: JSON.stringify(rest), token_url };
  } catch {
    const shape = '{"client_id": …, "client_secret": …, "refresh_token": …, "token_url": …}';
    throw new OperatingError('usage', `the value of a secret of kind oauth2 is JSON: ${shape}`);
  }
}
