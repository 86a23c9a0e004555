import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { noFaults } from '../../src/base/faults.ts';
import { SESSION_REFUSALS_PER_MINUTE } from '../../src/base/limits/gateway.ts';
import { silentLog } from '../../src/base/log.ts';
import { type Paths, pathsOf, ROOT } from '../../src/base/paths.ts';
import { Audit } from '../../src/gateway/audit.ts';
import { Budgets } from '../../src/gateway/budget.ts';
import { CertificateAuthority } from '../../src/gateway/ca.ts';
import { Holds } from '../../src/gateway/holds.ts';
import { Injector } from '../../src/gateway/inject.ts';
import { Prices } from '../../src/gateway/prices.ts';
import { Rates } from '../../src/gateway/rates.ts';
import { EgressSessions } from '../../src/gateway/sessions.ts';
import { Tokens } from '../../src/gateway/tokens.ts';
import { fileKeySource, PLAIN } from '../../src/vault/key_file.ts';
import { Vault } from '../../src/vault/vault.ts';
import { keptGroup } from '../fakes/authorities.ts';
import { ask, raw } from '../fakes/gateway_process.ts';
import { echoScript, type FakeModel, startModel } from '../fakes/model.ts';
import { askService, connectTo, openTunnel } from '../fakes/tunnel.ts';

/** The parts of a session that need short deadlines or a failing disk: in this process, on real sockets. */

const MESSAGES = '/model/default/v1/messages';
const home = mkdtempSync(join(tmpdir(), 'gs-'));
const paths: Paths = { ...pathsOf(home, {}), run: join(home, 'r'), gatewayRun: join(home, 'r') };
const PRICES = new Prices([join(ROOT, 'src/gateway/prices.json')]);
const alerts: string[] = [];
let model: FakeModel;
let audit: Audit;
let sessions: EgressSessions;
let vault: Vault;
let authority: CertificateAuthority;
let opened = 0;
/** The fault point of the audit that throws. */
let failing = '';

before(async () => {
  model = await startModel();
  vault = await Vault.unlock(paths.vault, fileKeySource(paths.vaultKey, PLAIN), systemClock, noFaults);
  vault.set('anthropic', Buffer.from('fake-secret-value'));
  authority = new CertificateAuthority(paths, systemClock, noFaults);
  vault.set('token', Buffer.from('fake-secret-value'), { form: { kind: 'bearer' }, hosts: ['api.example.com'] });
  vault.set('strange', Buffer.from('fake\nsecret\nvalue'));
});

// Also after a failure: an open session would keep this process for ever.
afterEach(() => sessions.closeAll());

after(async () => {
  vault.close();
  await model.close();
  rmSync(home, { recursive: true });
});

beforeEach(() => {
  model.requests.length = 0;
  model.mode = 'ok';
  model.script = echoScript;
  alerts.length = 0;
  failing = '';
  const faults = { point: (name: string) => assert.notEqual(name, failing) };
  audit = new Audit(join(home, `audit${++opened}.db`), systemClock, faults);
  sessions = new EgressSessions(
    paths,
    {
      audit,
      injector: new Injector(vault, new Tokens(vault, systemClock, null, silentLog, noFaults)),
      holds: new Holds(systemClock, () => {}),
      authority,
      rates: new Rates(systemClock, (...words) => audit.countSince(...words)),
      prices: PRICES,
      budgets: new Budgets(
        systemClock,
        (group, since_ms) => audit.usedSince(group, since_ms),
        () => {},
      ),
      clock: systemClock,
      faults: noFaults,
      log: silentLog,
      deadlines: { tls_ms: 500, first_byte_ms: 1000, idle_ms: 1000, ws_idle_ms: 1000 },
      alert: (kind) => alerts.push(kind),
    },
    null,
    null,
  );
});

async function open(more = '', rest = ''): Promise<string> {
  const yaml = `model: {upstream: "${model.origin}"${more}}\n${rest}`;
  const socket = join(paths.run, `${opened}`, 'egress.sock');
  mkdirSync(dirname(socket), { recursive: true });
  await sessions.open('s1', 'assistant', keptGroup(paths, 'assistant', yaml), socket, ['A', 'B', 'C']);
  return socket;
}

function rows(): unknown[] {
  return audit.rows('s1', 0, Number.MAX_SAFE_INTEGER).map((row) => [row.decision, row.status, row.rule]);
}

test('an endpoint that sends nothing is given up with a 504', async () => {
  model.mode = 'hang';
  const reply = await ask(await open(), MESSAGES);
  assert.equal(reply.status, 504);
  assert.match(JSON.parse(reply.body).reason, /sent no reply in time/);
  assert.deepEqual(rows(), [['error', 504, 'upstream deadline']]);
});

test('an endpoint that stops in the middle is cut, and the next request works', async () => {
  model.script = () => ({
    raw: (response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {}\n\n');
    },
  });
  const socket = await open();
  await assert.rejects(ask(socket, MESSAGES));
  assert.deepEqual(rows(), [['error', 200, 'upstream deadline']]);
  model.script = echoScript;
  assert.equal((await ask(socket, MESSAGES)).status, 200);
});

test('a request that cannot be recorded is not made', async () => {
  const socket = await open();
  audit.close();
  const reply = await ask(socket, MESSAGES);
  assert.equal(reply.status, 503);
  assert.equal(model.requests.length, 0);
  assert.deepEqual(alerts, ['storage']);
  assert.equal((await ask(socket, '/other')).status, 403, 'a refusal needs no disk');
});

test('what was reserved for a request that could not be recorded is free again', async () => {
  const socket = await open('', 'budget: {tokens_per_day: 4500}\n');
  failing = 'audit.begin:before';
  assert.equal((await ask(socket, MESSAGES)).status, 503);
  failing = '';
  assert.equal((await ask(socket, MESSAGES)).status, 200);
});

test('a secret that no header can carry is refused without being shown', async () => {
  const reply = await ask(await open(', secret: strange'), MESSAGES);
  assert.equal(reply.status, 403);
  assert.match(JSON.parse(reply.body).reason, /^secret "strange" has characters/);
  assert.equal(model.requests.length, 0);
});

test('an agent that is refused in a loop does not fill the disk', async () => {
  const socket = await open();
  for (let sent = 0; sent < SESSION_REFUSALS_PER_MINUTE + 20; sent += 1)
    assert.equal((await ask(socket, '/other')).status, 403);
  assert.deepEqual(alerts, ['refusals']);
  assert.equal((await ask(socket, MESSAGES)).status, 200, 'what is allowed stays allowed');
});

test('a path of the agent is kept short and without what looks like a key', async () => {
  const socket = await open();
  await ask(socket, `/other?key=sk-ant-fakefakefake&${'x'.repeat(5000)}`);
  const [row] = audit.rows('s1', 0, Number.MAX_SAFE_INTEGER);
  assert.ok(row!.path.length <= 520);
  assert.ok(!row!.path.includes('fakefake'));
});

const SERVICE = `secrets: [token]
egress: {api: {host: api.example.com, use: token, rate: 9/min, allow: [GET /**], deny_json: [a]}}
`;

async function openService(): Promise<string> {
  const socket = join(paths.run, `${opened}`, 'egress.sock');
  mkdirSync(dirname(socket), { recursive: true });
  await sessions.open('s1', 'assistant', keptGroup(paths, 'assistant', SERVICE), socket, ['A', 'B', 'C']);
  return socket;
}

function tunnelOptions() {
  return { ca: readFileSync(paths.caCertificate, 'utf8'), place: 'api.example.com:443' };
}

test('a tunnel on which nobody begins TLS is closed, and on record', async () => {
  const { socket, head } = await connectTo(await openService(), 'CONNECT api.example.com:443 HTTP/1.1\r\n\r\n');
  assert.match(head, /^HTTP\/1\.1 200/);
  await new Promise((resolve) => socket.resume().on('close', resolve));
  assert.deepEqual(rows(), [['deny', 400, 'tls']]);
});

test('a request to a service that cannot be counted or recorded is not made', async () => {
  const socket = await openService();
  audit.close();
  const reply = await askService(socket, tunnelOptions(), '/a');
  assert.deepEqual([reply.status, JSON.parse(reply.body).rule], [503, 'audit']);
  assert.deepEqual(alerts, ['storage']);
});

test('a body that is read before it leaves does not leave a session that was closed meanwhile', async () => {
  const tls = await openTunnel(await openService(), tunnelOptions());
  const closed = new Promise((resolve) => tls.on('close', resolve));
  tls.on('error', () => {});
  tls.write('GET /a HTTP/1.1\r\nHost: api.example.com\r\nContent-Length: 2\r\n\r\n{');
  await new Promise((resolve) => setTimeout(resolve, 20));
  sessions.closeAll();
  await closed;
  assert.deepEqual(rows(), []);
});

test('a certificate is made for a host that a service names, and for no other', async () => {
  const socket = await openService();
  const before = authority.count;
  await assert.rejects(openTunnel(socket, { ...tunnelOptions(), place: 'evil.example.com:443' }), /403/);
  await assert.rejects(openTunnel(socket, { ...tunnelOptions(), sni: 'evil.example.com' }), /certificate for/);
  assert.equal(authority.count - before, 0, 'api.example.com has one already');
});

test('a connection that waits for an answer does not become a tunnel', async () => {
  model.mode = 'hang';
  const socket = join(paths.run, `${opened}`, 'egress.sock');
  mkdirSync(dirname(socket), { recursive: true });
  const yaml = `model: {upstream: "${model.origin}"}\n${SERVICE}`;
  await sessions.open('s1', 'assistant', keptGroup(paths, 'assistant', yaml), socket, ['A', 'B', 'C']);
  const post = `POST ${MESSAGES} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}`;
  assert.equal(await raw(socket, `${post}CONNECT api.example.com:443 HTTP/1.1\r\n\r\n`), '');
  assert.deepEqual(rows().sort(), [
    ['allow', null, 'model default: POST /v1/messages'],
    ['deny', 400, 'malformed request'],
  ]);
});
