import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { LOCAL_ACK_MS } from '../../src/base/limits/messages.ts';
import { Install, until } from '../fakes/install.ts';
import { rows, Terminal } from '../fakes/terminal.ts';

/** What a terminal has shown is sent, and nothing else is; what was said before it came it can ask for. */

const install = new Install();

before(async () => {
  install.group('assistant', 'harness: probe\n');
  await install.start();
});
afterEach((context) => install.explain(context));
after(() => install.stop());

function stateOf(chat: string): { state: string; error: string } | undefined {
  return rows<{ state: string; error: string }>(
    install,
    'SELECT o.state, o.error FROM outbound o JOIN chats c ON c.id = o.chat_id WHERE c.platform_id = ?',
    chat,
  )[0];
}

/** A terminal that hears and never says that it has. */
function mute(chat: string): { heard: string[]; close(): void } {
  const ended = new AbortController();
  const heard: string[] = [];
  const onRow = ({ t, body }: Record<string, unknown>): void => {
    if (t === 'message') heard.push(String(body));
  };
  void install.control.stream('chat', { chat }, onRow, ended.signal).catch(() => {});
  return { heard, close: () => ended.abort() };
}

test('what a terminal was given and has not shown waits, and comes again to one that shows it', async () => {
  const first = mute('unshown');
  await install.control.call('say', { chat: 'unshown', text: 'hello', key: 'unshown-1' });
  await until('it is given', async () => assert.match(first.heard.join(), /You said: hello/));
  assert.notEqual(stateOf('unshown')?.state, 'sent');
  await sleep(LOCAL_ACK_MS);
  await until('it waits', async () => assert.equal(stateOf('unshown')?.state, 'queued'));
  const second = await Terminal.open(install.control, 'unshown');
  await second.hears(/You said: hello/);
  await until('it is sent', async () => assert.equal(stateOf('unshown')?.state, 'sent'));
  assert.equal(second.heard.length, 1);
  first.close();
  second.close();
});

test('a terminal that goes before it has shown something leaves it waiting', async () => {
  const gone = mute('gone');
  await install.control.call('say', { chat: 'gone', text: 'hello', key: 'gone-1' });
  await until('it is given', async () => assert.match(gone.heard.join(), /You said: hello/));
  gone.close();
  await until('it waits', async () => assert.equal(stateOf('gone')?.state, 'queued'));
  const back = await Terminal.open(install.control, 'gone');
  await back.hears(/You said: hello/);
  back.close();
});

test('after the death of the host a terminal is shown what was said before, in its order, each once', async () => {
  const before = await Terminal.open(install.control, 'past');
  for (const word of ['one', 'two', 'three']) {
    await before.say(word);
    await before.hears(new RegExp(`You said: ${word}`));
  }
  await until('all is sent', async () =>
    assert.deepEqual(
      rows(
        install,
        "SELECT 1 FROM outbound o JOIN chats c ON c.id = o.chat_id WHERE c.platform_id = 'past' AND o.state <> 'sent'",
      ),
      [],
    ),
  );
  before.close();
  await install.end('host', 'SIGKILL');
  install.spawn('host');
  await install.ready();
  const whole = await pastOf(20);
  assert.deepEqual(
    whole.map(({ body }) => /\b(one|two|three)$/.exec(body)?.[1]),
    ['one', 'one', 'two', 'two', 'three', 'three'],
  );
  assert.equal(new Set(whole.map(({ key }) => key)).size, whole.length);
  // The third is what was said to look at the past before.
  assert.deepEqual(await pastOf(3), whole.slice(-2));
});

/** What a terminal that opens the chat is shown of the past. Nothing of it comes as new. */
async function pastOf(history: number): Promise<{ key: string; body: string }[]> {
  const chat = await Terminal.open(install.control, 'past', { history });
  await chat.say('silent');
  await until('what is new has been looked at', async () =>
    assert.deepEqual(
      rows(
        install,
        "SELECT 1 FROM inbound i JOIN messages m ON m.id = i.message_id WHERE m.text = 'silent' AND i.state <> 'silent'",
      ),
      [],
    ),
  );
  chat.close();
  assert.deepEqual(chat.heard, []);
  return chat.lines
    .filter(({ t, body }) => t === 'history' && body !== 'silent')
    .map(({ key, body }) => ({ key: String(key), body: String(body) }));
}
