import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { ensureChat, ensureGroup, wire } from '../../src/ledger/chats.ts';
import { conservation } from '../../src/ledger/conservation.ts';
import { endHeld, finishSending, holdForApproval, markSending, releaseUnsent } from '../../src/ledger/outbound.ts';
import { addRole, ensurePerson } from '../../src/ledger/people.ts';
import { ensureSession, type SessionRow, sessionById, sessionsWithWork } from '../../src/ledger/sessions.ts';
import { isStopped } from '../../src/ledger/stops.ts';
import { beginTurn } from '../../src/ledger/turns.ts';
import type { Emergency } from '../../src/operations/emergency.ts';
import { closeTurn } from '../../src/sessions/turn_book.ts';
import { emergencyOf } from '../fakes/chat_commands.ts';
import { type CommandWorld, commandWorld, ending, running } from '../fakes/command_world.ts';
import { inboundStates, queueMessage, queueOutbound } from '../fakes/ledger_kit.ts';

/** The emergency stop on a real ledger: what is over, what waits, what is held, and who may say so. */

interface World extends CommandWorld {
  emergency: Emergency;
  /** The state of each outbound row of an agent, oldest first. */
  texts(): string[];
  /** A session of another group. */
  helper: SessionRow;
}

async function world(context: TestContext): Promise<World> {
  const own = await commandWorld(context);
  const { db } = own.ledger;
  const now = systemClock.now();
  ensurePerson(db, now, 'local', 'olga', 'Olga', 'owner');
  ensurePerson(db, now, 'local', 'adam', 'Adam', 'admin', 'assistant');
  ensureGroup(db, now, 'helper', null);
  const chat = ensureChat(db, now, 'local', 'help', 'help');
  wire(db, chat, 'helper', 'always');
  const helper = sessionById(db, ensureSession(db, now, 'helper', chat, '').id)!;
  const texts = (): string[] =>
    db
      .all<{ state: string }>('SELECT state FROM outbound WHERE session_id IS NOT NULL ORDER BY id')
      .map(({ state }) => state);
  return { ...own, emergency: emergencyOf(own.ledger, own.done), texts, helper };
}

function write({ ledger, session }: World, body: string): number {
  return queueOutbound(ledger.db, session.chat_id, [body], { session: session.id, kind: 'send' })[0]!;
}

/** Resolves when the chat that asked for a stop has been told what came of it. */
async function receiptIn({ ledger }: World): Promise<void> {
  const sql = "SELECT body FROM outbound WHERE kind = 'notice' ORDER BY id DESC LIMIT 1";
  for (let i = 0; i < 1000; i += 1) {
    if (/^Nothing could leave any more after/.test(ledger.db.get<{ body: string }>(sql)!.body)) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail('nobody was told');
}

function events({ ledger }: World, kind: string): unknown[] {
  return ledger.db
    .all<{ data: string }>('SELECT data FROM events WHERE kind = ? ORDER BY id', kind)
    .map(({ data }) => JSON.parse(data));
}

test('a stop cancels what runs, keeps what waits and holds what has not left; the receipt says so', async (context) => {
  const own = await world(context);
  const turn = await running(own, 'work');
  const waiting = queueMessage(own.ledger.db, own.session, 'later');
  const sent = write(own, 'sent');
  const flying = write(own, 'flying');
  write(own, 'queued');
  markSending(own.ledger.db, 1, sent);
  finishSending(own.ledger.db, 1234, sent, { state: 'sent', receipt: 'r1' });
  markSending(own.ledger.db, 1, flying);
  const receipt = await own.emergency.stop('assistant', 'olga');
  assert.deepEqual(own.texts(), ['sent', 'sending', 'held']);
  assert.deepEqual(inboundStates(own.ledger.db), ['cancelled', 'queued']);
  const { ms, stopped_ms, ...rest } = receipt;
  assert.ok(ms !== null && Math.abs(stopped_ms - systemClock.now()) < 60_000);
  assert.deepEqual(rest, {
    ...{
      group: 'assistant',
      by: 'olga',
      again: false,
      turns: [`t${turn.id}`],
      sandboxes: [],
      cut: [],
      egress: 'closed',
    },
    ...{ held: 1, waiting: 1, sending: [{ message: `o${flying}`, to: 'local:main' }] },
    ...{ last_message: { message: `o${sent}`, to: 'local:main', at_ms: 1234 }, last_request: null },
  });
  assert.deepEqual(
    own.emergency.list().map(({ group, by, held, waiting: n, receipt: kept }) => [group, by, held, n, kept]),
    [['assistant', 'olga', 1, 1, receipt]],
  );
  assert.equal(own.done[0], 'halt assistant: its group was stopped by olga');
  assert.equal(beginTurn(own.ledger.db, 1, own.session.id, 'probe'), undefined);
  assert.deepEqual(sessionsWithWork(own.ledger.db), []);
  // The answer that was under way counts for nothing.
  await own.ledger.write('test', (db) => assert.deepEqual(closeTurn(db, systemClock, ending(own, turn)), []));
  own.done.length = 0;
  assert.deepEqual(await own.emergency.resume('assistant', 'olga', false), {
    ...{ group: 'assistant', by: 'olga', released: [{ to: 'local:main', texts: 1 }], dropped: 0, waiting: 1 },
  });
  assert.deepEqual(own.done, [`deliver ${own.session.chat_id}`, `wake ${own.session.id}`, 'go on']);
  assert.deepEqual(own.texts(), ['sent', 'sending', 'queued']);
  assert.equal(beginTurn(own.ledger.db, 1, own.session.id, 'probe')?.messages[0]?.inbound_id, waiting);
  assert.deepEqual(conservation(own.ledger.db, systemClock.now()).violations, []);
});

test('whoever writes or releases a text of a stopped group, it is held', async (context) => {
  const own = await world(context);
  const { db } = own.ledger;
  const flying = write(own, 'flying');
  markSending(db, 1, flying);
  const asked = write(own, 'asked');
  holdForApproval(db, [asked], insertApprovalRow(own));
  await own.emergency.stop(null, 'olga');
  write(own, 'new');
  finishSending(db, 1, flying, { state: 'retry', error: 'x', not_before_ms: 5 });
  endHeld(db, 1, 1, null);
  assert.deepEqual(own.texts(), ['held', 'held', 'held']);
  db.run("UPDATE approvals SET state = 'done'");
  releaseUnsent(db, 1, own.session.chat_id, [own.session.id], ['assistant']);
  assert.deepEqual(own.texts(), ['held', 'held', 'held']);
  const [notice] = queueOutbound(db, own.session.chat_id, ['of the host itself']);
  assert.equal(db.get<{ state: string }>('SELECT state FROM outbound WHERE id = ?', notice!)!.state, 'queued');
  assert.equal((await own.emergency.resume(null, 'olga', false)).released[0]!.texts, 3);
  assert.deepEqual(own.texts(), ['queued', 'queued', 'queued']);
});

function insertApprovalRow({ ledger }: World): number {
  return ledger.db.insert(
    "INSERT INTO approvals (kind, object_hash, object, state, asked_by, created_ms, expires_ms) VALUES ('message', '', '{}', 'pending', 'm1', 1, 2)",
  );
}

test('what is dropped at the resume never leaves, and is no answer that nobody heard', async (context) => {
  const own = await world(context);
  const turn = await running(own, 'work');
  await own.ledger.write('test', (db) => closeTurn(db, systemClock, ending(own, turn)));
  await own.emergency.stop('assistant', 'olga');
  const { released, dropped } = await own.emergency.resume('assistant', 'olga', true);
  assert.deepEqual([released, dropped, own.texts()], [[], 1, ['rejected']]);
  assert.equal(conservation(own.ledger.db, systemClock.now()).unheard, 0);
  // The check of the evidence asks for it where a text had been tried before.
  assert.deepEqual(events(own, 'delivery.rejected'), [{ class: 'dropped', reason: 'dropped by olga' }]);
});

test('a group that was removed while it was stopped can go on', async (context) => {
  const own = await world(context);
  const groups = ['assistant', 'helper'];
  const emergency = emergencyOf(own.ledger, own.done, { groups: () => groups });
  await emergency.stop('helper', 'olga');
  groups.pop();
  await emergency.resume('helper', 'olga', false);
  await assert.rejects(emergency.resume('helper', 'olga', false), { code: 'not_found' });
});

test('one group that goes on leaves the others stopped, each by itself', async (context) => {
  const own = await world(context);
  await own.emergency.stop(null, 'olga');
  assert.deepEqual(
    ['assistant', 'helper', 'made-later'].map((group) => isStopped(own.ledger.db, group)),
    [true, true, true],
  );
  await own.emergency.resume('assistant', 'olga', false);
  assert.deepEqual(
    ['assistant', 'helper'].map((group) => isStopped(own.ledger.db, group)),
    [false, true],
  );
  await own.emergency.resume(null, 'olga', false);
  assert.equal(isStopped(own.ledger.db, 'helper'), false);
});

test('two stops at once are one, told to both; a resume between them holds', async (context) => {
  const own = await world(context);
  const both = await Promise.all([own.emergency.stop('assistant', 'olga'), own.emergency.stop('assistant', 'adam')]);
  assert.deepEqual(
    both.map(({ by, again }) => [by, again]),
    [
      ['olga', false],
      ['olga', true],
    ],
  );
  const [, resumed] = await Promise.all([
    own.emergency.stop('helper', 'olga'),
    own.emergency.resume('helper', 'olga', false),
  ]);
  assert.equal(resumed.group, 'helper');
  assert.equal(isStopped(own.ledger.db, 'helper'), false);
  await assert.rejects(own.emergency.resume('helper', 'olga', false), /not stopped/);
  for (const act of ['stop', 'resume'] as const)
    await assert.rejects(own.emergency[act]('nobody', 'olga', false), { code: 'not_found' });
});

test('writers are told once a chat, and their messages wait', async (context) => {
  const own = await world(context);
  await own.emergency.stop('assistant', 'olga');
  assert.deepEqual(await own.say('one'), [
    'assistant is stopped for now. Your message is kept, and is answered when assistant goes on.',
  ]);
  assert.deepEqual(await own.say('two'), []);
  assert.deepEqual(inboundStates(own.ledger.db), ['queued', 'queued']);
  assert.deepEqual(await own.say('/resume'), [
    'assistant: stopped as a whole; an owner lets it go on with /resume group <name> or /resume all.',
  ]);
  const late = systemClock.now() + 3_600_000;
  assert.equal(conservation(own.ledger.db, late).overdue.inbound, 0);
  await own.emergency.resume('assistant', 'olga', false);
  assert.equal(conservation(own.ledger.db, late).overdue.inbound, 2);
  await own.emergency.stop('assistant', 'olga');
  assert.equal((await own.say('three')).length, 1);
});

test('/stop all and /resume all are an owner’s, from any chat; who administers a group stops that one', async (context) => {
  const own = await world(context);
  const { db } = own.ledger;
  const elsewhere = { chat: 'nobody-answers-here' };
  assert.deepEqual(await own.say('/stop all', { handle: 'alice' }), ['/stop all is for owners: nothing was done.']);
  assert.deepEqual(await own.say('/stop group assistant', { handle: 'alice' }), [
    '/stop group assistant is for who administers assistant: nothing was done.',
  ]);
  assert.deepEqual(await own.say('/stop all', { handle: 'adam' }), ['/stop all is for owners: nothing was done.']);
  assert.deepEqual(await own.say('/stop all', { handle: 'stranger', ...elsewhere }), []);
  assert.equal(isStopped(db, 'assistant'), false);
  assert.deepEqual(
    events(own, 'stop.refused').map((data) => (data as { what: string }).what),
    [...['/stop all', '/stop group assistant', '/stop all']],
  );
  assert.match(
    (await own.say('/stop group assistant', { handle: 'adam', ...elsewhere }))[0]!,
    /^assistant is stopped: 0 running/,
  );
  assert.equal(isStopped(db, 'assistant'), true);
  await receiptIn(own);
  assert.deepEqual(await own.say('/resume group assistant', { handle: 'adam' }), [
    '/resume group assistant is for owners: nothing was done.',
  ]);
  assert.deepEqual(await own.say('/stop group nobody', { handle: 'olga', ...elsewhere }), [
    'There is no group nobody; nothing was done.',
  ]);
  assert.match(
    (await own.say('/resume group assistant', { handle: 'olga', ...elsewhere }))[0]!,
    /^assistant goes on: /,
  );
  assert.match((await own.say('/stop all', { handle: 'olga', ...elsewhere }))[0]!, /^Every group is stopped: /);
  await receiptIn(own);
  assert.equal(isStopped(db, 'helper'), true);
  assert.match((await own.say('/resume all', { handle: 'olga', ...elsewhere }))[0]!, /^All groups go on: /);
  assert.equal(isStopped(db, 'helper'), false);
});

test('who has a role everywhere, but owns nothing, does not stop everything', async (context) => {
  const own = await world(context);
  const adam = own.ledger.db.get<{ person_id: number }>("SELECT person_id FROM identities WHERE handle = 'adam'")!;
  addRole(own.ledger.db, adam.person_id, 'admin', '');
  await own.say('/stop all', { handle: 'adam' });
  assert.equal(isStopped(own.ledger.db, 'helper'), false);
});

test('whoever has a turn cancelled by it hears of it where they asked', async (context) => {
  const own = await world(context);
  await running(own, 'work');
  await own.emergency.stop(null, 'olga');
  const told = own.ledger.db.all<{ body: string }>("SELECT body FROM outbound WHERE kind = 'notice'");
  assert.deepEqual(
    told.map(({ body }) => body),
    ['assistant is stopped: what was asked here is over.'],
  );
  assert.ok(own.done.includes(`deliver ${own.session.chat_id}`));
});

test('a gateway that does not say that it has closed the ways out leaves it uncertain', async (context) => {
  const own = await world(context);
  const cut = [{ method: 'POST', host: 'api.example.com', path: '/x' }];
  const answers = [Promise.resolve(cut), Promise.resolve(null)];
  const emergency = emergencyOf(own.ledger, own.done, {
    halt: () => answers.map((answer, at) => ({ session: `s${at + 1}`, cut: answer, gone: Promise.resolve() })),
    requests: () => Promise.reject(new Error('the gateway is gone')),
  });
  const receipt = await emergency.stop('assistant', 'olga');
  assert.deepEqual([receipt.ms, receipt.egress, receipt.sandboxes], [null, 'unanswered', ['s1', 's2']]);
  assert.deepEqual(receipt.cut, [{ session: 's1', ...cut[0]! }]);
  // With nobody left to end, it is the gateway that is asked.
  const again = emergencyOf(own.ledger, own.done, { requests: () => Promise.reject(new Error('still gone')) });
  const { ms, egress } = await again.stop('assistant', 'olga');
  assert.deepEqual([ms, egress], [null, 'unanswered']);
});
