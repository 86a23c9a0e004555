import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import type { ApprovalShown } from '../../src/approvals/approvals.ts';
import type { QuestionShown } from '../../src/approvals/desk.ts';
import type { Status } from '../../src/evidence/status.ts';
import type { Trace } from '../../src/evidence/trace.ts';
import { until } from '../fakes/install.ts';
import { type FakeModel, startModel } from '../fakes/model.ts';
import { remove } from '../fakes/remove.ts';
import { Talk } from '../fakes/talk.ts';
import { rows, Terminal } from '../fakes/terminal.ts';
import { bearerFor, namesEnv, TestAuthority, Upstream } from '../fakes/upstream.ts';
import { requireHarness } from '../kits/harness_bench.ts';

/**
 * The rule of two, whole: real host, gateway and sandboxes, in which curl does what a message says. `careful` enforces it, `assistant` is
 * warned (as who says nothing is), `free` has it off, and trusts no member. Olga administers all of it, Bob is a member, everybody else a stranger.
 */
const authority = new TestAuthority();
const web = new Upstream('web.example.com', authority);
const folder = mkdtempSync(join(tmpdir(), 'gr-'));
const talk = await Talk.make(undefined, namesEnv({ [web.host]: ['127.0.0.1'] }));
const { install } = talk;
const skip = spawnSync('curl', ['--version']).status !== 0 && 'no curl here';
let model: FakeModel;

before(async () => {
  await requireHarness('native');
  await web.listen();
  model = await startModel();
  install.install(`upstream_ca: ${authority.write(folder)}\n`);
  install.group('assistant', yaml());
  await install.start();
  await install.secret('anthropic', 'sk-scripted-0123456789');
  await install.secret('token', 'fake-token-of-the-operator', bearerFor(web.place));
  await install.change('assistant', yaml());
  await install.change('careful', yaml('rule_of_two: enforce\n'));
  await install.change('free', yaml('rule_of_two: "off"\n'));
  await install.change('assistant', yaml('agents: {careful: allow}\n'));
  await talk.known('olga', 'admin');
  await talk.known('bob', 'member');
  // What is slow on a busy machine is done before anything is waited for.
  for (const group of ['assistant', 'careful', 'free']) await (await chat(group)).run('true', FIRST_MS);
});

/** The self-check of a group and its first sandbox. */
const FIRST_MS = 180_000;

beforeEach(() => {
  web.received.length = 0;
});
afterEach((context) => install.explain(context));
after(async () => {
  await talk.end();
  await model?.close();
  await web.close();
  rmSync(folder, { recursive: true });
});

/** `pages` are anybody's, `files` are private, `posts` are acts, `tickets` say nothing and have a credential. */
function yaml(more = ''): string {
  const at = `host: web.example.com, port: ${web.port}, private: [127.0.0.0/8]`;
  return `harness: native
model: {upstream: "${model.origin}"}
secrets: [token]
limits: {idle: 60s}
egress:
  pages: {${at}, reads: untrusted, allow: [GET /pages/**]}
  files: {${at}, reads: private, allow: [GET /files/**]}
  posts: {${at}, reads: none, allow: [POST /posts/**]}
  tickets: {${at}, use: token, allow: [GET /tickets/**]}
${more}`;
}

let chats = 0;

/** A new chat of a group, and its people. */
async function chat(group: string) {
  chats += 1;
  const name = `room${chats}`;
  await talk.wire(name, group);
  const say = (text: string, from = 'olga', more = {}) => talk.say(name, from, text, more);
  const hears = async (what: RegExp, from = 0) => (await talk.hears(name, what, from)).text;
  return {
    ...{ name, say, hears },
    /** Said when nothing runs: what joins a turn is no command to the model any more. */
    async alone(text: string): Promise<void> {
      await talk.rests();
      await say(text);
    },
    /** What a command printed in its sandbox. */
    async run(command: string, within_ms = 90_000): Promise<string> {
      const from = (await talk.sent(name)).length;
      await say(tool(command));
      return until(
        `${name} is told what it printed`,
        async () => {
          const [heard] = (await talk.sent(name)).slice(from);
          assert.ok(heard);
          return heard.text;
        },
        within_ms,
      );
    },
    marks: () =>
      marksIn(name, group)
        .map(({ mark }) => mark)
        .join(''),
    causes: () => marksIn(name, group).map(({ mark, cause }) => `${mark} ${cause}`),
    has: (marks: string) =>
      until(`${name} has ${marks}`, async () =>
        assert.equal(
          marksIn(name, group)
            .map(({ mark }) => mark)
            .join(''),
          marks,
        ),
      ),
  };
}

function marksIn(name: string, group: string): { mark: string; cause: string }[] {
  const sql = `SELECT k.mark, k.cause FROM marks k JOIN sessions s ON s.id = k.session_id JOIN chats c ON c.id = s.chat_id
    WHERE c.platform_id = ? AND s.group_name = ? AND s.closed_ms IS NULL AND s.task_id IS NULL ORDER BY k.mark`;
  return rows(install, sql, name, group);
}

function tool(command: string): string {
  return `tool bash ${JSON.stringify({ command })}`;
}

function get(path: string): string {
  return `curl -sS https://${web.place}${path}; echo " $?"`;
}

function post(path: string, body = 'what leaves'): string {
  return `curl -sS -X POST -d '${body}' https://${web.place}${path}; echo " $?"`;
}

const sent = (): string[] => web.received.map(({ method, target, body }) => `${method} ${target} ${body}`.trim());
const acts = (): string[] => sent().filter((line) => line.startsWith('POST'));

function waiting(): Promise<ApprovalShown> {
  return until('a request waits', async () => {
    const { approvals } = await talk.call<{ approvals: ApprovalShown[] }>('approvals');
    assert.equal(approvals[0]?.state, 'pending');
    return approvals[0]!;
  });
}

function question(kind: string): Promise<QuestionShown> {
  return until(`a question about ${kind} waits`, async () => {
    const { questions } = await talk.call<{ questions: QuestionShown[] }>('approvals');
    const found = questions.find((one) => one.kind === kind && one.state === 'pending');
    assert.ok(found, JSON.stringify(questions));
    return found;
  });
}

const decide = (approval: string, allow: boolean) => talk.call('approval_decide', { approval, allow });

test('what a conversation asks for marks it, with the cause; who says nothing is warned, once', { skip }, async () => {
  const main = await Terminal.open(install.control, 'main');
  const one = await chat('assistant');
  await one.run('echo nothing');
  assert.equal(one.marks(), '');
  for (const command of [get('/pages/a'), get('/files/a'), post('/posts/a'), post('/posts/b')]) await one.run(command);
  const at = web.place;
  assert.deepEqual(one.causes(), [`A GET ${at}/pages/a`, `B GET ${at}/files/a`, `C POST ${at}/posts/a`]);
  assert.deepEqual(acts(), ['POST /posts/a what leaves', 'POST /posts/b what leaves']);
  const sql = 'SELECT s.id FROM sessions s JOIN chats c ON c.id = s.chat_id WHERE c.platform_id = ?';
  const [{ id }] = rows<{ id: number }>(install, sql, one.name) as [{ id: number }];
  const warning = new RegExp(`^⚠ s${id} of assistant has seen`);
  await main.hears(warning);
  assert.equal(main.heard.filter(({ body }) => warning.test(body)).length, 1);
  const { sessions } = await talk.call<Status>('status');
  const row = sessions.find(({ session }) => session === `s${id}`)!;
  assert.deepEqual([row.rule_of_two, row.marks.match(/[ABC] \(/g)?.length], ['warn', 3]);
  assert.match(install.glass('status').stdout, /rule of two \(warn\): A \(GET /);
  main.close();
});

test('off says and holds nothing, and counts all the same', { skip }, async () => {
  const free = await chat('free');
  for (const command of [get('/tickets/a'), post('/posts/free')]) await free.run(command);
  assert.equal(free.marks(), 'ABC');
  assert.deepEqual(acts(), ['POST /posts/free what leaves']);
  assert.ok(talk.events('session.rule_of_two').every(({ policy }) => policy !== 'off'));
});

test('a file that is sent, a forward and a stranger mark before any sandbox hears of them', { skip }, async () => {
  const terminal = await Terminal.open(install.control, 'files');
  await terminal.say('look', [{ name: 'a.txt', bytes: Buffer.from('text') }]);
  await until('it is marked', async () => assert.equal(marksIn('files', 'assistant').length, 1));
  terminal.close();
  const one = await chat('assistant');
  const forwarded = await one.say('see this', 'olga', { forwarded: true });
  await one.has('A');
  assert.match((await talk.kinds(forwarded)).join(' '), /session\.marked/);
  const two = await chat('assistant');
  await talk.policy(two.name, 'public');
  await two.say('hello', 'mallory');
  await two.has('A');
});

test('what one conversation has seen goes along with its words: to agents, tasks and searches', { skip }, async () => {
  const one = await chat('assistant');
  await one.run(get('/tickets/a'));
  await one.say('tool send_message {"to":"agent:careful","text":"pass it on, wombat"}');
  const sql = `SELECT group_concat(k.mark, '') AS marks FROM marks k JOIN sessions s ON s.id = k.session_id JOIN chats c ON c.id = s.chat_id
    WHERE s.group_name = 'careful' AND c.channel = 'agents'`;
  await until('the other has it', async () => assert.equal(rows<{ marks: string }>(install, sql)[0]?.marks, 'AB'));
  await one.has('ABC');
  const task = `tool task_add {"when":"every 1h","text":"again"}`;
  await one.alone(task); // the other one answers
  const tasks = `SELECT group_concat(k.mark, '') AS marks FROM marks k JOIN sessions s ON s.id = k.session_id WHERE s.task_id IS NOT NULL`;
  await until('its task has it', async () => assert.equal(rows<{ marks: string }>(install, tasks)[0]?.marks, 'AB'));
  const two = await chat('assistant');
  await two.say('tool history_search {"words":"wombat"}');
  await two.has('AB');
  assert.deepEqual(two.causes(), ['A history_search', 'B history_search']);
});

test('the third waits with its payload, goes on after a yes, and is refused after a no; trace and /why say it', {
  skip,
}, async () => {
  const one = await chat('careful');
  await one.run(get('/tickets/a'));
  const answer = one.run(post('/posts/a', 'the payload'));
  const held = await waiting();
  assert.deepEqual([held.method, held.path, held.preview], ['POST', '/posts/a', 'the payload']);
  const { text } = await talk.hears('dm-olga', new RegExp(`^${held.id}: careful asks`));
  assert.match(text, /\nrule of two: its conversation has A \(GET .*\), B \(GET .*\)\n/);
  assert.match(text, /\| the payload$/);
  assert.deepEqual(acts(), []);
  await decide(held.id, true);
  assert.match(await answer, /ok 0/);
  assert.deepEqual(acts(), ['POST /posts/a the payload']);
  assert.equal(one.causes().at(-1), `C ${held.id}`);
  const { steps } = await talk.call<Trace>('trace', { message: 'latest' });
  const marked = steps.filter(({ kind }) => kind === 'session.marked').map(({ data }) => data['mark']);
  assert.deepEqual(marked, ['C']);
  const from = (await talk.sent(one.name)).length;
  await one.say('/why');
  assert.match(await one.hears(/acted outside: h\d+/, from), /all of the rule of two \(enforce\)/);

  const again = one.run(post('/posts/b'));
  await decide((await waiting()).id, false);
  assert.match(await again, /a person denied it/);
  assert.deepEqual(acts(), ['POST /posts/a the payload']);
  assert.match(await one.run(get('/files/b')), /ok 0/);
});

test('the third that is a read waits too, and a no leaves it the third', { skip }, async () => {
  const one = await chat('careful');
  for (const command of [get('/pages/a'), post('/posts/c')]) await one.run(command);
  for (const _ of [1, 2]) {
    const answer = one.run(get('/files/secret'));
    await decide((await waiting()).id, false);
    assert.match(await answer, /a person denied it/);
    assert.equal(one.marks(), 'AC');
  }
  const answer = one.run(get('/files/secret'));
  await decide((await waiting()).id, true);
  assert.match(await answer, /ok 0/);
  assert.equal(one.marks(), 'ABC');
  assert.deepEqual(sent(), ['GET /pages/a', 'POST /posts/c what leaves', 'GET /files/secret']);
});

test('what a stranger writes waits for a conversation that reads what is private, and acts', { skip }, async () => {
  const one = await chat('careful');
  await talk.policy(one.name, 'public');
  for (const command of [get('/files/a'), post('/posts/d')]) await one.run(command);
  const first = await one.say('mallory’s first', 'mallory');
  const asked = await question('entry');
  const { text } = await talk.hears(
    'dm-olga',
    new RegExp(`^${asked.id}: what anybody may have written waits for careful`),
  );
  assert.match(text, /\| mallory’s first\n/);
  await decide(asked.id, false);
  await talk.settles(first, 'ignored: approval denied');
  assert.equal(one.marks(), 'BC');
  await one.say('from Olga');
  await one.hears(/from Olga/);
  // What was refused stands for a while, and is not asked again.
  const second = await one.say('mallory’s second', 'mallory');
  await talk.settles(second, 'ignored: a message that was refused before');

  const two = await chat('careful');
  await talk.policy(two.name, 'public');
  for (const command of [get('/files/a'), post('/posts/d')]) await two.run(command);
  const third = await two.say('mallory’s third', 'mallory');
  await decide((await question('entry')).id, true);
  await talk.settles(third, 'answered');
  assert.equal(two.marks(), 'ABC');
});

test('a text for another chat waits as a whole, leaves after a yes, and never after a no', { skip }, async () => {
  const [one, two] = [await chat('careful'), await chat('careful')];
  await one.run(get('/tickets/a'));
  const words = (text: string) => `tool send_message ${JSON.stringify({ to: `platform:${two.name}`, text })}`;
  const state = 'SELECT state FROM outbound WHERE body = ?';
  for (const [text, allow, becomes] of [
    ['first text', true, 'sent'],
    ['second text', false, 'rejected'],
  ] as const) {
    await one.alone(words(text));
    const asked = await question('message');
    assert.match(
      (await talk.hears('dm-olga', new RegExp(`^${asked.id}:`))).text,
      new RegExp(`to platform:${two.name}[\\s\\S]*\\| ${text}`),
    );
    assert.ok(!JSON.stringify(await talk.sent(two.name)).includes(text));
    await decide(asked.id, allow);
    await until(`${text} is ${becomes}`, async () =>
      assert.equal(rows<{ state: string }>(install, state, text)[0]?.state, becomes),
    );
  }
  await two.hears(/^first text$/);
  assert.ok(!JSON.stringify(await talk.sent(two.name)).includes('second text'));
  await one.alone(`tool ask ${JSON.stringify({ to: `platform:${two.name}`, question: 'third text?' })}`);
  await one.hears(/asks where it was asked/);
  await one.alone(`tool task_add ${JSON.stringify({ to: `platform:${two.name}`, when: 'every 1h', text: 'fourth' })}`);
  await one.hears(/sets no task in another chat/);
});

test('hosts, gateways, summaries and lost memories come and go, marks stay; a new conversation is clean', {
  skip,
}, async () => {
  const one = await chat('careful');
  await one.run(get('/tickets/a'));
  const isHeld = async (after: string): Promise<void> => {
    const answer = one.run(post(`/posts/${after}`));
    await decide((await waiting()).id, false);
    assert.match(await answer, /a person denied it/, after);
  };
  await install.end('gateway', 'SIGKILL');
  install.spawn('gateway');
  await install.ready();
  await isHeld('gateway');
  await install.end('host', 'SIGKILL');
  install.spawn('host');
  await install.ready();
  await isHeld('host');
  await one.say('/compact');
  await one.hears(/answered from a summary/);
  await isHeld('compact');
  const [{ id }] = rows<{ id: number }>(
    install,
    'SELECT s.id FROM sessions s JOIN chats c ON c.id = s.chat_id WHERE c.platform_id = ?',
    one.name,
  ) as [{ id: number }];
  await install.end('host', 'SIGTERM');
  remove(install.paths.session(`s${id}`).state);
  install.spawn('host');
  await install.ready();
  await isHeld('reseed');
  assert.deepEqual(acts(), []);
  await one.say('/new');
  await one.hears(/begins a new conversation/);
  assert.match(await one.run(post('/posts/new')), /ok 0/);
  assert.equal(one.marks(), 'C');
});
