import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { OperatingError, systemCodeOf } from '../base/errors.ts';
import { KEY_SERVICE_MS } from '../base/limits/gateway.ts';
import { checkedKey, type KeySource, type Slot } from './key_source.ts';
import { KEY_BYTES } from './seal.ts';

/**
 * The desktop's keyring, through `secret-tool` of libsecret. A key goes in by its standard input and comes out by its standard
 * output, as base64: never as an argument. `install` keeps two homes of one account apart.
 */
export function keyringSource(install: string, env: NodeJS.ProcessEnv): KeySource {
  const name = 'the key in the keyring';
  const attributes = (slot: Slot): string[] => ['application', 'glassclaw', 'install', install, 'slot', slot];
  const tool = (words: string[], input = ''): string | null => run(words, input, env);
  const read = async (slot: Slot): Promise<Buffer | null> => {
    const text = tool(['lookup', ...attributes(slot)]);
    return text === null ? null : checkedKey(Buffer.from(text.trim(), 'base64'), name);
  };
  const store = async (slot: Slot, key: Buffer): Promise<Buffer> => {
    tool(['store', '--label=GlassClaw vault key', ...attributes(slot)], key.toString('base64'));
    const kept = await read(slot);
    if (kept?.equals(key)) return kept;
    throw new OperatingError('unavailable', 'the keyring did not keep the key', 'unlock it, and try again');
  };
  return {
    name,
    read,
    make: (slot) => store(slot, randomBytes(KEY_BYTES)),
    settle: async () => {
      const next = await read('next');
      if (next === null) return null;
      await store('current', next);
      tool(['clear', ...attributes('next')]);
      return null;
    },
  };
}

/** What it printed, or null when it found nothing: then, and only then, it fails without a word. */
function run(words: string[], input: string, env: NodeJS.ProcessEnv): string | null {
  const { status, stdout, stderr, error } = spawnSync('secret-tool', words, {
    ...{ input, env, encoding: 'utf8', timeout: KEY_SERVICE_MS },
  });
  if (systemCodeOf(error) === 'ENOENT')
    throw new OperatingError('unavailable', 'secret-tool is not installed', 'apt-get install libsecret-tools');
  if (status === 0 && stdout !== '') return stdout;
  if (error === undefined && status !== null && stderr.trim() === '') return null;
  const why = stderr.trim().split('\n')[0]!.slice(0, 200) || systemCodeOf(error) || 'it was ended';
  throw new OperatingError(
    'unavailable',
    `the keyring cannot be asked (${why})`,
    'unlock it in the session of the gateway',
  );
}
