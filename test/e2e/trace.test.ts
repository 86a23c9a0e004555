import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import type { ApprovalShown } from '../../src/approvals/approvals.ts';
import { ROOT } from '../../src/base/paths.ts';
import type { Trace } from '../../src/evidence/trace.ts';
import type { TaskShown } from '../../src/scheduler/tasks.ts';
import { Install, until } from '../fakes/install.ts';
import { type FakeModel, type Script, startModel } from '../fakes/model.ts';
import { remove } from '../fakes/remove.ts';
import { Terminal } from '../fakes/terminal.ts';
import { bearerFor, namesEnv, TestAuthority, Upstream } from '../fakes/upstream.ts';
import { requireHarness } from '../kits/harness_bench.ts';

/** The trace of a message to which everything happens, in real sandboxes; how it is found, followed, and put on a page. */

const SECRET = 'fake-token-of-the-operator';
const authority = new TestAuthority();
const api = new Upstream('api.example.com', authority);
const folder = mkdtempSync(join(tmpdir(), 'gt-'));
const install = new Install(tmpdir(), ROOT, namesEnv({ [api.host]: ['127.0.0.1'] }));
const skip = spawnSync('curl', ['--version']).status !== 0 && 'no curl here';
let model: FakeModel;

before(async () => {
  await requireHarness('native');
  await api.listen();
  api.handler = (_request, response) => void response.end('made');
  model = await startModel();
  install.install(`upstream_ca: ${authority.write(folder)}\n`);
  install.group('assistant', 'harness: probe\n');
  await install.start();
  await install.secret('anthropic', 'sk-scripted-0123456789');
  await install.secret('api-token', SECRET, bearerFor(api.place));
  await install.change('back', 'harness: probe\nlimits: {idle: 60s}\nagents: {worker: allow}\n');
  await install.change(
    'worker',
    `harness: native
model: {upstream: "${model.origin}"}
secrets: [api-token]
agents: {back: allow}
egress:
  api: {host: api.example.com, port: ${api.port}, private: [127.0.0.0/8], use: api-token, allow: [GET /items/**], approve: [POST /pulls]}
`,
  );
});
afterEach((context) => install.explain(context));
after(async () => {
  await install.stop();
  await model?.close();
  await api.close();
  remove(folder);
});

/** Each request of the model is answered with the next of these; after them with words. */
function script(...calls: { name: string; input: object }[]): Script {
  return () => {
    const call = calls.shift();
    return call === undefined ? { text: 'all of it is done' } : { tools: [call] };
  };
}

const bash = (command: string) => ({ name: 'bash', input: { command } });

/** A chat in which a group answers; its first message starts the sandbox of the session. */
async function chatOf(name: string, group: string): Promise<Terminal> {
  const chat = await Terminal.open(install.control, name);
  await install.control.call('wiring_set', { chat: `local:${name}`, group });
  return chat;
}

/** `glass trace --follow` as a process of its own. */
function follow(...words: string[]) {
  const child = spawn(process.execPath, [join(ROOT, 'src/cli/main.ts'), 'trace', '--follow', ...words], {
    env: { ...process.env, GLASS_HOME: install.paths.home, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const seen = { text: '' };
  child.stdout.on('data', (chunk) => {
    seen.text += chunk;
  });
  const ended = new Promise<number | null>((resolve) => child.on('exit', (code) => resolve(code)));
  return { seen, ended, end: () => child.kill('SIGINT') };
}

const traceOf = (message: string, scope: object = {}): Promise<Trace> =>
  install.control.call<Trace>('trace', { message, ...scope });

const kindsOf = (trace: Trace): string[] => trace.steps.map(({ kind }) => kind);

test('a run of a task with a service, a decision, a death, a file and another agent is one whole path', {
  skip,
}, async () => {
  const chat = await chatOf('whole', 'worker');
  model.script = script(
    bash(`curl -sS https://${api.place}/items/1`),
    bash(`curl -sS -X POST -d x https://${api.place}/pulls`),
    bash('kill -9 $PPID'),
    bash('echo words > /workspace/report.txt'),
    { name: 'send_file', input: { path: '/workspace/report.txt', text: 'the report' } },
    { name: 'send_message', input: { to: 'agent:back', text: 'look at it' } },
  );
  const { task } = await install.control.call<TaskShown>('task_add', {
    ...{ group: 'worker', to: 'local:whole', when: 'every 1h', text: 'the whole of it' },
  });
  const { message } = await install.control.call<{ message: string }>('task_run', { task });
  const following = follow(message);
  const { id } = await until(
    'a request waits',
    async () => {
      const { approvals } = await install.control.call<{ approvals: ApprovalShown[] }>('approvals');
      assert.equal(approvals[0]?.state, 'pending', following.seen.text);
      return approvals[0]!;
    },
    120_000,
  ); // its boundary is proven first
  await until('the follower has come so far', async () => assert.match(following.seen.text, /approval\.held/));
  assert.equal(install.glass('approval', 'approve', id).status, 0);
  await chat.hears(/all of it is done/, 60_000);
  assert.equal(await following.ended, 0, following.seen.text);
  assert.match(following.seen.text, /\nanswered, and delivered\n$/);

  const trace = await traceOf(message);
  if (process.env['TRACE_KEPT'] !== undefined) writeFileSync(process.env['TRACE_KEPT'], JSON.stringify(trace));
  const kinds = kindsOf(trace);
  for (const kind of [
    ...[
      'task.due',
      'message.queued',
      'sandbox.starting',
      'sandbox.ready',
      'turn.started',
      'model.request',
      'egress.request',
    ],
    ...['tool.called', 'approval.held', 'approval.told', 'approval.decided', 'approval.sent', 'turn.attempt_failed'],
    ...[
      'file.received',
      'send.committed',
      'agent.said',
      'turn.settled',
      'reply.queued',
      'delivery.sending',
      'delivery.sent',
    ],
  ])
    assert.ok(kinds.includes(kind), `${kind} is missing: ${kinds.join(' ')}`);
  for (const kind of kinds.filter((one) => one !== 'model.request' && one !== 'egress.request'))
    assert.ok(following.seen.text.includes(kind), `the follower has not told ${kind}`);
  assert.deepEqual(trace.task && [trace.task.id, trace.task.schedule], [task, 'every 1h']);
  assert.deepEqual([trace.handled[0]!.group, trace.handled[0]!.state], ['worker', 'answered']);
  const attempts = trace.steps.filter(({ kind, message: of }) => kind === 'turn.started' && of === null);
  assert.deepEqual(
    attempts.map(({ data }) => data['attempt']),
    [1, 2],
  );
  const decided = trace.steps.find(({ kind }) => kind === 'approval.decided')!;
  assert.deepEqual([decided.data['allowed'], decided.data['as']], [true, 'owner']);

  const own = trace.sandboxes.filter(({ session }) => session === trace.handled[0]!.session);
  assert.equal(new Set(own.map(({ pid }) => pid)).size, 2, 'two processes');
  assert.ok(own.every(({ pid, authority, fresh }) => fresh && pid! > 1 && /^[0-9a-f]{64}$/.test(authority ?? '')));
  const secrets = trace.credentials.map(({ secret, process }) => `${secret} by ${process}`);
  assert.deepEqual([...new Set(secrets)].sort(), ['anthropic by gateway', 'api-token by gateway']);
  assert.ok(!JSON.stringify(trace).includes(SECRET));
  assert.ok(trace.sent.some(({ text, state }) => text.includes('[file report.txt]') && state === 'sent'));
  const { sums } = trace;
  for (const lane of ['sandbox', 'model', 'service', 'tool', 'people', 'delivery', 'turn'] as const)
    assert.ok(sums.lanes[lane] > 0, `${lane} took no time`);
  assert.ok(sums.model_requests >= 7 && sums.service_requests >= 2 && sums.input_tokens > 0);
  assert.equal(
    trace.steps.at(-1)!.since_us,
    trace.steps.reduce((sum, { after_us }) => sum + after_us, 0),
  );
});

test('it is found by every id that it has', { skip }, async () => {
  const { message, handled, sent, steps } = await traceOf('k1');
  assert.equal(message.origin, 'task');
  const { session, turn } = handled[0]!;
  const held = steps.find(({ kind }) => kind === 'approval.held')!.data['approval'] as string;
  for (const id of [message.id, turn!, held, sent.find(({ kind }) => kind === 'reply')!.id, 'k1'])
    assert.equal((await traceOf(id)).message.id, message.id, id);
  assert.equal((await traceOf('latest', { chat: 'whole' })).message.origin, 'agent');
  const latest = await traceOf(session!);
  assert.ok(Number(latest.message.id.slice(1)) >= Number(message.id.slice(1)));
  assert.equal((await traceOf('latest', { group: 'worker' })).handled[0]!.group, 'worker');
  const unknown = install.glass('trace', 'm999999');
  assert.equal(unknown.status, 4);
  assert.match(unknown.stderr, /there is no message "m999999"/);
  assert.match(install.glass('trace', 'https://example.com/x').stderr, /names no message of a platform/);
});

test('words find it: one match is traced, more are listed, none is said', async () => {
  const chat = await chatOf('words', 'assistant');
  for (const text of ['a heliotrope first', 'a Heliotrope second ßtreet']) {
    await chat.say(text);
    await chat.hears(new RegExp(`You said: ${text}`));
  }
  const one = install.glass('trace', '--find', 'second HELIOTROPE');
  assert.match(one.stdout, /^m\d+ from .* in local:words, [^\n]*\n {2}a Heliotrope second/);
  const many = install.glass('trace', '--find', 'heliotrope', '--json');
  const { matches, searched } = JSON.parse(many.stdout) as {
    matches: { text: string }[];
    searched: { stopped: string };
  };
  assert.deepEqual(
    matches.map(({ text }) => text),
    ['a Heliotrope second ßtreet', 'a heliotrope first'],
  );
  assert.equal(searched.stopped, 'all');
  assert.equal(
    install.glass('trace', '--find', 'heliotrope', '--since', '1s').stdout.includes('heliotrope first'),
    false,
  );
  const none = install.glass('trace', '--find', 'no such words');
  assert.deepEqual([none.status, none.stdout.startsWith('nothing holds "no such words"')], [1, true]);
});

test('a command’s answer is part of its path', async () => {
  const chat = await chatOf('commands', 'assistant');
  const message = await chat.say('/help');
  await until('the answer is in the trace', async () =>
    assert.deepEqual(kindsOf(await traceOf(message)).slice(-2), ['delivery.sending', 'delivery.sent']),
  );
  assert.equal((await traceOf(message)).sent[0]!.state, 'sent');
});

test('a warm turn says in which process it ran, and under what', async () => {
  const chat = await chatOf('warm', 'assistant');
  await chat.say('first');
  await chat.hears(/You said: first/);
  const message = await chat.say('second');
  await chat.hears(/You said: second/);
  const { sandboxes, steps } = await traceOf(message);
  assert.ok(!steps.some(({ kind }) => kind === 'sandbox.starting'));
  assert.equal(sandboxes.length, 1);
  assert.deepEqual([sandboxes[0]!.fresh, sandboxes[0]!.harness, sandboxes[0]!.pid! > 1], [false, 'probe', true]);
});

test('who follows a message that fails is told, with exit code 1', async () => {
  const chat = await chatOf('fails', 'assistant');
  const message = await chat.say('refuse it is broken');
  const following = follow(message, '--json');
  assert.equal(await following.ended, 1);
  const lines = following.seen.text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  assert.deepEqual([lines[0].t, lines.at(-1).t, lines.at(-1).answered], ['trace', 'end', false]);
  assert.equal(lines.at(-1).trace.handled[0].state, 'failed');
});

test('a message outlives the host in the middle of it: the follower sees that end, and the trace all of it', async () => {
  const chat = await chatOf('dies', 'assistant');
  const message = await chat.say('sleep 2');
  const following = follow(message);
  await until('it runs', async () => assert.match(following.seen.text, /turn\.started/));
  await install.end('host', 'SIGKILL');
  assert.equal(await following.ended, 1);
  install.spawn('host');
  await install.ready();
  await chat.open();
  await chat.hears(/slept 2 s/);
  const again = follow(message);
  assert.equal(await again.ended, 0);
  const { steps } = await traceOf(message);
  const story = steps
    .filter(({ kind }) => /^(host|turn)\./.test(kind))
    .map(({ kind, data }) => [kind, data['attempt'] ?? null]);
  assert.deepEqual(story, [
    ['turn.started', 1],
    ['turn.attempt_failed', 1],
    ['host.started', null],
    ['turn.started', 2],
    ['turn.taken', null],
    ['turn.settled', null],
  ]);
});

test('the page is one file for its owner alone, and holds nothing of what was said as markup', async () => {
  const chat = await chatOf('page', 'assistant');
  const hostile = '<script>alert(1)</script> "><img src=x onerror=alert(1)> \u202e\u200b & \'';
  const message = await chat.say(hostile);
  await chat.hears(/You said/);
  const file = join(folder, 'trace.html');
  const made = install.glass('trace', message, '--html', '-o', file);
  assert.deepEqual([made.status, made.stdout, made.stderr], [0, '', '']);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const text = readFileSync(file, 'utf8');
  assert.ok(text.includes('&#60;script&#62;alert(1)&#60;/script&#62;'));
  assert.doesNotMatch(text, /<script|<img|\u202e|\u200b|https?:\/\/|url\(/);
  assert.match(install.glass('trace', message, '--html').stdout, /^<!doctype html>/);
});
