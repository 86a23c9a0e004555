import assert from 'node:assert/strict';
import {
  copyFileSync,
  cpSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../../src/base/paths.ts';
import { remove } from './remove.ts';

/** File, what stands there, and what stands there without the guard. */
export type Patch = readonly [file: string, from: string, to: string];

const PARTS = ['src', 'sandbox', 'templates', 'test'];

/**
 * A copy of this checkout from which a guard is taken out: what runs is the code that ships, but for that. Files that are not
 * patched are hard links: one has the name that imports need, and costs a tenth of a copy. The packages of harnesses and channels
 * are left out, but those that are asked for: `probe` needs none. A channel's may be those of the checkout, since no sandbox sees them.
 */
export class PatchedTree {
  readonly root = mkdtempSync(join(tmpdir(), 'gs-'));

  /** Fails when one of the places is no longer there. */
  constructor(patches: readonly Patch[], harnesses: readonly string[] = [], channels: readonly string[] = []) {
    for (const part of PARTS) linkFolder(join(ROOT, part), join(this.root, part));
    link(join(ROOT, 'package.json'), join(this.root, 'package.json'));
    symlinkSync(join(ROOT, 'node_modules'), join(this.root, 'node_modules'));
    for (const harness of harnesses) {
      const packages = join('sandbox/harnesses', harness, 'node_modules');
      cpSync(join(ROOT, packages), join(this.root, packages), { recursive: true, verbatimSymlinks: true });
    }
    for (const channel of channels) {
      const packages = join('src/channels', channel, 'node_modules');
      symlinkSync(join(ROOT, packages), join(this.root, packages));
    }
    for (const [file, from, to] of patches) {
      const text = readFileSync(join(this.root, file), 'utf8');
      assert.ok(text.includes(from), `${file} has no longer "${from.slice(0, 60)}"`);
      this.#replace(
        file,
        text.replace(from, () => to),
      );
    }
  }

  [Symbol.dispose](): void {
    remove(this.root);
  }

  /** A new file: what is written into a link would be written into the checkout. */
  #replace(file: string, text: string): void {
    const path = join(this.root, file);
    rmSync(path);
    writeFileSync(path, text, { flag: 'wx' });
  }
}

function linkFolder(from: string, to: string): void {
  mkdirSync(to);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    if (entry.name === 'node_modules') continue;
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) linkFolder(source, target);
    else link(source, target);
  }
}

/** Another file system has no links to this one, and an account none to files that it may not write. */
function link(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
  }
}
