import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Authority } from '../../src/authority/authority.ts';
import { systemClock } from '../../src/base/clock.ts';
import { insertAuthority } from '../../src/ledger/authorities.ts';
import { ensureChat, wire } from '../../src/ledger/chats.ts';
import { addMarks, hasMarks } from '../../src/ledger/marks.ts';
import { ensureSession } from '../../src/ledger/sessions.ts';
import { addEntry } from '../../src/ledger/transcript.ts';
import type { HostFrame } from '../../src/protocol/frames.ts';
import type { Mark } from '../../src/protocol/gateway.ts';
import { eventually, sessionWorld } from '../fakes/session_world.ts';

/** A session's marks on their way to the gateway, and what its tools make of them; the test is sandbox and gateway. */

async function world(context: TestContext, marks: string, authority: Partial<Authority> = {}) {
  const made = await sessionWorld(context, authority);
  const { ledger, row, gateway } = made;
  const mark = (more: string) =>
    ledger.write('seed', (db) => addMarks(db, systemClock, row, [...more] as Mark[], 'test'));
  await ledger.write('seed', (db) => {
    const object = JSON.stringify({ mounts: [], ...authority });
    const put = { group_name: 'assistant', hash: 'a'.repeat(64), object, image: null, controls: '[]' };
    insertAuthority(db, { ...put, applied_by: 'test', applied_ms: 1 });
    wire(db, ensureChat(db, 1, 'local', 'other', 'other'), 'assistant', 'always');
  });
  await mark(marks);
  made.say('hello');
  const sandbox = await made.sandbox(1);
  await sandbox.ready();
  let calls = 0;
  return {
    ...{ ...made, mark, first: sandbox },
    has: () => hasMarks(ledger.db, row.id).join(''),
    told: () =>
      gateway.asked.flatMap((asked) => ('marks' in asked ? [`${asked.op} ${(asked.marks as string[]).join('')}`] : [])),
    async turn(): Promise<number> {
      await eventually(() => sandbox.turn() !== undefined);
      const { turn, messages } = sandbox.turn()!;
      sandbox.send({ t: 'taken', turn, ids: messages.map(({ id }) => id) });
      return turn;
    },
    /** What a tool answers. */
    async call(turn: number, tool: string, input: object): Promise<Extract<HostFrame, { t: 'receipt' }>> {
      calls += 1;
      const call = calls;
      sandbox.send({ t: 'call', call, turn, tool, input });
      const found = () => sandbox.heard.find((frame) => frame.t === 'receipt' && frame.call === call);
      await eventually(() => found() !== undefined);
      return found() as Extract<HostFrame, { t: 'receipt' }>;
    },
  };
}

const ELSEWHERE = 'local:other';
const ENFORCED: Partial<Authority> = { rule_of_two: 'enforce' };

test('a session is opened with the marks that are on record, and with what its sandbox has', async (context) => {
  const mounts: Authority['mounts'] = [{ source: '/data', target: '/mnt/data', access: 'read' }];
  const made = await world(context, 'A', { mounts });
  await made.turn();
  assert.deepEqual(made.told(), ['open A', 'marks AB']);
  assert.equal(made.has(), 'AB');
});

test('a turn waits until the gateway knows what it makes of its session, and is not begun if that fails', async (context) => {
  const mounts: Authority['mounts'] = [{ source: '/data', target: '/mnt/data', access: 'read' }];
  const made = await sessionWorld(context, { mounts });
  const { gateway } = made;
  let answer = (): void => {};
  gateway.reply = ({ id, op }) => {
    if (op !== 'marks') return { id, ok: true };
    answer = () => gateway.write(`${JSON.stringify({ id, ok: true })}\n`);
    return null;
  };
  made.say('hello');
  const sandbox = await made.sandbox(1);
  await sandbox.ready();
  await eventually(() => gateway.asked.some(({ op }) => op === 'marks'));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(sandbox.turn(), undefined);
  answer();
  await eventually(() => sandbox.turn() !== undefined);

  const refused = await sessionWorld(context, { mounts });
  refused.gateway.reply = ({ id, op }) =>
    op === 'marks' ? { id, ok: false, error: 'storage', message: 'no' } : { id, ok: true };
  refused.say('hello');
  const other = await refused.sandbox(1);
  await other.ready();
  await eventually(() => other.killed);
  assert.equal(other.turn(), undefined);
});

test('a text for another chat is an act; where it was asked it is none', async (context) => {
  const made = await world(context, 'AB');
  const turn = await made.turn();
  assert.equal((await made.call(turn, 'send_message', { text: 'here' })).ok, true);
  assert.equal(made.has(), 'AB');
  assert.equal((await made.call(turn, 'send_message', { text: 'there', to: ELSEWHERE })).ok, true);
  assert.equal(made.has(), 'ABC');
  assert.equal(made.told().at(-1), 'marks ABC');
});

test('where it is enforced, a text for another chat waits, and what cannot be shown is refused', async (context) => {
  const made = await world(context, 'AB', ENFORCED);
  const { db } = made.ledger;
  const turn = await made.turn();
  const sent = await made.call(turn, 'send_message', { text: 'there', to: ELSEWHERE });
  assert.match(JSON.stringify(sent.value), /A person is asked before it is passed on/);
  const stateOf = (body: string) => db.get<{ state: string }>('SELECT state FROM outbound WHERE body = ?', body)?.state;
  assert.equal(stateOf('there'), 'held');
  const { object } = db.get<{ object: string }>("SELECT object FROM approvals WHERE kind = 'message'")!;
  const { to, text } = JSON.parse(object) as { to: string; text: string };
  assert.deepEqual([to, text], [ELSEWHERE, 'there']);
  const asked = await made.call(turn, 'ask', { question: 'there?', to: ELSEWHERE });
  assert.match(String(asked.value), /asks where it was asked/);
  const here = await made.call(turn, 'send_message', { text: 'here' });
  assert.equal(here.ok, true);
  assert.equal(stateOf('here'), 'queued');
  assert.equal(made.has(), 'AB');
});

test('a search brings the marks of the conversations that it finds, before their words', async (context) => {
  const made = await world(context, 'C');
  await made.ledger.write('seed', (db) => {
    const chat = ensureChat(db, 1, 'local', 'third', 'third');
    const { id } = ensureSession(db, 1, 'assistant', chat, '');
    addMarks(db, systemClock, { id, group_name: 'assistant' }, ['A', 'C'], 'test');
    addEntry(db, 1, id, null, 'person', 'Mallory', 'a wombat');
  });
  const turn = await made.turn();
  await made.call(turn, 'history_search', { words: 'nothing' });
  assert.equal(made.has(), 'C');
  assert.match(JSON.stringify((await made.call(turn, 'history_search', { words: 'wombat' })).value), /a wombat/);
  assert.equal(made.has(), 'AC');
  assert.equal(made.told().at(-1), 'marks AC');
});

test('where it is enforced, a search that would bring the third is refused', async (context) => {
  const made = await world(context, 'BC', ENFORCED);
  await made.ledger.write('seed', (db) => {
    const { id } = ensureSession(db, 1, 'assistant', ensureChat(db, 1, 'local', 'third', 'third'), '');
    addMarks(db, systemClock, { id, group_name: 'assistant' }, ['A'], 'test');
    addEntry(db, 1, id, null, 'person', 'Mallory', 'a wombat');
  });
  const turn = await made.turn();
  const found = await made.call(turn, 'history_search', { words: 'wombat' });
  assert.equal(found.ok, false);
  assert.doesNotMatch(JSON.stringify(found.value), /wombat/);
  assert.equal(made.has(), 'BC');
});

test('a session that is begun anew, or goes on from the ledger’s transcript, has its marks', async (context) => {
  const made = await world(context, 'AB');
  const turn = await made.turn();
  made.first.send({ t: 'done', turn, outcome: 'answered', text: 'well', resume: null });
  await eventually(() => made.session.state === 'idle');
  made.session.rest('a test');
  await eventually(() => made.session.state === 'cold');
  made.say('again');
  const second = await made.sandbox(2);
  await second.ready(false, false);
  await eventually(() => second.turn() !== undefined);
  assert.ok(second.turn()!.transcript.length > 0);
  assert.deepEqual(made.told(), ['open AB', 'open AB']);
});
