import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { cannotDrop, ORDINARY } from './inspect_kit.ts';
import { BUBBLEWRAP_SABOTAGES } from './inspect_sabotage.ts';
import { describeSabotages, sentenceOf } from './inspect_sabotage_kit.ts';

await describeSabotages('bubblewrap', BUBBLEWRAP_SABOTAGES);

/** The guards that only an ordinary user's sandboxes have. */
const OF_USERS = BUBBLEWRAP_SABOTAGES.filter(({ only }) => only === 'user');

test('the same holds for the guards of an ordinary user’s sandboxes', { skip: cannotDrop() }, () => {
  const { NODE_TEST_CONTEXT: _, XDG_RUNTIME_DIR: __, ...env } = process.env;
  const names = OF_USERS.flatMap((sabotage) => ['--test-name-pattern', sentenceOf(sabotage).replace(/[()/.]/g, '.')]);
  const words = [...ORDINARY, '--', process.execPath, '--test', ...names, fileURLToPath(import.meta.url)];
  const run = spawnSync('setpriv', words, { env: { ...env, HOME: '/nonexistent' } });
  assert.equal(run.status, 0, run.stdout.toString());
  for (const sabotage of OF_USERS) assert.ok(run.stdout.includes(sentenceOf(sabotage)), sabotage.without);
});
