import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { parseInstall } from '../../src/base/config.ts';
import { HEARTBEAT_FAILS_MAX, HEARTBEAT_MS } from '../../src/base/limits/alerts.ts';
import { runCommand } from '../../src/evidence/alert_command.ts';
import { Heartbeat } from '../../src/evidence/heartbeat.ts';
import { Outward } from '../../src/gateway/outward.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';
import { LoopbackServer } from '../fakes/loopback_server.ts';

/** The operator's program, the addresses, and the sign of life, for real. */

function program(context: TestContext, script: string): { command: string[]; folder: string } {
  const folder = temporaryFolder(context);
  const file = join(folder, 'told.mjs');
  writeFileSync(file, script);
  return { command: [process.execPath, file, folder], folder };
}

const KEEPS = `import { readFileSync, writeFileSync } from 'node:fs';
writeFileSync(process.argv[2] + '/told', JSON.stringify({ body: readFileSync(0, 'utf8'), env: process.env, cwd: process.cwd(), args: process.argv.slice(3) }));`;

test('the program gets the alert on its standard input, and no shell, no secret and nothing of our environment', async (context) => {
  process.env['GLASS_FAKE_SECRET'] = 'fake-secret-value';
  context.after(() => delete process.env['GLASS_FAKE_SECRET']);
  const { command, folder } = program(context, KEEPS);
  const body = '{"text":"$(touch /tmp/never) \\"; `id`"}';
  assert.equal(await runCommand([...command, '$HOME; *'], body), null);
  const told = JSON.parse(readFileSync(join(folder, 'told'), 'utf8'));
  assert.equal(told.body, body);
  assert.deepEqual(told.args, ['$HOME; *']);
  assert.equal(told.cwd, '/');
  assert.deepEqual(Object.keys(told.env).sort(), ['LANG', 'PATH']);
});

test('a program that fails, is not there, or does not end is said to; what it started ends with it', async (context) => {
  assert.equal(await runCommand(program(context, 'process.exit(3)').command, '{}'), 'it ended with code 3');
  assert.match((await runCommand(['/nowhere/at-all'], '{}'))!, /^it could not be started \(.*ENOENT/);
  // It does not read what it is given.
  assert.equal(await runCommand(program(context, '').command, 'x'.repeat(1 << 20)), null);
  const { command, folder } = program(
    context,
    `import { spawn } from 'node:child_process'; import { writeFileSync } from 'node:fs';
     const child = spawn('sleep', ['1000']); writeFileSync(process.argv[2] + '/pid', String(child.pid)); setInterval(() => {}, 1000);`,
  );
  const began = runCommand(command, '{}', 3000);
  assert.equal(await began, 'it did not end within 3 s');
  const pid = Number(readFileSync(join(folder, 'pid'), 'utf8'));
  for (let i = 0; i < 500 && isAlive(pid); i += 1) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.ok(!isAlive(pid));
});

/** One that has ended may still stand in the table of processes, where nobody asks for it. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

interface Asked {
  method: string;
  path: string;
  body: string;
  headers: IncomingMessage['headers'];
}

async function server(
  context: TestContext,
  status = 200,
): Promise<{ url: string; asked: Asked[]; close(): Promise<void> }> {
  const asked: Asked[] = [];
  const made = new LoopbackServer(async (request, response) => {
    let body = '';
    for await (const part of request) body += part;
    asked.push({ method: request.method!, path: request.url!, body, headers: request.headers });
    response.writeHead(status, status === 302 ? { location: '/elsewhere' } : {}).end('x'.repeat(100_000));
  });
  await made.listen();
  context.after(() => made.close());
  return { url: made.url, asked, close: () => made.close() };
}

test('the gateway posts an alert and asks for the sign of life where glass.yaml says, and nowhere else', async (context) => {
  const { url, asked } = await server(context);
  const outward = new Outward({ webhook: `${url}/hook?key=1`, heartbeat: `${url}/beat` }, null);
  assert.equal(await outward.post('webhook', '{"text":"ä"}'), null);
  assert.equal(await outward.post('heartbeat', ''), null);
  assert.deepEqual(
    asked.map(({ method, path, body, headers }) => [method, path, body, headers['content-type']]),
    [
      ['POST', '/hook?key=1', '{"text":"ä"}', 'application/json'],
      ['GET', '/beat', '', undefined],
    ],
  );
  const names = asked.flatMap(({ headers }) => Object.keys(headers));
  assert.ok(!names.some((name) => ['authorization', 'cookie', 'x-api-key'].includes(name)));
  assert.match((await new Outward({}, null).post('webhook', '{}'))!, /no webhook/);
});

test('a refusal, a redirect, a server that is away and a metadata service are failures, and no reason names the address', async (context) => {
  const failed = await server(context, 500);
  const key = 'fake-key-in-the-path';
  assert.equal(
    await new Outward({ webhook: `${failed.url}/${key}` }, null).post('webhook', '{}'),
    'it was answered 500',
  );
  const redirects = await server(context, 302);
  assert.equal(
    await new Outward({ webhook: `${redirects.url}/${key}` }, null).post('webhook', '{}'),
    'it was answered 302',
  );
  assert.equal(redirects.asked.length, 1, 'nobody goes where it points');
  await failed.close();
  const away = (await new Outward({ webhook: `${failed.url}/${key}` }, null).post('webhook', '{}'))!;
  assert.match(away, /ECONNREFUSED/);
  const metadata = (await new Outward({ webhook: `https://metadata.google.internal/${key}` }, null).post(
    'webhook',
    '{}',
  ))!;
  for (const reason of [away, metadata]) assert.ok(!reason.includes(key), reason);
});

test('glass.yaml takes a program by its absolute path, and addresses that nobody else reads', () => {
  const read = (alerts: string) => parseInstall(`alerts: ${alerts}\n`, 'glass.yaml').alerts;
  assert.deepEqual(read('{command: [/usr/bin/true, "a b"]}').command, ['/usr/bin/true', 'a b']);
  for (const good of ['https://hooks.example.com/x', 'http://127.0.0.1:9/x', 'http://localhost/x'])
    assert.equal(read(`{webhook: "${good}"}`).webhook, good);
  for (const wrong of [
    '{command: [true]}',
    '{command: []}',
    '{command: /usr/bin/true}',
    '{webhook: "http://example.com/x"}',
    '{webhook: "http://127.0.0.1.example.com/x"}',
    '{webhook: "https://me:word@example.com/x"}',
    '{heartbeat: "file:///etc/passwd"}',
    '{mail: me}',
  ])
    assert.throws(() => read(wrong), { code: 'config' }, wrong);
  assert.equal(parseInstall('synthetic: false\n', 'glass.yaml').synthetic, false);
});

test('a sign of life is given once a minute while messages can be answered, and by its address too', async (context) => {
  const run = temporaryFolder(context);
  const file = join(run, 'heartbeat');
  let monotonic = 0;
  let pings = 0;
  let failure: string | null = null;
  const works: string[] = [];
  const heartbeat = new Heartbeat({
    ...{ run, clock: { ...systemClock, monotonic: () => monotonic } },
    ping: async () => {
      pings += 1;
      return failure;
    },
    works: (_, why) => works.push(why ?? 'works'),
  });
  await heartbeat.beat('the gateway is away');
  assert.deepEqual([existsSync(file), pings, heartbeat.shown().error], [false, 0, null]);
  await heartbeat.beat(null);
  assert.match(readFileSync(file, 'utf8'), /^\d{4}-\d\d-\d\dT/);
  assert.equal(statSync(file).mode & 0o777, 0o644);
  assert.deepEqual([pings, heartbeat.shown().error], [1, null]);
  await heartbeat.beat('the gateway is away');
  assert.equal(heartbeat.shown().error, 'the gateway is away');
  const first = statSync(file).ino;
  await heartbeat.beat(null);
  assert.deepEqual([pings, statSync(file).ino], [1, first]);
  monotonic += HEARTBEAT_MS;
  await heartbeat.beat(null);
  assert.equal(pings, 2);
  assert.notEqual(statSync(file).ino, first, 'it is another file in one step: nobody reads half of one');
  failure = 'it was answered 500';
  works.length = 0;
  for (let i = 0; i < HEARTBEAT_FAILS_MAX; i += 1) {
    monotonic += HEARTBEAT_MS;
    await heartbeat.beat(null);
  }
  assert.deepEqual(works, ['it was answered 500']);
});
