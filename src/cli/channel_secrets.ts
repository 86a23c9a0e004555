import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { OperatingError, systemCodeOf } from '../base/errors.ts';
import { SECRET_BYTES_MAX } from '../base/limits/gateway.ts';
import type { Paths } from '../base/paths.ts';
import type { ChannelSecret } from '../channels/kind.ts';
import type { Given } from './channel_settings.ts';
import { type Input, readHidden, readPiped, readShown } from './hidden.ts';
import { keepChannelSecret } from './secret.ts';

/**
 * What a channel's driver needs out of the vault, on its way there: typed without echo, or one `name=value` a line. A key of several
 * lines is given by its file, `@<path>`: a terminal and a list of lines both end it at its first line.
 */

/** Those that are made here. */
export async function makeSecrets(
  channel: string,
  secrets: readonly ChannelSecret[],
  known: ReadonlySet<string>,
  paths: Paths,
): Promise<void> {
  for (const { name: part, made } of secrets)
    if (made === true && !known.has(`${channel}-${part}`))
      await keepChannelSecret(`${channel}-${part}`, randomBytes(32).toString('base64url'), paths);
}

/** `known`: names of what the vault has, which may stay. `asks`: whether `input` is a person's. Throws `usage` for a missing one. */
export async function takeSecrets(
  { channel, settings, known }: { channel: string; settings: Given; known: ReadonlySet<string> },
  secrets: readonly ChannelSecret[],
  { input, asks }: { input: Input; asks: boolean },
  paths: Paths,
): Promise<void> {
  const wanted = secrets.filter(({ made }) => made !== true);
  const given = asks || wanted.length === 0 ? null : tokensOf(await readPiped(input));
  for (const secret of wanted) {
    const optional = secret.optional?.(settings) === true;
    // What is of no use with these settings nobody is asked for.
    if (asks && optional) continue;
    const has = known.has(`${channel}-${secret.name}`);
    const value = given === null ? await typed(secret, has, input) : piped(secret, given.get(secret.name));
    if (value !== undefined) await keepChannelSecret(`${channel}-${secret.name}`, value, paths);
    else if (!has && !optional)
      throw new OperatingError('usage', `${secret.prompt} is missing`, `give it as a line "${lineOf(secret)}"`);
  }
}

function lineOf({ name, file }: ChannelSecret): string {
  return `${name}=${file === true ? '@<path of its file>' : '…'}`;
}

function tokensOf(text: string): Map<string, string> {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return new Map(
    lines.map((line) => {
      const at = line.indexOf('=');
      if (at < 1)
        throw new OperatingError(
          'usage',
          'standard input takes one <name>=<token> a line',
          'a key of several lines is given as <name>=@<path of its file>',
        );
      return [line.slice(0, at).trim(), line.slice(at + 1).trim()];
    }),
  );
}

function piped(secret: ChannelSecret, said: string | undefined): string | undefined {
  if (said === undefined) return undefined;
  const value = secret.file === true && said.startsWith('@') ? textOf(said) : said;
  if (secret.looks?.like.test(value) !== false) return value;
  const hint = secret.file === true ? `${secret.looks.hint}; give it as ${lineOf(secret)}` : secret.looks.hint;
  throw new OperatingError('usage', `what was given is not ${secret.prompt}: ${hint}`);
}

/** Undefined: nothing was typed, and what the vault has is kept. */
async function typed({ prompt, looks, file }: ChannelSecret, has: boolean, input: Input): Promise<string | undefined> {
  const keeps = has ? ' (Enter keeps the one that is set)' : '';
  for (;;) {
    const said = await (file === true
      ? readShown(input, `${prompt}, as the path of its file${keeps}: `)
      : readHidden(input, `${prompt}${keeps}: `));
    if (said === '' && has) return undefined;
    const value = said !== '' && file === true ? readable(said) : said;
    if (value !== null && value !== '' && looks?.like.test(value) !== false) return value;
    if (value !== null) process.stderr.write(`${said === '' ? 'It is needed.' : (looks?.hint ?? '')}\n`);
  }
}

/** Null: it cannot be read, and that was said. */
function readable(path: string): string | null {
  try {
    return textOf(path);
  } catch (error) {
    if (!(error instanceof OperatingError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return null;
  }
}

/** With or without an `@` before it. Throws `usage`. */
function textOf(said: string): string {
  const path = said.replace(/^@/, '').replace(/^~(?=\/)/, homedir());
  try {
    if (statSync(path).size <= SECRET_BYTES_MAX) return readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw new OperatingError('usage', `${path} cannot be read (${systemCodeOf(error)})`);
  }
  throw new OperatingError('usage', `${path} has more than ${SECRET_BYTES_MAX} bytes`);
}
