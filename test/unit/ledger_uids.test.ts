import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GROUP_UID_COUNT, GROUP_UID_FIRST } from '../../src/base/limits/sandbox.ts';
import { ensureGroup, groupUid, uidRange } from '../../src/ledger/chats.ts';
import { freshLedger } from '../fakes/ledger_kit.ts';

const RANGE = { first: 500_000, count: 4 };

test('each group gets a host uid of its own from the range, once, and the last one stays free', async (context) => {
  const { db } = await freshLedger(context);
  for (const name of ['a', 'b', 'a', 'c']) ensureGroup(db, 1, name, RANGE);
  assert.deepEqual(
    ['a', 'b', 'c'].map((name) => groupUid(db, name)),
    [500_000, 500_001, 500_002],
  );
  assert.throws(() => ensureGroup(db, 1, 'd', RANGE), { code: 'config', message: /every uid of the range/ });
});

test('a uid is never given twice: another range begins above every one that was', async (context) => {
  const { db } = await freshLedger(context);
  ensureGroup(db, 1, 'a', RANGE);
  ensureGroup(db, 1, 'b', { first: 400_000, count: 200_000 });
  assert.equal(groupUid(db, 'b'), 500_001);
  ensureGroup(db, 1, 'c', { first: 900_000, count: 4 });
  assert.equal(groupUid(db, 'c'), 900_000);
});

test('a host that is no root gives none, and gives one when it is', async (context) => {
  const { db } = await freshLedger(context);
  ensureGroup(db, 1, 'a', null);
  assert.equal(groupUid(db, 'a'), null);
  ensureGroup(db, 1, 'a', RANGE);
  assert.equal(groupUid(db, 'a'), 500_000);
});

test('two installs of one machine give from ranges that do not touch, below 2^31, and always from the same', async (context) => {
  const { db } = await freshLedger(context);
  const first = (install: string): number => uidRange(db, install, { count: GROUP_UID_COUNT }).first;
  const installs = ['0000000000', 'ffffffffff', '0a1b2c3d4e', '0a1b2c3d4f', '9f86d08188'];
  const firsts = installs.map(first);
  assert.equal(new Set(firsts).size, installs.length);
  for (const [at, found] of firsts.entries()) {
    assert.equal((found - GROUP_UID_FIRST) % GROUP_UID_COUNT, 0);
    assert.ok(found > GROUP_UID_FIRST && found + GROUP_UID_COUNT < 2 ** 31);
    assert.equal(first(installs[at]!), found);
  }
});

test('an install goes on in the range that it has given from, and in the one that glass.yaml names', async (context) => {
  const { db } = await freshLedger(context);
  ensureGroup(db, 1, 'a', { first: GROUP_UID_FIRST, count: GROUP_UID_COUNT });
  assert.deepEqual(uidRange(db, '0a1b2c3d4e', { count: 500 }), { first: GROUP_UID_FIRST, count: 500 });
  assert.deepEqual(uidRange(db, '0a1b2c3d4e', { first: 70_000, count: 500 }), { first: 70_000, count: 500 });
});

test('an install that was moved, or put back elsewhere, goes on in its range, whatever the hash of its place is', async (context) => {
  const { db } = await freshLedger(context);
  const home = uidRange(db, 'ffffffffff', { count: GROUP_UID_COUNT });
  ensureGroup(db, 1, 'a', home);
  for (const moved of ['0000000000', '0a1b2c3d4e']) {
    assert.deepEqual(uidRange(db, moved, { count: GROUP_UID_COUNT }), home);
    ensureGroup(db, 1, `of-${moved}`, uidRange(db, moved, { count: GROUP_UID_COUNT }));
    assert.ok(groupUid(db, `of-${moved}`)! < home.first + GROUP_UID_COUNT);
  }
});
