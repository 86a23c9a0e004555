import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { noFaults } from '../../src/base/faults.ts';
import type { Channel, ReactOperation, SendOperation } from '../../src/channels/channel.ts';
import { Delivery } from '../../src/delivery/delivery.ts';
import { takeChat } from '../../src/ledger/chats.ts';
import { insertNotice, insertOutbound, markSending } from '../../src/ledger/outbound.ts';
import { freshLedger, queueMessage, seedChat } from '../fakes/ledger_kit.ts';
import { eventually } from '../fakes/session_world.ts';

/** What delivery makes of a row besides its text: quotes, reactions, words in a dialect. */
async function world(context: TestContext, more: Partial<Channel> = {}, direct = false) {
  const ledger = await freshLedger(context);
  const session = seedChat(ledger.db);
  takeChat(ledger.db, 1, 'local', { platform_id: 'main', title: 'main', direct });
  const sent: SendOperation[] = [];
  const reacted: ReactOperation[] = [];
  const channel: Channel = {
    name: 'local',
    capabilities: { markup: 'telegram-html', text_max: 1000, file_bytes_max: 0, quotes: true, reactions: true },
    start: async () => {},
    stop: async () => {},
    send: async (operation) => {
      sent.push(operation);
      return { ok: true, receipt: 'r' };
    },
    react: async (operation) => {
      reacted.push(operation);
      return { ok: true, receipt: 'r' };
    },
    reconcile: async () => ({ found: 'unknown' }),
    health: () => ({ state: 'connected', detail: '' }),
    ...more,
  };
  const hooks = { alert: () => {}, rejected: () => {} };
  const delivery = new Delivery(ledger, '/nowhere', systemClock, new Map([['local', channel]]), noFaults, hooks);
  context.after(() => delivery.stop(0));
  const { db } = ledger;
  /** A message of Alice; its key. */
  const said = (): number => {
    queueMessage(db, session, 'hello');
    return db.get<{ id: number }>('SELECT max(id) AS id FROM messages')!.id;
  };
  const put = (body: string, reply_to: number, act: 'send' | 'react', source: string | null = body): number =>
    insertOutbound(
      db,
      1,
      {
        ...{ chat_id: session.chat_id, thread: '', kind: 'send', session_id: session.id, turn_id: null, attempt: 0 },
        ...{ ordinal: 0, send_hash: '', reply_to, act },
      },
      [{ body, source }],
    )[0]!;
  const states = (): string[] =>
    db.all<{ state: string }>('SELECT state FROM outbound ORDER BY id').map((o) => o.state);
  const delivered = async (): Promise<void> => {
    delivery.wake(session.chat_id);
    await eventually(() => states().every((state) => state === 'sent' || state === 'rejected'));
  };
  return { channel, db, session, sent, reacted, delivery, said, put, states, delivered };
}

test('among several people an answer quotes its message', async (context) => {
  const { said, put, sent, delivered } = await world(context);
  put('yes', said(), 'send');
  await delivered();
  assert.match(sent[0]!.reply_to!, /^p\d+$/);
});

test('between two people it does so only when more has been said since', async (context) => {
  const { said, put, sent, delivered } = await world(context, {}, true);
  const first = said();
  put('one', first, 'send');
  await delivered();
  said();
  put('two', first, 'send');
  await delivered();
  assert.equal(sent[0]!.reply_to, null);
  assert.match(sent[1]!.reply_to!, /^p\d+$/);
});

test('a channel without quotes is given none', async (context) => {
  const capabilities = { markup: 'plain' as const, text_max: 1000, file_bytes_max: 0 };
  const { said, put, sent, delivered } = await world(context, { capabilities });
  put('yes', said(), 'send');
  await delivered();
  assert.equal(sent[0]!.reply_to, null);
});

test('a reaction goes under its message, in the order of the chat, and has an outcome like any send', async (context) => {
  const { said, put, sent, reacted, states, delivered } = await world(context);
  put('👍', said(), 'react');
  put('done', said(), 'send');
  await delivered();
  assert.deepEqual([reacted.length, sent.length, states()], [1, 1, ['sent', 'sent']]);
  assert.deepEqual({ ...reacted[0], message: '' }, { chat: 'main', thread: '', message: '', emoji: '👍' });
  assert.match(reacted[0]!.message, /^p\d+$/);
});

test('a reaction for a channel that has none any more is rejected, and the next row goes', async (context) => {
  const { channel, said, put, sent, states, delivered } = await world(context);
  Reflect.deleteProperty(channel, 'react');
  put('👍', said(), 'react');
  put('done', said(), 'send');
  await delivered();
  assert.deepEqual([sent.length, states()], [1, ['rejected', 'sent']]);
});

test('a reaction whose host died is put again: that changes nothing', async (context) => {
  const { db, said, put, reacted, delivery, states } = await world(context);
  const id = put('👍', said(), 'react');
  markSending(db, 1, id);
  await delivery.recover();
  await eventually(() => states()[0] === 'sent');
  assert.equal(reacted.length, 1);
});

test('what an agent said goes as it was written in the dialect; our own words are written so now', async (context) => {
  const { db, session, said, put, sent, delivered } = await world(context);
  put('<b>a</b>', said(), 'send', '**a**');
  insertNotice(db, 1, session.chat_id, '', null, 'From <script> & *co*');
  await delivered();
  assert.deepEqual(
    sent.map(({ body }) => body),
    ['<b>a</b>', 'From &lt;script&gt; &amp; *co*'],
  );
});
