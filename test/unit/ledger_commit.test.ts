import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OperatingError } from '../../src/base/errors.ts';
import { GROUP_COMMIT_MAX } from '../../src/base/limits/messages.ts';
import type { Db } from '../../src/ledger/db.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { freshLedger } from '../fakes/ledger_kit.ts';

function addGroup(db: Db, name: string): number {
  return db.insert('INSERT INTO groups (name, uid, created_ms) VALUES (?, NULL, 1)', name);
}

function groups(ledger: Ledger): string[] {
  return ledger.db.all<{ name: string }>('SELECT name FROM groups ORDER BY rowid').map((row) => row.name);
}

const BIG = 'x'.repeat(100_000);

/** The ledger may not grow by a page: a full disk, as SQLite sees it. Returns how to give the space back. */
function fillDisk(ledger: Ledger): () => void {
  const pages = Number(Object.values(ledger.db.raw.prepare('PRAGMA page_count').get()!)[0]);
  ledger.db.raw.exec(`PRAGMA max_page_count = ${pages}`);
  return () => ledger.db.raw.exec('PRAGMA max_page_count = 1000000');
}

async function outcomes(jobs: Promise<unknown>[]): Promise<string[]> {
  return (await Promise.allSettled(jobs)).map((result) => result.status);
}

test('jobs that wait together are one commit, in the order in which they were asked for', async (context) => {
  const ledger = await freshLedger(context);
  const before = ledger.commits;
  const resolved: string[] = [];
  const names = Array.from({ length: 40 }, (_, i) => `g${i}`);
  await Promise.all(
    names.map((name) => ledger.write('test', (db) => addGroup(db, name)).then(() => resolved.push(name))),
  );
  assert.equal(ledger.commits - before, 1);
  assert.deepEqual(groups(ledger), names);
  assert.deepEqual(resolved, names);
});

test(`a commit takes at most ${GROUP_COMMIT_MAX} jobs, the rest follow at once`, async (context) => {
  const ledger = await freshLedger(context);
  const before = ledger.commits;
  await Promise.all(
    Array.from({ length: GROUP_COMMIT_MAX + 1 }, (_, i) => ledger.write('test', (db) => addGroup(db, `g${i}`))),
  );
  assert.equal(ledger.commits - before, 2);
});

test('what a job asks for joins its transaction, also behind a job that throws', async (context) => {
  const ledger = await freshLedger(context);
  const before = ledger.commits;
  let asked: Promise<unknown>[] = [];
  await ledger.write('test', (db) => {
    addGroup(db, 'first');
    asked = [
      ledger.write('test', (own) => addGroup(own, 'first')), // breaks a constraint
      ledger.write('test', (own) => addGroup(own, 'second')),
    ];
  });
  assert.equal(ledger.commits - before, 1);
  assert.deepEqual(await outcomes(asked), ['rejected', 'fulfilled']);
  assert.deepEqual(groups(ledger), ['first', 'second']);
});

test('what a job asks for is lost with its transaction', async (context) => {
  const ledger = await freshLedger(context);
  const space = fillDisk(ledger);
  let asked: Promise<unknown>[] = [];
  const first = ledger.write('test', (db) => {
    asked = [ledger.write('test', (own) => addGroup(own, BIG))];
    addGroup(db, 'first');
  });
  assert.deepEqual(await outcomes([first]), ['rejected']);
  assert.deepEqual(await outcomes(asked), ['rejected']);
  space();
  assert.deepEqual(groups(ledger), []);
});

test('one job that throws takes no other with it, and leaves nothing of itself', async (context) => {
  const ledger = await freshLedger(context);
  const results = await outcomes([
    ledger.write('test', (db) => addGroup(db, 'before')),
    ledger.write('test', (db) => {
      addGroup(db, 'half');
      throw new Error('on purpose');
    }),
    ledger.write('test', (db) => addGroup(db, 'before')), // breaks a constraint
    ledger.write('test', (db) => addGroup(db, 'after')),
  ]);
  assert.deepEqual(results, ['fulfilled', 'rejected', 'rejected', 'fulfilled']);
  assert.deepEqual(groups(ledger), ['before', 'after']);
});

test('a job alone that throws leaves nothing, keeps its own error, and the next goes through', async (context) => {
  const ledger = await freshLedger(context);
  const failing = ledger.write('test', (db) => {
    addGroup(db, 'half');
    throw new RangeError('on purpose');
  });
  await assert.rejects(failing, RangeError);
  await ledger.write('test', (db) => addGroup(db, 'next'));
  assert.deepEqual(groups(ledger), ['next']);
});

test('a job sees what the jobs before it wrote, and a promise resolves only after the commit', async (context) => {
  const ledger = await freshLedger(context);
  let committed = 0;
  ledger.onCommit(() => {
    committed += 1;
  });
  const [, seen] = await Promise.all([
    ledger.write('test', (db) => addGroup(db, 'first')),
    ledger.write('test', (db) => db.get<{ n: number }>('SELECT count(*) AS n FROM groups')!.n),
  ]);
  assert.equal(seen, 1);
  assert.equal(committed, 1);
});

test('a job that writes while it is being committed is the next commit', async (context) => {
  const ledger = await freshLedger(context);
  await ledger
    .write('test', (db) => addGroup(db, 'first'))
    .then(() => ledger.write('test', (db) => addGroup(db, 'second')));
  assert.deepEqual(groups(ledger), ['first', 'second']);
});

test('on a full disk every job of the commit is refused with a storage error, and nothing of them holds', async (context) => {
  const ledger = await freshLedger(context);
  await ledger.write('test', (db) => addGroup(db, 'old'));
  const free = fillDisk(ledger);
  const jobs = [
    ledger.write('test', (db) => addGroup(db, 'small')),
    ledger.write('test', (db) => addGroup(db, BIG)),
    ledger.write('test', (db) => addGroup(db, 'behind')),
  ];
  assert.deepEqual(await outcomes(jobs), ['rejected', 'rejected', 'rejected']);
  await assert.rejects(jobs[0]!, (error) => {
    assert.ok(error instanceof OperatingError);
    assert.equal(error.code, 'storage');
    assert.match(error.message, /^the ledger cannot be written: .*full/);
    assert.ok(error.fix);
    return true;
  });
  assert.deepEqual(groups(ledger), ['old']);
  free();
  await ledger.write('test', (db) => addGroup(db, 'new'));
  assert.deepEqual(groups(ledger), ['old', 'new']);
});

test('a read-only database is a storage error too', async (context) => {
  const ledger = await freshLedger(context);
  ledger.db.raw.exec('PRAGMA query_only = ON');
  await assert.rejects(
    ledger.write('test', (db) => addGroup(db, 'no')),
    { code: 'storage' },
  );
  ledger.db.raw.exec('PRAGMA query_only = OFF');
  await ledger.write('test', (db) => addGroup(db, 'yes'));
});

test('insist waits for space, and then holds; each commit that the disk undoes is told of', async (context) => {
  const ledger = await freshLedger(context);
  const free = fillDisk(ledger);
  const troubles: Error[] = [];
  ledger.onTrouble((error) => troubles.push(error));
  const insisted = ledger.insist('test', (db) => addGroup(db, BIG));
  await assert.rejects(
    ledger.write('test', (db) => addGroup(db, BIG)),
    { code: 'storage' },
  );
  await until(() => troubles.length >= 2); // at least one more attempt has failed
  assert.equal(groups(ledger).length, 0);
  free();
  await insisted;
  assert.deepEqual(groups(ledger), [BIG]);
  const told = troubles.length;
  await ledger.write('test', (db) => addGroup(db, 'small'));
  assert.equal(troubles.length, told);
});

test('insist does not repeat what is not the disk’s fault', async (context) => {
  const ledger = await freshLedger(context);
  let runs = 0;
  ledger.onTrouble(() => assert.fail('no trouble with the disk'));
  const insisted = ledger.insist('test', () => {
    runs += 1;
    throw new Error('a mistake');
  });
  await assert.rejects(insisted, /a mistake/);
  assert.equal(runs, 1);
});

test('close commits what waits, and refuses what comes after it', async (context) => {
  const ledger = await freshLedger(context);
  const waiting = ledger.write('test', (db) => addGroup(db, 'last'));
  ledger.close();
  await waiting;
  await assert.rejects(
    ledger.write('test', () => {}),
    { code: 'storage', message: 'the ledger is closed' },
  );
});

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function until(done: () => boolean): Promise<void> {
  for (let i = 0; i < 500 && !done(); i += 1) await pause(10);
  assert.ok(done(), 'not within 5 s');
}
