import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import type { Db } from '../../src/ledger/db.ts';
import { type Chunk, insertOutbound, type NewOutbound } from '../../src/ledger/outbound.ts';
import { ensurePerson } from '../../src/ledger/people.ts';
import { compactAsked, ensureSession, type SessionRow } from '../../src/ledger/sessions.ts';
import { textOfEntry } from '../../src/ledger/transcript.ts';
import { closeTurn } from '../../src/sessions/turn_book.ts';
import { ending, running, commandWorld as world } from '../fakes/command_world.ts';
import { inboundStates, queueMessage, seedChat } from '../fakes/ledger_kit.ts';

/** What a person says to the platform: who may, what is answered, and that nobody hears what is not theirs. */

test('/help lists what a member may, and admins more', async (context) => {
  const { say, ledger } = await world(context);
  const [member] = await say('/help');
  assert.match(member!, /Everything else goes to assistant\.\n\/help: [\s\S]*\/stop \[keep \| group <name> \| all\]: /);
  assert.doesNotMatch(member!, /\/usage/);
  await ledger.write('seed', (db) => ensurePerson(db, 0, 'local', 'root', 'Root', 'admin', 'assistant'));
  assert.match((await say('/help', { handle: 'root' }))[0]!, /\/usage: /);
});

test('a command that does not exist is answered with a sentence, and reaches no agent', async (context) => {
  const { say, ledger, done } = await world(context);
  assert.match((await say('/stpo'))[0]!, /^There is no command \/stpo; \/help lists them/);
  assert.deepEqual(inboundStates(ledger.db), ['answered']);
  assert.deepEqual(done, []);
});

test('a stranger’s command does nothing, and is not answered', async (context) => {
  const own = await world(context);
  await running(own, 'work');
  assert.deepEqual(await own.say('/stop', { handle: 'mallory' }), []);
  assert.deepEqual(inboundStates(own.ledger.db), ['running', 'ignored']);
  assert.deepEqual(own.done, []);
});

test('a member is told that /usage and /model are for admins', async (context) => {
  const { say, ledger } = await world(context);
  for (const name of ['usage', 'model'])
    assert.deepEqual(await say(`/${name}`), [`/${name} is for admins of assistant; you are a member.`]);
  await ledger.write('seed', (db) => ensurePerson(db, 0, 'local', 'root', 'Root', 'owner'));
  assert.deepEqual(await say('/usage', { handle: 'root' }), [
    'assistant, today: 3 requests, 1200 tokens in, 50 out, $0.0042.',
  ]);
  assert.match(
    (await say('/model', { handle: 'root' }))[0]!,
    /^assistant: probe, none\. It is changed in its group\.yaml/,
  );
});

test('an admin of another group is a member here', async (context) => {
  const { say, ledger } = await world(context);
  await ledger.write('seed', (db) => {
    db.run("INSERT INTO groups (name, created_ms) VALUES ('other', 0)");
    ensurePerson(db, 0, 'local', 'alice', 'Alice', 'admin', 'other');
  });
  assert.match((await say('/usage'))[0]!, /for admins of assistant/);
});

test('/usage says so when the gateway does not answer', async (context) => {
  const { say, ledger } = await world(context, { usage: 'lost' });
  await ledger.write('seed', (db) => ensurePerson(db, 0, 'local', 'root', 'Root', 'owner'));
  assert.match((await say('/usage', { handle: 'root' }))[0]!, /does not answer now/);
});

test('/tasks shows what is done in this chat, and nothing that was set elsewhere', async (context) => {
  const own = await world(context, { tasks: ['local:main', 'local:private'] });
  const [shown] = await own.say('/tasks');
  assert.match(shown!, /^k1: /);
  assert.doesNotMatch(shown!, /k2/);
});

test('/why tells nothing of a group that the asker has no role in', async (context) => {
  const own = await world(context);
  await running(own, 'work');
  await own.ledger.write('test', (db) => {
    seedChat(db, 'local', 'main', 'other');
    db.run("DELETE FROM roles WHERE group_name = 'assistant'");
  });
  assert.deepEqual(await own.say('/why m1'), ['That is between assistant and those with a role there.']);
});

test('for a stranger’s command nothing is gathered', async (context) => {
  const own = await world(context, { audit: 'silent' });
  await running(own, 'work');
  const began = performance.now();
  await own.say('/why m1', { handle: 'mallory' });
  assert.ok(performance.now() - began < 900, 'nobody waited for the gateway');
});

test('a command for another bot is not ours', async (context) => {
  const own = await world(context);
  await running(own, 'work');
  assert.deepEqual(await own.say('/stop@another_bot', { addressed: false }), []);
  assert.equal(inboundStates(own.ledger.db)[0], 'running');
});

test('an answer is never longer than a platform takes', async (context) => {
  const own = await world(context, { tasks: Array(100).fill('local:main') });
  const [shown] = await own.say('/tasks');
  assert.ok(shown!.length <= 1901, `${shown!.length}`);
});

test('a command that the platform delivers again is not done again', async (context) => {
  const own = await world(context);
  await own.say('/new', { key: 'same' });
  const closed = own.done.length;
  await own.ledger.write('test', (db) => ensureSession(db, 0, 'assistant', own.session.chat_id, ''));
  assert.deepEqual(await own.say('/new', { key: 'same' }), []);
  assert.equal(own.done.length, closed);
});

test('/new begins another session; what waits in the old one is still answered there', async (context) => {
  const own = await world(context);
  assert.deepEqual(await own.say('/new'), ['Your next message begins a new conversation; files and memory stay.']);
  assert.deepEqual(own.done, [`rest ${own.session.id}: a new conversation began`]);
  await own.ledger.write('test', (db) => queueMessage(db, { ...own.session, id: ensureNew(db, own.session) }, 'x'));
  assert.match((await own.say('/new'))[0]!, /What I am at is finished first\.$/);
  assert.deepEqual(inboundStates(own.ledger.db), ['answered', 'queued', 'answered']);
});

function ensureNew(db: Db, old: SessionRow): number {
  const { id, isNew } = ensureSession(db, 0, 'assistant', old.chat_id, '');
  assert.ok(isNew && id !== old.id);
  return id;
}

test('/compact asks for it in this conversation alone; it holds until a turn is answered that was told', async (context) => {
  const own = await world(context);
  const { db } = own.ledger;
  await own.ledger.write('seed', (seeding) => seedChat(seeding, 'local', 'elsewhere'));
  assert.deepEqual(await own.say('/compact', { handle: 'mallory' }), []);
  assert.equal(compactAsked(db, own.session.id), false);
  assert.match((await own.say('/compact'))[0]!, /^Your next message is answered from a summary/);
  assert.deepEqual(
    db.all<{ compact: number }>('SELECT compact FROM sessions ORDER BY id').map(({ compact }) => compact),
    [1, 0],
  );
  const failed = await running(own, 'work');
  assert.equal(failed.compact, true);
  const summary = { before: 9, after: 5, unit: 'bytes' as const, summary: 'we talked' };
  await own.ledger.write('test', () =>
    closeTurn(db, systemClock, { ...ending(own, failed), outcome: 'failed', compactions: [] }),
  );
  assert.equal(compactAsked(db, own.session.id), true);
  const turn = await running(own, 'again');
  await own.ledger.write('test', () => closeTurn(db, systemClock, { ...ending(own, turn), compactions: [summary] }));
  assert.equal(compactAsked(db, own.session.id), false);
  assert.equal((await running(own, 'and then')).compact, false);
  const data = db.get<{ data: string }>("SELECT data FROM events WHERE kind = 'session.compacted'")!.data;
  const { entry, ...rest } = JSON.parse(data);
  assert.deepEqual(rest, { before: 9, after: 5, unit: 'bytes', summary_bytes: 9 });
  assert.equal(textOfEntry(db, entry), '[Summary of what was said before]\nwe talked');
});

test('/status tells of this chat alone', async (context) => {
  const own = await world(context);
  await running(own, 'work');
  await own.ledger.write('test', (db) => {
    queueMessage(db, own.session, 'later');
    seedChat(db, 'local', 'elsewhere');
  });
  assert.match((await own.say('/status'))[0]!, /^assistant: at work for 0 s, 1 message waiting\.$/);
  assert.match((await own.say('/status', { chat: 'elsewhere' }))[0]!, /^assistant: asleep, 0 messages waiting\.$/);
});

test('/why tells of the last message, of one that is named or replied to, and of no other chat', async (context) => {
  const own = await world(context);
  const turn = await running(own, 'what is the time?');
  await own.ledger.write('test', (db) => {
    const [reply] = closeTurn(db, systemClock, ending(own, turn));
    db.run("UPDATE outbound SET state = 'sent', receipt = 'platform-7' WHERE id = ?", reply!);
    seedChat(db, 'local', 'elsewhere');
  });
  const expected = /^m1 from Alice, .*UTC:\ns1: answered\n.*settled as answered\.\n/;
  for (const asked of [{ text: '/why' }, { text: '/why m1' }, { text: '/why', reply_to: 'platform-7' }])
    assert.match((await own.say(asked.text, asked))[0]!, expected, JSON.stringify(asked));
  for (const asked of [
    { text: '/why m99' },
    { text: '/why', reply_to: 'nobody' },
    { text: '/why m1', chat: 'elsewhere' },
  ])
    assert.deepEqual(await own.say(asked.text, asked), ['I know of no such message in this chat.']);
});

test('/why as a reply to any text of a turn tells of what it came of, and in no other chat', async (context) => {
  const own = await world(context);
  const { db } = own.ledger;
  const turn = await running(own, 'what is the time?');
  let ordinal = 0;
  await own.ledger.write('test', () => {
    seedChat(db, 'local', 'elsewhere');
    const away = db.get<{ id: number }>("SELECT id FROM chats WHERE platform_id = 'elsewhere'")!.id;
    // A send and a card, the second part of a long answer, and a text to another chat.
    send('send', own.session.chat_id, [chunk('at once')]);
    send('card', own.session.chat_id, [chunk('Build 12')], { card: '{"title":"Build 12","text":"","fields":[]}' });
    send('long', own.session.chat_id, [chunk('one'), chunk('two')], { kind: 'reply', reply_to: 1 });
    send('away', away, [chunk('over there')]);
    closeTurn(db, systemClock, ending(own, turn));
  });
  function send(receipt: string, chat_id: number, chunks: Chunk[], part: Partial<NewOutbound> = {}): void {
    const place = { chat_id, thread: '', session_id: own.session.id, turn_id: turn.id, attempt: 1 };
    ordinal += 1;
    const out = { kind: 'send' as const, ordinal, send_hash: '', reply_to: null, ...part };
    for (const [i, id] of insertOutbound(db, 0, { ...place, ...out }, chunks).entries())
      db.run("UPDATE outbound SET state = 'sent', receipt = ? WHERE id = ?", `${receipt}-${i}`, id);
  }
  for (const reply_to of ['send-0', 'card-0', 'long-0', 'long-1'])
    assert.match((await own.say('/why', { reply_to }))[0]!, /^m1 from Alice, /, reply_to);
  assert.deepEqual(await own.say('/why', { reply_to: 'away-0' }), ['I know of no such message in this chat.']);
  assert.deepEqual(await own.say('/why', { reply_to: 'away-0', chat: 'elsewhere' }), [
    'That came of a message of another chat.',
  ]);
});

function chunk(body: string): Chunk {
  return { body, source: null };
}
