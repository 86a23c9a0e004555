import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { conservation } from '../../src/ledger/conservation.ts';
import type { Db } from '../../src/ledger/db.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { ensurePerson } from '../../src/ledger/people.ts';
import { ensureSession, type SessionRow } from '../../src/ledger/sessions.ts';
import { Intake } from '../../src/router/intake.ts';
import { Router } from '../../src/router/router.ts';
import { closeTurn, joinTurn, type OpenedTurn, openTurn, recordDeath } from '../../src/sessions/turn_book.ts';
import { chatCommands } from '../fakes/chat_commands.ts';
import {
  freshLedger,
  inboundStates,
  NOBODY_DECIDES,
  queueMessage,
  queueOutbound,
  ROUTER_EFFECTS,
  seedChat,
  temporaryFolder,
} from '../fakes/ledger_kit.ts';

interface World {
  ledger: Ledger;
  session: SessionRow;
  /** What the commands did outside of the ledger, in order. */
  done: string[];
  /** Says something as alice; resolves with the answers of the platform. */
  say(
    text: string,
    part?: { handle?: string; key?: string; reply_to?: string; chat?: string; addressed?: boolean },
  ): Promise<string[]>;
}

let keys = 0;

async function world(context: TestContext, facts: Parameters<typeof chatCommands>[2] = {}): Promise<World> {
  const ledger = await freshLedger(context);
  const session = await ledger.write('seed', (db) => seedChat(db));
  const done: string[] = [];
  const commands = chatCommands(ledger, done, facts);
  const folder = temporaryFolder(context);
  const router = new Router(ledger, systemClock, folder, ROUTER_EFFECTS, NOBODY_DECIDES, commands);
  const intake = new Intake(ledger, router, {
    wake: (id) => done.push(`wake ${id}`),
    deliver: () => {},
    asked: () => {},
  });
  const say: World['say'] = async (text, { handle = 'alice', key, reply_to, chat = 'main', addressed = true } = {}) => {
    keys += 1;
    const before = notices(ledger.db).length;
    await intake.sinkOf('local').accept({
      dedupe_key: key ?? `command:${keys}`,
      chat: { platform_id: chat, title: chat },
      thread: '',
      sender: { handle, name: handle },
      addressed,
      platform_id: `said-${keys}`,
      text,
      files: [],
      sent_ms: 1,
      ...(reply_to === undefined ? {} : { reply_to }),
    });
    assert.deepEqual(conservation(ledger.db, systemClock.now()).violations, []);
    return notices(ledger.db).slice(before);
  };
  return { ledger, session, done, say };
}

function notices(db: Db): string[] {
  return db
    .all<{ body: string }>("SELECT body FROM outbound WHERE kind = 'notice' ORDER BY id")
    .map(({ body }) => body);
}

/** A turn that runs over these messages. */
function running({ ledger, session }: World, ...texts: string[]): Promise<OpenedTurn> {
  return ledger.write('test', (db) => {
    for (const text of texts) queueMessage(db, session, text);
    return openTurn(db, systemClock, { session, harness: 'probe', warm: true, reseed: false })!;
  });
}

function ending(own: World, turn: OpenedTurn) {
  const taken = [{ ids: turn.messages.map((message) => message.inbound_id), at_us: 0 }];
  const place = { session: own.session, textMax: () => 1000 };
  return {
    ...place,
    turn,
    harness: 'probe',
    taken,
    tools: [],
    outcome: 'answered' as const,
    text: 'done',
    resume: null,
  };
}

test('/help lists what a member may, and admins more', async (context) => {
  const { say, ledger } = await world(context);
  const [member] = await say('/help');
  assert.match(member!, /Everything else goes to assistant\.\n\/help: [\s\S]*\/stop \[keep\]: /);
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

test('/stop of nothing says so', async (context) => {
  const { say } = await world(context);
  assert.deepEqual(await say('/stop'), ['Nothing is running here.']);
});

test('/stop reaches a turn between two attempts: there is no next one', async (context) => {
  const own = await world(context);
  const turn = await running(own, 'work');
  await own.ledger.write('test', (db) =>
    recordDeath(db, systemClock, { session: own.session, textMax: () => 1000 }, turn, 'died'),
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
      recordDeath(db, systemClock, { session: own.session, textMax: () => 1000 }, turn, 'killed'),
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
