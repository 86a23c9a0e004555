import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { showId } from '../../src/base/ids.ts';
import { FILE_YOUNG_MS } from '../../src/base/limits/messages.ts';
import { pathsOf, prepareHome } from '../../src/base/paths.ts';
import { unreadable } from '../../src/channels/unreadable.ts';
import { insertTell } from '../../src/ledger/alert_tells.ts';
import { raiseAlert } from '../../src/ledger/alerts.ts';
import { storeBlob } from '../../src/ledger/blobs.ts';
import { recordEvent } from '../../src/ledger/events.ts';
import { filesOf, insertFiles } from '../../src/ledger/files.ts';
import { beginLife } from '../../src/ledger/lives.ts';
import { insertInbound, insertMessage } from '../../src/ledger/messages.ts';
import { insertOutbound } from '../../src/ledger/outbound.ts';
import { filesKept, goneFilesOf, isKept, outboundFileGone } from '../../src/ledger/retention.ts';
import { closeSession, ensureTaskSession, type SessionRow } from '../../src/ledger/sessions.ts';
import { filesToGo, Retention } from '../../src/operations/retention.ts';
import { keepUnreadable } from '../../src/operations/unreadable.ts';
import { inboxOf } from '../../src/sessions/inbox.ts';
import type { SessionServices } from '../../src/sessions/services.ts';
import { freshLedger, seedChat, temporaryFolder } from '../fakes/ledger_kit.ts';

const DAY_MS = 24 * 3_600_000;
const KEEP_MS = 90 * DAY_MS;
const MIB = 2 ** 20;
const LOG = { info: () => {}, warn: () => {}, error: () => {} };

let keys = 0;

async function world(context: TestContext, room = 1000 * MIB, live: { session: string }[] = []) {
  const ledger = await freshLedger(context);
  const home = temporaryFolder(context);
  const paths = pathsOf(home, { XDG_RUNTIME_DIR: home });
  prepareHome(paths);
  const { db } = ledger;
  const session = seedChat(db);
  const files = { keep: KEEP_MS, room };
  const told: string[] = [];
  const egress = { signCut: () => assert.fail('nothing is old') };
  const retention = new Retention({
    ...{ paths, ledger, clock: systemClock, log: LOG, files, events: { keep: KEEP_MS }, egress },
    live: () => live,
    alert: (kind, subject) => told.push(`${kind} ${subject}`),
    clear: (kind, subject) => told.push(`over: ${kind} ${subject}`),
  });

  /** Bytes that were stored so many days ago. */
  const blob = (text: string, days: number) => {
    const data = Buffer.from(text);
    const sha256 = storeBlob(paths.blobs, data);
    const then = new Date(systemClock.now() - days * DAY_MS);
    utimesSync(join(paths.blobs, sha256), then, then);
    return { name: 'a.txt', type: 'text/plain', bytes: data.length, sha256 };
  };
  const message = (state: 'queued' | 'running' | 'held' | 'answered', days: number, text: string) => {
    const at = systemClock.now() - days * DAY_MS;
    keys += 1;
    const file = blob(text, days);
    const id = insertMessage(db, {
      ...{
        dedupe_key: `k${keys}`,
        chat_id: session.chat_id,
        thread: '',
        person_id: 1,
        sender: 'Alice',
        handle: 'alice',
      },
      ...{ addressed: 1, platform_id: `p${keys}`, text: 'x', sent_ms: at, received_ms: at },
    })!;
    insertFiles(db, id, [file]);
    insertInbound(db, at, id, session.id, state, '');
    return { id, file, there: () => existsSync(join(paths.blobs, file.sha256)) };
  };
  const outbound = (state: string, days: number, text: string) => {
    const at = systemClock.now() - days * DAY_MS;
    const file = blob(text, days);
    const none = { session_id: null, turn_id: null, attempt: 0, ordinal: 0, send_hash: '', reply_to: null };
    const [id] = insertOutbound(db, at, { chat_id: session.chat_id, thread: '', kind: 'send', ...none, file }, [
      { body: 'x', source: null },
    ]);
    db.run('UPDATE outbound SET state = ? WHERE id = ?', state, id!);
    return { id: id!, file, there: () => existsSync(join(paths.blobs, file.sha256)) };
  };
  return { told, ledger, db, paths, session, retention, blob, message, outbound };
}

test('the bytes of old files go, their rows say so, and everything that is not over keeps its own', async (context) => {
  const { db, retention, message, outbound } = await world(context);
  const [old, young] = [message('answered', 91, 'old'), message('answered', 89, 'young')];
  const sent = outbound('sent', 91, 'sent');
  const kept = [
    ...(['queued', 'running', 'held'] as const).map((state) => message(state, 400, `in ${state}`)),
    ...['queued', 'sending', 'retry', 'held'].map((state) => outbound(state, 400, `out ${state}`)),
  ];
  const pruned = await retention.prune();
  assert.deepEqual([pruned!.files, pruned!.bytes], [2, 'oldsent'.length]);
  assert.deepEqual([old.there(), sent.there(), young.there()], [false, false, true]);
  for (const each of kept) assert.ok(each.there(), `${each.file.sha256} is needed`);
  assert.notEqual(filesOf(db, old.id)[0]!.gone_ms, null);
  assert.equal(filesOf(db, young.id)[0]!.gone_ms, null);
  assert.notEqual(outboundFileGone(db, sent.id), null);
  assert.deepEqual(
    goneFilesOf(db, old.id).map(({ name }) => name),
    ['a.txt'],
  );
  assert.equal(filesKept(db).count, 8);
  assert.equal((await retention.prune())!.files, 0);
  const events = db.all<{ data: string }>("SELECT data FROM events WHERE kind = 'files.pruned'");
  assert.deepEqual(
    events.map(({ data }) => JSON.parse(data)),
    [{ files: 2, bytes: 7 }],
  );
});

test('a message that waits for a decision keeps its file, whatever has become of its row', async (context) => {
  const { db, retention, message } = await world(context);
  const asked = message('answered', 91, 'asked about');
  db.run(
    `INSERT INTO approvals (kind, object_hash, object, state, asked_by, created_ms, expires_ms, message_id)
     VALUES ('sender', '', '{}', 'pending', 'x', 0, 0, ?)`,
    asked.id,
  );
  await retention.prune();
  assert.ok(asked.there());
  db.run("UPDATE approvals SET state = 'denied'");
  await retention.prune();
  assert.ok(!asked.there());
});

test('bytes that an old and a young message share stay; beyond the room the oldest go, and never those of a day', async (context) => {
  const { retention, message } = await world(context, 2 * MIB);
  const shared = 's'.repeat(1000);
  const [a, b] = [message('answered', 200, shared), message('answered', 60, shared)];
  const large = ['1', '2', '3'].map((letter, index) => message('answered', 50 - index, letter.repeat(MIB)));
  const today = message('answered', 0, 't'.repeat(MIB));
  await retention.prune();
  assert.deepEqual([a.there(), b.there()], [false, false], 'the oldest');
  assert.deepEqual([...large.map((each) => each.there()), today.there()], [false, false, true, true]);
  await retention.prune();
  assert.ok(large[2]!.there() && today.there());
});

test('what goes is decided by age, room and need alone', () => {
  const file = (sha256: string, at_ms: number, needed = 0) => ({ sha256, bytes: 10, at_ms, needed });
  const files = [file('a', 1), file('b', 2, 1), file('c', 3), file('d', 4), file('e', 9)];
  const gone = (before_ms: number, room: number) =>
    filesToGo(files, { before_ms, young_ms: 9, room })
      .map(({ sha256 }) => sha256)
      .join('');
  assert.equal(gone(0, 50), '');
  assert.equal(gone(0, 49), 'a');
  assert.equal(gone(0, 39), 'ac');
  assert.equal(gone(0, 0), 'acd');
  assert.equal(gone(4, 50), 'ac');
  assert.equal(gone(100, 50), 'acd');
});

test('a message that comes with bytes that are about to go finds them', async (context) => {
  const { db, paths, retention, message, session } = await world(context);
  const old = message('answered', 91, 'again');
  // The driver has the bytes on disk; its transaction comes after the prune.
  assert.equal(storeBlob(paths.blobs, Buffer.from('again')), old.file.sha256);
  await retention.prune();
  assert.ok(old.there(), 'stored a moment ago');
  assert.notEqual(filesOf(db, old.id)[0]!.gone_ms, null);
  const id = insertMessage(db, {
    ...{ dedupe_key: 'again', chat_id: session.chat_id, thread: '', person_id: 1, sender: 'Alice', handle: 'alice' },
    ...{ addressed: 1, platform_id: 'again', text: 'x', sent_ms: 0, received_ms: systemClock.now() },
  })!;
  insertFiles(db, id, [old.file]);
  const long = new Date(systemClock.now() - 2 * FILE_YOUNG_MS);
  utimesSync(join(paths.blobs, old.file.sha256), long, long);
  await retention.prune();
  assert.ok(old.there(), 'a row names it again');
  assert.ok(isKept(db, old.file.sha256));
  assert.equal(filesOf(db, id)[0]!.gone_ms, null);
});

test('a message whose transaction comes between the mark and the removal keeps its bytes', async (context) => {
  const { db, ledger, retention, message, session } = await world(context);
  const old = message('answered', 91, 'between');
  const stop = ledger.onCommit(() => {
    stop();
    const at = systemClock.now();
    const id = insertMessage(db, {
      ...{ dedupe_key: 'between', chat_id: session.chat_id, thread: '', person_id: 1, sender: 'A', handle: 'a' },
      ...{ addressed: 1, platform_id: 'between', text: 'x', sent_ms: at, received_ms: at },
    })!;
    insertFiles(db, id, [old.file]);
  });
  await retention.prune();
  assert.ok(old.there());
});

test('a prune that died after its rows were written is made up for by the next one', async (context) => {
  const { db, retention, message } = await world(context);
  const old = message('answered', 91, 'half');
  db.run('UPDATE files SET gone_ms = 1');
  assert.ok(old.there());
  await retention.prune();
  assert.ok(!old.there());
});

test('bytes without a row go after a day, drafts among them; what is no file of ours stays', async (context) => {
  const { paths, retention, blob } = await world(context);
  const path = (name: string): string => join(paths.blobs, name);
  const [orphan, fresh] = [blob('orphan', 2).sha256, blob('fresh', 0.5).sha256];
  writeFileSync(path('.incoming-x'), 'half');
  utimesSync(path('.incoming-x'), 0, 0);
  mkdirSync(path('folder'));
  utimesSync(path('folder'), 0, 0);
  symlinkSync('/etc/passwd', path('link'));
  assert.equal((await retention.prune())!.files, 2);
  assert.deepEqual(readdirSync(paths.blobs).sort(), ['folder', 'link', fresh].sort());
  assert.ok(!existsSync(path(orphan)));
});

test('an agent is told that a file whose bytes were removed is lost', async (context) => {
  const { db, ledger, paths, session, message } = await world(context);
  const old = message('answered', 91, 'told');
  const services = { ledger, paths, log: LOG } as unknown as SessionServices;
  assert.deepEqual(
    inboxOf(services, session.id)(old.id).map(({ lost }) => lost),
    [false],
  );
  db.run('UPDATE files SET gone_ms = 1');
  assert.deepEqual(
    inboxOf(services, session.id)(old.id).map(({ lost }) => lost),
    [true],
  );
});

/** Folders of a session as it leaves them. */
function leave(paths: ReturnType<typeof pathsOf>, session: number, messages: number[]) {
  const own = paths.session(showId('s', session));
  mkdirSync(join(own.state, 'native'), { recursive: true });
  mkdirSync(`${own.state}.set-aside`);
  for (const id of messages) mkdirSync(join(own.inbox, showId('m', id)), { recursive: true });
  return own;
}

test('copies of old files leave the inbox; those of a running turn and young ones stay', async (context) => {
  const { paths, session, retention, message } = await world(context);
  const [old, running, young] = [
    message('answered', 91, '1'),
    message('running', 91, '2'),
    message('answered', 5, '3'),
  ];
  const own = leave(paths, session.id, [old.id, running.id, young.id]);
  await retention.prune();
  assert.deepEqual(readdirSync(own.inbox).sort(), [showId('m', running.id), showId('m', young.id)].sort());
  assert.ok(existsSync(own.state), 'an open conversation keeps its memory');
});

for (const [what, days, state, live, left] of [
  ['a conversation that ended long ago leaves nothing', 91, 'answered', false, ''],
  ['one that ended lately keeps its state, not its files', 5, 'answered', false, 'state state.set-aside'],
  ['one with work that waits keeps everything', 91, 'queued', false, 'inbox state state.set-aside'],
  ['one that still has a sandbox keeps everything', 91, 'answered', true, 'inbox state state.set-aside'],
] as const)
  test(what, async (context) => {
    const lives: { session: string }[] = [];
    const { db, paths, session, retention, message } = await world(context, undefined, lives);
    const own = leave(paths, session.id, [message(state, days - 3, 'x').id]);
    if (live) lives.push({ session: showId('s', session.id) });
    closeSession(db, systemClock.now() - days * DAY_MS, session.id);
    await retention.prune();
    const folder = join(own.state, '..');
    assert.equal(existsSync(folder) ? readdirSync(folder).sort().join(' ') : '', left);
    assert.equal(existsSync(folder), left !== '');
  });

test('the conversation of a task that is over is closed, and goes like any other', async (context) => {
  const { db, paths, session, retention } = await world(context);
  const task = (state: string, days: number): SessionRow => {
    const id = db.insert(
      `INSERT INTO tasks (group_name, chat_id, own, schedule, zone, text, catch_up, person_id, by, state, anchor_ms, created_ms)
       VALUES ('assistant', ?, 1, 'x', 'UTC', 'x', 'skip', 1, 'x', ?, 0, 0)`,
      ...[session.chat_id, state],
    );
    db.run(
      "INSERT INTO task_runs (task_id, due_ms, state, started_ms, ended_ms) VALUES (?, 0, 'answered', 0, ?)",
      ...[id, systemClock.now() - days * DAY_MS],
    );
    const own = ensureTaskSession(db, 0, { id, group_name: 'assistant', chat_id: session.chat_id, thread: '' });
    return { ...session, id: own.id };
  };
  const [done, removed, late, paused] = [task('done', 91), task('removed', 91), task('done', 5), task('paused', 91)];
  for (const each of [done, removed, late, paused]) leave(paths, each.id, []);
  await retention.prune();
  const open = db.all<{ id: number }>('SELECT id FROM sessions WHERE task_id IS NOT NULL AND closed_ms IS NULL');
  assert.deepEqual(
    open.map(({ id }) => id),
    [late.id, paused.id],
  );
});

test('a folder that is no session’s, and a name that is none, are left alone', async (context) => {
  const { paths, retention } = await world(context);
  for (const name of ['s999', 'x', 's1x']) mkdirSync(join(paths.sessions, name, 'state'), { recursive: true });
  await retention.prune();
  assert.deepEqual(readdirSync(paths.sessions).sort(), ['s1x', 's999', 'x']);
});

test('old alerts that are over go with whom they were told, and old lives of the host and what nobody could read; what stands and what is young stays', async (context) => {
  const { ledger, retention } = await world(context);
  const { db } = ledger;
  const [old, young] = [systemClock.now() - KEEP_MS - 2 * DAY_MS, systemClock.now() - DAY_MS];
  for (const [subject, over] of [
    ['old', old],
    ['young', young],
    ['stands', null],
  ] as const) {
    raiseAlert(db, systemClock, 'channel.deaf', subject, 'It hears nothing.');
    db.run('UPDATE alerts SET created_ms = ?, cleared_ms = ? WHERE subject = ?', old, over, subject);
  }
  const told = { what: 'raised', way: 'webhook', person_id: null, channel: '', outbound_id: null } as const;
  for (const alert_id of [1, 2, 3]) insertTell(db, old, { ...told, alert_id });
  for (const at of [old, young, old]) beginLife(db, at);
  for (const at of [old, young]) keepUnreadable(db, at, 'tg', unreadable('message', at));
  await retention.prune();
  const left = (sql: string): unknown[] => db.all<object>(sql).flatMap((row) => Object.values(row));
  assert.deepEqual(left('SELECT subject FROM alerts ORDER BY id'), ['young', 'stands']);
  assert.deepEqual(left('SELECT alert_id FROM alert_tells ORDER BY id'), [2, 3]);
  assert.deepEqual(left('SELECT id FROM lives ORDER BY id'), [2, 3], 'this life stays, whatever its clock said');
  assert.deepEqual(left('SELECT at_ms FROM unreadable'), [young]);
});

test('a disk that fails is no end of the host', async (context) => {
  const { paths, retention } = await world(context);
  (paths as { blobs: string }).blobs = join(paths.home, 'none');
  assert.equal(await retention.prune(), null);
  assert.equal(retention.last, null);
});

test('a prune that fails is told of, and that one has gone through again', async (context) => {
  const { retention, paths, told } = await world(context);
  rmSync(paths.blobs, { recursive: true });
  assert.equal(await retention.prune(), null);
  assert.deepEqual(told, ['retention.failed files']);
  mkdirSync(paths.blobs);
  assert.notEqual(await retention.prune(), null);
  assert.deepEqual(told.slice(-2), ['over: retention.failed events', 'over: retention.failed files']);
});

test('a clock that was once far ahead is told of, as long as it keeps old events', async (context) => {
  const { db, retention, told } = await world(context);
  const ahead = { ...systemClock, micros: () => systemClock.micros() + 3 * DAY_MS * 1000 };
  recordEvent(db, ahead, 'alert.cleared', {}, { kind: 'x', subject: '' });
  await retention.prune();
  assert.deepEqual(told, ['retention.failed events', 'over: retention.failed files']);
});

test('it is told of for as long as old events stand behind that time, also when it has come', async (context) => {
  const { db, retention, told } = await world(context);
  const hop = (days: number): void => {
    const at_us = systemClock.micros() - days * DAY_MS * 1000;
    recordEvent(db, systemClock, 'alert.cleared', {}, { kind: 'x', subject: '' }, at_us);
  };
  hop(10);
  await retention.prune();
  hop(200);
  await retention.prune();
  assert.deepEqual(
    told.filter((words) => words.endsWith('events')),
    ['over: retention.failed events', 'retention.failed events'],
  );
});
