import { existsSync, readFileSync } from 'node:fs';
import { messageOf, OperatingError } from '../base/errors.ts';
import { type OnProgress, startTool, type Tool } from './tool.ts';

/** System files made of Debian packages by `mmdebstrap` (about 35 s), where no image can be fetched or none is wanted. */

const SUITE = 'bookworm';
/** Of that suite. */
export const PYTHON_VERSION = '3.11';
/** The same as in the Dockerfile. */
const PACKAGES = ['ca-certificates', 'curl', 'git', 'procps', 'python3'];
const SOURCES = ['/etc/apt/sources.list', '/etc/apt/sources.list.d/debian.sources'];

/** Without sources of the host's, mmdebstrap asks Debian's own archive, with its updates, by these keys. */
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** Names what `makeDebian` makes, as far as this project decides it. */
export const DEBIAN = `${SUITE} ${PACKAGES.join(' ')}`;

export interface Debian {
  /** More packages, besides the sandbox's own. */
  include: string[];
  /** Shell commands, run when all packages are there; `"$1"` is the root. */
  hooks: string[];
}

/** All that mmdebstrap says to an ordinary account that has no subordinate ids, cannot map them, or has no user namespaces. */
const NO_WAY = /unable to pick chroot mode/;
const IDS = '--add-subuids 100000-165535 --add-subgids 100000-165535';
const FIX = `sudo apt install uidmap; sudo usermod ${IDS} "$USER"; ./glass doctor`;

/**
 * Where the packages come from, as words for mmdebstrap: those of the host's `files` (path and text) that have the suite and
 * no other (`bookworm-updates` and the like belong to it), as they may name a mirror; with those of another release the
 * packages were of that one. None where it is to be Debian's own archive. Throws `OperatingError('unavailable')` where the keys for that are missing.
 */
export function packageSources(files: ReadonlyMap<string, string>, hasKeys: boolean): string[] {
  const isOfIt = (suite: string): boolean => suite === SUITE || suite.startsWith(`${SUITE}-`);
  const fitting = [...files].filter(([, text]) => suitesIn(text).length > 0 && suitesIn(text).every(isOfIt));
  if (fitting.some(([, text]) => suitesIn(text).includes(SUITE))) return fitting.map(([path]) => path);
  if (hasKeys) return [];
  const says = `This host's package sources are not of Debian ${SUITE}, and the keys of Debian's archive are not there`;
  throw new OperatingError('unavailable', says, 'apt install debian-archive-keyring');
}

/** In either of apt's two forms. */
function suitesIn(text: string): string[] {
  const lines = text.matchAll(/^(?:deb\s+(?:\[[^\]]*\]\s*)?\S+\s+(\S+)|Suites:(.*(?:\n[ \t].*)*))/gm);
  return [...lines].flatMap(([, one, several]) => one ?? several!.trim().split(/\s+/));
}

/** Starts the making; the root comes out as a tar. Throws as `packageSources`. */
export function makeDebian({ include, hooks }: Debian, onProgress: OnProgress): Tool {
  const files = SOURCES.filter((file) => existsSync(file)).map((file) => [file, readFileSync(file, 'utf8')] as const);
  const mirrors = packageSources(new Map(files), existsSync(KEYRING));
  const options = [
    '--variant=minbase',
    `--include=${[...PACKAGES, ...include].join(',')}`,
    ...hooks.map((hook) => `--customize-hook=${hook}`),
  ];
  const tool = startTool(['mmdebstrap', ...options, SUITE, '-', ...mirrors], 'apt install mmdebstrap', onProgress);
  const ended = tool.ended.catch((error) => {
    if (!NO_WAY.test(messageOf(error))) throw error;
    const says = 'Who is not root makes system files with subordinate ids in a user namespace, and this account cannot';
    throw new OperatingError('unavailable', says, FIX);
  });
  ended.catch(() => {});
  return { ...tool, ended };
}
