import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ensurePerson } from '../../src/ledger/people.ts';
import { insertTask } from '../../src/ledger/tasks.ts';
import { commandWorld } from '../fakes/command_world.ts';

/** Who changes a task by a word in its chat: k1 runs for Bob, k2 in another chat. */
async function world(context: TestContext, facts: { taskProblem?: string } = {}) {
  const own = await commandWorld(context, { tasks: ['local:main', 'local:private'], ...facts });
  await own.ledger.write('seed', (db) => {
    const bob = ensurePerson(db, 0, 'local', 'bob', 'Bob', 'member', 'assistant');
    ensurePerson(db, 0, 'local', 'root', 'Root', 'admin', 'assistant');
    const place = { group_name: 'assistant', chat_id: own.session.chat_id, thread: '', own: 1 as const };
    const times = { schedule: 'every 1h', zone: 'UTC', catch_up: 'once' as const, next_ms: 1 };
    for (const text of ['first', 'second'])
      insertTask(db, 0, { ...place, ...times, text, gate: '', person_id: bob, by: 'operator' as const });
  });
  return own;
}

test('whoever it runs for, and an admin, pause it, let it go on, run it and remove it; others do not', async (context) => {
  const { say, done } = await world(context);
  assert.deepEqual(await say('/tasks pause k1'), ['Only an admin of assistant, or who it runs for, changes k1.']);
  assert.deepEqual(done, []);
  assert.deepEqual(await say('/tasks pause k1', { handle: 'bob' }), ['k1 is paused.']);
  assert.deepEqual(await say('/Tasks Resume K1', { handle: 'bob' }), ['k1 goes on at its next time.']);
  assert.deepEqual(await say('/tasks run k1', { handle: 'root' }), ['k1 runs now.']);
  assert.deepEqual(await say('/tasks remove k1', { handle: 'root' }), ['k1 is removed.']);
  assert.deepEqual(done, ['pause k1 by bob', 'resume k1 by bob', 'run k1 by root', 'remove k1 by root']);
});

test('a task of another chat, one that is none, and words that are none change nothing', async (context) => {
  const { say, done } = await world(context);
  for (const task of ['k2', 'k99'])
    assert.deepEqual(await say(`/tasks remove ${task}`, { handle: 'root' }), [
      `There is no task ${task} in this chat; /tasks lists them.`,
    ]);
  for (const words of ['pause', 'k1', 'pause all', 'stop k1', 'pause k1 k2', 'constructor k1'])
    assert.match((await say(`/tasks ${words}`, { handle: 'root' }))[0]!, /^Write \/tasks, or /, words);
  assert.deepEqual(await say('/tasks remove k1', { handle: 'mallory' }), []);
  assert.deepEqual(done, []);
});

test('what cannot be done is a sentence, and the command is answered all the same', async (context) => {
  const { say, done } = await world(context, { taskProblem: 'task k1 is running' });
  assert.deepEqual(await say('/tasks run k1', { handle: 'bob' }), ['Nothing was done: task k1 is running.']);
  assert.deepEqual(done, []);
});
