import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import type { Status } from '../../src/evidence/status.ts';
import type { StopReceipt } from '../../src/operations/stop_words.ts';
import { until } from '../fakes/install.ts';
import { Talk } from '../fakes/talk.ts';
import { rows, Terminal } from '../fakes/terminal.ts';

/**
 * The emergency stop with real processes: what was about to leave stays, whatever dies, until somebody lets it go on. Ada owns the install,
 * Alma administers `helper`, Bob is a member. What a terminal would get waits for one: nobody reads along before it is opened.
 */

const talk = await Talk.make();
const { install } = talk;
const YAML = 'harness: probe\n';

before(async () => {
  install.group('assistant', YAML);
  await install.start();
  await install.change('helper', YAML);
  await talk.known('bob', 'member');
  await talk.known('alma', 'admin', 'helper');
  await talk.known('ada', 'owner');
  await talk.wire('team', 'helper');
  await talk.wire('work', 'assistant');
});
afterEach((context) => install.explain(context));
after(() => talk.end());

const status = (): Promise<Status> => talk.call<Status>('status');
const stopped = async (): Promise<(string | null)[]> => (await status()).stopped.map(({ group }) => group);
const resume = (group: string | null): Promise<object> => talk.call('group_resume', { group });

let keys = 0;

/** The operator writes, and no terminal is open. */
function type(chat: string, text: string): Promise<object> {
  keys += 1;
  return talk.call('say', { chat, text, key: `typed-${keys}` });
}

function statesOf(chat: string): string[] {
  const sql =
    'SELECT DISTINCT o.state FROM outbound o JOIN chats c ON c.id = o.chat_id WHERE c.platform_id = ? AND o.session_id IS NOT NULL ORDER BY o.state';
  return rows<{ state: string }>(install, sql, chat).map(({ state }) => state);
}

function textsTo(chat: string): number {
  const sql =
    "SELECT count(*) AS n FROM outbound o JOIN chats c ON c.id = o.chat_id WHERE c.platform_id = ? AND o.kind = 'send'";
  return rows<{ n: number }>(install, sql, chat)[0]!.n;
}

async function restart(more: NodeJS.ProcessEnv = {}): Promise<void> {
  await install.end('host', 'SIGKILL');
  install.spawn('host', more);
  await install.ready();
}

/** Thirty texts that wait for a terminal. */
async function thirty(chat: string): Promise<string[]> {
  const texts = Array.from({ length: 30 }, (_, at) => `text ${at + 1} of ${chat}`);
  for (const text of texts) await type(chat, `send ${text}`);
  await until('all of them wait', async () => {
    assert.equal(textsTo(chat), 30);
    const open = rows(install, "SELECT 1 FROM inbound WHERE state IN ('queued', 'running')");
    assert.equal(open.length, 0);
  });
  return texts;
}

/** A terminal is there; what the host itself says comes, so that whatever could leave has left. */
async function hearsOnlyTheHost(chat: string): Promise<Terminal> {
  const terminal = await Terminal.open(install.control, chat);
  await terminal.say('/why m999999');
  await terminal.hears(/^I know of no such message/);
  assert.deepEqual(
    terminal.heard.filter(({ kind }) => kind !== 'notice'),
    [],
  );
  return terminal;
}

test('thirty texts that were about to leave are held, over a kill of the host, and leave in their order after it', async () => {
  const texts = await thirty('queue');
  const said = install.glass('stop', 'assistant');
  assert.equal(said.status, 0, said.stderr);
  assert.match(
    said.stdout,
    /^assistant is stopped: by .*\n {2}at once {3}Nothing could leave any more after \d+\.\d\d s/,
  );
  assert.match(said.stdout, /\n {2}held {6}3\d texts; .*\nLet it go on: \.\/glass resume assistant\n$/s);
  assert.deepEqual(statesOf('queue'), ['held']);
  await restart();
  const terminal = await hearsOnlyTheHost('queue');
  const shown = install.glass('status');
  assert.equal(shown.status, 1);
  assert.match(
    shown.stdout,
    /^GlassClaw .*\n {2}stopped {2}assistant since .* 3\d texts held, \d+ messages waiting\n +→ \.\/glass resume assistant\n/,
  );
  const resumed = install.glass('resume', 'assistant');
  assert.match(
    resumed.stdout,
    /^assistant goes on: 3\d held texts leave now \(3\d to local:queue\), 0 waiting messages are handled\.\n$/,
  );
  await terminal.hears(/text 30 of queue/);
  const sends = terminal.heard.filter(({ kind }) => kind === 'send').map(({ body }) => body);
  assert.deepEqual(sends, texts);
});

test('what is dropped never leaves', async () => {
  await thirty('dropped');
  await talk.call('group_stop', { group: null });
  assert.equal(install.glass('resume', '--all', '--drop-held').status, 0);
  await hearsOnlyTheHost('dropped');
  assert.deepEqual(statesOf('dropped'), ['rejected']);
  assert.equal((await status()).conservation.unheard, 0);
});

for (const [point, isStopped] of [
  ['ledger.stop:before', false],
  ['ledger.stop:after', true],
  ['ledger.stop_receipt:before', true],
  ['ledger.stop_receipt:after', true],
] as const)
  test(`a host that dies at ${point} in the middle of a turn: ${isStopped ? 'nothing leaves any more' : 'it was not stopped'}`, async () => {
    const chat = point.replaceAll(/[^a-z]/g, '-');
    await restart({ GLASS_FAULT: JSON.stringify({ point, hit: 1, kill: ['host'] }) });
    await type(chat, `send early ${chat}`);
    await type(chat, 'sleep 600');
    await until('it sleeps', async () => {
      const sql =
        "SELECT 1 FROM inbound i JOIN messages m ON m.id = i.message_id WHERE i.state = 'running' AND m.text = 'sleep 600'";
      assert.equal(rows(install, sql).length, 1);
      assert.equal(textsTo(chat), 1);
    });
    await assert.rejects(talk.call('group_stop', { group: 'assistant' }));
    await install.died('host');
    install.spawn('host');
    await install.ready();
    assert.deepEqual(await stopped(), isStopped ? ['assistant'] : []);
    if (!isStopped) await talk.call('group_stop', { group: 'assistant' });
    const terminal = await hearsOnlyTheHost(chat);
    assert.deepEqual((await status()).sessions, []);
    const again = await talk.call<StopReceipt>('group_stop', { group: 'assistant' });
    assert.deepEqual([again.again, again.egress], [true, 'closed']);
    await resume('assistant');
    await terminal.hears(new RegExp(`early ${chat}`));
    assert.equal((await status()).conservation.violations.length, 0);
  });

for (const point of ['ledger.resume:before', 'ledger.resume:after'])
  test(`a host that dies at ${point} has resumed it, or not; said again, all goes on`, async () => {
    const chat = point.replaceAll(/[^a-z]/g, '-');
    await type(chat, `send held ${chat}`);
    await until('it waits', async () => assert.equal(textsTo(chat), 1));
    await talk.call('group_stop', { group: 'assistant' });
    await type(chat, 'waited');
    await restart({ GLASS_FAULT: JSON.stringify({ point, hit: 1, kill: ['host'] }) });
    await assert.rejects(resume('assistant'));
    await install.died('host');
    install.spawn('host');
    await install.ready();
    if (point.endsWith('before')) await resume('assistant');
    assert.deepEqual(await stopped(), []);
    const terminal = await Terminal.open(install.control, chat);
    await terminal.hears(new RegExp(`held ${chat}`));
    await terminal.hears(/You said: waited/);
  });

test('a burst of tasks does not start in a stopped group, and is made up for after it', async () => {
  const at = `at ${new Date(Date.now() + 3000).toISOString().slice(0, 19)}Z`;
  const tasks: string[] = [];
  for (let i = 0; i < 5; i += 1) {
    const asked = { group: 'assistant', to: 'platform:work', when: at, text: `burst ${i}` };
    tasks.push((await talk.call<{ task: string }>('task_add', asked)).task);
  }
  await talk.call('group_stop', { group: 'assistant' });
  await new Promise((resolve) => setTimeout(resolve, 4000));
  const ran = rows(install, "SELECT 1 FROM messages WHERE text LIKE 'burst %'");
  assert.equal(ran.length, 0);
  await assert.rejects(talk.call('task_run', { task: tasks[0] }), { code: 'refused' });
  await resume('assistant');
  for (let i = 0; i < 5; i += 1) await talk.hears('work', new RegExp(`You said: burst ${i}`));
});

test('an owner stops everything from a chat that nobody answers in; a member stops nothing, and that is recorded', async () => {
  await talk.say('work', 'bob', 'sleep 600');
  await talk.say('team', 'bob', '/stop group helper');
  await talk.hears('team', /^\/stop group helper is for who administers helper: nothing was done\.$/);
  assert.deepEqual(await stopped(), []);
  const refused = rows<{ data: string }>(install, "SELECT data FROM events WHERE kind = 'stop.refused'");
  assert.equal(JSON.parse(refused[0]!.data).what, '/stop group helper');
  await until('it sleeps', async () => assert.ok((await status()).sessions.some(({ state }) => state === 'running')));
  await talk.say('elsewhere', 'ada', '/stop all');
  await talk.hears('elsewhere', /^Every group is stopped: 1 running, /);
  await talk.hears('elsewhere', /^Nothing could leave any more after \d+\.\d\d s: \d sandboxes ended, 0 calls cut\.$/);
  await talk.hears('work', /^assistant is stopped: what was asked here is over\.$/);
  assert.deepEqual(await stopped(), [null]);
  const before = (await talk.sent('team')).length;
  await talk.say('team', 'bob', 'anybody?');
  await talk.say('team', 'bob', 'really nobody?');
  await talk.say('team', 'alma', '/resume all');
  await talk.hears('team', /^\/resume all is for owners: nothing was done\.$/);
  const told = (await talk.sent('team')).slice(before).map(({ text }) => text.split('.')[0]);
  assert.deepEqual(told, ['helper is stopped for now', '/resume all is for owners: nothing was done']);
  await talk.say('elsewhere', 'ada', '/resume all');
  await talk.hears('team', /You said: anybody\?/);
  assert.deepEqual(await stopped(), []);
});

test('what is typed wrong changes nothing and says so by its exit code', async () => {
  assert.equal(install.glass('stop', 'nobody').status, 4);
  assert.equal(install.glass('resume', 'nobody').status, 4);
  assert.equal(install.glass('resume').status, 2);
  assert.equal(install.glass('resume', 'helper').status, 5);
  assert.equal(install.glass('stop', 'helper', '--all').status, 2);
  assert.deepEqual(await stopped(), []);
});

test('safe mode: everything can be read, nothing runs, comes in or leaves, and the stop holds in it', async () => {
  await type('safe', 'send kept safe');
  await until('it waits', async () => {
    assert.equal(textsTo('safe'), 1);
    assert.equal(rows(install, "SELECT 1 FROM inbound WHERE state IN ('queued', 'running')").length, 0);
  });
  const due_ms = Date.now() + 8000; // a loaded machine has not restarted it in two seconds
  await talk.call('task_add', {
    ...{ group: 'assistant', to: 'platform:work', text: 'not in safe mode' },
    when: `at ${new Date(due_ms).toISOString().slice(0, 19)}Z`,
  });
  await restart({ GLASS_SAFE: '1' });
  const found = await status();
  assert.deepEqual([found.safe, found.state, found.sessions], [true, 'attention', []]);
  assert.equal(found.channels.find(({ name }) => name === 'platform')!.state === 'connected', false);
  for (const words of [['trace', 'latest'], ['events'], ['approval', 'list'], ['group', 'list'], ['task', 'list']])
    assert.equal(install.glass(...words).status, 0, words.join(' '));
  const chat = install.glass('chat', 'hello');
  assert.equal(chat.status, 7);
  assert.match(chat.stderr, /GlassClaw is in safe mode: nothing is changed, nothing runs and nothing is sent/);
  for (const [operation, input] of [
    ['task_add', { group: 'assistant', to: 'local:main', when: 'every 1h', text: 'x' }],
    ['clear_alerts', {}],
    ['inspect', { group: 'assistant' }],
  ] as const)
    await assert.rejects(talk.call(operation, input), { code: 'refused' });
  const terminal = await Terminal.open(install.control, 'safe', { history: 1 });
  assert.ok(terminal.lines.some(({ body }) => /^GlassClaw is in safe mode/.test(String(body))));
  await install.secret('anthropic', 'fake-secret-value');
  const stop = await talk.call<StopReceipt>('group_stop', { group: 'assistant' });
  assert.deepEqual([stop.held, stop.egress], [2, 'closed']);
  await new Promise((resolve) => setTimeout(resolve, Math.max(2500, due_ms + 1500 - Date.now())));
  assert.deepEqual(terminal.heard, []);
  assert.equal(rows(install, "SELECT 1 FROM messages WHERE text = 'not in safe mode'").length, 0);
  terminal.close();
  await restart();
  assert.deepEqual(await stopped(), ['assistant']);
  await resume('assistant');
  const after = await Terminal.open(install.control, 'safe');
  await after.hears(/kept safe/);
  await talk.hears('work', /You said: not in safe mode/);
});
