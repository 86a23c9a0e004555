import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Where the matrix can kill: collected from the source, so that a new transaction cannot be forgotten. */
export interface FaultPoint {
  name: string;
  /** The process whose code passes it. */
  process: 'host' | 'gateway';
}

const LEDGER_CALL = /(?:\.write|\.writeSoon|\.insist|#insist|#write)\(\s*'([a-z_]+)'/g;
const GUARDED_CALL = /guarded\(\s*[\w.#]+,\s*'([a-z_.]+)'/g;

/** Throws when two places have one name: who dies at one of them has not died at the other. */
export function collectPoints(root: string): FaultPoint[] {
  const places = new Map<string, string>();
  const points: FaultPoint[] = [];
  for (const file of sources(join(root, 'src'))) {
    const process = /\/src\/(gateway|vault)\//.test(file) || file.endsWith('/src/gateway.ts') ? 'gateway' : 'host';
    const text = readFileSync(file, 'utf8');
    for (const name of [
      ...matches(text, LEDGER_CALL).map((name) => `ledger.${name}`),
      ...matches(text, GUARDED_CALL),
    ]) {
      if (places.has(name)) throw new Error(`${name} is a fault point of ${places.get(name)} and of ${file}`);
      places.set(name, file);
      points.push({ name: `${name}:before`, process }, { name: `${name}:after`, process });
    }
  }
  return points.sort((a, b) => a.name.localeCompare(b.name));
}

function matches(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map((match) => match[1]!);
}

function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.parentPath.includes('node_modules'))
    .map((entry) => join(entry.parentPath, entry.name));
}
