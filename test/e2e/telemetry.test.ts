import assert from 'node:assert/strict';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import type { Status } from '../../src/evidence/status.ts';
import { Collector, type ReceivedSpan } from '../fakes/collector.ts';
import { type ReadFamily, readExposition } from '../fakes/exposition.ts';
import { Install, until } from '../fakes/install.ts';
import { type FakeModel, startModel } from '../fakes/model.ts';
import { Terminal } from '../fakes/terminal.ts';
import { requireHarness } from '../kits/harness_bench.ts';

/** Metrics and traces reach the tools of others: a collector that speaks OTLP, and a reader of Prometheus' format. */

/** The first answer of a group comes after its self-check. */
const PATIENCE_MS = 120_000;
const TOKEN = 'fake-collector-token-0123456789';
const collector = new Collector();
const install = new Install();
let model: FakeModel;
let port = 0;

before(async () => {
  await requireHarness('native');
  await collector.server.listen();
  model = await startModel();
  port = await freePort();
  install.install(
    `metrics: {prometheus: "127.0.0.1:${port}"}\notlp: {endpoint: "${collector.server.url}", headers: {authorization: collector}}\n`,
  );
  const yaml = `harness: native\nmodel: {provider: anthropic, name: scripted, upstream: "${model.origin}"}\n`;
  install.group('assistant', yaml);
  install.spawn('gateway');
  await until('the vault listens', () => install.secret('anthropic', 'sk-scripted-0123456789'));
  await install.secret('collector', TOKEN, { form: { kind: 'channel' }, hosts: [] });
  install.spawn('host');
  await install.ready();
});
afterEach((context) => install.explain(context));
after(async () => {
  await install.stop();
  await model.close();
  await collector.server.close();
});

async function scraped(): Promise<Map<string, ReadFamily>> {
  const answer = await fetch(`http://127.0.0.1:${port}/metrics`);
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get('content-type')!, /^text\/plain; version=0\.0\.4/);
  return readExposition(await answer.text());
}

function sampleOf(families: Map<string, ReadFamily>, name: string, labels: Record<string, string> = {}): number {
  const family = [...families].find(([known]) => name === known || name.startsWith(`${known}_`))?.[1];
  const found = family?.samples.find(
    (sample) => sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
  );
  return found?.value ?? assert.fail(`${name} ${JSON.stringify(labels)} is not there`);
}

test('what the host answers by itself is a trace, sent with the secret header, and no word of it', async () => {
  const chat = await Terminal.open(install.control, 'commands');
  const message = await chat.say('/help canary-of-a-command');
  const [root] = await until('the trace has come', async () => {
    const found = collector.of(message);
    assert.ok(found.length > 0);
    return found;
  });
  assert.equal(root!.name, 'message');
  assert.equal(root!.resource['service.name'], 'glassclaw');
  assert.equal(collector.headers.at(-1)!.authorization, TOKEN);
  assert.doesNotMatch(collector.bodies.join('\n'), /canary/);
});

test('what Prometheus reads is well formed and agrees with the status', async () => {
  const families = await scraped();
  const status = await install.control.call<Status>('status');
  assert.equal(
    sampleOf(families, 'glass_messages', { direction: 'inbound', state: 'answered' }),
    status.conservation.inbound['answered'],
  );
  assert.equal(sampleOf(families, 'glass_gateway_connected'), 1);
  assert.equal(sampleOf(families, 'glass_channel_connected', { channel: 'local' }), 1);
  assert.ok(sampleOf(families, 'glass_delivery_seconds_count', { channel: 'local', state: 'sent' }) >= 1);
  assert.equal(sampleOf(families, 'glass_traces_total', { outcome: 'exported' }), 1);
  assert.ok(sampleOf(families, 'glass_resident_bytes') > 2 ** 20);
});

test('only GET /metrics is there', async () => {
  for (const path of ['/', '/metrics/..', '/metricsx']) {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`);
    assert.equal(answer.status, 404, path);
  }
  assert.equal((await fetch(`http://127.0.0.1:${port}/metrics`, { method: 'POST' })).status, 404);
});

test('a collector that refuses is counted, holds nothing up, and says no token', async () => {
  collector.status = 400;
  const chat = await Terminal.open(install.control, 'second');
  await chat.say('/help again');
  await until('the failure is counted', async () => {
    assert.ok(sampleOf(await scraped(), 'glass_traces_total', { outcome: 'failed' }) >= 1);
  });
  const { alerts } = await install.control.call<Status>('status');
  assert.deepEqual(
    alerts.filter(({ kind }) => kind === 'telemetry'),
    [],
  );
  collector.status = 200;
  const third = await chat.say('/help and again');
  await until('the next trace has come', async () => assert.ok(collector.of(third).length > 0));
  const logs = ['host', 'gateway'].map((part) => readFileSync(join(install.paths.logs, `${part}.log`), 'utf8'));
  assert.doesNotMatch(logs.join('\n'), new RegExp(TOKEN));
});

test('a port that is taken is told of, and the host answers all the same', async (context) => {
  const other = new Install();
  const taken = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => taken.once('listening', resolve));
  context.after(async () => {
    await other.stop();
    taken.close();
  });
  other.install(`metrics: {prometheus: "127.0.0.1:${(taken.address() as AddressInfo).port}"}\n`);
  other.group('assistant', 'harness: probe\n');
  await other.start();
  const alert = await until('somebody is told', async () => {
    const { alerts } = await other.control.call<Status>('status');
    return alerts.find(({ kind }) => kind === 'telemetry') ?? assert.fail('no alert');
  });
  assert.match(alert.text, /EADDRINUSE/);
});

test('nothing of it is loaded where nothing asks for it, and its packages never in the host’s thread', async (context) => {
  const loaded = await loadedScripts(context, '');
  assert.ok(
    loaded.some((url) => url.endsWith('/src/host.ts')),
    'the list is a list of scripts',
  );
  assert.deepEqual(
    loaded.filter((url) => /telemetry\/|opentelemetry|prom-client/.test(url)),
    [],
  );
  const asked = await loadedScripts(context, `metrics: {prometheus: "127.0.0.1:${await freePort()}"}\n`);
  assert.ok(asked.some((url) => url.endsWith('/telemetry/telemetry.ts')));
});

test('a handled message is one trace, with its request to the model and its delivery, and no word of it', async () => {
  const chat = await Terminal.open(install.control, 'main');
  const message = await chat.say('canary-text-of-ann tool list_destinations {}');
  await chat.hears(/tool said|echo/, PATIENCE_MS);
  const spans = await until('the trace has come', async () => {
    const found = collector.of(message);
    assert.ok(found.some(({ name }) => name === 'delivery'));
    return found;
  });
  const named = (name: string): ReceivedSpan => spans.find((span) => span.name === name) ?? assert.fail(`no ${name}`);
  const root = named('message');
  assert.equal(root.parentSpanId, undefined);
  assert.equal(root.attributes['glass.group'], 'assistant');
  assert.equal(root.resource['service.name'], 'glassclaw');
  for (const name of ['queue', 'sandbox start', 'turn', 'delivery'])
    assert.equal(named(name).parentSpanId, root.spanId);
  const asked = named('chat scripted');
  assert.equal(asked.parentSpanId, named('turn').spanId);
  assert.equal(asked.attributes['gen_ai.request.model'], 'scripted');
  assert.ok(Number(asked.attributes['gen_ai.usage.input_tokens']) > 0);
  assert.equal(asked.attributes['http.response.status_code'], 200);
  for (const span of spans) assert.ok(span.start >= root.start && span.end <= root.end, `${span.name} is outside`);
  assert.equal(new Set(spans.map(({ spanId }) => spanId)).size, spans.length);
  assert.equal(collector.headers.at(-1)!.authorization, TOKEN);
  assert.doesNotMatch(collector.bodies.join('\n'), /canary|echo/);
  const families = await scraped();
  for (const name of ['glass_turn_seconds_count', 'glass_sandbox_start_seconds_count'])
    assert.ok(sampleOf(families, name, { group: 'assistant' }) >= 1, name);
});

/** Scripts that a host has had in its main thread, as V8 lists them. */
async function loadedScripts(context: { after(clean: () => Promise<void>): void }, yaml: string): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'gc-'));
  const other = new Install();
  context.after(async () => {
    await other.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  other.install(yaml);
  other.group('assistant', 'harness: probe\n');
  other.spawn('gateway');
  other.spawn('host', { NODE_V8_COVERAGE: folder });
  await other.ready();
  await other.end('host', 'SIGTERM');
  return globSync(`${folder}/*.json`).flatMap((file) =>
    (JSON.parse(readFileSync(file, 'utf8')) as { result: { url: string }[] }).result.map(({ url }) => url),
  );
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port: free } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return free;
}
