import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, beforeEach, test } from 'node:test';
import { noFaults } from '../../src/base/faults.ts';
import { checkAudit } from '../../src/evidence/request_chain.ts';
import { Audit, type Outcome } from '../../src/gateway/audit.ts';
import type { Link } from '../../src/gateway/chain.ts';
import { NO_USAGE } from '../../src/gateway/usage.ts';
import { looseTables } from '../fakes/loose_tables.ts';

const folder = mkdtempSync(join(tmpdir(), 'glass-audit-'));
after(() => rmSync(folder, { recursive: true }));

const NOTHING = { cost_micros: 0, tokens: 0 };
const START_MS = 1_800_000_000_000;
let now_ms: number;
let files = 0;
let path: string;
let audit: Audit;

beforeEach(() => {
  now_ms = START_MS;
  path = join(folder, `${++files}.db`);
  audit = opened();
});

function opened(): Audit {
  return new Audit(path, { now: () => now_ms, monotonic: () => now_ms, micros: () => now_ms * 1000 }, noFaults);
}

function asked(session = 's1', at = '/v1/messages') {
  const [group, method, host] = ['assistant', 'POST', 'api.example.test'];
  return { session, group, method, host, path: at, rule: 'model', service: null };
}

const DONE: Outcome = {
  ...NO_USAGE,
  ...{ decision: 'allow', rule: null, status: 200, request_bytes: 10, response_bytes: 20, redacted: 0 },
};

/** Three that run side by side, one that is refused, and one that goes on running. */
function someRequests(): void {
  const first = audit.begin(asked(), 'anthropic', { cost_micros: 7, tokens: 3 });
  now_ms += 1;
  const second = audit.begin(asked('s2'), null, NOTHING);
  const third = audit.begin(asked('s2', '/third'), null, NOTHING);
  audit.refused(asked('s1', '/denied'), 403);
  audit.end(third, { ...DONE, decision: 'error', rule: 'upstream', status: 502 }, NOTHING);
  audit.end(first, DONE, { cost_micros: 5, tokens: 2 });
  audit.begin(asked('s1', '/running'), null, NOTHING);
  audit.end(second, DONE, NOTHING);
}

async function checked(anchors: readonly Link[]): Promise<{ links: number; broken: string | null }> {
  const { links, broken } = await checkAudit(audit, 'no key', { anchors, cut: null });
  return { links, broken };
}

/** What somebody does to the file behind the gateway's back. */
async function afterChange(sql: string, anchors: readonly Link[] = []): Promise<string | null> {
  audit.close();
  const db = new DatabaseSync(path);
  db.exec(sql);
  db.close();
  audit = opened();
  return (await checked(anchors)).broken;
}

/** SQL that adds a row like the refused one, after it. */
function putIn(begun: string, ended: string): string {
  return `CREATE TEMP TABLE one AS SELECT * FROM requests WHERE path = '/denied';
    UPDATE one SET id = id + 5, path = '/put-in', begun_seq = ${begun}, ended_seq = ${ended};
    INSERT INTO requests SELECT * FROM one`;
}

test('every transaction is a link, also of requests that run side by side, and the chain holds', async () => {
  someRequests();
  assert.deepEqual(await checked([]), { links: 9, broken: null });
  assert.equal(audit.head.seq, 9);
});

test('the chain goes on after a restart, which closes what was running', async () => {
  someRequests();
  const before = audit.head;
  audit.close();
  now_ms += 1000;
  audit = opened();
  assert.equal(audit.head.seq, 10);
  audit.refused(asked(), 403);
  assert.deepEqual(await checked([before]), { links: 12, broken: null });
  const running = audit.rows('s1', START_MS, now_ms).find((row) => row.path === '/running');
  assert.equal(running?.decision, 'error');
});

for (const [what, sql, says] of [
  ['a path that is changed', "UPDATE requests SET path = '/harmless' WHERE path = '/third'", /link 3 .* does not fit/],
  ['a decision that is changed', "UPDATE requests SET decision = 'allow' WHERE decision = 'deny'", /does not fit/],
  ['a cost that is changed', 'UPDATE requests SET cost_micros = 0 WHERE cost_micros = 5', /does not fit/],
  ['a row that is removed', "DELETE FROM requests WHERE path = '/denied'", /link 4 is missing/],
  ['a row that is put in with links of its own', putIn('4', '5'), /link 4 stands twice/],
  ['a row that is put in with links that come later', putIn('400', '401'), /link 10 is missing/],
  ['a row that is put in without links', putIn('NULL', 'NULL'), /is not in the chain/],
  ['an end that is put in', "UPDATE requests SET ended_ms = 1 WHERE path = '/running'", /is not in the chain/],
] as const) {
  test(`${what} breaks it`, async () => {
    someRequests();
    assert.match((await afterChange(sql)) ?? 'not broken', says);
  });
}

test('an end that is cut off is shown by an anchor, and by nothing else', async () => {
  someRequests();
  const anchor = audit.head;
  const cut =
    'DELETE FROM requests WHERE id > (SELECT min(id) FROM requests); UPDATE requests SET ended_ms = NULL, ended_seq = NULL, ended_hash = NULL';
  assert.equal(await afterChange(cut), null);
  assert.match((await checked([anchor])).broken!, /its end was cut off/);
});

test('a chain that was made anew, whole in itself, is shown by an anchor', async () => {
  someRequests();
  const anchor = audit.head;
  path = join(folder, `${++files}.db`);
  audit = opened();
  for (let i = 0; i < 10; i += 1) audit.refused(asked('s1', `/another-${i}`), 403);
  assert.equal((await checked([])).broken, null);
  assert.match((await checked([anchor])).broken!, /not the one that the ledger knows/);
});

test('rows of a file from before there was a chain are left as they are, and those that follow are linked', async () => {
  someRequests();
  audit.close();
  const db = new DatabaseSync(path);
  db.exec('UPDATE requests SET begun_seq = NULL, begun_hash = NULL, ended_seq = NULL, ended_hash = NULL');
  db.exec("UPDATE requests SET ended_ms = NULL WHERE path = '/running'");
  db.exec('UPDATE unchained SET through = (SELECT max(id) FROM requests)');
  db.close();
  audit = opened();
  audit.refused(asked(), 403);
  assert.deepEqual(await checked([]), { links: 3, broken: null });
});

test('more rows than one portion are checked', async () => {
  for (let i = 0; i < 1203; i += 1) audit.refused(asked('s1', `/${i}`), 403);
  assert.deepEqual(await checked([audit.head]), { links: 2406, broken: null });
});

test('a window of time is found by the ids, also when the clock was set back', () => {
  audit.refused(asked('s1', '/first'), 403);
  now_ms -= 30_000;
  audit.refused(asked('s1', '/earlier'), 403);
  now_ms += 60_000;
  audit.refused(asked('s1', '/later'), 403);
  const paths = (from_ms: number, to_ms: number): string[] => audit.rows('s1', from_ms, to_ms).map((row) => row.path);
  assert.deepEqual(paths(START_MS - 40_000, START_MS + 40_000), ['/first', '/earlier', '/later']);
  assert.deepEqual(paths(START_MS - 40_000, START_MS - 20_000), ['/earlier']);
  assert.deepEqual(paths(START_MS + 10_000, START_MS + 40_000), ['/later']);
  assert.deepEqual(audit.rows('s2', 0, START_MS * 2), []);
});

test('the log has the newest, oldest of them first, of one group or of all', () => {
  for (let i = 0; i < 5; i += 1) audit.refused({ ...asked('s1', `/${i}`), group: i % 2 ? 'odd' : 'even' }, 403);
  const paths = (group: string | null, most: number): string[] => audit.log(group, 0, most).map((row) => row.path);
  assert.deepEqual(paths(null, 2), ['/3', '/4']);
  assert.deepEqual(paths('even', 9), ['/0', '/2', '/4']);
  assert.deepEqual(audit.log(null, now_ms + 1, 9), []);
});

test('a copy that is made while it runs can be opened, and holds', async () => {
  someRequests();
  const copy = join(folder, `${++files}.db`);
  for (const end of ['', '-wal']) copyFileSync(path + end, copy + end);
  const original = audit;
  path = copy;
  audit = opened();
  assert.deepEqual((await checked([original.head])).broken, null);
  original.close();
});

test('every table of a fresh record is STRICT', () => {
  audit.close();
  const raw = new DatabaseSync(path, { readOnly: true });
  assert.deepEqual(looseTables(raw), []);
  raw.close();
});
