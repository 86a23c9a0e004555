import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { ROOT } from '../../src/base/paths.ts';
import type { Status } from '../../src/evidence/status.ts';
import { asked, askRow, isIn, shown } from '../fakes/ask_kit.ts';
import { until } from '../fakes/install.ts';
import { Talk } from '../fakes/talk.ts';

/** Whoever dies while an agent waits for a person: nobody is asked twice, and an answer is never lost. */

const talk = await Talk.make();
const { install } = talk;

before(() => prepare(talk));
afterEach((context) => install.explain(context));
after(() => talk.end());

async function prepare(on: Talk): Promise<void> {
  on.install.group('assistant', 'harness: probe\nlimits: {idle: 20s}\n');
  await on.install.start();
  await on.known('bob', 'member', 'assistant');
}

async function chatOf(name: string, on = talk): Promise<string> {
  await on.wire(name, 'assistant', { engage: 'always' });
  return name;
}

async function restart(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  await install.end('host', signal);
  install.spawn('host');
  await install.ready();
}

/** The sandbox that waits for an answer. */
async function waitingPid(): Promise<number> {
  const { sessions } = await talk.call<Status>('status');
  return sessions.find(({ state }) => state === 'running')!.pid!;
}

test('a sandbox that is killed while it asks: its next attempt waits for the same question', async () => {
  const chat = await chatOf('sandbox');
  const question = await asked(talk, chat, 'bob', 'Which one? | red | blue');
  process.kill(await waitingPid(), 'SIGKILL');
  await until('it is asked again', async () => assert.equal(talk.events('ask.repeated').length, 1));
  assert.equal(await shown(talk, chat), 1);
  await talk.press(chat, 'bob', question.token('red'));
  const reply = await talk.hears(chat, /attempt 2; sent before: [\s\S]*ok: \{"answer":"red","by":"bob","option":1\}/);
  assert.equal((await talk.sent(chat)).filter(({ text }) => text === reply.text).length, 1);
});

test('a host that is killed while it is asked: the question stays, and is answered after', async () => {
  const chat = await chatOf('host');
  const question = await asked(talk, chat, 'bob', 'Which one? | red | blue');
  await restart('SIGKILL');
  await talk.press(chat, 'bob', question.token('blue'));
  await talk.hears(chat, /ok: \{"answer":"blue","by":"bob","option":2\}/);
  assert.equal(await shown(talk, chat), 1);
});

test('a planned restart does not wait for a person: the turn goes back, and asks on', async () => {
  const chat = await chatOf('planned');
  const question = await asked(talk, chat, 'bob', 'Which one? | red | blue');
  const before_ = talk.events('turn.interrupted').length;
  await restart('SIGTERM');
  assert.deepEqual(talk.events('turn.interrupted').slice(before_), [{ reason: 'drain' }]);
  await talk.say(chat, 'bob', 'red');
  await talk.hears(chat, /ok: \{"answer":"red","by":"bob","option":1\}/);
  assert.equal(await shown(talk, chat), 1);
  await talk.settles(question.asker, 'answered');
});

test('what ran out while nobody was there is over, and the agent hears that', async () => {
  const chat = await chatOf('expired');
  const question = await asked(talk, chat, 'bob', '0.05m Still there?');
  await install.end('host', 'SIGKILL');
  await new Promise((resolve) => setTimeout(resolve, 3200));
  install.spawn('host');
  await install.ready();
  await isIn(talk, question.id, 'expired');
  await talk.hears(chat, /refused: nobody answered within 3 seconds/);
  assert.equal(await shown(talk, chat), 1);
});

test('a host that dies right after the answer is on disk: the next attempt is given it, once', async () => {
  const fault = { point: 'ledger.press:after', hit: 1, kill: ['host'] };
  const other = await Talk.make(ROOT, { GLASS_FAULT: JSON.stringify(fault) });
  try {
    await prepare(other);
    const chat = await chatOf('answered', other);
    const question = await asked(other, chat, 'bob', 'Which one? | red | blue');
    await other.press(chat, 'bob', question.token('blue'));
    await other.install.end('host', 'SIGKILL');
    assert.equal(askRow(other, question.id).answer, 'blue');
    assert.equal((await other.sent(chat)).length, 1, 'it died before anything came of the answer');
    // The platform tells of the press again.
    other.install.spawn('host', { GLASS_FAULT: undefined });
    await other.install.ready();
    await other.hears(chat, /ok: \{"answer":"blue","by":"bob","option":2\}/);
    assert.equal(await shown(other, chat), 1);
    assert.equal(other.count("SELECT count(*) AS n FROM events WHERE kind = 'ask.answered'"), 1);
  } finally {
    await other.end();
  }
});
