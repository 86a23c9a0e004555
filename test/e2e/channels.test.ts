import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { WEBHOOK_BODY_BYTES_MAX } from '../../src/base/limits/channels.ts';
import type { Status } from '../../src/evidence/status.ts';
import type { TestStep } from '../../src/operations/channel_test.ts';
import type { ChannelShown } from '../../src/operations/channels.ts';
import { until } from '../fakes/install.ts';
import { Talk } from '../fakes/talk.ts';
import { rows } from '../fakes/terminal.ts';

/** Channels whose drivers run in threads: what a driver does wrong stays in its thread, and nothing that was said is lost. */
const talk = await Talk.make(undefined, { GLASS_TEST_DRIVER: '1' });
const { install } = talk;
const TOKEN = 'fake-token-good';
const PORT = 21_000 + (process.pid % 20_000);

before(async () => {
  install.group('assistant', 'harness: probe\nlimits: {idle: 60s}\n');
  install.install(
    `# Kept as it is.\nwebhooks: {listen: "127.0.0.1:${PORT}"}\nchannels:\n  platform: {kind: fake, url: "${talk.url}"}\n`,
  );
  await install.start();
  await talk.known('olga', 'owner');
  await talk.wire('room', 'assistant', { engage: 'always', session: 'chat' });
});
afterEach((context) => install.explain(context));
after(() => talk.end());

function shown(name = 'platform'): Promise<ChannelShown> {
  return talk.call<ChannelShown>('channel_show', { name });
}

function becomes(state: string, detail = /./, name = 'platform'): Promise<ChannelShown> {
  return until(`the channel is ${state}`, async () => {
    const found = await shown(name);
    assert.equal(found.state, state);
    assert.match(found.detail, detail);
    return found;
  });
}

/** Without the wait between two lives. */
async function anew(): Promise<void> {
  await talk.call('channel_retry', { name: 'platform' });
  await becomes('connected');
}

function token(value: string, name = 'platform'): Promise<void> {
  return install.secret(`${name}-token`, value, { form: { kind: 'channel' }, hosts: [] });
}

test('without its token a channel says which, the rest goes on, and with it the channel begins by itself', async () => {
  const { detail, seen } = await becomes('failed');
  assert.equal(detail, 'its secret is missing: ./glass secret set platform-token --kind channel');
  assert.ok(seen!.last_error !== null);
  const status = await talk.call<Status>('status');
  assert.deepEqual(
    [status.state, status.channels.map(({ name, state }) => `${name} ${state}`)],
    ['attention', ['local connected', 'agents connected', 'platform failed']],
  );
  await token(TOKEN);
  await becomes('connected');
});

test('a message goes in and its answer out through the thread, files and menu too', async () => {
  const id = await talk.say('room', 'olga', 'hello there');
  await talk.hears('room', /You said: hello there/);
  await talk.settles(id, 'answered');
  const { seen } = await shown();
  assert.ok(seen!.last_in_ms !== null && seen!.lag_ms !== null && seen!.lag_ms >= 0);
  assert.ok((await talk.journal()).menu.some(({ name }) => name === 'stop'));
  writeFileSync(join(install.paths.group('assistant').workspace, 'notes.txt'), 'these words', { mode: 0o644 });
  await talk.say('room', 'olga', 'file notes.txt');
  const { file } = await until('a file has come', async () => {
    const found = (await talk.sent('room')).find(({ file }) => file);
    assert.ok(found);
    return found;
  });
  assert.equal(file!.text, 'these words');
});

for (const [how, why] of [
  ['throw', /it failed: .*JSON/],
  ['exit', /its thread ended with 3/],
  ['leak', /it failed: .*memory/],
  ['flood', /it took in more than it waited for/],
  ['hang', /it did not answer any more/],
] as const) {
  test(`a driver that is made to ${how} is begun anew; the host and what was said are untouched`, async () => {
    await becomes('connected');
    const { restarts } = (await shown()).seen!;
    const sent = (await talk.sent('room')).length;
    const pid = (await talk.call<Status>('status')).up_ms;
    await talk.say('room', 'olga', `driver ${how}`);
    const during = await talk.call<{ text: string }>('status'); // it answers while the driver is gone
    assert.ok(during);
    await until('its driver has ended', async () => {
      assert.match((await shown()).seen!.last_error!.text, why);
    });
    await anew();
    assert.ok((await shown()).seen!.restarts > restarts);
    await talk.hears('room', new RegExp(`You said: driver ${how}`), sent);
    const id = await talk.say('room', 'olga', `after ${how}`);
    await talk.hears('room', new RegExp(`You said: after ${how}`), sent);
    await talk.settles(id, 'answered');
    const answers = (await talk.sent('room')).slice(sent).flatMap(({ text }) => /You said: (.*)/.exec(text)?.[1] ?? []);
    assert.deepEqual(answers, [`driver ${how}`, `after ${how}`]);
    assert.ok((await talk.call<Status>('status')).up_ms > pid, 'it is the same host');
  });
}

test('what the packages print is in the log, without the token', async () => {
  await becomes('connected');
  await talk.say('room', 'olga', 'driver print');
  await until('it is in the log', async () => {
    assert.match(
      readFileSync(join(install.paths.logs, 'host.log'), 'utf8'),
      /channel\.printed.*the token is \[secret\]/,
    );
  });
});

test('what a driver cannot read is kept, counted and shown, without the token', async () => {
  await becomes('connected');
  const body = JSON.stringify({ chat: 'room', from: 'olga', message: 1, broken: true, note: `with ${TOKEN}` });
  await fetch(`${talk.url}/people/change`, { method: 'POST', body });
  await until('it is counted', async () => assert.equal((await shown()).unreadable, 1));
  const [list, lines, whole, status] = [
    await install.glass('channel', 'list'),
    await install.glass('channel', 'unreadable', 'platform'),
    await install.glass('channel', 'unreadable', 'platform', '--json'),
    await install.glass('status'),
  ];
  assert.match(list.stdout, /platform .*1 unreadable/);
  assert.match(status.stdout, /platform: .*1 unreadable/);
  assert.match(lines.stdout, /message {2}.*"broken":true.*with \[secret\]/);
  const { events } = JSON.parse(whole.stdout) as { events: { kind: string; raw: string }[] };
  assert.deepEqual([events.length, JSON.parse(events[0]!.raw).note], [1, 'with [secret]']);
});

test('what became of an answer stands in its trace; that it did not arrive is an alert', async () => {
  await becomes('connected');
  const id = await talk.say('room', 'olga', 'does it arrive?');
  await talk.hears('room', /You said: does it arrive/);
  await talk.settles(id, 'answered');
  const { id: message } = (await talk.sent('room')).at(-1)!;
  for (const receipt of ['delivered', 'failed']) {
    const body = JSON.stringify({ chat: 'room', from: 'olga', message, receipt });
    await fetch(`${talk.url}/people/change`, { method: 'POST', body });
  }
  const traced = await until('it is in the trace', async () => {
    const { stdout } = await install.glass('trace', 'latest');
    assert.match(stdout, /receipt\.failed.*their phone is away/);
    return stdout;
  });
  assert.match(traced, /receipt\.delivered/);
  assert.match(traced, /: sent, as platform/);
  const { alerts } = await talk.call<{ alerts: { kind: string; text: string }[] }>('alerts');
  const said = alerts.filter(({ kind }) => kind === 'delivery.rejected').map(({ text }) => text);
  assert.deepEqual(said, ['A message to room was taken and did not arrive: their phone is away']);
});

test('a driver is told nothing of the host’s environment but where compiled code lies', async () => {
  await becomes('connected');
  await talk.say('room', 'olga', 'driver environ');
  await until('it is in the log', async () => {
    const log = readFileSync(join(install.paths.logs, 'host.log'), 'utf8');
    assert.equal(/environment: ([\w,]+)/.exec(log)?.[1], 'NODE_COMPILE_CACHE');
  });
});

test('sends that fail one after the other open the breaker; what waits is sent when it closes', async () => {
  await becomes('connected');
  for (const chat of ['b1', 'b2', 'b3', 'b4', 'b5', 'b6']) {
    await talk.wire(chat, 'assistant', { engage: 'always', session: 'chat' });
  }
  await talk.say('room', 'olga', 'driver fail');
  for (const chat of ['b1', 'b2', 'b3', 'b4', 'b5', 'b6']) await talk.say(chat, 'olga', `in ${chat}`);
  await until('the breaker is open', async () => {
    assert.equal((await shown()).seen!.breaker, 'open');
  });
  for (const chat of ['b1', 'b2', 'b3', 'b4', 'b5', 'b6']) await talk.hears(chat, new RegExp(`You said: in ${chat}`));
  await until('all is sent', async () => {
    assert.equal((await shown()).seen!.breaker, 'closed');
    assert.equal(talk.count("SELECT count(*) AS n FROM outbound WHERE state <> 'sent' AND session_id IS NOT NULL"), 0);
  });
});

test('a limit without a time shows for a while, and what it was stays in the status of a channel that is well', async () => {
  await becomes('connected');
  const from = (await talk.sent('room')).length;
  await talk.say('room', 'olga', 'driver limit');
  await until('it shows', async () => {
    const { limited_until_ms } = (await shown()).seen!;
    assert.ok(limited_until_ms !== null && limited_until_ms > Date.now());
  });
  const { stdout } = await install.glass('status');
  assert.match(stdout, /platform: connected for .*limited for \d+ s.*last error \d+ s ago: slow down/);
  await talk.hears('room', /You said: driver limit/, from);
});

test('a token that is refused at a send keeps the answer until a good one is there; no reason names it', async () => {
  await becomes('connected');
  await token('fake-token-revoked');
  await talk.say('room', 'olga', 'driver exit'); // its next life has the new token
  await becomes('failed');
  // It is connected for as long as it takes to send the answer to that.
  await talk.call('channel_retry', { name: 'platform' });
  const id = await talk.say('room', 'olga', 'keep this');
  const { detail } = await becomes('failed', /revoked/);
  assert.equal(detail, '[secret] is revoked');
  await until('the answer waits', async () => {
    const [row] = rows<{ state: string; error: string }>(
      install,
      "SELECT state, error FROM outbound WHERE state <> 'sent' AND session_id IS NOT NULL ORDER BY id LIMIT 1",
    );
    assert.equal(row!.state, 'queued');
    assert.match(row!.error, /revoked/);
  });
  const from = (await talk.sent('room')).length;
  await token('fake-token-unknown');
  await becomes('failed', /^the platform does not know \[secret\]$/);
  await until('somebody is told', async () => {
    const { alerts } = await talk.call<Status>('status');
    assert.deepEqual(
      alerts.filter(({ kind }) => kind === 'channel.deaf').map(({ subject, text }) => [subject, text]),
      [['platform', 'The channel platform hears nothing: the platform does not know [secret]']],
    );
  });
  await token(TOKEN);
  await becomes('connected');
  await talk.hears('room', /You said: keep this/, from);
  await talk.settles(id, 'answered');
  const { alerts } = await talk.call<Status>('status');
  assert.deepEqual(
    alerts.filter(({ kind }) => kind === 'channel.deaf'),
    [],
  );
});

test('the listener gives a request to its channel whole, and knows no other way', async () => {
  await becomes('connected');
  const base = `http://127.0.0.1:${PORT}`;
  const sent = await fetch(`${base}/hooks/platform/events?challenge=1`, {
    method: 'POST',
    headers: { 'x-signature': 'v0=abc' },
    body: '{"text": "ü"}',
  });
  assert.deepEqual(
    [sent.status, sent.headers.get('content-type'), await sent.json()],
    [
      200,
      'application/json',
      { method: 'POST', path: '/events', query: 'challenge=1', signature: 'v0=abc', body: '{"text": "ü"}' },
    ],
  );
  const status = async (path: string, more: RequestInit = {}): Promise<number> =>
    (await fetch(`${base}${path}`, more)).status;
  assert.deepEqual(
    [
      ...(await Promise.all(
        ['/', '/hooks', '/hooks/local', '/hooks/nobody', '/v1/status'].map((path) => status(path)),
      )),
      await status('/hooks/platform', { method: 'DELETE' }),
      await status('/hooks/platform', { method: 'POST', body: 'x'.repeat(WEBHOOK_BODY_BYTES_MAX + 1) }),
      await status('/hooks/platform', { headers: { long: 'x'.repeat(20_000) } }),
    ],
    [404, 404, 404, 404, 404, 405, 413, 431],
  );
  // Two of a header that is a signature: which one counts is nobody's to guess.
  const raw = await new Promise<string>((resolve) => {
    const socket = connect(PORT, '127.0.0.1');
    let said = '';
    socket.on('data', (part) => {
      said += part;
      if (said.includes('}')) socket.end();
    });
    socket.on('close', () => resolve(said));
    socket.write(
      'GET /hooks/platform HTTP/1.1\r\nhost: x\r\nx-signature: a\r\nx-signature: b\r\nconnection: close\r\n\r\n',
    );
  });
  assert.match(raw, /"body":""/);
  assert.ok(!raw.includes('signature'), raw);
});

test('a channel is tried with a person at its other end', async () => {
  await becomes('connected');
  const steps: TestStep[] = [];
  const trying = install.control.stream('channel_test', { name: 'platform' }, (row) => steps.push(row as never));
  await talk.hears('dm-olga', /This is a test of GlassClaw\. Answer anything/);
  await talk.say('dm-olga', 'olga', 'here');
  await trying;
  assert.deepEqual(
    steps.map(({ step, state }) => `${step} ${state}`),
    ['connect ok', 'send ok', 'receive ok'],
  );
  const quiet: TestStep[] = [];
  await install.control.stream('channel_test', { name: 'platform', reply: false }, (row) => quiet.push(row as never));
  assert.deepEqual(
    quiet.map(({ step, state }) => `${step} ${state}`),
    ['connect ok', 'send ok'],
  );
});

test('a channel is added and removed while the host runs; the file keeps its comments', async () => {
  await token(TOKEN, 'second');
  const settings = { url: talk.url };
  await talk.call('channel_add', { name: 'second', kind: 'fake', settings });
  await becomes('connected', /./, 'second');
  assert.match(
    readFileSync(install.paths.config, 'utf8'),
    /^# Kept as it is\.\n[\s\S]*second:\n\s+kind: fake\n\s+url: /,
  );
  for (const [input, code, said] of [
    [{ name: 'second', kind: 'fake', settings }, 'conflict', /there is a channel "second" already/],
    [{ name: 'local', kind: 'fake', settings }, 'conflict', /"local" already/],
    [{ name: 'third', kind: 'fax', settings }, 'config', /channels\.third\.kind: there is no kind "fax"/],
    [{ name: 'third', kind: 'fake', settings: { url: talk.url, colour: 1 } }, 'config', /channels\.third: .*colour/],
    [{ name: 'Third!', kind: 'fake', settings }, 'usage', /name: must be/],
  ] as const)
    await assert.rejects(talk.call('channel_add', input), (error: { code: string; message: string }) => {
      assert.equal(error.code, code);
      assert.match(error.message, said);
      return true;
    });
  await talk.call('channel_remove', { name: 'second' });
  assert.ok(!readFileSync(install.paths.config, 'utf8').includes('second'));
  await assert.rejects(shown('second'), /there is no channel "second"/);
  await assert.rejects(talk.call('channel_remove', { name: 'local' }), /is not in glass.yaml/);
  const again = await install.glass('channel', 'list', '--json');
  assert.deepEqual(
    JSON.parse(again.stdout).channels.map(({ name }: ChannelShown) => name),
    ['local', 'agents', 'platform'],
  );
});

test('what was on its way when the host died is asked about, and what came meanwhile is read', async () => {
  await anew();
  await install.end('host', 'SIGKILL');
  const from = (await talk.sent('room')).length;
  const said = fetch(`${talk.url}/people/say`, {
    method: 'POST',
    body: JSON.stringify({ chat: 'room', from: 'olga', text: 'while you were away' }),
  });
  await said;
  install.spawn('host');
  await install.ready();
  await talk.hears('room', /You said: while you were away/, from);
});
