import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import type { Status } from '../../src/evidence/status.ts';
import { asked, askRow, isIn } from '../fakes/ask_kit.ts';
import { Talk } from '../fakes/talk.ts';
import { rows, Terminal } from '../fakes/terminal.ts';

/** Questions of agents in real sandboxes, and people who answer on a platform with buttons and in a terminal. */

const talk = await Talk.make();
const { install } = talk;

before(async () => {
  install.group('assistant', 'harness: probe\nlimits: {idle: 20s, turn: 2s}\n');
  await install.start();
  await talk.known('bob', 'member', 'assistant');
  await talk.known('carol', 'member', 'assistant');
  await talk.known('dora', null);
});
afterEach((context) => install.explain(context));
after(() => talk.end());

async function chatOf(name: string): Promise<string> {
  await talk.wire(name, 'assistant', { engage: 'always' });
  return name;
}

test('a press answers it, longer than a turn may last; trace, /why, status and transcript tell of it', async () => {
  const chat = await chatOf('press');
  const question = await asked(talk, chat, 'bob', 'Which one? | red | blue');
  assert.match(
    question.text,
    /^Which one\?\n {2}1\. red\n {2}2\. blue\n\(q\d+, open for 60 minutes\) Answer with the number/,
  );
  assert.deepEqual((await talk.call<Status>('status')).asks.waiting, 1);
  // The turn's own time is two seconds; it stands still meanwhile.
  await new Promise((resolve) => setTimeout(resolve, 2500));
  const press = await talk.press(chat, 'carol', question.token('blue'));
  await talk.hears(chat, /ok: \{"answer":"blue","by":"carol","option":2\}/);
  await talk.settles(press, `answered: answered question ${question.id}`);
  await talk.hears(chat, new RegExp(`^${question.id}: carol chose blue\\.$`));
  await talk.settles(question.asker, 'answered');
  const kinds = await talk.kinds(question.asker);
  assert.ok(kinds.indexOf('ask.asked') > 0 && kinds.indexOf('ask.answered') > kinds.indexOf('ask.asked'), kinds.join());
  assert.ok((await talk.kinds(press)).includes('ask.answered'));
  const answer = await talk.hears(chat, /ok: \{"answer":"blue"/);
  for (const { id } of [{ id: question.message }, answer]) {
    const from = (await talk.sent(chat)).length;
    await talk.say(chat, 'bob', '/why', { reply_to: id });
    await talk.hears(chat, new RegExp(`^m\\d+ from bob, [\\s\\S]*Asked ${question.id} in platform:press; carol`), from);
  }
  assert.deepEqual((await talk.call<Status>('status')).asks, { waiting: 0, oldest_ms: null });
  const said = rows<{ role: string; author: string; text: string }>(
    install,
    'SELECT role, author, text FROM transcript WHERE turn_id = (SELECT turn_id FROM asks WHERE id = ?) ORDER BY id',
    Number(question.id.slice(1)),
  );
  assert.deepEqual(
    said.slice(2, 4).map(({ role, author, text }) => [role, author, text]),
    [
      ['agent', '', 'Which one?\n  1. red\n  2. blue'],
      ['person', 'carol', 'blue'],
    ],
  );
});

test('/why names who answered, and what an answer was to', async () => {
  const chat = await chatOf('why');
  const question = await asked(talk, chat, 'bob', 'Sure?');
  await talk.settles(await talk.say(chat, 'bob', '/status'), 'answered: a command');
  const answer = await talk.say(chat, 'bob', 'quite');
  await talk.settles(question.asker, 'answered');
  const m = rows<{ id: number }>(install, 'SELECT id FROM messages WHERE platform_id = ?', question.asker)[0]!.id;
  await talk.say(chat, 'bob', `/why m${m}`);
  await talk.hears(chat, new RegExp(`Asked ${question.id} in platform:why; bob answered after `));
  const a = rows<{ id: number }>(install, 'SELECT id FROM messages WHERE platform_id = ?', answer)[0]!.id;
  await talk.say(chat, 'bob', `/why m${a}`);
  await talk.hears(chat, new RegExp(`no agent: answered \\(answered question ${question.id}\\)`));
});

test('words with the code answer it, a later answer is told whose it was, and a wrong choice what it takes', async () => {
  const chat = await chatOf('words');
  const question = await asked(talk, chat, 'bob', 'Which one? | red | blue');
  await talk.settles(
    await talk.say(chat, 'carol', `answer ${question.code} green`),
    'answered: an answer that was refused',
  );
  await talk.hears(chat, new RegExp(`^${question.id} takes one of its options: write 1 to 2\\.$`));
  await talk.settles(
    await talk.say(chat, 'carol', `Answer ${question.code.toUpperCase()} RED`),
    `answered: answered question ${question.id}`,
  );
  await talk.hears(chat, /ok: \{"answer":"red","by":"carol","option":1\}/);
  await talk.say(chat, 'bob', `answer ${question.code} 2`);
  await talk.hears(chat, new RegExp(`^${question.id} does not wait any more: carol answered it\\.$`));
  await talk.press(chat, 'bob', question.token('red'));
  assert.equal(askRow(talk, question.id).answer, 'red');
  assert.equal(talk.events('ask.refused').length, 3);
});

test('a reply to it is an answer, of anybody with a role', async () => {
  const chat = await chatOf('reply');
  const question = await asked(talk, chat, 'bob', 'What is it called?');
  const answer = await talk.say(chat, 'carol', 'The *name*', { reply_to: question.message, mention: false });
  await talk.settles(answer, `answered: answered question ${question.id}`);
  await talk.hears(chat, /ok: \{"answer":"The \*name\*","by":"carol"\}/);
});

test('the next message of who was asked answers it; others, commands and talk beside the options go where they always go', async () => {
  const chat = await chatOf('plain');
  const question = await asked(talk, chat, 'bob', 'Which one? | red | blue');
  await talk.say(chat, 'bob', '/help');
  await talk.say(chat, 'carol', 'red');
  await talk.say(chat, 'bob', 'what is the difference?');
  await talk.say(chat, 'bob', 'red', { thread: 'elsewhere' });
  assert.equal(askRow(talk, question.id).state, 'pending');
  const answer = await talk.say(chat, 'bob', ' BLUE ');
  await talk.settles(answer, `answered: answered question ${question.id}`);
  // What was said meanwhile has joined the turn, and is answered in it.
  const reply = await talk.hears(chat, /ok: \{"answer":"blue","by":"bob","option":2\}/);
  assert.match(reply.text, /You said: red\nYou said: what is the difference\?/);
});

test('nobody answers in time: the agent is told so, and whoever comes late', async () => {
  const chat = await chatOf('late');
  const question = await asked(talk, chat, 'bob', '0.02m Still there? | yes');
  await talk.hears(chat, /refused: nobody answered within 1 second/);
  await talk.press(chat, 'bob', question.token('yes'));
  await talk.hears(chat, new RegExp(`^${question.id} does not wait any more: nobody answered in time\\.$`));
  assert.deepEqual(askRow(talk, question.id), {
    state: 'expired',
    reason: 'nobody answered in time',
    answer: null,
    who: null,
  });
  assert.ok((await talk.kinds(question.asker)).includes('ask.ended'));
});

test('/stop withdraws it', async () => {
  const chat = await chatOf('stop');
  const question = await asked(talk, chat, 'bob', 'Go on? | yes');
  await talk.say(chat, 'carol', '/stop');
  await isIn(talk, question.id, 'cancelled');
  await talk.settles(question.asker, 'cancelled: stopped by carol');
  await talk.press(chat, 'bob', question.token('yes'));
  await talk.hears(chat, new RegExp(`^${question.id} does not wait any more: stopped by carol\\.$`));
  await talk.say(chat, 'bob', 'hello again');
  await talk.hears(chat, /You said: hello again/);
});

test('two at once: the first counts, the other is told whose it was', async () => {
  const chat = await chatOf('both');
  const question = await asked(talk, chat, 'bob', 'Which one? | red | blue');
  await Promise.all([
    talk.press(chat, 'bob', question.token('red')),
    talk.say(chat, 'carol', `answer ${question.code} blue`),
  ]);
  const { who, answer } = askRow(talk, question.id);
  assert.ok((who === 'bob' && answer === 'red') || (who === 'carol' && answer === 'blue'));
  await talk.hears(chat, new RegExp(`^${question.id} does not wait any more: ${who} answered it\\.$`));
  await talk.hears(chat, new RegExp(`ok: {"answer":"${answer}","by":"${who}"`));
});

test('forged, foreign and unknown presses and words change nothing, and are recorded', async () => {
  const [chat, other] = [await chatOf('forged'), await chatOf('other')];
  const question = await asked(talk, chat, 'bob', 'Which one? | red | blue');
  const before_ = talk.events('ask.refused').length;
  await talk.settles(await talk.press(chat, 'bob', 'AAAAAAAAAAAAAAAA'), 'answered: a decision that was refused');
  await talk.settles(await talk.press(other, 'bob', question.token('red')), 'answered: a decision that was refused');
  await talk.settles(await talk.say(other, 'bob', `answer ${question.code} 1`), 'answered: an answer that was refused');
  await talk.hears(other, new RegExp(`^There is no question ${question.code} in this chat\\.$`));
  await talk.settles(
    await talk.press(chat, 'zed', question.token('red')),
    'ignored: a button pressed by an unknown sender',
  );
  await talk.settles(await talk.say(chat, 'zed', `answer ${question.code} 1`), 'ignored: unknown sender');
  await talk.settles(await talk.press(chat, 'dora', question.token('red')), 'answered: an answer that was refused');
  await talk.hears(chat, new RegExp(`^Only people of assistant in this chat answer ${question.id}\\.$`));
  assert.equal(askRow(talk, question.id).state, 'pending');
  assert.equal(talk.events('ask.refused').length, before_ + 4);
  await talk.say(chat, 'bob', '1');
  await isIn(talk, question.id, 'answered');
});

test('in a public chat a stranger answers what their own message made the agent ask, and nothing else', async () => {
  const chat = await chatOf('public');
  await talk.policy(chat, 'public');
  const own = await asked(talk, chat, 'zed', 'Your size? | small | large');
  await talk.settles(
    await talk.press(chat, 'yan', own.token('small')),
    'ignored: a button pressed by an unknown sender',
  );
  await talk.say(chat, 'yan', 'large');
  assert.equal(askRow(talk, own.id).state, 'pending');
  await talk.settles(await talk.press(chat, 'zed', own.token('large')), `answered: answered question ${own.id}`);
  await talk.hears(chat, /ok: \{"answer":"large","by":"zed","option":2\}/);
});

test('a question that the platform refuses is withdrawn at once', async () => {
  const chat = await chatOf('refused');
  await talk.say(chat, 'bob', 'ask reject-me? | yes');
  await talk.hears(chat, /refused: the question was withdrawn: it was not delivered \(the platform refused the text\)/);
});

test('more questions than a person keeps apart are refused', async () => {
  const chat = await chatOf('many');
  for (const thread of ['1', '2', '3', '4', '5']) await talk.say(chat, 'bob', 'ask One? | a', { thread });
  await talk.hears(chat, /q\d+, open for[\s\S]*/);
  await talk.say(chat, 'bob', 'ask Six? | a', { thread: '6' });
  await talk.hears(chat, /refused: 5 questions wait in platform:many already; ask again later/);
  for (const thread of ['1', '2', '3', '4', '5']) await talk.say(chat, 'bob', 'a', { thread });
});

test('a run of a task asks in its chat, and whoever it runs for answers', async () => {
  const chat = await chatOf('tasks');
  const to = `platform:${chat}`;
  const { task } = await talk.call<{ task: string }>('task_add', {
    group: 'assistant',
    to,
    when: 'every 1h',
    text: 'ask Go? | yes',
  });
  await talk.call('task_run', { task });
  const { text } = await talk.hears(chat, /^Go\?/);
  await talk.say(chat, 'bob', `answer ${/answer ([0-9a-f]{4})/.exec(text)![1]} yes`);
  await talk.hears(chat, /ok: \{"answer":"yes","by":"bob","option":1\}/);
});

test('in a terminal a number is typed', async () => {
  const terminal = await Terminal.open(install.control, 'numbers');
  await terminal.say('ask Which one? | red | blue');
  await terminal.hears(/^Which one\?\n {2}1\. red\n {2}2\. blue\n/);
  await terminal.say('1', [{ name: 'a.txt', bytes: Buffer.from('a') }]);
  await terminal.say('2');
  await terminal.hears(/ok: \{"answer":"blue","by":"[^"]+","option":2\}/);
  terminal.close();
});

test('a card goes as such where there are some, and as a text everywhere; what cannot be seen in it is shown', async () => {
  const chat = await chatOf('cards');
  await talk.say(chat, 'bob', 'card Build 12\u202e | branch=main | result=ok = fine');
  const { text, card } = await talk.hears(chat, /^Build/);
  assert.equal(text, 'Build 12U+202E\nbranch: main\nresult: ok = fine');
  assert.deepEqual(card, {
    title: 'Build 12U+202E',
    text: '',
    fields: [
      { name: 'branch', value: 'main' },
      { name: 'result', value: 'ok = fine' },
    ],
  });
  await talk.hears(chat, /ok: \{"id":"o\d+"\}/);
  await talk.say(chat, 'bob', `card T${' | n=v'.repeat(21)}`);
  await talk.hears(chat, /refused: fields: /);
  const terminal = await Terminal.open(install.control, 'card');
  await terminal.say('card Build 13 | branch=main');
  await terminal.hears(/^Build 13\nbranch: main$/);
  terminal.close();
});

test('afterwards both laws hold', async () => {
  const { conservation } = await talk.call<Status>('status');
  assert.deepEqual(conservation.violations, []);
});
