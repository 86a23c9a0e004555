import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT } from '../../src/base/paths.ts';
import type { Status } from '../../src/evidence/status.ts';
import { Install, until } from '../fakes/install.ts';
import { startModel, wordByWord } from '../fakes/model.ts';
import { rows, sessionOf, Terminal } from '../fakes/terminal.ts';

/** An answer that terminals see while it is written, from a model that takes its time. */
const install = new Install();
const model = await startModel();
const WORDS = Array.from({ length: 60 }, (_, i) => `word${i}`).join(' ');
const SLOWLY_MS = 40;

before(async () => {
  const upstream = `{provider: anthropic, name: scripted, upstream: "${model.origin}", secret: anthropic}`;
  install.group('assistant', `harness: native\nmodel: ${upstream}\n`);
  await install.start();
  await install.secret('anthropic', 'fake-secret-value');
});
afterEach((context) => install.explain(context));
after(async () => {
  try {
    const { conservation } = await install.control.call<Status>('status');
    assert.deepEqual([conservation.violations, conservation.unheard], [[], 0]);
  } finally {
    await install.stop();
    await model.close();
  }
});

/** The next answer: as slow as a model, or stuck after `words` until it is told to go on. */
function answers(stop: number | null = null): () => void {
  const gate = Promise.withResolvers<void>();
  let words = 0;
  model.script = wordByWord(WORDS, async () => {
    words += 1;
    if (words === stop) await gate.promise;
    await sleep(stop === null ? SLOWLY_MS : 0);
  });
  return gate.resolve;
}

const watching = (chat: string): Promise<Terminal> => Terminal.open(install.control, chat, { partial: true });

/** What a terminal was told of answers, in order: their parts, '' where one ends, and the messages. */
function told(terminal: Terminal): { t: string; text: string }[] {
  return terminal.lines
    .filter(({ t }) => t === 'partial' || t === 'message')
    .map((line) => ({ t: String(line['t']), text: String(line['t'] === 'partial' ? line['text'] : line['body']) }));
}

function sees(terminal: Terminal): Promise<void> {
  return until(`${terminal.chat} sees something of an answer`, async () => assert.ok(told(terminal).length > 0));
}

test('an answer is seen while it is written, then it is a message, once; nothing of that is in a row', async () => {
  answers();
  const terminal = await watching('grows');
  await terminal.say('tell me');
  await terminal.hears(/word59$/);
  const all = told(terminal);
  const parts = all.slice(0, -2);
  assert.ok(parts.length >= 3 && parts.every(({ t }) => t === 'partial'), JSON.stringify(all));
  for (const [at, { text }] of parts.entries())
    assert.ok(WORDS.startsWith(text) && text.length > (parts[at - 1]?.text.length ?? 0), text);
  assert.deepEqual(all.slice(-2), [
    { t: 'partial', text: '' },
    { t: 'message', text: WORDS },
  ]);
  assert.equal(terminal.heard.length, 1);
  terminal.close();
  await until('it is sent', async () => {
    const of = `FROM outbound o JOIN chats c ON c.id = o.chat_id WHERE c.platform_id = 'grows'`;
    assert.deepEqual(
      rows(install, `SELECT o.state ${of}`).map((row) => ({ ...(row as object) })),
      [{ state: 'sent' }],
    );
  });
  assert.deepEqual(rows(install, 'SELECT turn_id FROM drafts'), []);
  assert.deepEqual(rows(install, "SELECT kind FROM events WHERE kind LIKE 'draft.%'"), []);
});

test('a terminal that joins in the middle sees at once what there is; one that did not ask sees none of it', async () => {
  const goOn = answers(30);
  const [first, plain] = [await watching('joins'), await Terminal.open(install.control, 'joins')];
  await first.say('tell me');
  await sees(first);
  const second = await watching('joins');
  await sees(second);
  goOn();
  for (const terminal of [first, second, plain]) {
    const { body } = await terminal.hears(/word59$/);
    assert.equal(body, WORDS);
    assert.equal(terminal.heard.length, 1);
  }
  assert.equal(told(plain).length, 1);
  for (const terminal of [first, second]) {
    assert.equal(told(terminal).filter(({ text }) => text === '').length, 1);
    assert.deepEqual(told(terminal).at(-1), { t: 'message', text: WORDS });
  }
  const later = await watching('joins');
  await sleep(SLOWLY_MS);
  assert.deepEqual(told(later), [], 'what is over is seen by nobody');
  for (const terminal of [first, second, plain, later]) terminal.close();
});

test('what a terminal of another chat writes is not seen', async () => {
  const goOn = answers(30);
  const [here, there] = [await watching('here'), await watching('there')];
  await here.say('tell me');
  await sees(here);
  goOn();
  await here.hears(/word59$/);
  assert.deepEqual(told(there), []);
  for (const terminal of [here, there]) terminal.close();
});

test('/stop takes away what was seen', async () => {
  answers(30);
  const terminal = await watching('stops');
  await terminal.say('tell me');
  await sees(terminal);
  await terminal.say('/stop');
  await terminal.hears(/[Ss]topped/);
  await until('it is gone', async () => assert.ok(told(terminal).some(({ text }) => text === '')));
  assert.equal(terminal.heard.length, 1);
  terminal.close();
});

test('a sandbox that dies takes away what was seen; the next attempt is seen from its beginning', async () => {
  answers(30);
  const terminal = await watching('dies');
  await terminal.say('tell me');
  await sees(terminal);
  const { sessions } = await install.control.call<Status>('status');
  answers();
  process.kill(sessions.find(({ session }) => session === sessionOf(install, 'dies'))!.pid!, 'SIGKILL');
  await terminal.hears(/word59$/);
  const all = told(terminal);
  const gone = all.findIndex(({ text }) => text === '');
  assert.ok(
    gone > 0 && all[gone + 1]!.t === 'partial' && all[gone + 1]!.text.length < WORDS.length,
    JSON.stringify(all),
  );
  assert.equal(terminal.heard.length, 1);
  terminal.close();
});

test('a host that dies costs the picture alone: who comes back sees the answer, once', async () => {
  answers(30);
  const terminal = await watching('falls');
  await terminal.say('tell me');
  await sees(terminal);
  await install.end('host', 'SIGKILL');
  answers();
  install.spawn('host');
  await install.ready();
  await terminal.open();
  await terminal.hears(/word59$/);
  assert.equal(terminal.heard.length, 1);
  assert.deepEqual(told(terminal).at(-1), { t: 'message', text: WORDS });
  terminal.close();
});

test('in a pipe there are whole messages alone, and lines of what is being written only where a flag asks for them', async (context) => {
  const pipe = await probe(context);
  const kinds = (...words: string[]): string[] => {
    const { stdout, stderr } = pipe.glass('chat', '--json', ...words, `stream 4 ${WORDS}`);
    const lines = stdout.trim().split('\n');
    return lines.map((line) => `${(JSON.parse(line) as { t: string }).t}${stderr}`);
  };
  assert.deepEqual(kinds(), ['message', 'outcome']);
  const asked = kinds('--partial');
  assert.deepEqual(asked.slice(-2), ['message', 'outcome']);
  assert.ok(asked.length > 4 && asked.slice(0, -2).every((kind) => kind === 'partial'), asked.join());
  const plain = pipe.glass('chat', `stream 4 ${WORDS}`);
  assert.ok(plain.stdout.trim().endsWith(WORDS) && !plain.stdout.includes('\x1b'), plain.stdout);
  assert.equal(plain.stdout.split('word0 ').length, 2);
  const refused = pipe.glass('chat', '--partial', 'hello');
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /--partial is for --json or a screen/);
});

const SCRIPT = '/usr/bin/script';

test('on a screen the answer takes the place of what was seen of it', {
  skip: !existsSync(SCRIPT) && `no ${SCRIPT} here`,
}, async (context) => {
  const { paths } = await probe(context);
  const command = `'${process.execPath}' '${join(ROOT, 'src/cli/main.ts')}' chat 'stream 4 ${WORDS}'`;
  const { NO_COLOR: _, ...env } = process.env;
  const { stdout } = spawnSync(SCRIPT, ['-qec', command, '/dev/null'], {
    env: { ...env, GLASS_HOME: paths.home, TERM: 'xterm' },
    encoding: 'utf8',
    timeout: 60_000,
  });
  const screens = stdout.split('\x1b[J');
  assert.ok(
    screens.slice(0, -1).some((screen) => screen.includes('word0') && screen.includes('…')),
    stdout,
  );
  assert.match(screens.at(-1)!, /word0 .*word59\s*$/s);
  assert.doesNotMatch(screens.at(-1)!, /…|word0.*word0 /s);
});

test('where the operator wants no drafts nothing is seen before the answer', async (context) => {
  const quiet = await probe(context, 'drafts: false\n');
  const terminal = await Terminal.open(quiet.control, 'main', { partial: true });
  await terminal.say(`stream 4 ${WORDS}`);
  await terminal.hears(/word59$/);
  assert.deepEqual(
    told(terminal).map(({ t }) => t),
    ['message'],
  );
  terminal.close();
});

/** An install of its own, without a model. */
async function probe(context: { after(end: () => Promise<void>): void }, yaml?: string): Promise<Install> {
  const made = new Install();
  context.after(() => made.stop());
  if (yaml !== undefined) made.install(yaml);
  made.group('assistant', 'harness: probe\n');
  await made.start();
  return made;
}
