import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import type { AlertTestRow } from '../../src/evidence/alert_test.ts';
import type { Status } from '../../src/evidence/status.ts';
import { until } from '../fakes/install.ts';
import { LoopbackServer } from '../fakes/loopback_server.ts';
import { type FakeModel, startModel } from '../fakes/model.ts';
import { type Patch, PatchedTree } from '../fakes/patched_tree.ts';
import { Talk } from '../fakes/talk.ts';

/**
 * Alerts that reach a person, on an install with two channels, a program, a webhook and a sign of life: each failure is caused for
 * real, heard of, mended, and over.
 */
/** What is looked at with the sweep is looked at more often. */
const SOON: Patch = ['src/base/limits/messages.ts', 'SWEEP_MS = 30 * SECOND_MS', 'SWEEP_MS = 5 * SECOND_MS'];
const tree = new PatchedTree([SOON], ['native']);
const talk = await Talk.make(tree.root, { GLASS_TEST_DRIVER: '1' });
/** The second platform; its own install never runs. */
const other = await Talk.make();
const { install } = talk;
const told = join(install.paths.home, 'told');
const asked: { path: string; body: string }[] = [];
let webhookStatus = 200;
const server = new LoopbackServer(async (request, response) => {
  let body = '';
  for await (const part of request) body += part;
  asked.push({ path: request.url!, body });
  response.writeHead(request.url === '/hook' ? webhookStatus : 200).end();
});
let model: FakeModel;
const DM = 'dm-olga';
/** From what is seen with a sweep to its being told. */
const SWEEPS_MS = 240_000;

before(async () => {
  await server.listen();
  model = await startModel({ mode: '500' });
  const program = join(install.paths.home, 'tell.mjs');
  writeFileSync(
    program,
    `import { appendFileSync, readFileSync } from 'node:fs'; appendFileSync(process.argv[2], readFileSync(0, 'utf8') + '\\n');`,
  );
  install.group('assistant', 'harness: probe\nlimits: {idle: 60s}\n');
  install.install(
    JSON.stringify({
      channels: {
        platform: { kind: 'fake', url: talk.url },
        second: { kind: 'fake', url: other.url, deaf: true },
      },
      alerts: {
        command: [process.execPath, program, told],
        webhook: `${server.url}/hook`,
        heartbeat: `${server.url}/beat`,
      },
    }),
  );
  await install.start();
  for (const name of ['platform', 'second']) await token(name, 'fake-token-good');
  await talk.known('olga', 'owner');
  await until('she is on the second platform too', async () => {
    const { people } = await talk.call<{ people: { id: string; name: string; identities: { handle: string }[] }[] }>(
      'people',
    );
    const olga = people.find(({ identities }) => identities.some(({ handle }) => handle === 'olga'))!;
    await talk.call('person_link', { person: olga.id, channel: 'second', handle: 'olga' });
  });
  for (const name of ['platform', 'second']) await becomes(name, 'connected');
});
afterEach((context) => install.explain(context));
after(async () => {
  await talk.end();
  await other.end();
  await server.close();
  await model.close();
  tree[Symbol.dispose]();
});

function token(name: string, value: string): Promise<void> {
  return install.secret(`${name}-token`, value, { form: { kind: 'channel' }, hosts: [] });
}

function becomes(name: string, state: string): Promise<void> {
  return until(`${name} is ${state}`, async () => {
    assert.equal((await talk.call<{ state: string }>('channel_show', { name })).state, state);
  });
}

interface Told {
  kind: string;
  subject: string;
  /** What is said of it; how it is by now may be another thing. */
  told: string;
  text: string;
  severity: string;
}

function byCommand(): Told[] {
  if (!existsSync(told)) return [];
  return readFileSync(told, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

function byWebhook(): Told[] {
  return asked.filter(({ path }) => path === '/hook').map(({ body }) => JSON.parse(body));
}

function hears(kind: string, what: string, where = byCommand): Promise<Told> {
  return until(
    `${kind} is ${what}`,
    async () => {
      const found = where().find((one) => one.kind === kind && one.told === what);
      assert.ok(found, JSON.stringify(where().map(({ kind, told }) => `${kind} ${told}`)));
      return found;
    },
    SWEEPS_MS,
  );
}

/** Not by the command line: while a program is waited for, nobody here answers for the webhook. */
async function tried(): Promise<AlertTestRow[]> {
  const ways: AlertTestRow[] = [];
  await install.control.stream('alert_test', {}, (row) => ways.push(row as unknown as AlertTestRow));
  return ways;
}

test('glass alert test: one alert by every way, and which of them it got out by', async () => {
  const ways = await tried();
  assert.deepEqual(ways.map(({ way, state }) => `${way} ${state}`).sort(), [
    'command arrived',
    'heartbeat arrived',
    'local:main waits',
    `platform:${DM} arrived`,
    `second:${DM} arrived`,
    'webhook arrived',
  ]);
  for (const sent of [await talk.sent(DM), await other.sent(DM)]) assert.match(sent.at(-1)!.text, /This is a test/);
  webhookStatus = 500;
  const again = await tried();
  webhookStatus = 200;
  assert.deepEqual(
    again.filter(({ state }) => state === 'failed').map(({ way, detail }) => [way, detail]),
    [['webhook', 'it was answered 500']],
  );
});

test('a channel that goes deaf is told through the other one, and that it is back in the same place', async () => {
  await token('platform', 'fake-token-unknown');
  await talk.call('channel_retry', { name: 'platform' });
  await talk.say('room', 'olga', 'driver exit');
  const [raised] = await Promise.all([
    other.hears(DM, /channel platform hears nothing/),
    hears('channel.deaf', 'raised'),
  ]);
  assert.ok(!raised.text.includes('fake-token'));
  assert.ok(!(await talk.sent(DM)).some(({ text }) => text.includes('hears nothing')));
  await token('platform', 'fake-token-good');
  await becomes('platform', 'connected');
  await other.hears(DM, /^✓ Over after .*channel platform hears nothing/);
  await hears('channel.deaf', 'cleared', byWebhook);
});

test('a gateway that is gone is told by what does not need it; there is no sign of life meanwhile, and both come back', async () => {
  const beats = (): number => asked.filter(({ path }) => path === '/beat').length;
  const file = join(install.paths.run, 'heartbeat');
  await until('there was a sign of life', async () => assert.ok(existsSync(file)), SWEEPS_MS);
  await install.end('gateway', 'SIGKILL');
  const gone = beats();
  const { severity } = await hears('gateway.lost', 'raised');
  assert.equal(severity, 'urgent');
  await talk.hears(DM, /The gateway is away/);
  rmSync(file);
  const { ways, state } = await talk.call<Status>('status');
  assert.equal(state, 'attention');
  assert.ok(ways.find(({ way }) => way === 'webhook')!.waiting > 0, 'it waits for the gateway');
  assert.equal(beats(), gone);
  assert.ok(!existsSync(file));
  install.spawn('gateway');
  await hears('gateway.lost', 'cleared');
  await hears('gateway.lost', 'raised', byWebhook);
  await until(
    'there is a sign of life again',
    async () => assert.ok(statSync(file).isFile() && beats() > gone),
    SWEEPS_MS,
  );
});

test('a model that answers nobody any more is told of, and that it does again', async () => {
  await install.secret('anthropic', 'fake-secret-value');
  const endpoint = `{provider: anthropic, name: scripted, upstream: "${model.origin}", secret: anthropic}`;
  await install.change('thinker', `harness: native\nmodel: ${endpoint}\n`);
  await talk.wire('thoughts', 'thinker', { engage: 'always', session: 'chat' });
  for (const words of ['hello', 'hello?', 'anybody?']) {
    const message = await talk.say('thoughts', 'olga', words);
    await until(`${words} has failed`, async () => assert.match(talk.states(message)[0]!, /^failed/), SWEEPS_MS);
  }
  const { subject, text } = await hears('model.failing', 'raised');
  assert.equal(subject, 'thinker');
  assert.match(text, /127\.0\.0\.1:\d+ answered 500/);
  model.mode = 'ok';
  await talk.say('thoughts', 'olga', 'hello again');
  await hears('model.failing', 'cleared');
});

test('a channel is proven without a word to anybody; one whose platform refuses is told of through another one', async () => {
  const sent = (await talk.sent(DM)).length;
  const { status, stdout } = install.glass('channel', 'test', 'platform', '--quiet');
  assert.deepEqual([status, /^proven\s+typing/.test(stdout)], [0, true]);
  assert.ok((await talk.journal()).typing.some(({ chat }) => chat === DM));
  assert.equal((await talk.sent(DM)).length, sent);
  const { channels } = await talk.call<Status>('status');
  assert.equal(channels.find(({ name }) => name === 'platform')!.proof!.ok, true);
});

test('a host that is cut short again and again says so when it is back', async () => {
  for (let i = 0; i < 3; i += 1) {
    await install.end('host', 'SIGKILL');
    install.spawn('host');
    await install.ready();
  }
  await hears('host.crashing', 'raised');
});

test('on the command line: what was seen does not ask for a look any more, and what stands is still there', async () => {
  await talk.call('clear_alerts');
  const { alerts } = await talk.call<Status>('status');
  assert.ok(alerts.some(({ kind, acked }) => kind === 'host.crashing' && acked));
  const list = install.glass('alert', 'list');
  assert.deepEqual([list.status, /seen .*host\.crashing/.test(list.stdout)], [0, true]);
  await server.close();
  const { status, stdout } = install.glass('alert', 'test');
  assert.equal(status, 1);
  assert.match(stdout, /failed\s+heartbeat\s+.*ECONNREFUSED/);
  assert.match(stdout, /arrived\s+command/);
  assert.equal(install.glass('alert', 'ack', 'a999').status, 4);
  assert.equal(install.glass('alert', 'ack').status, 2);
});

test('nothing secret went out by any way', async () => {
  const sent = [...(await talk.journal()).sent, ...(await other.journal()).sent].map(({ text }) => text);
  const all = [...sent, readFileSync(told, 'utf8'), ...asked.map(({ body }) => body)].join('\n');
  for (const secret of ['fake-token-good', 'fake-token-unknown', `${server.url}/hook`])
    assert.ok(!all.includes(secret), secret);
});
