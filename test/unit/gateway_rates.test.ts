import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../src/base/clock.ts';
import { Rates } from '../../src/gateway/rates.ts';

let now_ms = 1000;
const clock: Clock = { now: () => now_ms + 1e12, micros: () => 0, monotonic: () => now_ms };
const limit = { service: 'api', rate: '2/min' };

test('a bucket empties, fills evenly, and never above its size', () => {
  const rates = new Rates(clock, () => 0);
  assert.equal(rates.take('g', [limit]), null);
  assert.equal(rates.take('g', [limit]), null);
  assert.deepEqual(rates.take('g', [limit]), { limit, wait_s: 30 });
  now_ms += 29_000;
  assert.equal(rates.take('g', [limit])?.wait_s, 1);
  now_ms += 1000;
  assert.equal(rates.take('g', [limit]), null);
  now_ms += 3_600_000;
  assert.deepEqual(
    [0, 1, 2].map(() => rates.take('g', [limit]) === null),
    [true, true, false],
  );
});

test('groups and services do not share one', () => {
  const rates = new Rates(clock, () => 0);
  for (const group of ['a', 'b'])
    for (const service of ['x', 'y']) {
      assert.equal(rates.take(group, [{ service, rate: '1/day' }]), null);
      assert.notEqual(rates.take(group, [{ service, rate: '1/day' }]), null);
    }
});

test('of several limits all are taken or none', () => {
  const rates = new Rates(clock, () => 0);
  const [wide, narrow] = [
    { service: 'w', rate: '2/day' },
    { service: 'n', rate: '1/day' },
  ];
  assert.equal(rates.take('g', [wide, narrow]), null);
  assert.deepEqual(rates.take('g', [wide, narrow])?.limit, narrow);
  assert.equal(rates.take('g', [wide]), null, 'the refused one has taken nothing');
});

test('a new bucket begins with what was used before, asked for once', () => {
  const asked: unknown[] = [];
  const rates = new Rates(clock, (...words) => {
    asked.push(words);
    return 1;
  });
  assert.equal(rates.take('g', [limit]), null);
  assert.notEqual(rates.take('g', [limit]), null);
  assert.deepEqual(asked, [['g', 'api', now_ms + 1e12 - 60_000]]);
});

test('an audit that cannot be read lets nothing through', () => {
  const rates = new Rates(clock, () => {
    throw new Error('the disk is gone');
  });
  assert.throws(() => rates.take('g', [limit]), /the disk is gone/);
  assert.throws(() => rates.take('g', [limit]), /the disk is gone/);
});
