import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Slots } from '../../src/base/slots.ts';

/** What is given a place, in which order; each goes on until it is let go. */
function stage(slots: Slots) {
  const begun: string[] = [];
  const enter = (name: string, most_ms?: number) => {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const act = (): Promise<string> => {
      begun.push(name);
      return promise;
    };
    return { ended: slots.run(act, most_ms), end: () => resolve(name), fail: () => reject(new Error(name)) };
  };
  return { begun, enter };
}

/** Everything that can go on by itself has gone on. */
const rest = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('so many at once, the others in their order; what fails makes room as well', async () => {
  const { begun, enter } = stage(new Slots(2));
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => enter(name));
  await rest();
  assert.deepEqual(begun, ['a', 'b']);
  b!.fail();
  await assert.rejects(b!.ended, /^Error: b$/);
  await rest();
  assert.deepEqual(begun, ['a', 'b', 'c']);
  for (const one of [a, c, d]) one!.end();
  assert.deepEqual(await Promise.all([a, c, d].map((one) => one!.ended)), ['a', 'c', 'd']);
});

test('who takes too long keeps nobody from beginning, ends as it would, and gives its place back once', async () => {
  const slots = new Slots(1);
  const { begun, enter } = stage(slots);
  const long = enter('long', 10);
  const next = enter('next');
  const last = enter('last');
  for (let tries = 0; tries < 1000 && begun.length < 2; tries += 1) await new Promise((wait) => setTimeout(wait, 5));
  assert.deepEqual(begun, ['long', 'next']);
  long.end();
  assert.equal(await long.ended, 'long');
  await rest();
  assert.equal(slots.waiting, 1, 'its place is the next one’s now');
  next.end();
  last.end();
  assert.deepEqual(await Promise.all([next.ended, last.ended]), ['next', 'last']);
  assert.equal(slots.waiting, 0);
});
