import { isGroupName } from '../base/config.ts';
import { OperatingError } from '../base/errors.ts';
import { GATEWAY_READY_MS, SECRET_BYTES_MAX } from '../base/limits.ts';
import type { Paths } from '../base/paths.ts';
import type { VaultAnswers } from '../protocol/gateway.ts';
import { LineClient } from '../protocol/lines_client.ts';
import { installForSecret } from './harness.ts';
import { type Input, readHidden, readPiped } from './hidden.ts';
import type { Io } from './io.ts';

/**
 * `glass secret set|list|remove`: the operator's own line to the vault. A value goes from the terminal to `vault.sock`
 * and nowhere else; never through the host, never on a command line, where every process of the machine could read it.
 */

const USAGE = 'usage: glass secret set <name> [--stdin] | list | remove <name>';

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
    case 'remove':
      return secretRemove(rest, paths, io);
    default:
      return Promise.reject(new OperatingError('usage', USAGE));
  }
}

export async function secretSet(args: string[], paths: Paths, io: Io, input: Input): Promise<number> {
  const words = args.filter((word) => word !== '--stdin');
  if (words.length > 1) {
    throw new OperatingError(
      'usage',
      'a secret is never given on the command line: other processes can read it there',
      'run the command without the value and type it, or pipe it in; if it was a real one, replace it',
    );
  }
  const name = nameOf(words);
  const client = await connect(paths); // Before the prompt: nobody should type a secret to hear that nobody listens.
  try {
    const prompt = input.isTTY && !args.includes('--stdin');
    const value = prompt ? await readHidden(input, `value of ${name}: `) : await readPiped(input);
    if (value.trim() === '') throw new OperatingError('usage', 'the value is empty');
    if (/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]/.test(value))
      throw new OperatingError('usage', 'the value is not text in UTF-8');
    if (Buffer.byteLength(value) > SECRET_BYTES_MAX)
      throw new OperatingError('usage', `the value has more than ${SECRET_BYTES_MAX} bytes`);
    const answer = await client.request<VaultAnswers['set']>({ op: 'set', name, value }, GATEWAY_READY_MS);
    io.out(
      io.json ? JSON.stringify({ name, created: answer.created }) : `${name} is ${answer.created ? 'set' : 'replaced'}`,
    );
    const { secrets } = await client.request<VaultAnswers['list']>({ op: 'list' }, GATEWAY_READY_MS);
    await installForSecret(name, new Set(secrets.map((row) => row.name)), paths, io);
    return 0;
  } finally {
    client.close();
  }
}

export async function secretList(args: string[], paths: Paths, io: Io): Promise<number> {
  if (args.length > 0) throw new OperatingError('usage', USAGE);
  const { secrets } = await ask<VaultAnswers['list']>(paths, { op: 'list' });
  if (io.json) io.out(JSON.stringify({ secrets }));
  else if (secrets.length === 0) io.out('no secrets are set');
  else {
    for (const row of secrets)
      io.out(`${row.name.padEnd(31)}  set ${when(row.updated_ms)}  used ${when(row.last_used_ms)}`);
  }
  return 0;
}

/** Exit code 4 (`not_found`) when there is no such secret. */
export async function secretRemove(args: string[], paths: Paths, io: Io): Promise<number> {
  const name = nameOf(args);
  const { removed } = await ask<VaultAnswers['remove']>(paths, { op: 'remove', name });
  if (!removed) throw new OperatingError('not_found', `there is no secret "${name}"`);
  io.out(io.json ? JSON.stringify({ name, removed }) : `${name} is removed`);
  return 0;
}

function nameOf(words: string[]): string {
  const [name, ...more] = words;
  if (name === undefined || more.length > 0) throw new OperatingError('usage', USAGE);
  if (!isGroupName(name))
    throw new OperatingError('usage', 'a secret\'s name must be 1–31 of a–z, 0–9 and "-", starting with a letter');
  return name;
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
    throw new OperatingError('unavailable', 'the gateway is not running', 'start it with ./glass up', error);
  }
}

function when(at_ms: number | null): string {
  return at_ms === null ? 'never' : new Date(at_ms).toISOString().slice(0, 16).replace('T', ' ');
}
