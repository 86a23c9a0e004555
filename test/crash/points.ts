import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where the matrix can kill: collected from the source, so that a new transaction cannot be forgotten. */
export interface FaultPoint {
  name: string;
  /** The process whose code passes it. */
  process: 'host' | 'gateway';
}

const LEDGER_CALL = /(?:\.write|\.writeSoon|\.insist|#insist)\(\s*'([a-z_]+)'/g;
const GUARDED_CALL = /guarded\(\s*[\w.#]+,\s*'([a-z_.]+)'/g;

export function collectPoints(root: string): FaultPoint[] {
  const points = new Map<string, FaultPoint>();
  for (const file of sources(join(root, 'src'))) {
    const process = /\/src\/(gateway|vault)\//.test(file) || file.endsWith('/src/gateway.ts') ? 'gateway' : 'host';
    const text = readFileSync(file, 'utf8');
    const names = [...matches(text, LEDGER_CALL).map((name) => `ledger.${name}`), ...matches(text, GUARDED_CALL)];
    for (const name of names) {
      for (const side of ['before', 'after']) points.set(`${name}:${side}`, { name: `${name}:${side}`, process });
    }
  }
  return [...points.values()].sort((a, b) => a.name.localeCompare(b.name));
}

function matches(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map((match) => match[1]!);
}

function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.parentPath.includes('node_modules'))
    .map((entry) => join(entry.parentPath, entry.name));
}
