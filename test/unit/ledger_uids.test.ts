import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ensureGroup, groupUid } from '../../src/ledger/chats.ts';
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
