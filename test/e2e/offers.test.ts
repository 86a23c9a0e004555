import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missing } from '../kits/held.ts';
import { OFFERS } from './offers_rows.ts';

/** What platforms of this kind offer, and what of it there is here: in a terminal, and on a platform. Where there is none, a reason. */

for (const { name, terminal, platform } of OFFERS)
  for (const [where, shown] of [['in a terminal', terminal] as const, ['on a platform', platform] as const])
    test(`offered, ${where}: ${name}`, (context) => {
      if (typeof shown === 'string') return context.skip(shown);
      assert.ok(shown.length > 0);
      assert.deepEqual(
        shown.map(missing).filter((words) => words !== ''),
        [],
      );
    });

test('no offer stands twice', () => {
  const names = OFFERS.map(({ name }) => name);
  assert.deepEqual([...new Set(names)], names);
});
