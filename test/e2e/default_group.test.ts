import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Install } from '../fakes/install.ts';
import { rows, Terminal } from '../fakes/terminal.ts';

/** Which group answers the operator's chats, over a change of `default_group`. */

const install = new Install();

before(async () => {
  for (const name of ['first', 'second']) install.group(name, 'harness: probe\n');
  install.install('default_group: first\n');
  await install.start();
});
afterEach((context) => install.explain(context));
after(() => install.stop());

async function say(...chats: string[]): Promise<void> {
  for (const chat of chats) {
    const terminal = await Terminal.open(install.control, chat);
    await terminal.say('hello');
    await terminal.hears(/You said: hello/);
    terminal.close();
  }
}

test('the main chat follows the default, another one stays with the group that it began with', async () => {
  await say('main', 'old');
  install.install('default_group: second\n');
  await install.end('host', 'SIGTERM');
  install.spawn('host');
  await install.ready();
  await say('main', 'old', 'new');
  const wired = rows<{ chat: string; name: string }>(
    install,
    'SELECT platform_id AS chat, group_name AS name FROM wirings JOIN chats ON chats.id = chat_id ORDER BY chat',
  );
  assert.deepEqual(
    wired.map(({ chat, name }) => `${chat} ${name}`),
    ['main second', 'new second', 'old first'],
  );
  const turns = rows<{ name: string }>(
    install,
    'SELECT group_name AS name FROM turns JOIN sessions ON sessions.id = session_id ORDER BY turns.id',
  );
  assert.deepEqual(
    turns.map(({ name }) => name),
    ['first', 'first', 'second', 'first', 'second'],
    'one group answers each message',
  );
});
