import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cannotDrop, passesForOrdinaryUser } from '../fakes/ordinary_user.ts';
import { BUBBLEWRAP_SABOTAGES } from './inspect_sabotage.ts';
import { describeSabotages, sentenceOf } from './inspect_sabotage_kit.ts';

await describeSabotages('bubblewrap', BUBBLEWRAP_SABOTAGES);

/** The guards that only an ordinary user's sandboxes have. */
const OF_USERS = BUBBLEWRAP_SABOTAGES.filter(({ only }) => only === 'user');

test('the same holds for the guards of an ordinary user’s sandboxes', { skip: cannotDrop() }, () => {
  const names = OF_USERS.flatMap((sabotage) => ['--test-name-pattern', sentenceOf(sabotage).replace(/[()/.]/g, '.')]);
  const printed = passesForOrdinaryUser(import.meta.url, ...names);
  for (const sabotage of OF_USERS) assert.ok(printed.includes(sentenceOf(sabotage)), sabotage.without);
});
