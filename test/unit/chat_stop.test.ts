import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { ensureSession } from '../../src/ledger/sessions.ts';
import { closeTurn, joinTurn, openTurn, recordDeath } from '../../src/sessions/turn_book.ts';
import { ending, running, commandWorld as world } from '../fakes/command_world.ts';
import { inboundStates, queueMessage, queueOutbound, seedChat, TAKES } from '../fakes/ledger_kit.ts';

/** `/stop` and `/resume`: what is over, what is kept, what is held, and what counts no more. */

test('/stop cancels the running turn and what waits, holds what has not left, and says so', async (context) => {
  const own = await world(context);
  const turn = await running(own, 'work', 'more');
  await own.ledger.write('test', (db) => {
    queueMessage(db, own.session, 'later');
    queueOutbound(db, own.session.chat_id, ['half done'], { session: own.session.id, kind: 'send' });
  });
  const [receipt] = await own.say('/stop');
  assert.equal(
    receipt,
    'Stopped assistant, which was at 2 messages. Nothing of it had been sent. ' +
      '1 message not sent yet: held, /resume sends. 1 waiting message: dropped.',
  );
  assert.deepEqual(inboundStates(own.ledger.db), ['cancelled', 'cancelled', 'cancelled', 'answered']);
  assert.deepEqual(own.done, [`stop ${own.session.id} ${turn.id}: stopped by alice`]);
  assert.deepEqual(
    own.ledger.db
      .all('SELECT DISTINCT reason FROM inbound WHERE state = ?', 'cancelled')
      .map((row) => ({ ...(row as object) })),
    [{ reason: 'stopped by alice' }],
  );
});

test('/stop keep leaves what waits in the queue', async (context) => {
  const own = await world(context);
  await running(own, 'work');
  await own.ledger.write('test', (db) => queueMessage(db, own.session, 'later'));
  assert.match((await own.say('/stop keep'))[0]!, /1 waiting message: kept\.$/);
  assert.deepEqual(inboundStates(own.ledger.db), ['cancelled', 'queued', 'answered']);
});

test('/stop keep keeps what has joined the turn and was not seen; what was seen is cancelled', async (context) => {
  const untaken: number[] = [];
  const own = await world(context, { untaken });
  const turn = await running(own, 'work');
  await own.ledger.write('test', (db) => {
    queueMessage(db, own.session, 'seen');
    untaken.push(queueMessage(db, own.session, 'unseen'));
    joinTurn(db, systemClock, own.session.id, turn.id);
  });
  assert.deepEqual(inboundStates(own.ledger.db), ['running', 'running', 'running']);
  assert.match((await own.say('/stop keep'))[0]!, /was at 2 messages\. .* 1 waiting message: kept\.$/);
  assert.deepEqual(inboundStates(own.ledger.db), ['cancelled', 'cancelled', 'queued', 'answered']);
});

test('/stop reaches a turn whose conversation was left by /new', async (context) => {
  const own = await world(context);
  const turn = await running(own, 'work');
  await own.say('/new');
  assert.match((await own.say('/stop'))[0]!, /^Stopped assistant, which was at 1 message/);
  assert.deepEqual(own.done.at(-1), `stop ${own.session.id} ${turn.id}: stopped by alice`);
  assert.deepEqual(inboundStates(own.ledger.db), ['cancelled', 'answered', 'answered']);
});

test('/stop of a conversation that spans chats tells the other chat, and /resume sends what was held there', async (context) => {
  const own = await world(context);
  const { db } = own.ledger;
  const other = await own.ledger.write('test', () => {
    db.run("UPDATE wirings SET cut = 'group'");
    const elsewhere = seedChat(db, 'local', 'elsewhere');
    db.run("UPDATE wirings SET cut = 'group'");
    const shared = ensureSession(db, 0, 'assistant', elsewhere.chat_id, '', 'group').id;
    queueMessage(db, { ...elsewhere, id: shared }, 'asked elsewhere');
    queueOutbound(db, elsewhere.chat_id, ['for elsewhere'], { session: shared, kind: 'send' });
    return elsewhere.chat_id;
  });
  assert.match((await own.say('/stop')).join('\n'), /another chat\.[\s\S]*1 message not sent yet: held/);
  const told = db.get<{ chat_id: number }>("SELECT chat_id FROM outbound WHERE body LIKE 'What was asked here%'");
  assert.equal(told?.chat_id, other);
  assert.deepEqual(await own.say('/resume'), ['1 message that /stop held back is sent now.']);
  assert.deepEqual(own.done, [`deliver ${other}`, `deliver ${other}`]);
});

test('/stop of nothing says so', async (context) => {
  const { say } = await world(context);
  assert.deepEqual(await say('/stop'), ['Nothing is running here.']);
});

test('/stop reaches a turn between two attempts: there is no next one', async (context) => {
  const own = await world(context);
  const turn = await running(own, 'work');
  await own.ledger.write('test', (db) =>
    recordDeath(db, systemClock, { session: own.session, takes: () => TAKES }, turn, 'died'),
  );
  await own.say('/stop');
  assert.deepEqual(inboundStates(own.ledger.db), ['cancelled', 'answered']);
  const again = await own.ledger.write('test', (db) =>
    openTurn(db, systemClock, { session: own.session, harness: 'probe', warm: true, reseed: false }),
  );
  assert.equal(again, undefined);
});

test('what a stopped turn says afterwards counts for nothing', async (context) => {
  const own = await world(context);
  const turn = await running(own, 'work');
  await own.ledger.write('test', (db) => queueMessage(db, own.session, 'later'));
  await own.say('/stop keep');
  const replies = await own.ledger.write('test', (db) => {
    assert.deepEqual(joinTurn(db, systemClock, own.session.id, turn.id), [], 'nothing joins it');
    return closeTurn(db, systemClock, ending(own, turn));
  });
  assert.deepEqual(replies, []);
  assert.equal(
    await own.ledger.write('test', (db) =>
      recordDeath(db, systemClock, { session: own.session, takes: () => TAKES }, turn, 'killed'),
    ),
    undefined,
  );
  assert.deepEqual(inboundStates(own.ledger.db), ['cancelled', 'queued', 'answered']);
});

test('the next turn is told that the one before it was stopped', async (context) => {
  const own = await world(context);
  await running(own, 'work');
  await own.say('/stop');
  const next = await running(own, 'and now?');
  assert.deepEqual(
    next.notices.map(({ text }) => text),
    ['Your turn was stopped by alice. Do not go on with it unless you are asked to.'],
  );
});

test('/resume sends what was held, once, in its old order', async (context) => {
  const own = await world(context);
  await own.ledger.write('test', (db) =>
    queueOutbound(db, own.session.chat_id, ['one', 'two'], { session: own.session.id, kind: 'send' }),
  );
  await own.say('/stop');
  assert.deepEqual(await own.say('/resume'), ['2 messages that /stop held back are sent now.']);
  const sends = own.ledger.db
    .all("SELECT body, state, error FROM outbound WHERE kind = 'send' ORDER BY id")
    .map((row) => ({ ...(row as object) }));
  assert.deepEqual(sends, [
    { body: 'one', state: 'queued', error: null },
    { body: 'two', state: 'queued', error: null },
  ]);
  assert.deepEqual(own.done, [`deliver ${own.session.chat_id}`]);
  assert.deepEqual(await own.say('/resume'), ['Nothing is held back here.']);
});

test('the receipt of /stop names what the turn changed outside', async (context) => {
  const row = {
    ...{ id: 1, session: 's1', group: 'assistant', at_ms: 1, ended_ms: 2, rule: 'r', secret: null, model: null },
    ...{ request_bytes: 0, response_bytes: 0, input_tokens: null, output_tokens: null, cost_micros: 0 },
    ...{
      method: 'POST',
      host: 'api.example.com',
      path: '/pulls',
      decision: 'allow' as const,
      status: 201,
      service: 'git',
    },
  };
  const audit = [row, { ...row, method: 'GET' }, { ...row, decision: 'deny' as const }, { ...row, service: null }];
  const own = await world(context, { audit });
  await running(own, 'work');
  assert.match(
    (await own.say('/stop'))[0]!,
    /1 request of it had changed something outside, the last: POST api\.example\.com\/pulls 201\./,
  );
});

test('a gateway that does not answer delays no stop', async (context) => {
  const own = await world(context, { audit: 'silent' });
  await running(own, 'work');
  assert.match((await own.say('/stop'))[0]!, /^Stopped assistant/);
});
