import { existsSync } from 'node:fs';
import { type OnProgress, startTool, type Tool } from './tool.ts';

/** System files made of Debian packages by `mmdebstrap` (about 35 s), where no image can be fetched or none is wanted. */

const SUITE = 'bookworm';
/** Of that suite. */
export const PYTHON_VERSION = '3.11';
/** The same as in the Dockerfile. */
const PACKAGES = ['ca-certificates', 'curl', 'git', 'procps', 'python3-minimal'];
const SOURCES = ['/etc/apt/sources.list', '/etc/apt/sources.list.d/debian.sources'];

/** Names what `makeDebian` makes, as far as this project decides it. */
export const DEBIAN = `${SUITE} ${PACKAGES.join(' ')}`;

export interface Debian {
  /** More packages, besides the sandbox's own. */
  include: string[];
  /** Shell commands, run when all packages are there; `"$1"` is the root. */
  hooks: string[];
}

/** Starts the making; the root comes out as a tar. The host's own package sources are used. */
export function makeDebian({ include, hooks }: Debian, onProgress: OnProgress): Tool {
  const mirrors = SOURCES.filter((file) => existsSync(file));
  const options = [
    '--variant=minbase',
    `--include=${[...PACKAGES, ...include].join(',')}`,
    ...hooks.map((hook) => `--customize-hook=${hook}`),
  ];
  return startTool(['mmdebstrap', ...options, SUITE, '-', ...mirrors], 'apt install mmdebstrap', onProgress);
}
