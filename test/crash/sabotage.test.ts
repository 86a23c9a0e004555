import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startModel } from '../fakes/model.ts';
import { type Patch, PatchedTree } from '../fakes/patched_tree.ts';
import { remove } from '../fakes/remove.ts';
import { isClean } from './judge.ts';
import { type RunResult, runOne, tokenScript } from './matrix.ts';

/** The judge is worth something only if it sees what it is there for: each guard is taken out of a copy of the code. */
interface Sabotage {
  what: string;
  patches: Patch[];
  /** Where the run is killed. */
  point: string;
  /** What the judge finds then. */
  finds: 'duplicated' | 'lost' | 'laws';
}

/** Kills the host between the two halves of a torn transaction, once per home. */
const KILL_ONCE = `import { existsSync, writeFileSync } from 'node:fs';
function killOnce(): void {
  const flag = \`\${process.env['GLASS_HOME']}/killed\`;
  if (existsSync(flag)) return;
  writeFileSync(flag, '');
  process.kill(process.pid, 'SIGKILL');
}
`;

const SABOTAGES: Sabotage[] = [
  {
    what: 'the dedupe key',
    patches: [
      [
        'src/router/router.ts',
        'const known = messageByKey(db, incoming.dedupe_key);',
        'const known = undefined as number | undefined;',
      ],
      [
        'src/router/router.ts',
        'dedupe_key: incoming.dedupe_key,\n',
        'dedupe_key: incoming.dedupe_key + performance.now(),\n',
      ],
    ],
    point: 'ledger.accept:after',
    finds: 'duplicated',
  },
  {
    what: 'the settle transaction',
    patches: [
      ['src/sessions/turn_book.ts', 'import ', `${KILL_ONCE}import `],
      [
        'src/sessions/turn_book.ts',
        "const reply = end.outcome === 'silent'",
        "db.raw.exec('COMMIT; BEGIN IMMEDIATE');\n  killOnce();\n  const reply = end.outcome === 'silent'",
      ],
    ],
    point: 'ledger.settle:after',
    finds: 'lost',
  },
  {
    what: 'the `sending` mark',
    patches: [
      ['src/delivery/delivery.ts', 'if (!markSending(db, this.#clock.now(), row.id)) return false;', ''],
      ['src/ledger/outbound.ts', "WHERE id = ? AND state = 'sending'", 'WHERE id = ?'],
      // Only a send to the platform matters here; what waits for a terminal is not repeated anyway.
      ['src/delivery/delivery.ts', "'channel.send'", "channel.name === 'platform' ? 'channel.send' : 'elsewhere'"],
    ],
    point: 'channel.send:after',
    finds: 'duplicated',
  },
  {
    what: 'the wake-up after a death',
    patches: [
      [
        'src/sessions/session.ts',
        'if (!this.#draining && queuedIn(this.#services.ledger.db, this.id) > 0) this.wake();',
        '',
      ],
    ],
    point: 'ledger.settle:after',
    finds: 'laws',
  },
];

/** Which pass of the point is the one that matters depends on who is first; one of these is. */
const HITS = [1, 2, 3, 4, 5, 6];

for (const sabotage of SABOTAGES) {
  test(`without ${sabotage.what} the matrix is red`, { timeout: 240_000 }, async () => {
    for (const hit of HITS) {
      const result = await runSabotaged(sabotage, hit);
      assert.equal(result.failure, null);
      if (result.verdict !== null && result.verdict[sabotage.finds].length > 0) return;
    }
    assert.fail(`the judge has not seen that ${sabotage.what} is gone`);
  });
}

test('with all of them it is clean', { timeout: 60_000 }, async () => {
  const { failure, verdict } = await runSabotaged({ ...SABOTAGES[0]!, patches: [] }, HITS[0]!);
  assert.equal(failure, null);
  assert.ok(verdict !== null && isClean(verdict), JSON.stringify(verdict));
});

async function runSabotaged(sabotage: Sabotage, hit: number): Promise<RunResult> {
  using tree = new PatchedTree(sabotage.patches);
  const model = await startModel({ script: tokenScript });
  try {
    const plan = {
      seed: 7,
      faults: [{ point: { name: sabotage.point, process: 'host' as const }, hit, victims: ['host'] }],
      thinker: 'probe' as const,
      runtime: 'bubblewrap' as const,
    };
    const result = await runOne(plan, model, tree.root);
    remove(result.home);
    return result;
  } finally {
    await model.close();
  }
}
