import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Inbox } from '../../src/channels/whatsapp-linked/inbox.ts';
import { CHAINS_MAX } from '../../src/channels/whatsapp-linked/limits.ts';
import { SealedStore } from '../../src/channels/whatsapp-linked/store.ts';
import { until } from '../fakes/install.ts';
import { rows } from '../fakes/terminal.ts';
import { KEY } from '../fakes/whatsapp_linked/account.ts';
import { WireInstall } from '../fakes/whatsapp_linked/wire.ts';

/**
 * A linked device as a whole: the real host, the driver in its thread, the real Baileys, and WhatsApp's wire to a server on this
 * machine. What people say and hear is encrypted on their phones and on our device, and nowhere else.
 */
const DEATHS = 3;
const BURST = 50;
let world: WireInstall;
/** What is said after something else is another text each time. */
let asides = 0;

before(async () => {
  world = await WireInstall.start();
});
afterEach((context) => {
  world.server.onReceipt = () => 'came';
  world.install.explain(context);
});
after(() => world?.end());

/** Resolves when each was answered, and then something that was said after them. */
async function answered(texts: readonly string[]): Promise<void> {
  for (const text of texts) await until(`"${text}" is answered`, async () => assert.ok(world.answers(text) > 0));
  const last = `after ${texts.at(-1) ?? 'that'} ${asides++}`;
  await world.say(last);
  await until('what comes after it is answered', async () => assert.equal(world.answers(last), 1));
}

function counted(texts: readonly string[]): [text: string, answers: number][] {
  return texts.map((text) => [text, world.answers(text)]);
}

/** What was answered, in the order in which the phone has read it. */
function answersWith(word: string): string[] {
  return world
    .heard()
    .flatMap((said) => said.split('\n').flatMap((line) => line.match(`^You said: (${word} .*)$`)?.[1] ?? []));
}

test('what a phone has encrypted is answered; that phone reads the answer, and the phone of our account does', async () => {
  const { server, person, own } = world;
  const id = await world.say('hello there');
  await until('both have read it', async () =>
    assert.deepEqual(
      [person, own].map(
        (phone) => server.heard.filter(({ by, text }) => by === phone && /hello there/.test(text)).length,
      ),
      [1, 1],
    ),
  );
  assert.deepEqual([server.receipts, server.retries, server.waiting], [[id], [], []]);
  assert.equal(new Set(server.heard.map(({ id: sent }) => sent)).size, 1, 'it is one message');
  await world.say('and again');
  await until('it goes on', async () => assert.equal(world.answers('and again'), 1));
});

test('what is kept of a chat does not grow with what is said in it', async () => {
  for (let said = 0; said < 2 * CHAINS_MAX; said += 1) {
    await world.say(`word ${said}`);
    await until('it is answered', async () => assert.equal(world.answers(`word ${said}`), 1));
  }
  const store = SealedStore.open(world.folder, KEY);
  const records = store.all('session') as [string, { _sessions: Record<string, { _chains: object }> }][];
  store.close();
  const chains = records.flatMap(([, { _sessions }]) =>
    Object.values(_sessions).map((each) => Object.keys(each._chains)),
  );
  assert.ok(chains.length > 0);
  for (const each of chains) assert.ok(each.length <= CHAINS_MAX + 1, `${each.length} chains of one session`);
});

test('WhatsApp is told that a message has come only when no crash can lose it', async () => {
  const { server, install } = world;
  for (let round = 0; round < DEATHS; round += 1) {
    const text = `said before death ${round}`;
    server.onReceipt = () => {
      process.kill(install.pid('host'), 'SIGKILL');
      return 'came';
    };
    const id = await world.say(text);
    await install.died('host');
    server.onReceipt = () => 'came';
    assert.ok(server.receipts.includes(id) && server.waiting.length === 0, 'WhatsApp has forgotten it');
    const store = SealedStore.open(world.folder, KEY);
    const kept = new Inbox(store).left().filter(({ key }) => key.id === id).length;
    store.close();
    const taken = rows(install, 'SELECT 1 FROM messages WHERE text = ?', text).length;
    assert.ok(kept + taken > 0, 'it is in the inbox or in the ledger');
    install.spawn('host');
    await install.ready();
    await world.connected();
    // Its answer may have been on its way when the host died.
    await until(`"${text}" is answered`, async () => assert.ok(world.answers(text) > 0 || isUnsure(text)));
    await answered([]);
    assert.ok(world.answers(text) === 1 || (world.answers(text) === 0 && isUnsure(text)));
  }
});

test('the connection is cut and comes back: what was said meanwhile is answered once, in its order', async () => {
  const { server } = world;
  const { connections } = server;
  const texts = ['away one', 'away two', 'away three'];
  server.close();
  for (const text of texts) await world.say(text);
  await sleep(200);
  assert.deepEqual(
    counted(texts),
    texts.map((text) => [text, 0]),
  );
  await server.start();
  await answered(texts);
  assert.deepEqual(answersWith('away'), texts);
  assert.ok(server.connections > connections);
});

test('what is said while the device hears what has waited comes behind it', async () => {
  const { server, person } = world;
  const waited = Array.from({ length: BURST }, (_, at) => `order ${at}`);
  const live = Array.from({ length: BURST }, (_, at) => `order ${BURST + at}`);
  server.close();
  for (const text of waited) await world.say(text);
  const written = [];
  for (const text of live) written.push(await server.written(person, text));
  await server.start();
  await until('it comes back', async () => assert.ok(server.isOpen));
  for (const stanza of written) {
    server.post(stanza);
    await sleep(1);
  }
  await answered([...waited, ...live]);
  assert.deepEqual(
    endsOf('order'),
    [...waited, ...live].map((text) => [text, 'answered']),
  );
});

test('a receipt is lost with its connection: the message comes again, and is answered once', async () => {
  const { server } = world;
  // Answered when the device has seen the cut: of what leaves into it nobody knows whether it has arrived.
  for (const seconds of ['1.1', '1.2']) {
    const text = `sleep ${seconds}`;
    const answers = (): number => world.heard().filter((said) => said.includes(`slept ${seconds} s`)).length;
    const lost: string[] = [];
    server.onReceipt = (id) => {
      if (lost.length > 0) return 'came';
      lost.push(id);
      server.cut();
      return 'lost';
    };
    const id = await world.say(text);
    await until('the receipt is lost', async () => assert.deepEqual(lost, [id]));
    await until('it came again, and WhatsApp has forgotten it', async () => assert.deepEqual(server.waiting, []));
    await until('it is answered', async () => assert.ok(answers() > 0));
    await answered([]);
    assert.equal(answers(), 1);
    assert.equal(rows(world.install, 'SELECT 1 FROM messages WHERE text = ?', text).length, 1);
  }
});

test('an answer that crosses what a person wrote before they saw it is read, and the next one too', async () => {
  const { install, server, person } = world;
  // What is encrypted with whom is agreed on anew with the first answer of a life.
  await install.end('host', 'SIGTERM');
  install.spawn('host');
  await install.ready();
  await world.connected();
  const before = server.unreadable.length;
  const crossing = [await server.written(person, 'crossing one'), await server.written(person, 'crossing two')];
  await world.say('crossed');
  await until('it is answered', async () => assert.equal(world.answers('crossed'), 1));
  for (const stanza of crossing) {
    server.post(stanza);
    await until('it is answered', async () => assert.equal(world.answers(stanza.text), 1));
  }
  await answered(['crossed']);
  assert.deepEqual([...server.unread.keys()], []);
  assert.equal(server.unreadable.length, before, 'each is read at first');
});

test('the host is killed while messages come: none is lost, none is answered twice', async (context) => {
  const { install, server } = world;
  const texts: string[] = [];
  let isOver = false;
  const talking = (async () => {
    for (let at = 0; !isOver; at += 1) {
      texts.push(`rain ${at}`);
      await world.say(`rain ${at}`);
      await sleep(60);
    }
  })();
  try {
    for (let death = 0; death < DEATHS; death += 1) {
      const { length } = server.receipts;
      await until('some have come', async () => assert.ok(server.receipts.length >= length + 5));
      await install.end('host', 'SIGKILL');
      install.spawn('host');
      await install.ready();
    }
  } finally {
    isOver = true;
    await talking;
  }
  await until('all have come to their end', async () =>
    assert.deepEqual(new Map(endsOf('rain')), new Map(texts.map((text) => [text, 'answered']))),
  );
  assert.equal(endsOf('rain').length, texts.length, 'each is in the ledger once');
  await answered([texts.at(-1)!]);
  for (const [text, answers] of counted(texts))
    assert.ok(answers === 1 || (answers === 0 && isUnsure(text)), `${text}: ${answers}`);
  const uncertain = unsure();
  context.diagnostic(
    `${texts.length} messages, ${uncertain.length} answers uncertain, ${server.retries.length} asked for again by the device, ${server.unreadable.length} by phones`,
  );
});

/** Answers of which it is not known whether they have left: they are not sent again. */
function unsure(): string[] {
  const found = rows<{ body: string }>(world.install, "SELECT body FROM outbound WHERE state = 'uncertain'");
  return found.map(({ body }) => body);
}

function isUnsure(text: string): boolean {
  return unsure().some((body) => body.split('\n').includes(`You said: ${text}`));
}

/** Each message of that word, and what became of it, in the order of the ledger. */
function endsOf(word: string): [text: string, state: string][] {
  return rows<{ text: string; state: string }>(
    world.install,
    'SELECT m.text, i.state FROM messages m JOIN inbound i ON i.message_id = m.id WHERE m.text LIKE ? ORDER BY m.id',
    `${word} %`,
  ).map(({ text, state }) => [text, state]);
}

test('what comes in a burst keeps its order', async () => {
  const texts = Array.from({ length: BURST }, (_, at) => `burst ${at}`);
  for (const text of texts) await world.say(text);
  await until('all are answered', async () => assert.deepEqual(answersWith('burst'), texts));
  assert.deepEqual(
    endsOf('burst'),
    texts.map((text) => [text, 'answered']),
  );
});

test('what phones could not read was sent again; the device has said nothing that WhatsApp does not know', (context) => {
  const { faults, unread, unreadable } = world.server;
  assert.deepEqual([faults, [...unread.keys()]], [[], []]);
  context.diagnostic(`${unreadable.length} could not be read at first`);
});
