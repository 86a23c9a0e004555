import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { Install } from '../fakes/install.ts';
import { type Patch, PatchedTree } from '../fakes/patched_tree.ts';
import { remove } from '../fakes/remove.ts';
import { Terminal } from '../fakes/terminal.ts';

/** What must keep a group from starting does, and it starts without the guard: each guard of a start is taken out once. */

interface Row {
  without: string;
  guard: Patch;
  /** What else is wrong with the code, so that the guard has something to find. */
  hole?: Patch;
  /** Of `group.yaml`. */
  group(folder: string): string;
  /** What happens after the group has answered once, while nothing of it runs. */
  after(install: Install, folder: string): Promise<void>;
  refused: RegExp;
}

const PLANNER = 'src/sessions/planner.ts';

const ROWS: Row[] = [
  {
    without: 'the look at mounts before each start',
    guard: [PLANNER, 'checkMounts(authority.mounts, this.#input.places(group));', ''],
    group: (folder) => `mounts: [{source: "${join(folder, 'notes')}"}]\n`,
    after: async (_, folder) => {
      rmSync(join(folder, 'notes'), { recursive: true });
      symlinkSync(join(folder, 'other'), join(folder, 'notes'));
    },
    refused: /leads to .*other now/,
  },
  {
    without: 'the look whether limits still hold',
    guard: [PLANNER, 'checkControls(row, controls);', ''],
    group: () => '',
    after: async (install) => {
      await install.end('host', 'SIGTERM');
      const ledger = new DatabaseSync(install.paths.ledger);
      const raised = '[{"name": "turn_ms", "state": "enforced", "reason": "it was"}]';
      ledger.prepare('UPDATE authorities SET controls = ?').run(raised);
      ledger.close();
      install.spawn('host');
      await install.ready();
    },
    refused: /the limit turn_ms was enforced when the group was applied, and is watched now/,
  },
  {
    without: 'the proof of the boundary',
    guard: ['src/host_parts.ts', 'prove: (plan) => proofs.require(plan),', 'prove: async () => {},'],
    hole: ['src/runtimes/bubblewrap_argv.ts', "'--unshare-net',", ''],
    group: () => '',
    after: async () => {},
    refused: /self-check of the group assistant failed: .*net/,
  },
];

/** What somebody hears who writes when all has happened. */
async function told(row: Row, patches: Patch[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'gp-'));
  for (const name of ['notes', 'other']) mkdirSync(join(folder, name));
  using tree = new PatchedTree(patches);
  const install = new Install(undefined, tree.root);
  try {
    install.group('assistant', `harness: probe\n${row.group(folder)}`);
    await install.start();
    if (row.hole === undefined) assert.match(await heard(install, 'before'), /You said: hello/);
    await row.after(install, folder);
    return await heard(install, 'after');
  } finally {
    await install.stop();
    remove(folder);
  }
}

/** A chat of its own is a sandbox of its own. */
async function heard(install: Install, chat: string): Promise<string> {
  const terminal = await Terminal.open(install.control, chat);
  await terminal.say('hello');
  return (await terminal.hears(/You said: hello|could not be answered/)).body;
}

for (const row of ROWS)
  test(`a group that must not start does without ${row.without}, and only without it`, async () => {
    const hole = row.hole === undefined ? [] : [row.hole];
    assert.match(await told(row, hole), row.refused);
    assert.match(await told(row, [...hole, row.guard]), /You said: hello/);
  });
