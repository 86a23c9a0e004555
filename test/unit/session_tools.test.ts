import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { insertAuthority } from '../../src/ledger/authorities.ts';
import { ensureGroup } from '../../src/ledger/chats.ts';
import type { FileFacts } from '../../src/ledger/files.ts';
import { stopSession } from '../../src/sessions/turn_book.ts';
import { bodies, done, running, stateOf, turnsOf } from '../fakes/running_session.ts';
import { eventually, type FakeSandbox } from '../fakes/session_world.ts';

/** What an agent asks of the platform in the middle of a turn, and what it may have. */

test('a send that was refused is refused again when the next attempt makes it', async (context) => {
  const world = await running(context);
  const { db } = world.ledger;
  ensureGroup(db, 1, 'other', null);
  for (const [group_name, object] of [
    ['assistant', { agents: { other: 'approve' } }],
    ['other', {}],
  ] as const)
    insertAuthority(db, {
      ...{ group_name, hash: 'h', object: JSON.stringify(object), image: null, controls: '[]' },
      ...{ applied_by: 'test', applied_ms: 1 },
    });
  const input = { to: 'agent:other', text: 'x'.repeat(5000) };
  const receiptOf = async (sandbox: FakeSandbox, turn: number) => {
    sandbox.send({ t: 'call', call: 1, turn, tool: 'send_message', input });
    await eventually(() => sandbox.heard.some((frame) => frame.t === 'receipt'));
    const receipt = sandbox.heard.find((frame) => frame.t === 'receipt');
    return receipt?.t === 'receipt' ? [receipt.ok, receipt.value] : [];
  };
  const first = await receiptOf(world.sandbox1, world.turn);
  assert.deepEqual(first, [false, 'that is more than a person reads at once: write less']);
  world.sandbox1.exit();
  const second = await world.sandbox(2);
  await second.ready();
  await eventually(() => second.turn() !== undefined);
  assert.deepEqual(await receiptOf(second, second.turn()!.turn), [false, `it was not sent: ${String(first[1])}`]);
});

test('a hostile input of a tool is a refusal, never the end of the host', async (context) => {
  const world = await running(context);
  const inputs = [{ words: 'a\0b' }, { words: '"' }, { words: 7 }, [], 'x', null, { words: 'x', group: 'stranger' }];
  for (const [index, input] of inputs.entries()) {
    world.sandbox1.send({ t: 'call', call: index + 1, turn: world.turn, tool: 'history_search', input });
    await eventually(() => world.sandbox1.heard.filter((frame) => frame.t === 'receipt').length === index + 1);
  }
  world.sandbox1.send({ t: 'call', call: 99, turn: world.turn, tool: '__proto__', input: {} });
  await eventually(() => world.sandbox1.heard.some((frame) => frame.t === 'receipt' && frame.call === 99 && !frame.ok));
  assert.equal(world.sandbox1.killed, false);
});

test('an agent sends to the chats of its group only', async (context) => {
  const world = await running(context);
  for (const [call, to] of ['local:other', 'local:main'].entries())
    world.sandbox1.send({ t: 'call', call: call + 1, turn: world.turn, tool: 'send_message', input: { text: to, to } });
  await eventually(() => world.sandbox1.heard.filter((frame) => frame.t === 'receipt').length === 2);
  assert.deepEqual(bodies(world), ['local:main']);
});

test('an agent sends a file that it has streamed in this turn, and none that it only names', async (context) => {
  const world = await running(context);
  const bytes = Buffer.from('a report');
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const receipts = (): object[] => world.sandbox1.heard.filter((frame) => frame.t === 'receipt');
  const call = { t: 'call', turn: world.turn, tool: 'send_file', input: { sha256, text: 'here' } };
  world.sandbox1.send({ ...call, call: 1 });
  await eventually(() => receipts().length === 1);
  world.sandbox1.send(
    { t: 'file', call: 2, turn: world.turn, name: '../r.txt', bytes: bytes.length, sha256 },
    { t: 'chunk', call: 2, seq: 0, data: bytes.toString('base64') },
  );
  await eventually(() => receipts().length === 2);
  world.sandbox1.send({ ...call, call: 3 });
  await eventually(() => receipts().length === 3);
  assert.deepEqual(
    receipts().map((frame) => ({ ...frame })),
    [
      { t: 'receipt', call: 1, ok: false, value: 'no file with that hash has come from this turn' },
      { t: 'receipt', call: 2, ok: true, value: { name: 'r.txt', type: 'text/plain', bytes: bytes.length, sha256 } },
      { t: 'receipt', call: 3, ok: true, value: { id: 'o1' } },
    ],
  );
  const { name, bytes: size } = world.ledger.db.get<FileFacts>('SELECT * FROM outbound_files')!;
  assert.deepEqual([bodies(world), name, size], [['here'], 'r.txt', bytes.length]);
  world.sandbox1.send({ t: 'taken', turn: world.turn, ids: [world.id] }, done(world.turn));
  await eventually(() => stateOf(world, world.id).state === 'answered');
  world.say('next');
  await eventually(() => turnsOf(world.sandbox1).length === 2);
  world.sandbox1.send({ ...call, turn: turnsOf(world.sandbox1)[1]!, call: 4 });
  await eventually(() => receipts().length === 4);
  assert.equal(bodies(world).length, 2, 'the file of an earlier turn is streamed again, or not sent');
});

test('a file that the channel cannot carry is refused, with the reason', async (context) => {
  const world = await running(context);
  const bytes = Buffer.alloc(1001);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  world.sandbox1.send(
    { t: 'file', call: 1, turn: world.turn, name: 'x', bytes: bytes.length, sha256 },
    { t: 'chunk', call: 1, seq: 0, data: bytes.toString('base64') },
    { t: 'call', call: 2, turn: world.turn, tool: 'send_file', input: { sha256 } },
  );
  await eventually(() => world.sandbox1.heard.some((frame) => frame.t === 'receipt' && frame.call === 2));
  const receipt = world.sandbox1.heard.find((frame) => frame.t === 'receipt' && frame.call === 2);
  assert.deepEqual({ ...receipt }, { t: 'receipt', call: 2, ok: false, value: 'local:main takes files up to 1 KB' });
  assert.deepEqual(bodies(world), []);
});

test('a task is set in nobody’s name while a stranger has words in the turn', async (context) => {
  const world = await running(context);
  const call = { t: 'call', turn: world.turn, tool: 'task_add', input: { when: 'every 1h', text: 'x' } };
  world.sandbox1.send({ ...call, call: 1 });
  await eventually(() => world.sandbox1.heard.some((frame) => frame.t === 'receipt' && frame.call === 1));
  const [alice] = world.ledger.db.all<{ person_id: number }>('SELECT person_id FROM identities');
  world.ledger.db.run('UPDATE messages SET person_id = ?', alice!.person_id);
  world.sandbox1.send({ ...call, call: 2 });
  await eventually(() => world.sandbox1.heard.some((frame) => frame.t === 'receipt' && frame.call === 2));
  const answers = world.sandbox1.heard.flatMap((frame) => (frame.t === 'receipt' ? [[frame.ok, frame.value]] : []));
  assert.deepEqual(answers[0], [false, 'only people with a role here may have tasks set']);
  assert.equal(answers[1]![0], true);
});

test('a turn that a person has stopped sends nothing any more', async (context) => {
  const world = await running(context);
  await world.ledger.write('test', (db) =>
    stopSession(db, systemClock, world.row, 'alice', { keep: false, untaken: [] }),
  );
  world.sandbox1.send({ t: 'call', call: 1, turn: world.turn, tool: 'send_message', input: { text: 'too late' } });
  await eventually(() => world.sandbox1.heard.some((frame) => frame.t === 'receipt'));
  const receipt = world.sandbox1.heard.find((frame) => frame.t === 'receipt');
  assert.deepEqual({ ...receipt }, { t: 'receipt', call: 1, ok: false, value: 'this turn was stopped by a person' });
  assert.deepEqual(bodies(world), []);
});
