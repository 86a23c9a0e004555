import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import type { OperatingError } from '../../src/base/errors.ts';
import { MESSAGE_TEXT_BYTES_MAX, SESSION_QUEUE_MAX } from '../../src/base/limits/messages.ts';
import type { IncomingMessage } from '../../src/channels/channel.ts';
import { ensureGroup, wire } from '../../src/ledger/chats.ts';
import { conservation } from '../../src/ledger/conservation.ts';
import { filesOf } from '../../src/ledger/files.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { queuedIn } from '../../src/ledger/messages.ts';
import { ensurePerson } from '../../src/ledger/people.ts';
import type { SessionRow } from '../../src/ledger/sessions.ts';
import { Intake } from '../../src/router/intake.ts';
import { Router } from '../../src/router/router.ts';
import { chatCommands } from '../fakes/chat_commands.ts';
import {
  ANSWERS,
  freshLedger,
  inboundStates,
  NOBODY_DECIDES,
  queueMessage,
  ROUTER_EFFECTS,
  seedChat,
  temporaryFolder,
} from '../fakes/ledger_kit.ts';

interface Routing {
  ledger: Ledger;
  router: Router;
  session: SessionRow;
  /** Sessions that were woken and chats that were delivered to, in order. */
  woken: string[];
  /** Groups that were spoken to. */
  spoken: string[];
  /** Sessions that were nudged, and how many messages waited in them at that moment, in the transaction. */
  nudged: string[];
  intake: Intake;
  blobs: string;
}

/** A ledger with the chat `local:main`, in which Alice is a member of `assistant`. */
async function routing(context: TestContext): Promise<Routing> {
  const ledger = await freshLedger(context);
  const session = await ledger.write('seed', (db) => seedChat(db));
  const blobs = temporaryFolder(context);
  const woken: string[] = [];
  const spoken: string[] = [];
  const nudged: string[] = [];
  const effects = {
    ...ROUTER_EFFECTS,
    spoken: (group: string) => spoken.push(group),
    nudge: (id: number) => nudged.push(`${id}: ${queuedIn(ledger.db, id)}, ${ledger.db.raw.isTransaction}`),
  };
  const router = new Router(ledger, systemClock, blobs, effects, NOBODY_DECIDES, chatCommands(ledger, woken), ANSWERS);
  const intake = new Intake(ledger, router, {
    wake: (id) => woken.push(`session ${id}`),
    deliver: (chat) => woken.push(`chat ${chat}`),
    asked: (question) => woken.push(`question ${question}`),
  });
  return { ledger, router, session, woken, spoken, nudged, intake, blobs };
}

let made = 0;

function message(part: Partial<IncomingMessage> = {}): IncomingMessage {
  made += 1;
  return {
    dedupe_key: `local:${made}`,
    chat: { platform_id: 'main', title: 'main' },
    thread: '',
    sender: { handle: 'alice', name: 'Alice' },
    addressed: true,
    platform_id: `p${made}`,
    text: 'hello',
    files: [],
    sent_ms: 1,
    ...part,
  };
}

function kinds(ledger: Ledger): string[] {
  return ledger.db.all<{ kind: string }>('SELECT kind FROM events ORDER BY id').map((row) => row.kind);
}

function count(ledger: Ledger, table: string): number {
  return ledger.db.get<{ n: number }>(`SELECT count(*) AS n FROM ${table}`)!.n;
}

test('a message of a member is queued in the session, with its hops, in one commit', async (context) => {
  const { ledger, intake, woken, session } = await routing(context);
  const before = ledger.commits;
  const accepted = await intake.sinkOf('local').accept(message());
  assert.equal(ledger.commits - before, 1);
  assert.deepEqual(accepted, { message: 1, repeated: false, ignored: null });
  assert.deepEqual(inboundStates(ledger.db), ['queued']);
  assert.deepEqual(kinds(ledger), ['message.received', 'message.admitted', 'message.routed', 'message.queued']);
  assert.deepEqual(woken, [`session ${session.id}`]);
});

test('files are on disk under their hash before the commit, and their rows come with the message', async (context) => {
  const { ledger, intake, blobs } = await routing(context);
  const [png, text] = [Buffer.from('\x89PNG\r\n\x1a\nrest', 'latin1'), Buffer.from('a text')];
  const files = [
    { name: '../a.png', data: png },
    { name: 'a.png', data: text },
  ];
  await intake.sinkOf('local').accept(message({ text: '', files }));
  const rows = filesOf(ledger.db, 1);
  assert.deepEqual(
    rows.map(({ name, type, bytes }) => ({ name, type, bytes })),
    [
      { name: 'a.png', type: 'image/png', bytes: png.length },
      { name: 'a-2.png', type: 'text/plain', bytes: 6 },
    ],
  );
  for (const [index, data] of [png, text].entries())
    assert.deepEqual(readFileSync(join(blobs, rows[index]!.sha256)), data);
  assert.equal(readdirSync(blobs).length, 2);
  assert.deepEqual(inboundStates(ledger.db), ['queued']);
});

for (const [name, files, code, reason] of [
  ['too many files', Array(6).fill({ name: 'a', data: Buffer.from('a') }), 'usage', /at most 5 files/],
  ['an empty file', [{ name: 'a', data: Buffer.alloc(0) }], 'usage', /"a" is empty/],
  ['files that cannot be stored', [{ name: 'a', data: Buffer.from('a') }], 'storage', /could not be stored/],
] as const) {
  test(`a message with ${name} is rejected, and nothing of it is kept`, async (context) => {
    const { ledger, intake, blobs } = await routing(context);
    if (code === 'storage') rmSync(blobs, { recursive: true });
    await assert.rejects(
      intake.sinkOf('local').accept(message({ files: [...files] })),
      (error: OperatingError) => error.code === code && reason.test(error.message),
    );
    assert.equal(count(ledger, 'messages') + count(ledger, 'files'), 0);
    if (code !== 'storage') assert.deepEqual(readdirSync(blobs), []);
  });
}

test('the same event again writes nothing, wakes nobody, and gets the first one’s answer', async (context) => {
  const { ledger, intake, woken } = await routing(context);
  const sink = intake.sinkOf('local');
  const once = message();
  const [first, second] = await Promise.all([sink.accept(once), sink.accept({ ...once, text: 'changed' })]);
  assert.deepEqual([first.repeated, second.repeated], [false, true]);
  assert.equal(second.message, first.message);
  assert.equal(count(ledger, 'messages'), 1);
  assert.deepEqual(inboundStates(ledger.db), ['queued']);
  assert.equal(woken.length, 1);
  const stranger = message({ sender: { handle: 'mallory', name: 'M' } });
  await sink.accept(stranger);
  assert.deepEqual(await sink.accept(stranger), { message: 2, repeated: true, ignored: 'unknown sender' });
});

const IGNORED: [name: string, part: Partial<IncomingMessage>, rule: string, notices: number][] = [
  ['a sender nobody knows', { sender: { handle: 'mallory', name: 'Alice' } }, 'unknown sender', 0],
  ['a chat nobody wired', { chat: { platform_id: 'new', title: 'New' } }, 'no group is wired to this chat', 0],
  ['an empty text', { text: '  ' }, 'empty', 1],
  ['a text that is too long', { text: 'é'.repeat(MESSAGE_TEXT_BYTES_MAX / 2 + 1) }, 'too long', 1],
];

for (const [name, part, rule, notices] of IGNORED) {
  test(`${name} is kept and ignored by a rule that has a name`, async (context) => {
    const { ledger, router } = await routing(context);
    const routed = await router.route('local', message(part));
    assert.equal(routed.ignored, rule);
    assert.deepEqual(routed.sessions, []);
    assert.equal(routed.notices, notices > 0);
    assert.deepEqual(
      { ...ledger.db.get<object>('SELECT state, reason, session_id FROM inbound') },
      { state: 'ignored', reason: rule, session_id: null },
    );
    assert.equal(count(ledger, 'outbound'), notices);
    assert.deepEqual(kinds(ledger), ['message.received', 'message.ignored']);
    assert.deepEqual(conservation(ledger.db, 0).violations, []);
  });
}

test('of a text that is too long only the beginning is kept', async (context) => {
  const { ledger, router } = await routing(context);
  await router.route('local', message({ text: '€'.repeat(MESSAGE_TEXT_BYTES_MAX) }));
  const kept = ledger.db.get<{ text: string }>('SELECT text FROM messages')!.text;
  assert.ok(Math.abs(Buffer.byteLength(kept) - MESSAGE_TEXT_BYTES_MAX) <= 3);
  assert.match(kept, /^€+\ufffd?$/);
});

test('the same person on another channel is a stranger there', async (context) => {
  const { ledger, router } = await routing(context);
  await ledger.write('seed', (db) => seedChat(db, 'other', 'main', 'assistant'));
  ledger.db.run("DELETE FROM identities WHERE channel = 'other'");
  assert.equal((await router.route('other', message())).ignored, 'unknown sender');
});

test('several groups on one chat: each that the person may use gets the message once', async (context) => {
  const { ledger, router, session } = await routing(context);
  await ledger.write('seed', (db) => {
    for (const group of ['work', 'secret']) {
      ensureGroup(db, 1, group, null);
      wire(db, session.chat_id, group, 'always');
    }
    ensurePerson(db, 1, 'local', 'alice', 'Alice', 'member', 'work');
  });
  const routed = await router.route('local', message());
  const groups = ledger.db
    .all<{ name: string }>(
      'SELECT s.group_name AS name FROM inbound i JOIN sessions s ON s.id = i.session_id ORDER BY i.id',
    )
    .map((row) => row.name);
  assert.deepEqual(groups, ['assistant', 'work']);
  assert.equal(routed.sessions.length, 2);
  assert.equal(count(ledger, 'messages'), 1);
});

test('threads of a chat are sessions of their own', async (context) => {
  const { router } = await routing(context);
  const [main, first, again, second] = await Promise.all(
    ['', 'one', 'one', 'two'].map((thread) => router.route('local', message({ thread }))),
  );
  assert.deepEqual(first!.sessions, again!.sessions);
  assert.equal(new Set([main, first, second].map((routed) => routed!.sessions[0])).size, 3);
});

test('a full queue refuses the next message and says so; with room again it is taken', async (context) => {
  const { ledger, intake, session, woken } = await routing(context);
  await ledger.write('seed', (db) => {
    for (let i = 0; i < SESSION_QUEUE_MAX - 1; i += 1) queueMessage(db, session, `m${i}`);
  });
  const sink = intake.sinkOf('local');
  await Promise.all([sink.accept(message()), sink.accept(message())]);
  assert.deepEqual(inboundStates(ledger.db).slice(-2), ['queued', 'failed']);
  const notice = ledger.db.get<{ body: string; reply_to: number }>('SELECT body, reply_to FROM outbound')!;
  assert.match(notice.body, /could not take that message: 500 messages wait already/);
  assert.equal(notice.reply_to, SESSION_QUEUE_MAX + 1);
  assert.deepEqual(woken, [`session ${session.id}`, `chat ${session.chat_id}`]);
  ledger.db.run("UPDATE inbound SET state = 'cancelled' WHERE id = 1");
  await sink.accept(message());
  assert.deepEqual(inboundStates(ledger.db).slice(-1), ['queued']);
  assert.deepEqual(conservation(ledger.db, 0).violations, []);
});

test('when nothing can be kept, accept rejects, and the same event is new the next time', async (context) => {
  const { ledger, intake, woken } = await routing(context);
  const sink = intake.sinkOf('local');
  const event = message();
  ledger.db.raw.exec('PRAGMA query_only = ON');
  await assert.rejects(sink.accept(event), { code: 'storage' });
  assert.deepEqual(woken, []);
  ledger.db.raw.exec('PRAGMA query_only = OFF');
  assert.equal((await sink.accept(event)).repeated, false);
});

for (const table of ['roles', 'identities', 'wirings', 'chats']) {
  test(`without the table ${table} nobody gets through, and nobody is woken`, async (context) => {
    const { ledger, intake, woken } = await routing(context);
    const { raw } = ledger.db;
    raw.exec(`PRAGMA foreign_keys = OFF; ALTER TABLE ${table} RENAME TO gone`);
    await assert.rejects(intake.sinkOf('local').accept(message()), /no such table/);
    assert.deepEqual([woken, inboundStates(ledger.db)], [[], []]);
    raw.exec(`ALTER TABLE gone RENAME TO ${table}`);
    assert.equal((await intake.sinkOf('local').accept(message())).ignored, null, 'its table alone was missing');
  });
}

test('a cursor is kept per channel, the last value of it', async (context) => {
  const { intake } = await routing(context);
  await intake.sinkOf('a').saveCursor('updates', '1');
  await intake.sinkOf('b').saveCursor('updates', '9');
  await intake.sinkOf('a').saveCursor('updates', '2');
  assert.deepEqual([...intake.cursorsOf('a')], [['updates', '2']]);
  assert.deepEqual([...intake.cursorsOf('nobody')], []);
});

test('a chat that can be reached again is delivered to; one that nobody knows is not', async (context) => {
  const { intake, woken, session } = await routing(context);
  intake.sinkOf('local').reachable('nowhere');
  intake.sinkOf('other').reachable('main');
  intake.sinkOf('local').reachable('main');
  assert.deepEqual(woken, [`chat ${session.chat_id}`]);
});

test('a session hears of its message within the transaction, once it is in the queue', async (context) => {
  const { intake, nudged, session } = await routing(context);
  const sink = intake.sinkOf('local');
  const first = message();
  await sink.accept(first);
  await sink.accept(first);
  await sink.accept(message({ sender: { handle: 'mallory', name: 'Mallory' } }));
  assert.deepEqual(nudged, [`${session.id}: 1, true`]);
});

test('a group is spoken to by whoever may, once for each message, and also when its queue is full', async (context) => {
  const { ledger, intake, spoken, session } = await routing(context);
  const sink = intake.sinkOf('local');
  const first = message();
  await sink.accept(first);
  await sink.accept(first);
  await sink.accept(message({ sender: { handle: 'mallory', name: 'Mallory' } }));
  assert.deepEqual(spoken, ['assistant']);
  await ledger.write('full', (db) => {
    for (let i = 0; i < SESSION_QUEUE_MAX; i += 1) queueMessage(db, session, `text ${i}`);
  });
  await sink.accept(message());
  assert.deepEqual(spoken, ['assistant', 'assistant']);
});
