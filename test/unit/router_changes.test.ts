import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { MESSAGE_TEXT_BYTES_MAX, REACTION_BYTES_MAX } from '../../src/base/limits/messages.ts';
import type { IncomingEdit, IncomingMessage } from '../../src/channels/channel.ts';
import { conservation } from '../../src/ledger/conservation.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { insertInbound } from '../../src/ledger/messages.ts';
import { insertOutbound } from '../../src/ledger/outbound.ts';
import type { SessionRow } from '../../src/ledger/sessions.ts';
import { returnAttempt } from '../../src/ledger/turns.ts';
import { Intake, type MessageSink } from '../../src/router/intake.ts';
import { Router } from '../../src/router/router.ts';
import { closeTurn, openTurn } from '../../src/sessions/turn_book.ts';
import { chatCommands } from '../fakes/chat_commands.ts';
import {
  ANSWERS,
  freshLedger,
  NOBODY_DECIDES,
  ROUTER_EFFECTS,
  seedChat,
  TAKES,
  temporaryFolder,
} from '../fakes/ledger_kit.ts';

interface World {
  ledger: Ledger;
  session: SessionRow;
  sink: MessageSink;
  say(part?: Partial<IncomingMessage>): Promise<number>;
  /** Of the last message that was said. */
  edit(part?: Partial<IncomingEdit>): Promise<string>;
  remove(part?: object): Promise<string>;
  /** Text of the last message, and state with reason of its rows. */
  now(): string;
  kinds(): string[];
  begin(): ReturnType<typeof openTurn>;
}

/** The chat `local:main`, where Alice is a member; nothing answers. */
async function world(context: TestContext): Promise<World> {
  const ledger = await freshLedger(context);
  const session = await ledger.write('seed', (db) => seedChat(db));
  const router = new Router(
    ...[
      ledger,
      systemClock,
      temporaryFolder(context),
      ROUTER_EFFECTS,
      NOBODY_DECIDES,
      chatCommands(ledger, []),
      ANSWERS,
    ],
  );
  const sink = new Intake(ledger, router, { wake: () => {}, deliver: () => {}, asked: () => {} }).sinkOf('local');
  let made = 0;
  const chat = { platform_id: 'main', title: 'main' };
  const sender = { handle: 'alice', name: 'Alice' };
  const change = () => ({ dedupe_key: `c${++made}`, chat, platform_id: 'p1', sent_ms: 10 });
  return {
    ledger,
    session,
    sink,
    async say(part = {}) {
      const said = { dedupe_key: `m${++made}`, chat, thread: '', sender, addressed: true, files: [], sent_ms: 1 };
      return (await sink.accept({ ...said, platform_id: 'p1', text: 'first', ...part })).message;
    },
    async edit(part = {}) {
      return (await sink.edited({ ...change(), sender, text: 'second', ...part })).outcome;
    },
    async remove(part = {}) {
      return (await sink.deleted({ ...change(), ...part })).outcome;
    },
    now() {
      const { text } = ledger.db.get<{ text: string }>('SELECT text FROM messages ORDER BY id DESC LIMIT 1')!;
      const rows = ledger.db.all<{ at: string }>(
        `SELECT trim(state || ' ' || reason) AS at FROM inbound
          WHERE message_id = (SELECT max(id) FROM messages) ORDER BY id`,
      );
      assert.deepEqual(conservation(ledger.db, 0).violations, []);
      return `${text}: ${rows.map(({ at }) => at).join(', ')}`;
    },
    kinds: () => ledger.db.all<{ kind: string }>('SELECT kind FROM events ORDER BY id').map(({ kind }) => kind),
    begin: () => openTurn(ledger.db, systemClock, { session, harness: 'probe', warm: true, reseed: false }),
  };
}

test('an edit of a message that waits is what the agent is given; the old text is kept', async (context) => {
  const { ledger, say, edit, now, begin, kinds } = await world(context);
  await say();
  assert.equal(await edit(), 'done');
  assert.equal(now(), 'second: queued');
  assert.equal(ledger.db.get<{ old_text: string }>('SELECT old_text FROM changes')!.old_text, 'first');
  assert.equal(kinds().at(-1), 'message.edited');
  assert.deepEqual(
    begin()!.messages.map(({ text }) => text),
    ['second'],
  );
});

test('a deleted message that waits is cancelled, by its rule, and no turn begins', async (context) => {
  const { say, remove, now, begin, kinds } = await world(context);
  await say();
  assert.equal(await remove(), 'done');
  assert.equal(now(), 'first: cancelled the message was deleted');
  assert.equal(kinds().at(-1), 'message.deleted');
  assert.equal(begin(), undefined);
  assert.equal(await remove(), 'late');
});

const REFUSED: [name: string, part: Partial<IncomingEdit>][] = [
  ['somebody else', { sender: { handle: 'bob', name: 'Alice' } }],
  ['a program with the author’s handle', { sender: { handle: 'alice', name: 'Alice', kind: 'bot' } }],
  ['another chat', { chat: { platform_id: 'elsewhere', title: '' } }],
  ['an unknown message', { platform_id: 'p2' }],
  ['a blank text', { text: ' \n' }],
  ['a text that is too long', { text: 'x'.repeat(MESSAGE_TEXT_BYTES_MAX + 1) }],
  ['a command', { text: '/stop' }],
  ['a pairing code', { text: 'pair AAAA-BBBB' }],
  ['a code for a start', { text: '/start AAAABBBB' }],
  ['a decision', { text: 'approve 7f3a' }],
  ['a word for the host', { text: 'quiet' }],
];

for (const [name, part] of REFUSED)
  test(`an edit by or to ${name} changes nothing, and is on record without its text`, async (context) => {
    const { ledger, say, edit, now, kinds } = await world(context);
    await say();
    assert.equal(await edit(part), 'refused');
    assert.equal(now(), 'first: queued');
    assert.equal(kinds().at(-1), 'message.change_refused');
    const kept = JSON.stringify([
      ledger.db.all('SELECT * FROM changes'),
      ledger.db.all('SELECT data FROM events'),
      ledger.db.all('SELECT text FROM messages'),
    ]);
    if (name.includes('code')) assert.doesNotMatch(kept, /AAAA/);
    assert.equal(ledger.db.get<{ n: number }>('SELECT count(*) AS n FROM outbound')!.n, 0);
  });

test('a text of ours, a task, and a message of nobody known are no message that could be edited or deleted', async (context) => {
  const { ledger, say, edit, remove, now } = await world(context);
  const message = await say();
  const session = ledger.db.get<SessionRow>('SELECT * FROM sessions')!;
  const out = { chat_id: session.chat_id, thread: '', kind: 'reply' as const, session_id: null, turn_id: null };
  const more = { attempt: 0, ordinal: 0, send_hash: '', reply_to: message };
  insertOutbound(ledger.db, 1, { ...out, ...more }, [{ body: 'ours', source: 'ours' }]);
  ledger.db.run("UPDATE outbound SET state = 'sent', receipt = 'p77'");
  const ours = { platform_id: 'p77' };
  assert.deepEqual([await edit(ours), await remove(ours), now()], ['refused', 'refused', 'first: queued']);
  ledger.db.run("UPDATE messages SET handle = ''");
  assert.equal(await edit({ sender: { handle: '', name: '' } }), 'refused');
  ledger.db.raw.exec('PRAGMA foreign_keys = OFF');
  ledger.db.run("UPDATE messages SET handle = 'alice', task_id = 1, origin = 'task'");
  assert.deepEqual([await edit(), await remove(), now()], ['refused', 'refused', 'first: queued']);
  ledger.db.run("UPDATE messages SET task_id = NULL, origin = 'approval'");
  assert.deepEqual([await edit(), await remove(), now()], ['refused', 'refused', 'first: queued']);
});

test('the same edit again is nothing new; an older one that comes later does not undo a newer', async (context) => {
  const { say, edit, now } = await world(context);
  await say();
  assert.equal(await edit({ dedupe_key: 'e', sent_ms: 20 }), 'done');
  assert.equal(await edit({ dedupe_key: 'f', text: 'third', sent_ms: 30 }), 'done');
  assert.equal(await edit({ dedupe_key: 'e', sent_ms: 20 }), 'repeated');
  assert.equal(await edit({ text: 'between', sent_ms: 25 }), 'refused');
  assert.equal(now(), 'third: queued');
});

test('what an agent has been given stays: running, queued again after an attempt, answered', async (context) => {
  const { ledger, session, say, edit, remove, now, begin, kinds } = await world(context);
  await say();
  const turn = begin()!;
  assert.deepEqual([await edit(), await remove(), now()], ['late', 'late', 'first: running']);
  returnAttempt(ledger.db, 1, turn.id);
  assert.deepEqual([await edit(), await remove(), now()], ['late', 'late', 'first: queued']);
  const again = begin()!;
  const taken = [{ ids: again.messages.map((message) => message.inbound_id), at_us: 1 }];
  const end = {
    session,
    takes: () => TAKES,
    turn: again,
    harness: 'probe',
    taken,
    tools: [],
    compactions: [],
    resume: null,
  };
  closeTurn(ledger.db, systemClock, { ...end, outcome: 'answered', text: 'yes' });
  assert.deepEqual([await edit(), await remove(), now()], ['late', 'late', 'first: answered']);
  assert.equal(kinds().filter((kind) => kind === 'message.change_late').length, 6);
});

test('a message that one session runs and another has in its queue keeps its text; the queue loses it when it is deleted', async (context) => {
  const { ledger, say, edit, remove, now, begin } = await world(context);
  const message = await say();
  begin();
  const other = await ledger.write('seed', (db) => seedChat(db, 'local', 'other', 'work'));
  insertInbound(ledger.db, 1, message, other.id, 'queued', '');
  assert.deepEqual([await edit(), now()], ['late', 'first: running, queued']);
  assert.deepEqual([await remove(), now()], ['done', 'first: running, cancelled the message was deleted']);
});

test('of a message that is kept as context the next turn is shown the edit, or nothing once it is deleted', async (context) => {
  const { ledger, say, edit, remove, begin } = await world(context);
  const message = await say();
  ledger.db.run("UPDATE inbound SET state = 'ignored', context = 1 WHERE message_id = ?", message);
  assert.equal(await edit(), 'done');
  await say({ platform_id: 'p9', text: 'now' });
  assert.deepEqual(
    begin()!.context.map(({ text }) => text),
    ['second'],
  );
  assert.equal(await remove(), 'done');
  assert.equal(ledger.db.get<{ n: number }>('SELECT count(*) AS n FROM inbound WHERE context = 1')!.n, 0);
});

test('a message that waits for a decision stays what its card shows; deleted, it waits no more', async (context) => {
  const { ledger, say, edit, remove, now } = await world(context);
  const message = await say();
  ledger.db.run("UPDATE inbound SET state = 'held', reason = 'h1', session_id = NULL WHERE message_id = ?", message);
  assert.deepEqual([await edit(), now()], ['refused', 'first: held h1']);
  assert.deepEqual([await remove(), now()], ['done', 'first: cancelled the message was deleted']);
});

test('an edit cannot empty a message, but the text beside a file may go', async (context) => {
  const { say, edit, now } = await world(context);
  await say({ files: [{ name: 'a', data: Buffer.from('a') }] });
  assert.deepEqual([await edit({ text: '' }), now()], ['done', ': queued']);
});

test('a reaction is on record once, and one that is none is not', async (context) => {
  const { ledger, sink, say } = await world(context);
  await say();
  const chat = { platform_id: 'main', title: '' };
  const sender = { handle: 'bob', name: 'Bob' };
  const reaction = { dedupe_key: 'r', chat, platform_id: 'p1', sent_ms: 1, sender, emoji: '👍', removed: false };
  assert.equal((await sink.reacted(reaction)).outcome, 'recorded');
  assert.equal((await sink.reacted(reaction)).outcome, 'repeated');
  const long = { ...reaction, dedupe_key: 's', emoji: 'x'.repeat(REACTION_BYTES_MAX + 1) };
  assert.equal((await sink.reacted(long)).outcome, 'refused');
  const data = ledger.db.all<{ data: string }>("SELECT data FROM events WHERE kind = 'message.reacted'");
  assert.deepEqual(
    data.map((row) => JSON.parse(row.data)),
    [{ emoji: '👍', by: 'bob', removed: false }],
  );
});

test('a reaction to any part of what we said is about what it came of', async (context) => {
  const { ledger, session, sink, say, begin } = await world(context);
  const message = await say();
  const turn = begin()!;
  const own = { session_id: session.id, turn_id: turn.id, attempt: 1, ordinal: 0, send_hash: '', thread: '' };
  const chunks = ['one', 'two'].map((body) => ({ body, source: null }));
  await ledger.write('test', (db) => {
    insertOutbound(db, 0, { chat_id: session.chat_id, kind: 'reply', ...own, reply_to: message }, chunks);
    db.run("UPDATE outbound SET state = 'sent', receipt = body");
  });
  const chat = { platform_id: 'main', title: '' };
  const reaction = { chat, sent_ms: 1, sender: { handle: 'bob', name: 'Bob' }, emoji: '👍', removed: false };
  for (const platform_id of ['one', 'two'])
    assert.equal((await sink.reacted({ ...reaction, dedupe_key: platform_id, platform_id })).outcome, 'recorded');
});
