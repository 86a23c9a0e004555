import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { AGENT_HOPS_MAX } from '../../src/base/limits/talk.ts';
import { AGENTS } from '../../src/channels/agents/agents.ts';
import { insertAuthority } from '../../src/ledger/authorities.ts';
import { ensureChat, ensureGroup } from '../../src/ledger/chats.ts';
import { conservation } from '../../src/ledger/conservation.ts';
import type { Db } from '../../src/ledger/db.ts';
import { type FileFacts, filesOf } from '../../src/ledger/files.ts';
import { messageByKey } from '../../src/ledger/messages.ts';
import { endHeld, holdForApproval, holdUnsent, insertOutbound, releaseUnsent } from '../../src/ledger/outbound.ts';
import { endQuestion, insertQuestion } from '../../src/ledger/questions.ts';
import { closeSession, ensureSession } from '../../src/ledger/sessions.ts';
import { endStops, takeStop } from '../../src/ledger/stops.ts';
import { agentPost } from '../../src/sessions/agent_post.ts';
import { openTurn } from '../../src/sessions/turn_book.ts';
import { freshLedger, queueMessage, seedChat } from '../fakes/ledger_kit.ts';

/** Where a text between agents goes, and when it goes nowhere: `front` asks `back`, out of the session of `local:main`. */
async function world(context: TestContext) {
  const ledger = await freshLedger(context);
  const { db } = ledger;
  const now = systemClock.now();
  const woken: number[] = [];
  const front = seedChat(db, 'local', 'main', 'front');
  ensureGroup(db, now, 'back', null);
  const allow = (agents: object): void => authority(db, 'front', { agents });
  allow({ back: 'allow' });
  authority(db, 'back', {});
  queueMessage(db, front, 'hello');
  const turn = openTurn(db, systemClock, { session: front, harness: 'probe', warm: true, reseed: false })!;
  const chat = ensureChat(db, now, AGENTS, 'front>back', 'front and back');
  const post = agentPost({ ledger, clock: systemClock, wake: (session) => woken.push(session) });
  let ordinal = 0;
  /** What a session says there; resolves with the key of the message, or why there is none. */
  const say = async (session: number, turnId: number, file?: FileFacts): Promise<string> => {
    ordinal += 1;
    const links = { session_id: session, turn_id: turnId, attempt: 1, ordinal, send_hash: '', reply_to: null };
    const out = { chat_id: chat, thread: `s${front.id}`, kind: 'send' as const, ...links, ...(file && { file }) };
    const [id] = insertOutbound(db, now, out, [{ body: 'text', source: 'text' }]);
    return pass(id!);
  };
  const pass = async (id: number): Promise<string> => {
    const { key } = db.get<{ key: string }>('SELECT key FROM outbound WHERE id = ?', id)!;
    const passed = await post.pass(key);
    return 'message' in passed ? passed.message : passed.refused;
  };
  /** The turn of the asked one about what waits for it. */
  const asked = () => {
    const session = ensureSession(db, now, 'back', chat, `s${front.id}`).id;
    const row = db.get<typeof front>('SELECT * FROM sessions WHERE id = ?', session)!;
    return {
      session,
      turn: openTurn(db, systemClock, { session: row, harness: 'probe', warm: true, reseed: false })!.id,
    };
  };
  return { ledger, db, front, turn, woken, allow, say, pass, asked };
}

function authority(db: Db, group: string, object: object): void {
  const row = { hash: 'h', object: JSON.stringify(object), image: null, controls: '[]', applied_by: 'test' };
  insertAuthority(db, { group_name: group, ...row, applied_ms: 1 });
}

const said = (db: Db, id: string) =>
  db.get<{ session_id: number; chat_id: number; hops: number; person_id: number | null }>(
    'SELECT i.session_id, m.chat_id, m.hops, m.person_id FROM messages m JOIN inbound i ON i.message_id = m.id WHERE m.id = ?',
    Number(id.slice(1)),
  )!;

test('a text is handed over once, whoever asks again, and its answer goes to where it was asked', async (context) => {
  const { db, front, turn, woken, say, pass, asked } = await world(context);
  const message = await say(front.id, turn.id);
  assert.match(message, /^m\d+$/);
  assert.equal(await pass(1), message);
  const there = asked();
  assert.deepEqual(woken, [there.session, there.session]);
  assert.equal(said(db, message).hops, 1);
  const answer = said(db, await say(there.session, there.turn));
  assert.deepEqual({ ...answer }, { session_id: front.id, chat_id: front.chat_id, hops: 2, person_id: null });
  assert.deepEqual(conservation(db, systemClock.now()).violations, []);
});

test('a file is handed over with its text, both ways, and once', async (context) => {
  const { db, front, turn, say, pass, asked } = await world(context);
  const file = (name: string) => ({ name, type: 'text/plain', bytes: 4, sha256: 'a'.repeat(64) });
  const files = (message: string) =>
    filesOf(db, Number(message.slice(1))).map(({ name, type, bytes, sha256 }) => ({ name, type, bytes, sha256 }));
  const message = await say(front.id, turn.id, file('plan.txt'));
  assert.equal(await pass(1), message);
  assert.deepEqual(files(message), [file('plan.txt')]);
  const there = asked();
  assert.deepEqual(files(await say(there.session, there.turn, file('answer.txt'))), [file('answer.txt')]);
  assert.deepEqual(files(await say(there.session, there.turn)), []);
});

test('a right that was taken away meanwhile is not there any more', async (context) => {
  const { front, turn, say, allow } = await world(context);
  allow({});
  assert.equal(await say(front.id, turn.id), 'front may not write to back any more');
});

test('an answer to a conversation that is over, or to a turn that was stopped, goes nowhere', async (context) => {
  const { db, front, turn, say, asked } = await world(context);
  await say(front.id, turn.id);
  const there = asked();
  db.run("UPDATE turns SET state = 'cancelled' WHERE id = ?", turn.id);
  assert.equal(await say(there.session, there.turn), 'what asked for it was stopped');
  db.run("UPDATE turns SET state = 'running' WHERE id = ?", turn.id);
  closeSession(db, systemClock.now(), front.id);
  assert.equal(await say(there.session, there.turn), 'the conversation that asked for it is over');
});

test('what nobody has asked for, or what has come too far, goes nowhere', async (context) => {
  const { db, front, turn, say, asked } = await world(context);
  await say(front.id, turn.id);
  const there = asked();
  db.run('UPDATE messages SET hops = ?', AGENT_HOPS_MAX);
  assert.match(await say(there.session, there.turn), /has come through 6 agents already/);
  db.run("UPDATE messages SET origin = 'platform' WHERE origin = 'agent'");
  assert.equal(await say(there.session, there.turn), 'nobody has asked for it');
});

test('a text that waits for a person leaves by their yes alone; caught by a stop after it, it is let go like any other', async (context) => {
  const { db, front, turn } = await world(context);
  const now = systemClock.now();
  const links = { session_id: front.id, turn_id: turn.id, attempt: 1, ordinal: 9, send_hash: '', reply_to: null };
  const out = { chat_id: front.chat_id, thread: '', kind: 'send' as const, ...links };
  const [id] = insertOutbound(db, now, out, [{ body: 'text', source: 'text' }]);
  const message = messageByKey(db, db.get<{ key: string }>('SELECT dedupe_key AS key FROM messages')!.key)!;
  const text = { group: 'front', to: 'back', text: 'text', file: '', outbound: id! };
  const action = { kind: 'message' as const, chat: front.chat_id, channel: 'local', ...text };
  const question = insertQuestion(db, now, action, message, now + 1000, { session: front.id, turn: turn.id });
  holdForApproval(db, [id!], question.id);
  const state = (): string => db.get<{ state: string }>('SELECT state FROM outbound WHERE id = ?', id!)!.state;
  const resume = (): number => releaseUnsent(db, now, front.chat_id, [front.id], ['front']).length;
  assert.deepEqual([resume(), state()], [0, 'held']);
  endHeld(db, now, question.id, null);
  endQuestion(db, systemClock, question, { state: 'done', person: null, reason: '' });
  assert.equal(state(), 'queued');
  holdUnsent(db, now, front.id, 'stopped');
  assert.equal(state(), 'held');
  assert.deepEqual([resume(), state()], [1, 'queued']);
});

test('nothing of a stopped group is handed over, and nothing is lost: it can be tried again', async (context) => {
  const { ledger, front, turn, say, db } = await world(context);
  await ledger.write('test', (tx) => takeStop(tx, 1, 'front', 'olga'));
  await assert.rejects(say(front.id, turn.id), /front is stopped/);
  await ledger.write('test', (tx) => endStops(tx, 2, 'front', 'olga'));
  assert.equal(said(db, await say(front.id, turn.id)).hops, 1);
});
