import { OperatingError } from '../base/errors.ts';
import type { GroupShown } from '../operations/groups.ts';

/** A verb's words, apart from its flags. */
export interface Split {
  words: string[];
  /** Values by flag, without its dashes. */
  values: Record<string, string>;
  flags: Set<string>;
}

/** Takes `--name value` for each of `valued`, `--name` for each of `bare`. After `--` every word is text. Throws `usage`. */
export function split(args: string[], valued: string[], bare: string[], usage: string): Split {
  const found: Split = { words: [], values: {}, flags: new Set() };
  for (let at = 0; at < args.length; at += 1) {
    const word = args[at]!;
    const name = word.slice(2);
    if (word === '--') {
      found.words.push(...args.slice(at + 1));
      break;
    }
    if (!word.startsWith('--')) found.words.push(word);
    else if (bare.includes(name)) found.flags.add(name);
    else if (valued.includes(name) && at + 1 < args.length && !(name in found.values)) {
      at += 1;
      found.values[name] = args[at]!;
    } else throw new OperatingError('usage', usage);
  }
  return found;
}

/** Whose account of the host a group's sandboxes run as. */
export function accountWords({ uid, runtime }: Pick<GroupShown, 'uid' | 'runtime'>): string {
  if (uid !== null) return `uid ${uid}, of this group only`;
  // An engine of another account than ours makes no user namespace for us.
  const namespace = { bubblewrap: ', in a user namespace', docker: ENGINE_SHARES, podman: ENGINE_SHARES };
  return `the operator’s own${runtime === null ? '' : namespace[runtime]}`;
}

const ENGINE_SHARES = ', in the host’s user namespace';
