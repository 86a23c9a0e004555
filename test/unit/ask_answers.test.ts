import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { ASK_ANSWER_BYTES_MAX } from '../../src/base/limits/talk.ts';
import type { IncomingMessage } from '../../src/channels/channel.ts';
import { type AskRow, askById, askShown, insertAsk } from '../../src/ledger/asks.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { inboundOf } from '../../src/ledger/messages.ts';
import { ensurePerson } from '../../src/ledger/people.ts';
import { Answers } from '../../src/router/answers.ts';
import { Intake } from '../../src/router/intake.ts';
import { Router } from '../../src/router/router.ts';
import { openTurn } from '../../src/sessions/turn_book.ts';
import { chatCommands } from '../fakes/chat_commands.ts';
import {
  freshLedger,
  NOBODY_DECIDES,
  queueMessage,
  queueOutbound,
  ROUTER_EFFECTS,
  seedChat,
  temporaryFolder,
} from '../fakes/ledger_kit.ts';

/** What the router takes for an answer: a real ledger with a clock of the test's own. */

interface World {
  ledger: Ledger;
  ask: () => AskRow;
  /** Groups that were spoken to, and questions whose end was told. */
  told: (string | number)[];
  /** The row of a message, as `state: reason`. */
  say(text: string, more?: Partial<IncomingMessage>): Promise<string>;
  later(ms: number): void;
  /** What the host itself said in the chat. */
  heard(): string[];
}

let made = 0;

/** Alice has asked the agent of her chat something; it asks back, for an hour. Bob is a member too. */
async function asked(context: TestContext, options: string[], thread = ''): Promise<World> {
  const ledger = await freshLedger(context);
  let offset = 0;
  const clock: Clock = { ...systemClock, now: () => systemClock.now() + offset };
  const told: World['told'] = [];
  const effects = { ...ROUTER_EFFECTS, spoken: (group: string) => told.push(group) };
  const answers = new Answers({ clock, ...effects }, (ask) => told.push(ask));
  const blobs = temporaryFolder(context);
  const router = new Router(ledger, clock, blobs, effects, NOBODY_DECIDES, chatCommands(ledger, []), answers);
  const sink = new Intake(ledger, router, { wake: () => {}, deliver: () => {}, asked: () => {} }).sinkOf('local');
  const id = await ledger.write('seed', (db) => {
    const session = seedChat(db);
    ensurePerson(db, 0, 'local', 'bob', 'Bob', 'member', 'assistant');
    queueMessage(db, session, 'hello');
    db.run('UPDATE messages SET thread = ?', thread);
    const turn = openTurn(db, clock, { session, harness: 'probe', warm: true, reseed: false })!;
    const now = clock.now();
    const ask = insertAsk(db, {
      ...{ session_id: session.id, turn_id: turn.id, attempt: 1, ordinal: 1, hash: 'h', group_name: 'assistant' },
      ...{ chat_id: session.chat_id, thread, question: 'Which?', options: JSON.stringify(options), minutes: 60 },
      ...{ created_ms: now, expires_ms: now + 3_600_000 },
    });
    const [out] = queueOutbound(db, session.chat_id, ['Which?'], { session: session.id, kind: 'send' });
    db.run("UPDATE outbound SET state = 'sent', receipt = 'r7' WHERE id = ?", out!);
    askShown(db, ask.id, out!);
    return ask.id;
  });
  return {
    ...{ ledger, told },
    ask: () => askById(ledger.db, id),
    later: (ms) => {
      offset += ms;
    },
    say: async (text, more = {}) => {
      made += 1;
      const { message } = await sink.accept({
        ...{ dedupe_key: `x${made}`, platform_id: `x${made}`, chat: { platform_id: 'main', title: 'main' }, thread },
        ...{ sender: { handle: 'alice', name: 'Alice' }, text, files: [], sent_ms: 0, addressed: true, ...more },
      });
      const { state, reason } = inboundOf(ledger.db, message)[0]!;
      return reason === '' ? state : `${state}: ${reason}`;
    },
    heard: () =>
      ledger.db
        .all<{ body: string }>("SELECT body FROM outbound WHERE kind = 'notice' ORDER BY id")
        .map((row) => row.body),
  };
}

const BOB = { sender: { handle: 'bob', name: 'Bob' } };
const ANSWERED = 'answered: answered question q1';
const REFUSED = 'answered: an answer that was refused';

test('an answer is told to whoever waits, and counts as a word to the group', async (context) => {
  const world = await asked(context, ['red', 'blue']);
  assert.equal(await world.say('2'), ANSWERED);
  const { state, answer, chosen, who } = world.ask();
  assert.deepEqual([state, answer, chosen, who], ['answered', 'blue', 2, 'Alice']);
  assert.deepEqual(world.told, ['assistant', 1]);
  assert.deepEqual(world.heard(), [], 'the agent’s going on says it');
});

const NO_ANSWERS: [what: string, text: string, more: Partial<IncomingMessage>][] = [
  ['somebody else’s', 'red', BOB],
  ['in another thread', 'red', { thread: 'elsewhere' }],
  ['with a file', 'red', { files: [{ name: 'a', data: Buffer.from('a') }] }],
  ['to another message', 'red', { reply_to: 'r8' }],
  ['beside the options', 'green', {}],
];

for (const [what, text, more] of NO_ANSWERS)
  test(`a message ${what} is for the agent as always`, async (context) => {
    const world = await asked(context, ['red', 'blue']);
    assert.equal(await world.say(text, more), 'queued');
    assert.equal(world.ask().state, 'pending');
  });

test('free words: a command is none, nor what is too long', async (context) => {
  const world = await asked(context, []);
  assert.equal(await world.say('/status'), 'answered: a command');
  assert.equal(await world.say('/nonsense'), 'answered: a command');
  const long = 'x'.repeat(ASK_ANSWER_BYTES_MAX + 1);
  assert.equal(await world.say(long), 'queued');
  assert.equal(await world.say(`answer ${world.ask().code} ${long}`), REFUSED);
  assert.deepEqual(world.heard().at(-1), 'q1 takes an answer of at most 16 KiB.');
  assert.equal(world.ask().state, 'pending');
  assert.equal(await world.say('whatever you think'), ANSWERED);
});

test('words and replies after its time are late, also before anybody has written that down', async (context) => {
  const world = await asked(context, ['red', 'blue']);
  world.later(3_600_000);
  assert.equal(await world.say('red'), 'queued', 'a plain word is for the agent again');
  assert.equal(await world.say(`answer ${world.ask().code} red`, BOB), REFUSED);
  assert.equal(await world.say('red', { reply_to: 'r7' }), REFUSED);
  assert.deepEqual(world.heard(), Array(2).fill('q1 does not wait any more: nobody answered in time.'));
  assert.equal(world.ask().state, 'expired');
  assert.ok(world.told.includes(1), 'whoever waits hears of the end');
});

test('a reply in free words that comes too late is a message to the agent', async (context) => {
  const world = await asked(context, []);
  assert.equal(await world.say('mine', { ...BOB, reply_to: 'r7' }), ANSWERED);
  assert.equal(await world.say('and mine', { reply_to: 'r7' }), 'queued');
  assert.equal(world.ask().answer, 'mine');
});

test('a code that nothing has is refused to people we know, and is talk of others', async (context) => {
  const world = await asked(context, ['red']);
  const code = world.ask().code === '1a2b' ? '2b1a' : '1a2b';
  assert.equal(await world.say(`answer ${code} red`), REFUSED);
  assert.deepEqual(world.heard(), [`There is no question ${code} in this chat.`]);
  const zed = { sender: { handle: 'zed', name: 'Zed' } };
  assert.equal(await world.say(`answer ${code} red`, zed), 'ignored: unknown sender');
  assert.equal(await world.say(`answer ${world.ask().code} red`, zed), 'ignored: unknown sender');
  assert.equal(world.ask().state, 'pending');
});

test('a group that does not listen to somebody in a chat takes no answer of theirs there', async (context) => {
  const world = await asked(context, ['red']);
  world.ledger.db.run("UPDATE wirings SET senders = 'admins'");
  assert.equal(await world.say(`answer ${world.ask().code} red`), REFUSED);
  assert.deepEqual(world.heard(), ['Only people of assistant in this chat answer q1.']);
  world.ledger.db.run('DELETE FROM wirings');
  assert.equal(await world.say(`answer ${world.ask().code} red`), REFUSED);
  assert.equal(world.ask().state, 'pending');
});

test('the same message again is the same answer', async (context) => {
  const world = await asked(context, ['red', 'blue']);
  assert.equal(await world.say('red', { dedupe_key: 'same' }), ANSWERED);
  assert.equal(await world.say('red', { dedupe_key: 'same' }), ANSWERED);
  assert.equal(world.ledger.db.all("SELECT 1 FROM events WHERE kind = 'ask.answered'").length, 1);
});
