import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Newest } from '../../sandbox/runner/newest.ts';

const EVERY_MS = 500;

/** What is passed on, while time passes by hand. */
function world(context: TestContext) {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  let now = 0;
  context.mock.method(performance, 'now', () => now);
  const passed: [number, string][] = [];
  const newest = new Newest<string>(EVERY_MS, (value) => passed.push([now, value]));
  const pass = (ms: number): void => {
    for (let left = ms; left > 0; left -= 10) {
      now += 10;
      context.mock.timers.tick(10);
    }
  };
  return { newest, passed, pass };
}

test('of what comes often the newest is passed on, at a pace, and the last one too', (context) => {
  const { newest, passed, pass } = world(context);
  for (let i = 1; i <= 60; i += 1) {
    newest.give(`${i}`);
    pass(20);
  }
  pass(EVERY_MS);
  assert.equal(passed.length, 4);
  for (const [index, [at]] of passed.entries())
    if (index > 0) assert.ok(at - passed[index - 1]![0] >= EVERY_MS, JSON.stringify(passed));
  assert.equal(passed.at(-1)![1], '60');
  pass(10 * EVERY_MS);
  assert.equal(passed.length, 4, 'nothing is said twice');
});

test('what is forgotten is not passed on, and what comes after it is', (context) => {
  const { newest, passed, pass } = world(context);
  newest.give('old');
  newest.forget();
  pass(2 * EVERY_MS);
  assert.equal(passed.length, 0);
  newest.give('new');
  pass(EVERY_MS);
  assert.deepEqual(
    passed.map(([, value]) => value),
    ['new'],
  );
});
