import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { CONTEXT_BYTES_MAX, STICKY_MS } from '../../src/base/limits/talk.ts';
import { destinationsOf, EVERY_NEW, ensureChat, takeChat, wiringsOf } from '../../src/ledger/chats.ts';
import type { Db } from '../../src/ledger/db.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { insertInbound, insertMessage } from '../../src/ledger/messages.ts';
import { ensureSession, type SessionRow, sessionById } from '../../src/ledger/sessions.ts';
import {
  contextOf,
  keepContext,
  PLAIN_TERMS,
  removeWiring,
  setWiring,
  stick,
  sticks,
  unstick,
  wiringOf,
} from '../../src/ledger/wirings.ts';
import { closeTurn, joinTurn, type OpenedTurn, openTurn, recordDeath } from '../../src/sessions/turn_book.ts';
import { freshLedger, seedChat, TAKES } from '../fakes/ledger_kit.ts';

/** Sessions over several chats, what was said before, and listening on, as transactions on a real ledger. */

interface World {
  ledger: Ledger;
  db: Db;
  session: SessionRow;
  chats: number[];
  say(chat: number, text: string, thread?: string): number;
  keep(text: string): number;
}

async function world(context: TestContext): Promise<World> {
  const ledger = await freshLedger(context);
  const { db } = ledger;
  const chats = await ledger.write('seed', () => {
    seedChat(db);
    return ['one', 'two'].map((name) => ensureChat(db, 1, 'platform', name, name));
  });
  const session = sessionById(db, ensureSession(db, 1, 'assistant', chats[0]!, 'x', 'group').id)!;
  let said = 0;
  const message = (chat: number, text: string, thread = ''): number =>
    insertMessage(db, {
      ...{
        dedupe_key: `w${++said}`,
        chat_id: chat,
        thread,
        person_id: null,
        sender: 'Alice',
        handle: 'alice',
        addressed: 1,
      },
      ...{ platform_id: `w${said}`, text, sent_ms: 1, received_ms: 1 },
    })!;
  return {
    ...{ ledger, db, session, chats },
    say: (chat, text, thread) => insertInbound(db, 1, message(chat, text, thread), session.id, 'queued', ''),
    keep: (text) => {
      const id = message(chats[0]!, text);
      keepContext(db, 1, id, session.id, 'kept');
      return id;
    },
  };
}

const takes = () => TAKES;

function open({ db, session }: World, reseed = false): OpenedTurn {
  return openTurn(db, systemClock, { session, harness: 'probe', warm: true, reseed })!;
}

function close(
  { db, session }: World,
  turn: OpenedTurn,
  taken = turn.messages.map(({ inbound_id }) => inbound_id),
): number[] {
  const end = {
    session,
    takes,
    turn,
    harness: 'probe',
    tools: [],
    compactions: [],
    outcome: 'answered' as const,
    text: 'an answer',
    resume: null,
  };
  return closeTurn(db, systemClock, { ...end, taken: [{ ids: taken, at_us: 1 }] });
}

const texts = (turn: { messages: { text: string }[] }) => turn.messages.map(({ text }) => text);

test('a turn of a shared session has messages of one chat and thread, and its answer goes there', async (context) => {
  const all = await world(context);
  const [one, two] = all.chats as [number, number];
  all.say(two, 'a', 't');
  all.say(two, 'b', 't');
  all.say(two, 'c');
  all.say(one, 'd');
  all.say(two, 'e');
  for (const [expected, chat, thread] of [
    [['a', 'b'], two, 't'],
    [['c'], two, ''],
    [['d'], one, ''],
    [['e'], two, ''],
  ] as const) {
    const turn = open(all);
    assert.deepEqual(texts(turn), expected);
    assert.equal(turn.messages[0]!.place, chat === one ? 'one' : 'two', 'the agent is told where it was said');
    const [reply] = close(all, turn);
    const row = all.db.get<object>('SELECT chat_id, thread FROM outbound WHERE id = ?', reply!);
    assert.deepEqual({ ...row }, { chat_id: chat, thread });
  }
});

test('only messages of the same chat and thread join a running turn, and none overtakes another', async (context) => {
  const all = await world(context);
  const [one, two] = all.chats as [number, number];
  all.say(one, 'a');
  const turn = open(all);
  all.say(one, 'b');
  all.say(two, 'c');
  all.say(one, 'd');
  const join = () => texts({ messages: joinTurn(all.db, systemClock, all.session.id, turn.id) });
  assert.deepEqual(join(), ['b']);
  assert.deepEqual(join(), []);
});

test('the word that a message was given up goes to the chat that it was said in', async (context) => {
  const all = await world(context);
  all.say(all.chats[1]!, 'poison', 't');
  for (let i = 0; i < 3; i += 1) recordDeath(all.db, systemClock, { session: all.session, takes }, open(all), 'test');
  const row = all.db.get<object>("SELECT chat_id, thread FROM outbound WHERE kind = 'notice'");
  assert.deepEqual({ ...row }, { chat_id: all.chats[1], thread: 't' });
});

test('sessions by thread, by chat and by group are not the same ones, and each is found again', async (context) => {
  const { db, chats, session } = await world(context);
  const [one, two] = chats as [number, number];
  const id = (chat: number, thread: string, cut: 'thread' | 'chat' | 'group') =>
    ensureSession(db, 1, 'assistant', chat, thread, cut).id;
  assert.equal(id(two, 'y', 'group'), session.id);
  assert.equal(id(one, 'a', 'chat'), id(one, 'b', 'chat'));
  assert.notEqual(id(one, 'a', 'thread'), id(one, 'b', 'thread'));
  assert.notEqual(id(one, '', 'chat'), session.id);
  assert.notEqual(id(one, '', 'chat'), id(two, '', 'chat'));
});

test('what was kept is shown by the turn that settles, again after a death, and once', async (context) => {
  const all = await world(context);
  const kept = all.keep('lunch?');
  all.say(all.chats[0]!, 'a');
  const first = open(all);
  assert.deepEqual(first.transcript, [{ role: 'person', author: 'Alice', text: 'lunch?' }]);
  recordDeath(all.db, systemClock, { session: all.session, takes }, first, 'test');
  const second = open(all);
  assert.equal(second.context.length, 1);
  close(all, second);
  const row = all.db.get<object>('SELECT state, turn_id, context FROM inbound WHERE message_id = ?', kept);
  assert.deepEqual({ ...row }, { state: 'ignored', turn_id: second.id, context: 0 });
  all.say(all.chats[0]!, 'b');
  assert.deepEqual(open(all).transcript, []);
});

test('a harness without memory gets the conversation, what was kept at its end', async (context) => {
  const all = await world(context);
  all.say(all.chats[0]!, 'a');
  close(all, open(all));
  all.keep('lunch?');
  all.say(all.chats[0]!, 'b');
  assert.deepEqual(
    open(all, true).transcript.map(({ text }) => text),
    ['a', 'an answer', 'lunch?'],
  );
});

test('of what was kept the newest that fit are shown; what they push out is shown by no later turn', async (context) => {
  const all = await world(context);
  for (const text of ['old', 'x'.repeat(CONTEXT_BYTES_MAX - 1), 'y']) all.keep(text);
  assert.deepEqual(
    contextOf(all.db, all.session.id).map(({ text }) => text.length),
    [CONTEXT_BYTES_MAX - 1, 1],
  );
  all.say(all.chats[0]!, 'a');
  close(all, open(all));
  assert.deepEqual(contextOf(all.db, all.session.id), []);
  assert.equal(all.db.get<{ n: number }>('SELECT count(*) AS n FROM inbound WHERE context = 1')!.n, 0);
});

test('without threads, listening on ends by itself; in a thread it lasts until it is told', async (context) => {
  const { db, chats } = await world(context);
  const chat = chats[0]!;
  setWiring(db, chat, 'assistant', { ...PLAIN_TERMS, engage: 'mention-sticky' });
  const { id } = wiringOf(db, chat, 'assistant')!;
  const now: ReturnType<Clock['now']> = 1_000_000;
  for (const thread of ['', 't']) stick(db, now, id, thread);
  const sticky = (at: number) => ['', 't', 'other'].map((thread) => sticks(db, at, id, thread));
  assert.deepEqual(sticky(now + STICKY_MS - 1), [true, true, false]);
  assert.deepEqual(sticky(now + STICKY_MS), [false, true, false]);
  assert.equal(unstick(db, now, chat, 't'), 1);
  assert.deepEqual(sticky(now), [true, false, false]);
  setWiring(db, chat, 'assistant', { ...PLAIN_TERMS, engage: 'mention-sticky' });
  assert.deepEqual(sticky(now), [false, false, false]);
  stick(db, now, id, 't');
  assert.ok(removeWiring(db, chat, 'assistant'));
  assert.equal(db.get<{ n: number }>('SELECT count(*) AS n FROM sticky')!.n, 0);
});

test('a new chat begins with what is wired for all new ones of its channel; no known chat, no other channel, and nobody sends there', async (context) => {
  const { ledger, db, chats } = await world(context);
  await ledger.write('wire', () => {
    const every = ensureChat(db, 1, 'platform', EVERY_NEW, EVERY_NEW);
    setWiring(db, every, 'assistant', { ...PLAIN_TERMS, engage: 'mention', context: 'accumulate', cut: 'chat' });
  });
  const fresh = await ledger.write('seen', () => takeChat(db, 2, 'platform', { platform_id: 'new', title: 'New' }).id);
  const elsewhere = await ledger.write('seen', () => takeChat(db, 2, 'other', { platform_id: 'new', title: 'New' }).id);
  const terms = wiringsOf(db, fresh).map(({ group_name, engage, context: kept, cut }) => [
    group_name,
    engage,
    kept,
    cut,
  ]);
  assert.deepEqual(terms, [['assistant', 'mention', 'accumulate', 'chat']]);
  assert.deepEqual([wiringsOf(db, elsewhere), wiringsOf(db, chats[1]!)], [[], []]);
  assert.ok(destinationsOf(db, 'assistant').every(({ platform_id }) => platform_id !== EVERY_NEW));
  assert.ok(destinationsOf(db, 'assistant').some(({ platform_id }) => platform_id === 'new'));
});
