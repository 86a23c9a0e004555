import { isGroupName } from '../base/config.ts';
import { OperatingError } from '../base/errors.ts';
import { GATEWAY_READY_MS, SECRET_BYTES_MAX } from '../base/limits/gateway.ts';
import type { Paths } from '../base/paths.ts';
import type { VaultAnswers } from '../protocol/gateway.ts';
import { LineClient } from '../protocol/lines_client.ts';
import { installForSecret, modelHosts } from './harness.ts';
import { type Input, readHidden, readPiped } from './hidden.ts';
import type { Io } from './io.ts';
import { type SetWords, setWords, splitCredentials, termsOf, termsWords } from './secret_terms.ts';

/**
 * `glass secret set|list|promote|remove|rotate`: the operator's own line to the vault. A value goes from the terminal to `vault.sock`
 * and nowhere else; never through the host, never on a command line, where every process of the machine could read it.
 */

const USAGE =
  'usage: glass secret set <name> [--kind <kind>] [--host <host>]… [--next] [--stdin] | list | promote <name> | remove <name> [--next] | rotate';

/**
 * `args` are the words after `secret`; `input` is where a value comes from. Resolves with the exit code; rejects with
 * `OperatingError`.
 */
export function secret(args: string[], paths: Paths, io: Io, input: Input = process.stdin): Promise<number> {
  const [verb, ...rest] = args;
  switch (verb) {
    case 'set':
      return secretSet(rest, paths, io, input);
    case 'list':
      return secretList(rest, paths, io);
    case 'promote':
      return secretPromote(rest, paths, io);
    case 'remove':
      return secretRemove(rest, paths, io);
    case 'rotate':
      return secretRotate(rest, paths, io);
    default:
      return Promise.reject(new OperatingError('usage', USAGE));
  }
}

export async function secretSet(args: string[], paths: Paths, io: Io, input: Input): Promise<number> {
  const asked = setWords(args);
  if (asked.words.length > 1) {
    throw new OperatingError(
      'usage',
      'a secret is never given on the command line: other processes can read it there',
      'run the command without the value and type it, or pipe it in; if it was a real one, replace it',
    );
  }
  const name = nameOf(asked.words);
  const client = await connect(paths); // Before the prompt: nobody should type a secret to hear that nobody listens.
  try {
    const { secrets } = await client.request<VaultAnswers['list']>({ op: 'list' }, GATEWAY_READY_MS);
    const before = secrets.find((row) => row.name === name);
    if (before === undefined && !asked.next) proposeModel(asked, name, paths, io);
    // What is wrong with the words is said before the value is typed.
    const kind = asked.kind ?? before?.form.kind;
    if (kind !== 'oauth2') termsOf(asked, before ?? null, undefined);
    const typed = await readValue(name, asked.stdin, input);
    const { value, token_url } = kind === 'oauth2' ? splitCredentials(typed) : { value: typed, token_url: undefined };
    const terms = asked.next ? undefined : termsOf(asked, before ?? null, token_url);
    const request = { op: 'set', name, value, terms, next: asked.next };
    const { created } = await client.request<VaultAnswers['set']>(request, GATEWAY_READY_MS);
    const done = asked.next ? 'has a next value' : created ? 'is set' : 'is replaced';
    io.out(io.json ? JSON.stringify({ name, created, next: asked.next }) : `${name} ${done}`);
    const names = new Set([name, ...secrets.map((row) => row.name)]);
    await installForSecret(name, names, paths, io);
    return 0;
  } finally {
    client.close();
  }
}

/** A new secret of which nothing is said is for the models that name it, and goes to their hosts. */
function proposeModel(asked: SetWords, name: string, paths: Paths, io: Io): void {
  if (asked.kind !== undefined) return;
  const hosts = modelHosts(name, paths);
  asked.hosts ??= hosts;
  if (hosts.length === 0)
    io.err(`No group has a model with the secret ${name}; for a service, say so: --kind bearer --host <host>`);
}

async function readValue(name: string, stdin: boolean, input: Input): Promise<string> {
  const value = input.isTTY && !stdin ? await readHidden(input, `value of ${name}: `) : await readPiped(input);
  if (value.trim() === '') throw new OperatingError('usage', 'the value is empty');
  if (/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]/.test(value))
    throw new OperatingError('usage', 'the value is not text in UTF-8');
  if (Buffer.byteLength(value) > SECRET_BYTES_MAX)
    throw new OperatingError('usage', `the value has more than ${SECRET_BYTES_MAX} bytes`);
  return value;
}

export async function secretList(args: string[], paths: Paths, io: Io): Promise<number> {
  if (args.length > 0) throw new OperatingError('usage', USAGE);
  const { secrets } = await ask<VaultAnswers['list']>(paths, { op: 'list' });
  if (io.json) io.out(JSON.stringify({ secrets }));
  else if (secrets.length === 0) io.out('no secrets are set');
  else {
    for (const row of secrets)
      io.out(
        `${row.name.padEnd(31)}  set ${when(row.updated_ms)}  used ${when(row.last_used_ms)}  ${termsWords(row)}${row.next ? ', with a next value' : ''}`,
      );
  }
  return 0;
}

/** Exit code 4 (`not_found`) when there is no such secret, 5 when it has no next value. */
export async function secretPromote(args: string[], paths: Paths, io: Io): Promise<number> {
  const name = nameOf(args);
  await ask<VaultAnswers['promote']>(paths, { op: 'promote', name });
  const words = `${name} has its next value now; the one before is kept until glass secret remove ${name} --next`;
  io.out(io.json ? JSON.stringify({ name, promoted: true }) : words);
  return 0;
}

/** Exit code 4 (`not_found`) when there is nothing to remove. */
export async function secretRemove(args: string[], paths: Paths, io: Io): Promise<number> {
  const name = nameOf(args.filter((word) => word !== '--next'));
  const next = args.includes('--next');
  const { removed } = await ask<VaultAnswers['remove']>(paths, { op: 'remove', name, next });
  const what = next ? `next value of ${name}` : `secret "${name}"`;
  if (!removed) throw new OperatingError('not_found', `there is no ${what}`);
  io.out(io.json ? JSON.stringify({ name, removed, next }) : next ? `the ${what} is removed` : `${name} is removed`);
  return 0;
}

/** A new key for the vault. Exit code 1 when there are values that open under neither key. */
export async function secretRotate(args: string[], paths: Paths, io: Io): Promise<number> {
  if (args.length > 0) throw new OperatingError('usage', USAGE);
  if (!io.json) io.err('The values are put under a new key …');
  const { rewrapped, damaged, left } = await ask<VaultAnswers['rotate']>(paths, { op: 'rotate' });
  if (io.json) io.out(JSON.stringify({ rewrapped, damaged, left }));
  else {
    const values = rewrapped === 1 ? '1 value is' : `${rewrapped} values are`;
    io.out(`${values} under a new key, and the old key is out of use: a backup needs the new one`);
    if (damaged > 0) io.out(`${damaged} values cannot be opened, before as after: set them again`);
    if (left !== null) io.out(`Left to you: ${left}`);
  }
  return damaged > 0 ? 1 : 0;
}

function nameOf(words: string[]): string {
  const [name, ...more] = words;
  if (name === undefined || more.length > 0) throw new OperatingError('usage', USAGE);
  if (!isGroupName(name))
    throw new OperatingError('usage', 'a secret\'s name must be 1–31 of a–z, 0–9 and "-", starting with a letter');
  return name;
}

/** Rejects with `OperatingError('unavailable')` when the gateway is not there. */
export async function secretNames(paths: Paths): Promise<Set<string>> {
  const { secrets } = await ask<VaultAnswers['list']>(paths, { op: 'list' });
  return new Set(secrets.map(({ name }) => name));
}

/** A channel's token, as `secret set --kind channel` keeps it. */
export async function keepChannelSecret(name: string, value: string, paths: Paths): Promise<void> {
  const terms = { form: { kind: 'channel' }, hosts: [] };
  await ask<VaultAnswers['set']>(paths, { op: 'set', name, value, terms, next: false });
}

/** Whether each of them opens; no value is given. */
export function checkSecrets(paths: Paths): Promise<VaultAnswers['check']> {
  return ask<VaultAnswers['check']>(paths, { op: 'check' });
}

async function ask<T>(paths: Paths, fields: { op: string } & Record<string, unknown>): Promise<T> {
  const client = await connect(paths);
  try {
    return await client.request<T>(fields, GATEWAY_READY_MS);
  } finally {
    client.close();
  }
}

async function connect(paths: Paths): Promise<LineClient> {
  try {
    return await LineClient.connect(paths.vaultSocket, GATEWAY_READY_MS, { peer: 'the gateway' });
  } catch (error) {
    throw new OperatingError(
      'unavailable',
      'the gateway is not running',
      'start it: ./glass up, or systemctl start glassclaw-gateway',
      error,
    );
  }
}

function when(at_ms: number | null): string {
  return at_ms === null ? 'never' : new Date(at_ms).toISOString().slice(0, 16).replace('T', ' ');
}
