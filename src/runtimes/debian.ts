import { existsSync } from 'node:fs';
import { messageOf, OperatingError } from '../base/errors.ts';
import { type OnProgress, startTool, type Tool } from './tool.ts';

/** System files made of Debian packages by `mmdebstrap` (about 35 s), where no image can be fetched or none is wanted. */

const SUITE = 'bookworm';
/** Of that suite. */
export const PYTHON_VERSION = '3.11';
/** The same as in the Dockerfile. */
const PACKAGES = ['ca-certificates', 'curl', 'git', 'procps', 'python3'];
const SOURCES = ['/etc/apt/sources.list', '/etc/apt/sources.list.d/debian.sources'];

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

/** Starts the making; the root comes out as a tar. The host's own package sources are used. */
export function makeDebian({ include, hooks }: Debian, onProgress: OnProgress): Tool {
  const mirrors = SOURCES.filter((file) => existsSync(file));
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
