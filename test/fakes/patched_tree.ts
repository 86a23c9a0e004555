import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../../src/base/paths.ts';
import { remove } from './remove.ts';

/** File, what stands there, and what stands there without the guard. */
export type Patch = readonly [file: string, from: string, to: string];

const PARTS = ['src', 'sandbox', 'templates', 'test', 'package.json'];

/**
 * A copy of this checkout from which a guard is taken out: what runs is the code that ships, but for that. The packages of
 * harnesses are left out: 460 MB, and `probe` needs none.
 */
export class PatchedTree {
  readonly root = mkdtempSync(join(tmpdir(), 'gs-'));

  /** Fails when one of the places is no longer there. */
  constructor(patches: readonly Patch[]) {
    for (const part of PARTS) cpSync(join(ROOT, part), join(this.root, part), { recursive: true, filter: isOurs });
    symlinkSync(join(ROOT, 'node_modules'), join(this.root, 'node_modules'));
    for (const [file, from, to] of patches) {
      const path = join(this.root, file);
      const text = readFileSync(path, 'utf8');
      assert.ok(text.includes(from), `${file} has no longer "${from.slice(0, 60)}"`);
      writeFileSync(
        path,
        text.replace(from, () => to),
      );
    }
  }

  [Symbol.dispose](): void {
    remove(this.root);
  }
}

function isOurs(path: string): boolean {
  return !path.includes('/node_modules');
}
