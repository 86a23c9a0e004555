import assert from 'node:assert/strict';
import { test } from 'node:test';
import { queueMessage } from '../fakes/ledger_kit.ts';
import { eventually, sessionWorld } from '../fakes/session_world.ts';

/** What people and the host have said, on its way into a sandbox. */

test('a name or a notice of any length reaches the sandbox in a frame that it takes', async (context) => {
  const world = await sessionWorld(context);
  const long = '漢'.repeat(4000);
  const { db } = world.ledger;
  db.run(
    "INSERT INTO transcript (session_id, role, author, text, unseen, at_ms) VALUES (?, 'notice', '', ?, 1, 1), (?, 'person', ?, 'x', 0, 1)",
    world.row.id,
    long,
    world.row.id,
    long,
  );
  queueMessage(db, world.row, 'hello');
  db.run('UPDATE messages SET sender = ?', long);
  world.session.wake();
  const sandbox = await world.sandbox(1);
  await sandbox.ready(false, false);
  await eventually(() => sandbox.turn() !== undefined); // the fake throws at a frame that no runner takes
  assert.equal(sandbox.killed, false);
  assert.equal(sandbox.turn()!.transcript.length, 1);
});
