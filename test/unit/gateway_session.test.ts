import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { noFaults } from '../../src/base/faults.ts';
import { SESSION_REFUSALS_PER_MINUTE } from '../../src/base/limits.ts';
import { silentLog } from '../../src/base/log.ts';
import { type Paths, pathsOf } from '../../src/base/paths.ts';
import { Audit } from '../../src/gateway/audit.ts';
import { CertificateAuthority } from '../../src/gateway/ca.ts';
import { Injector } from '../../src/gateway/inject.ts';
import { Rates } from '../../src/gateway/rates.ts';
import { EgressSessions } from '../../src/gateway/sessions.ts';
import { fileKeySource } from '../../src/vault/keys.ts';
import { Vault } from '../../src/vault/vault.ts';
import { keptGroup } from '../fakes/authorities.ts';
import { ask } from '../fakes/gateway_process.ts';
import { echoScript, type FakeModel, startModel } from '../fakes/model.ts';

/** The parts of a session that need short deadlines or a failing disk: in this process, on real sockets. */

const MESSAGES = '/model/default/v1/messages';
const home = mkdtempSync(join(tmpdir(), 'gs-'));
const paths: Paths = { ...pathsOf(home, {}), run: join(home, 'r') };
const alerts: string[] = [];
let model: FakeModel;
let audit: Audit;
let sessions: EgressSessions;
let vault: Vault;
let opened = 0;

before(async () => {
  model = await startModel();
  vault = new Vault(paths.vault, fileKeySource(paths.vaultKey, noFaults), systemClock, noFaults);
  vault.set('anthropic', Buffer.from('fake-secret-value'));
  vault.set('strange', Buffer.from('fake\nsecret\nvalue'));
});

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
  audit = new Audit(join(home, `audit${++opened}.db`), systemClock, noFaults);
  sessions = new EgressSessions(
    paths,
    {
      audit,
      injector: new Injector(vault),
      authority: new CertificateAuthority(paths, systemClock, noFaults),
      rates: new Rates(systemClock, () => 0),
      clock: systemClock,
      faults: noFaults,
      log: silentLog,
      deadlines: { tls_ms: 60, first_byte_ms: 60, idle_ms: 60 },
      alert: (kind) => alerts.push(kind),
    },
    null,
  );
});

async function open(more = ''): Promise<string> {
  const yaml = `model: {upstream: "${model.origin}"${more}}\n`;
  const socket = join(paths.run, `${opened}`, 'egress.sock');
  mkdirSync(dirname(socket), { recursive: true });
  await sessions.open('s1', 'assistant', keptGroup(paths, 'assistant', yaml), socket);
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
  sessions.closeAll();
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
  sessions.closeAll();
});

test('a request that cannot be recorded is not made', async () => {
  const socket = await open();
  audit.close();
  const reply = await ask(socket, MESSAGES);
  assert.equal(reply.status, 503);
  assert.equal(model.requests.length, 0);
  assert.deepEqual(alerts, ['storage']);
  assert.equal((await ask(socket, '/other')).status, 403, 'a refusal needs no disk');
  sessions.closeAll();
});

test('a secret that no header can carry is refused without being shown', async () => {
  const reply = await ask(await open(', secret: strange'), MESSAGES);
  assert.equal(reply.status, 403);
  assert.match(JSON.parse(reply.body).reason, /^secret "strange" has characters/);
  assert.equal(model.requests.length, 0);
  sessions.closeAll();
});

test('an agent that is refused in a loop does not fill the disk', async () => {
  const socket = await open();
  for (let sent = 0; sent < SESSION_REFUSALS_PER_MINUTE + 20; sent += 1)
    assert.equal((await ask(socket, '/other')).status, 403);
  assert.deepEqual(alerts, ['refusals']);
  assert.equal((await ask(socket, MESSAGES)).status, 200, 'what is allowed stays allowed');
  sessions.closeAll();
});

test('a path of the agent is kept short and without what looks like a key', async () => {
  const socket = await open();
  await ask(socket, `/other?key=sk-ant-fakefakefake&${'x'.repeat(5000)}`);
  const [row] = audit.rows('s1', 0, Number.MAX_SAFE_INTEGER);
  assert.ok(row!.path.length <= 520);
  assert.ok(!row!.path.includes('fakefake'));
  sessions.closeAll();
});
