import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { pidOf } from '../../src/cli/check/processes.ts';
import type { LogLine } from '../../src/operations/upgrade/record.ts';
import { until } from '../fakes/install.ts';
import type { Patch } from '../fakes/patched_tree.ts';
import { Clone, MIGRATION, Origin, type Upgraded } from '../kits/upgrade_world.ts';

/**
 * Versions that are broken, each in a way of its own: what the rehearsal on a copy finds leaves the install running as it is; what
 * only the real home shows is taken back by itself.
 */
const origin = new Origin();
const clone = new Clone(origin, 'one');
const { paths, places } = clone;

before(() => {
  const up = clone.glass('up', '--detach');
  assert.equal(up.status, 0, up.stderr);
  for (const text of ['one', 'two']) clone.answers(text);
});

afterEach(() => {
  origin.unpublish('0.2.0');
  clone.git('tag', '-d', 'v0.2.0'); // one that is made anew under its old name is refused
});
after(() => {
  clone.end();
  origin[Symbol.dispose]();
});

const HOST = 'src/host.ts';
const BEGINS = 'async function main(): Promise<void> {\n';
/** At the start of a host, on homes of which a condition holds. */
const atStart = (condition: string, act: string): Patch => [
  HOST,
  BEGINS,
  `${BEGINS}  const home = String(process.env['GLASS_HOME']);\n  if (${condition}) ${act}\n`,
];
const QUICK: Patch = ['src/base/limits/backups.ts', 'TRIAL_MS = 60 *', 'TRIAL_MS = 6 *'];

const REHEARSED: [what: string, patches: Patch[], files: Record<string, string>, why: RegExp][] = [
  [
    'has a migration that fails',
    [],
    { 'src/ledger/migrations/0099_bad.sql': 'SELECT * FROM nothing;\n' },
    /0099_bad\.sql/,
  ],
  [
    'answers, and has deleted what people said',
    [],
    {
      'src/ledger/migrations/0099_bad.sql':
        "UPDATE inbound SET state = 'ignored';\nUPDATE messages SET text = '' WHERE id = 1;\nDELETE FROM identities;\n",
    },
    /has lost.*messages/,
  ],
  [
    'starts and never answers',
    [QUICK, ['sandbox/runner/runner.ts', '\n', '\nawait new Promise(() => setInterval(() => {}, 1000));\n']],
    {},
    /within 6 s|answer/,
  ],
  ['does not start at all', [[HOST, BEGINS, `${BEGINS}  throw new Error('it is broken');\n`]], {}, /host/],
];

for (const [what, patches, files, why] of REHEARSED) {
  test(`a version that ${what} is found on a copy: the install runs on, and nothing of it was touched`, async () => {
    origin.publish('0.2.0', patches, files);
    const [host, schema, said] = [pidOf(paths, 'host'), clone.schema(), clone.said()];
    const refused = clone.glass('upgrade', '--yes');
    assert.equal(refused.status, 7, refused.stderr);
    assert.match(refused.stderr, why);
    assert.match(refused.stderr, /nothing was changed/);
    assert.deepEqual([pidOf(paths, 'host'), clone.schema(), clone.said()], [host, schema, said]);
    assert.deepEqual(clone.checkout(), { version: '0.1.0', branch: 'main', edits: '' });
    assert.ok(!existsSync(places.record));
    clone.answers('still there');
    const { backups } = JSON.parse(clone.glass('backup', 'list', '--json').stdout) as {
      backups: { proof: { ok: boolean } }[];
    };
    assert.deepEqual(
      backups.map(({ proof }) => proof.ok),
      backups.map(() => true),
      'what was proven stays so',
    );
  });
}

/** On the real home alone: throw-away homes of a rehearsal have other names. */
const REAL = `home.endsWith('one-home')`;
const ON_REAL_HOME: [what: string, patches: Patch[], why: RegExp][] = [
  ['does not start on the real home', [atStart(REAL, "throw new Error('not here');")], /its trial failed/],
  [
    'answers on the real home, and loses something there',
    [
      [
        HOST,
        "import { join } from 'node:path';\n",
        "import { join } from 'node:path';\nimport { DatabaseSync } from 'node:sqlite';\n",
      ],
      atStart(REAL, `new DatabaseSync(join(home, 'ledger.db')).exec("UPDATE messages SET text = 'gone'");`),
    ],
    /has lost what stood in \d+ rows of messages/,
  ],
];

for (const [what, patches, why] of ON_REAL_HOME) {
  test(`a version that ${what} is taken back by itself: version, schema and messages as before`, async () => {
    origin.publish('0.2.0', patches, MIGRATION);
    const [schema, said] = [clone.schema(), clone.said()];
    const returned = clone.json<Upgraded>('upgrade', '--yes');
    assert.deepEqual([returned.done, returned.returned], [false, true]);
    assert.match(returned.why ?? '', why);
    assert.deepEqual(clone.checkout(), { version: '0.1.0', branch: 'main', edits: '' });
    assert.deepEqual([clone.schema(), clone.said(), await clone.runs()], [schema, said, true]);
    clone.answers('back');
    assert.ok(!existsSync(places.record) && !existsSync(places.mender));
    assert.deepEqual(readdirSync(join(paths.home, 'upgrades')), []);
    const [last] = clone.json<{ upgrades: LogLine[] }>('upgrade', 'log').upgrades.slice(-1);
    assert.equal(last?.outcome, 'returned');
    await until('it is alerted', async () => assert.match(clone.glass('alert', 'list').stdout, /upgrade\.returned/));
  });
}
