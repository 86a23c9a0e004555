import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { ROOT } from '../../src/base/paths.ts';
import { Install, until } from '../fakes/install.ts';
import { rows, Terminal } from '../fakes/terminal.ts';

/** In a terminal, too, it is known what an answer is to, and what a word of a person is about. */

const install = new Install();

before(async () => {
  install.group('assistant', 'harness: probe\n');
  await install.start();
});
afterEach((context) => install.explain(context));
after(() => install.stop());

/** What each message of a chat that matches says that it answers. */
function answers(chat: Terminal, what: RegExp): unknown[] {
  const found = chat.lines.filter(({ t, body }) => t === 'message' && what.test(String(body)));
  return found.map((line) => line['answers']);
}

test('two answers at once each say what they are to; what answers nothing says so', async () => {
  const chat = await Terminal.open(install.control, 'both');
  const slow = await chat.say('sleep 1');
  const status = await chat.say('/status');
  await chat.hears(/slept 1 s/);
  assert.deepEqual(answers(chat, /slept 1 s/), [slow]);
  assert.deepEqual(answers(chat, /at work for|waiting/), [status]);
  await chat.say('send by the way');
  await chat.hears(/^by the way$/);
  assert.deepEqual(answers(chat, /^by the way$/), [null]);
});

test('`say` takes what it replies to, by the id of a message or of a text of ours, and of no other chat', async () => {
  const chat = await Terminal.open(install.control, 'replies');
  const first = await chat.say('hello');
  await chat.hears(/You said: hello/);
  await chat.say('and more');
  await chat.hears(/You said: and more/);
  const sql =
    "SELECT o.id FROM outbound o JOIN chats c ON c.id = o.chat_id WHERE c.platform_id = 'replies' ORDER BY o.id";
  const ours = `o${rows<{ id: number }>(install, sql)[0]!.id}`;
  for (const reply_to of [first, ours]) {
    const from = chat.heard.length;
    await install.control.call('say', { chat: 'replies', text: '/why', reply_to, key: `why-${reply_to}` });
    const heard = await until('it is told', async () => {
      assert.ok(chat.heard.length > from);
      return chat.heard.at(-1)!;
    });
    assert.match(heard.body, new RegExp(`^${first} from `));
  }
  const elsewhere = await Terminal.open(install.control, 'elsewhere');
  await install.control.call('say', { chat: 'elsewhere', text: '/why', reply_to: first, key: 'why-elsewhere' });
  await elsewhere.hears(/^I know of no such message in this chat\.$/);
  const unknown = { chat: 'replies', text: '/why', reply_to: 'm99999', key: 'why-unknown' };
  await assert.rejects(install.control.call('say', unknown), { code: 'not_found' });
});

const SCRIPT = '/usr/bin/script';

test('on the screen an answer that comes when more was said since shows what it is to', {
  skip: !existsSync(SCRIPT) && `no ${SCRIPT} here`,
}, async (context) => {
  const command = `'${process.execPath}' '${join(ROOT, 'src/cli/main.ts')}' chat --chat screen`;
  const { NO_COLOR: _, ...env } = process.env;
  const typed = spawn(SCRIPT, ['-qec', command, '/dev/null'], {
    env: { ...env, GLASS_HOME: install.paths.home, TERM: 'xterm' },
  });
  context.after(() => typed.kill());
  let seen = '';
  typed.stdout.on('data', (part) => {
    seen += part;
  });
  const shows = (what: RegExp) => until(`the screen shows ${what}`, async () => assert.match(seen, what));
  await shows(/Ctrl-D ends/);
  typed.stdin.write('hello\r');
  await shows(/You said: hello/);
  assert.doesNotMatch(seen, /↳/);
  typed.stdin.write('sleep 2\r');
  await until('it is said', async () => {
    const said = rows(install, "SELECT id FROM messages WHERE text = 'sleep 2'");
    assert.equal(said.length, 1);
  });
  typed.stdin.write('/status\r');
  await shows(/at work for/);
  await shows(/↳ sleep 2[\s\S]*slept 2 s/);
  assert.equal(seen.match(/↳/g)!.length, 1);
});
