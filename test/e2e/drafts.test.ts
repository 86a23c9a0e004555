import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { DRAFT_EVERY_MS } from '../../src/base/limits/messages.ts';
import type { Status } from '../../src/evidence/status.ts';
import { until } from '../fakes/install.ts';
import { type Sent, Talk } from '../fakes/talk.ts';
import { rows } from '../fakes/terminal.ts';

/** A long answer in a chat whose messages can be edited, on a real host with real sandboxes. */
const talk = await Talk.make();
const { install } = talk;
const WORDS = Array.from({ length: 60 }, (_, i) => `word${i}`).join(' ');

before(async () => {
  install.group('assistant', 'harness: probe\nlimits: {idle: 60s}\n');
  await install.start();
  await talk.known('olga', 'owner');
});
afterEach((context) => install.explain(context));
after(async () => {
  const { conservation } = await talk.call<Status>('status').finally(() => talk.end());
  assert.deepEqual([conservation.violations, conservation.unheard], [[], 0]);
});

async function chat(name: string): Promise<string> {
  await talk.wire(name, 'assistant', { engage: 'always', session: 'chat' });
  return name;
}

/** The first words of an answer, as the chat shows them. */
function begun(name: string): Promise<Sent> {
  return talk.hears(name, /word0.* …$/s);
}

/** States of all drafts of a chat. */
function drafts(name: string): string[] {
  const sql = `SELECT d.state FROM drafts d JOIN chats c ON c.id = d.chat_id WHERE c.platform_id = ? ORDER BY turn_id`;
  return rows<{ state: string }>(install, sql, name).map(({ state }) => state);
}

/** The outcome of a delivery is committed after the platform shows it. */
function ends(name: string, ...states: string[]): Promise<void> {
  return until(`the drafts of ${name}`, async () => assert.deepEqual(drafts(name), states));
}

/** A turn of several messages: they wait behind one that keeps the session busy. */
async function together(name: string, ...texts: string[]): Promise<void> {
  const first = await talk.say(name, 'olga', 'sleep 2', { thread: 'first' });
  await talk.settles(first, 'running');
  for (const text of texts) await talk.say(name, 'olga', text, { thread: 'then' });
}

test('a long answer is one message: its beginning, edited as it grows, and in the end all of it', async () => {
  await chat('grows');
  const id = await talk.say('grows', 'olga', `stream 10 ${WORDS}`);
  const { quotes } = await begun('grows');
  assert.equal(quotes, id);
  await talk.settles(id, 'answered');
  const { text, texts } = await talk.hears('grows', /word59$/);
  assert.ok(text.endsWith(WORDS), text);
  assert.ok(texts!.length >= 2 && texts!.every((one) => one.endsWith(' …')), JSON.stringify(texts));
  assert.equal((await talk.sent('grows')).length, 1);
  await ends('grows', 'replaced');
  const kinds = await talk.kinds(id);
  for (const kind of ['draft.sending', 'draft.shown', 'reply.queued']) assert.ok(kinds.includes(kind), kind);
  assert.equal(talk.events('delivery.sent').at(-1)!['edited'], true);
});

test('a short answer comes whole, however long it takes', async () => {
  await chat('short');
  await talk.say('short', 'olga', 'stream 6 hello');
  const { texts } = await talk.hears('short', /hello$/);
  assert.equal(texts, undefined);
  assert.deepEqual(drafts('short'), []);
});

test('of an answer of several messages the first one takes the place of what was shown', async () => {
  await chat('long');
  await talk.say('long', 'olga', `stream 6 ${'word0 '.repeat(1500)}end`);
  await begun('long');
  await talk.hears('long', /end$/);
  const [first, ...others] = await talk.sent('long');
  assert.ok(first!.texts!.length >= 1);
  assert.ok(others.length >= 2 && others.every(({ texts }) => texts === undefined));
  const whole = [first!, ...others].map(({ text }) => text).join(' ');
  assert.equal(whole.split('word0').length, 1501);
  assert.doesNotMatch(whole, /…/);
});

test('a sandbox that dies over an answer leaves its beginning to the next attempt', async () => {
  await chat('dies');
  const id = await talk.say('dies', 'olga', `stream 8 ${WORDS}`);
  await begun('dies');
  const { sessions } = await talk.call<Status>('status');
  const own = rows<{ session: string }>(
    install,
    "SELECT 's' || s.id AS session FROM sessions s JOIN chats c ON c.id = s.chat_id WHERE c.platform_id = 'dies'",
  )[0]!.session;
  process.kill(sessions.find(({ session }) => session === own)!.pid!, 'SIGKILL');
  await talk.settles(id, 'answered');
  const { text } = await talk.hears('dies', /word59$/);
  assert.match(text, /attempt 2; sent before: nothing/);
  assert.equal((await talk.sent('dies')).length, 1);
  await ends('dies', 'replaced');
});

test('a host that dies over an answer finds what it has shown', async () => {
  await chat('falls');
  const id = await talk.say('falls', 'olga', `stream 8 ${WORDS}`);
  await begun('falls');
  await install.end('host', 'SIGKILL');
  install.spawn('host');
  await install.ready();
  await talk.settles(id, 'answered');
  await talk.hears('falls', /word59$/);
  assert.equal((await talk.sent('falls')).length, 1);
  await ends('falls', 'replaced');
});

test('after /stop the chat says that the answer was not finished, and nothing more of it comes', async () => {
  await chat('stops');
  const id = await talk.say('stops', 'olga', `stream 40 ${WORDS}`);
  await begun('stops');
  await talk.say('stops', 'olga', '/stop');
  const { texts } = await talk.hears('stops', /^\[Stopped before the answer was finished\.\]$/);
  await talk.settles(id, 'cancelled: stopped by olga');
  await new Promise((resolve) => setTimeout(resolve, 3 * DRAFT_EVERY_MS));
  const after = await talk.hears('stops', /^\[Stopped/);
  assert.equal(after.texts!.length, texts!.length);
  await ends('stops', 'replaced');
});

test('an agent that decides not to answer takes back what was shown', async () => {
  await chat('quiet');
  await together('quiet', `stream 6 ${WORDS}`, 'silent');
  await begun('quiet');
  await talk.hears('quiet', /^\[The agent decided not to answer\.\]$/);
  await ends('quiet', 'replaced');
});

test('a turn that is taken apart says so where its answer was begun', async () => {
  await chat('parts');
  await together('parts', `stream 4 ${WORDS}`, 'crash');
  await talk.hears('parts', /^\[Interrupted: these messages are answered one by one\.\]$/);
  await talk.hears('parts', /word59$/);
  await talk.hears('parts', /^That message could not be answered/);
  const sent = await talk.sent('parts');
  assert.ok(
    sent.every(({ text }) => !text.endsWith(' …')),
    JSON.stringify(sent),
  );
});

test('where the platform refuses the edit, the answer is a message of its own', async () => {
  await chat('fixed');
  await talk.say('fixed', 'olga', `stream 8 ${WORDS} uneditable`);
  await begun('fixed');
  await talk.hears('fixed', /uneditable$/);
  const sent = await talk.sent('fixed');
  assert.equal(sent.length, 2);
  assert.ok(sent[0]!.text.endsWith(' …') && sent[1]!.text.endsWith('uneditable'));
  await ends('fixed', 'refused');
});

test('a channel whose messages cannot be edited gets the answer once, whole', () => {
  const { stdout } = install.glass('chat', `stream 5 ${WORDS}`);
  assert.equal(stdout.split('word59').length, 2, stdout);
  assert.deepEqual(drafts('main'), []);
});

test('where the operator wants no drafts there are none', async (context) => {
  const other = await Talk.make();
  context.after(() => other.end());
  other.install.install('drafts: false\n');
  other.install.group('assistant', 'harness: probe\n');
  await other.install.start();
  await other.known('olga', 'owner');
  await other.wire('plain', 'assistant', { engage: 'always' });
  await other.say('plain', 'olga', `stream 5 ${WORDS}`);
  const { texts } = await other.hears('plain', /word59$/);
  assert.equal(texts, undefined);
  await until('the reply is on record', async () => {
    assert.equal(other.count("SELECT count(*) AS n FROM outbound WHERE state = 'sent' AND kind = 'reply'"), 1);
  });
  assert.equal(other.count('SELECT count(*) AS n FROM drafts'), 0);
});
