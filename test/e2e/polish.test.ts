import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { TYPING_EVERY_MS } from '../../src/base/limits/messages.ts';
import { until } from '../fakes/install.ts';
import { Talk } from '../fakes/talk.ts';
import { rows } from '../fakes/terminal.ts';

/** What a chat shows and takes back, on a real host with real sandboxes; the platform writes HTML as Telegram does. */
const talk = await Talk.make(undefined, { GLASS_TEST_MARKUP: 'telegram-html' });
const { install } = talk;

before(async () => {
  install.group('assistant', 'harness: probe\nlimits: {idle: 60s}\n');
  await install.start();
  await talk.known('olga', 'owner');
  await talk.known('vera', 'admin');
});
afterEach((context) => install.explain(context));
after(() => talk.end());

async function chat(name: string): Promise<string> {
  await talk.wire(name, 'assistant', { engage: 'always', session: 'chat' });
  return name;
}

/** A message that keeps the session busy until the test is through with what waits behind it. */
async function busy(name: string, thread = ''): Promise<string> {
  const id = await talk.say(name, 'olga', 'sleep 4', { thread });
  await talk.settles(id, 'running');
  return id;
}

test('the platform’s menu shows the commands, as /help does', async () => {
  const menu = await until('the menu is there', async () => {
    const { menu } = await talk.journal();
    assert.ok(menu.length > 0);
    return menu;
  });
  await chat('helped');
  await talk.say('helped', 'vera', '/help');
  const { text } = await talk.hears('helped', /\/help/);
  assert.deepEqual(
    menu.filter(({ name, summary }) => !text.includes(`/${name}`) || summary === ''),
    [],
  );
  assert.ok(menu.some(({ name }) => name === 'stop'));
});

test('an answer is written in the dialect of its platform; the transcript keeps the Markdown', async () => {
  await chat('rich');
  const id = await talk.say('rich', 'olga', 'a <script> & **bold** `x<y`');
  const { text, quotes } = await talk.hears('rich', /You said/);
  assert.match(text, /<code>probe<\/code>/);
  assert.ok(text.endsWith('You said: a &lt;script&gt; &amp; <b>bold</b> <code>x&lt;y</code>'), text);
  assert.equal(quotes, id);
  const kept = rows<{ text: string }>(
    install,
    "SELECT text FROM transcript WHERE role = 'agent' ORDER BY id DESC LIMIT 1",
  );
  assert.ok(kept[0]!.text.endsWith('You said: a <script> & **bold** `x<y`'));
});

test('a long answer comes whole, in pieces that each stand for themselves', async () => {
  await chat('long');
  await talk.say('long', 'olga', `**${'word & '.repeat(1500)}**`);
  const pieces = await until('all of it has come', async () => {
    const sent = await talk.sent('long');
    if (
      sent
        .map(({ text }) => text)
        .join('')
        .split('word').length !== 1501
    )
      throw new Error(`${sent.length}`);
    return sent;
  });
  assert.ok(pieces.length > 3);
  for (const { text } of pieces) assert.ok(text.length <= 4000);
});

test('what waits behind a running turn can be edited by its author, and deleted; what runs cannot', async () => {
  await chat('waits');
  const running = await busy('waits', 'one');
  const edited = await talk.say('waits', 'olga', 'befor', { thread: 'two' });
  const deleted = await talk.say('waits', 'olga', 'never mind', { thread: 'two' });
  await talk.change('waits', 'olga', edited, { edit: 'after' });
  await talk.change('waits', 'mallory', edited, { edit: 'hijacked' });
  await talk.change('waits', 'olga', edited, { edit: '/stop' });
  await talk.change('waits', 'olga', deleted, { deleted: true });
  await talk.change('waits', 'olga', running, { edit: 'sleep 0' });
  await talk.hears('waits', /You said: after$/);
  await talk.settles(deleted, 'cancelled: the message was deleted');
  await talk.settles(running, 'answered');
  const heard = (await talk.sent('waits')).map(({ text }) => text).join('\n');
  assert.match(heard, /slept 4 s/);
  assert.doesNotMatch(heard, /befor\b|hijacked|never mind|stopped/);
  assert.ok((await talk.kinds(edited)).includes('message.edited'));
  assert.ok((await talk.kinds(running)).includes('message.change_late'));
});

test('a message that waits for a decision is answered as the card showed it, whatever it was edited to', async () => {
  await chat('doors');
  await talk.policy('doors', 'ask');
  const id = await talk.say('doors', 'bob', 'harmless');
  const card = await talk.card(id, 'dm-vera');
  await talk.change('doors', 'bob', id, { edit: 'harmful' });
  await talk.say('dm-vera', 'vera', `approve ${card.code}`);
  const { text } = await talk.hears('doors', /You said/);
  assert.match(text, /You said: harmless$/);
});

test('an agent reacts to the message that it answers, once; where a chat has no reactions it is told so', async () => {
  await chat('signs');
  const id = await talk.say('signs', 'olga', 'react 👍');
  await talk.hears('signs', /ok: /);
  const { reactions } = await talk.journal();
  assert.deepEqual(
    reactions.filter(({ message }) => message === id),
    [{ message: id, emoji: '👍' }],
  );
  const bad = await talk.say('signs', 'olga', 'react nonsense');
  await talk.hears('signs', /refused: emoji: must be one emoji/);
  assert.equal(
    (await talk.journal()).reactions.some(({ message }) => message === bad),
    false,
  );
  const client = install.glass('chat', 'react 👍');
  assert.match(client.stdout, /refused: local:main has no reactions; say it in words/);
});

test('an attempt after a death does not react once more', async () => {
  await chat('again');
  await busy('again', 'one');
  const id = await talk.say('again', 'olga', 'react 🎉 1', { thread: 'two' });
  await talk.say('again', 'olga', 'crash-once x', { thread: 'two' });
  const { text } = await talk.hears('again', /survived: x/);
  assert.match(text, /attempt 2; sent before: \[reaction 🎉\]/);
  assert.match(text, /"repeated":true/);
  const { reactions } = await talk.journal();
  assert.deepEqual(
    reactions.filter(({ emoji }) => emoji === '🎉'),
    [{ message: id, emoji: '🎉' }],
  );
});

test('a reaction of a person is on record', async () => {
  await chat('thanks');
  const id = await talk.say('thanks', 'olga', 'hello');
  await talk.change('thanks', 'olga', id, { emoji: '🎉' });
  assert.deepEqual(talk.events('message.reacted').at(-1), { emoji: '🎉', by: 'olga', removed: false });
});

test('while a turn runs its chat shows that somebody is busy, and not after it', async () => {
  await chat('works');
  await talk.say('works', 'olga', 'hello');
  await talk.hears('works', /You said/);
  const before = (await talk.journal()).typing.filter((sign) => sign.chat === 'works').length;
  const id = await talk.say('works', 'olga', 'sleep 5', { thread: 't' });
  await talk.settles(id, 'answered');
  const signs = (await talk.journal()).typing.filter((sign) => sign.chat === 'works').slice(before);
  assert.ok(signs.length >= 2 && signs.every(({ thread }) => thread === 't'), JSON.stringify(signs));
  await new Promise((resolve) => setTimeout(resolve, TYPING_EVERY_MS + 1000));
  assert.equal((await talk.journal()).typing.filter((sign) => sign.chat === 'works').length, before + signs.length);
});
