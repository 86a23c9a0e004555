import { globSync } from 'node:fs';
import { ROOT, reachable, readSource, type Source } from './source_tree.ts';

/** How much code has to be trusted: lines that are neither blank nor comment, reachable from the composition roots, without channel drivers. */

/** docs/decisions/0006, 0015, 0021, 0027, 0036, 0049, 0057, 0059 and 0063: what the kernel is made of, and why it is more than was hoped. */
export const KERNEL_LINES_MAX = 20_600;
export const TRUSTED_LINES_MAX = 33_200;

/** What a message or a credential passes on its way; the rest of the trusted code is operation and evidence. */
const KERNEL = [
  'base',
  'protocol',
  'authority',
  'ledger',
  'router',
  'sessions',
  'runtimes',
  'delivery',
  'approvals',
  'vault',
  'gateway',
];

/** Besides the two, programs of threads, which the host starts by their address. */
const ROOTS = [
  'src/host.ts',
  'src/gateway.ts',
  'src/channels/driver_worker.ts',
  'src/evidence/telemetry/telemetry_worker.ts',
];

export interface TrustedLines {
  kernel: number;
  all: number;
  /** By folder of `src`; composition roots under `roots`. */
  folders: Record<string, number>;
}

export function countTrustedLines(): TrustedLines {
  const sources = new Map<string, Source>();
  for (const path of globSync('src/**/*.ts', { cwd: ROOT, exclude: ['**/node_modules/**'] }))
    sources.set(path, readSource(path));
  const counted: TrustedLines = { kernel: 0, all: 0, folders: {} };
  for (const path of reachable(ROOTS, sources)) {
    if (/^src\/channels\/[^/]+\//.test(path)) continue;
    const folder = path.split('/').length > 2 ? path.split('/')[1]! : 'roots';
    const lines = countLines(sources.get(path)!);
    counted.all += lines;
    if (KERNEL.includes(folder)) counted.kernel += lines;
    counted.folders[folder] = (counted.folders[folder] ?? 0) + lines;
  }
  return counted;
}

/** Lines that are neither blank nor comment. */
export function countLines(source: Source): number {
  return source.code.split('\n').filter((line) => line.trim() !== '').length;
}
