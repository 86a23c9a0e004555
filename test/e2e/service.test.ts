import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Status } from '../../src/evidence/status.ts';
import { LineClient } from '../../src/protocol/lines_client.ts';
import { until } from '../fakes/install.ts';
import { type FakeModel, startModel } from '../fakes/model.ts';
import { ask, shell } from '../fakes/scripted_group.ts';
import { Terminal } from '../fakes/terminal.ts';
import { requireHarness } from '../kits/harness_bench.ts';
import { cannotHaveTwo, GATEWAY, HOST, OPERATORS, STRANGER, TwoAccounts } from '../kits/two_accounts.ts';

/** Gateway and host under two accounts, on the folders that `deploy/systemd` makes: who can open what, tried as each of them. */

const skip = cannotHaveTwo();
const SECRET = 'sk-scripted-0123456789';
const SERVICE = 'egress:\n  api: {host: api.example.com, allow: [GET /items]}\n';
let two: TwoAccounts;
let model: FakeModel;
let chat: Terminal;

before(async () => {
  if (skip !== false) return;
  await requireHarness('native');
  model = await startModel();
  two = new TwoAccounts();
  two.group('assistant', `harness: native\nmodel: {upstream: "${model.origin}"}\n${SERVICE}`);
  await two.start();
  const set = two.glass(['secret', 'set', 'anthropic', '--stdin', '--host', new URL(model.origin).host], SECRET);
  assert.deepEqual(set, { code: 0, out: 'anthropic is set\n', err: '' });
  chat = await Terminal.open(two.control, 'main');
});
after(async () => {
  if (skip !== false) return;
  await two.stop();
  await model.close();
});

/** What an account gets that opens each path as that account: `open`, or the system's code. A socket is connected to. */
function tried(uid: number, gid: number, mode: 'r' | 'a' | 'connect', paths: string[]): Record<string, string> {
  const script = `
const { openSync } = require('node:fs'), { connect } = require('node:net');
const found = {};
const [mode, paths] = ${JSON.stringify([mode, paths])};
const end = () => Object.keys(found).length === paths.length && (console.log(JSON.stringify(found)), process.exit());
for (const path of paths) {
  const done = (said) => { found[path] = said; end(); };
  if (mode === 'connect') connect(path).on('connect', () => done('open')).on('error', ({ code }) => done(code));
  else try { openSync(path, mode); done('open'); } catch ({ code }) { done(code); }
}`;
  const as = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--', process.execPath, '-e', script];
  const { stdout, stderr } = spawnSync('setpriv', as, { encoding: 'utf8' });
  assert.ok(stdout.startsWith('{'), stderr);
  return JSON.parse(stdout) as Record<string, string>;
}

function all(paths: string[], said: string): Record<string, string> {
  return Object.fromEntries(paths.map((path) => [path, said]));
}

async function sessionNow(): Promise<{ session: string; pid: number | null }> {
  const { sessions } = await two.control.call<Status>('status');
  return { session: sessions[0]!.session, pid: sessions[0]!.pid };
}

test('a message is answered through a sandbox, and its self-check holds', { skip }, async () => {
  assert.match(await ask(chat, 'hello'), /echo: .*hello/s);
  assert.equal(model.requests.at(-1)!.headers['x-api-key'], SECRET);
  assert.match(await shell(chat, 'head -n 1 /opt/glass/ca.pem'), /BEGIN CERTIFICATE/);
  const inspected = two.glass(['inspect', 'assistant', '--json']);
  assert.equal(inspected.code, 0, inspected.out);
});

test('the host’s account opens nothing of the gateway', { skip }, () => {
  const { paths } = two;
  const logs = join(paths.gatewayHome, 'logs');
  const files = [paths.vault, paths.vaultKey, paths.audit, paths.caKey, join(logs, 'gateway.log')];
  for (const path of files) assert.equal(statSync(path).uid, GATEWAY, `${path} is the gateway's`);
  const closed = [...files, paths.gatewayHome, logs];
  assert.deepEqual(tried(HOST, HOST, 'r', closed), all(closed, 'EACCES'));
  assert.deepEqual(tried(HOST, HOST, 'a', files), all(files, 'EACCES'));
  assert.deepEqual(tried(HOST, HOST, 'connect', [paths.vaultSocket]), all([paths.vaultSocket], 'EACCES'));
  // Nor does it put anything there: neither a socket of its own, nor another certificate.
  const places = [join(paths.gatewayRun, 'new'), paths.caCertificate, join(paths.gatewayHome, 'new')];
  assert.deepEqual(tried(HOST, HOST, 'a', places), all(places, 'EACCES'));
});

test('the gateway’s account opens nothing of the host but what was applied', { skip }, async () => {
  const { paths } = two;
  const { session } = await sessionNow();
  const own = paths.session(session);
  const group = paths.group('assistant');
  const files = [paths.ledger, join(paths.logs, 'host.log'), group.yaml, own.log];
  const folders = [paths.blobs, paths.groups, group.workspace, own.state, own.inbox, paths.home];
  for (const path of [...files, ...folders]) assert.equal(statSync(path).uid, HOST, `${path} is the host's`);
  assert.deepEqual(tried(GATEWAY, GATEWAY, 'r', [...files, ...folders]), all([...files, ...folders], 'EACCES'));
  assert.deepEqual(tried(GATEWAY, GATEWAY, 'a', files), all(files, 'EACCES'));
  const sockets = [paths.controlSocket, own.hatch];
  assert.deepEqual(tried(GATEWAY, GATEWAY, 'connect', sockets), all(sockets, 'EACCES'));
  const applied = readdirSync(paths.authorities).map((name) => join(paths.authorities, name));
  assert.ok(applied.length > 0);
  assert.deepEqual(tried(GATEWAY, GATEWAY, 'r', applied), all(applied, 'open'));
  assert.deepEqual(tried(GATEWAY, GATEWAY, 'a', applied), all(applied, 'EACCES'));
});

test('another account opens nothing, an operator the two sockets of operators', { skip }, async () => {
  const { paths } = two;
  const own = paths.session((await sessionNow()).session);
  const inside = [paths.gatewaySocket, own.egress, own.hatch];
  const theirs = [paths.controlSocket, paths.vaultSocket];
  assert.deepEqual(tried(HOST, HOST, 'connect', [own.egress]), all([own.egress], 'open'), 'it is there');
  assert.deepEqual(tried(STRANGER, STRANGER, 'connect', [...inside, ...theirs]), all([...inside, ...theirs], 'EACCES'));
  assert.deepEqual(tried(STRANGER, OPERATORS, 'connect', [...inside, ...theirs]), {
    ...all(inside, 'EACCES'),
    ...all(theirs, 'open'),
  });
  const applied = readdirSync(paths.authorities).map((name) => join(paths.authorities, name));
  const closed = [...applied, paths.caCertificate, paths.ledger, paths.vault];
  assert.deepEqual(tried(STRANGER, OPERATORS, 'r', closed), all(closed, 'EACCES'));
});

test('an operator who is not root talks to it and sees its secrets’ names', { skip }, () => {
  const status = two.glass(['status'], '', STRANGER);
  assert.equal(status.code, 0, status.err);
  assert.match(status.out, /gateway {2}connected/);
  assert.match(two.glass(['secret', 'list'], '', STRANGER).out, /^anthropic /);
});

test('a gateway that is killed comes back to the same sandbox', { skip }, async () => {
  const before = await sessionNow();
  await two.end('gateway', 'SIGKILL');
  two.spawn('gateway');
  await two.ready();
  assert.match(await ask(chat, 'still there?'), /echo: .*still there/s);
  assert.deepEqual(await sessionNow(), before);
});

test('a session ends without leaving a folder', { skip }, async () => {
  const { session, pid } = await sessionNow();
  assert.deepEqual(foldersOf(two.paths.gatewayRun), [session]);
  process.kill(pid!, 'SIGKILL');
  await until('the folder is gone', async () => assert.deepEqual(foldersOf(two.paths.gatewayRun), []));
});

function foldersOf(path: string): string[] {
  const entries = readdirSync(path, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
}

test('whoever speaks as the host makes the gateway listen nowhere but in a session’s folder', { skip }, async () => {
  const { paths } = two;
  const [applied] = readdirSync(paths.authorities);
  const policy = applied!.replace('.json', '');
  await two.end('host', 'SIGTERM'); // it would take its place back
  const client = await LineClient.connect(paths.gatewaySocket, 10_000, { peer: 'the gateway' });
  const open = (socket: string): Promise<unknown> =>
    client.request({ op: 'open', session: 's99', group: 'assistant', policy, socket, marks: [] }, 10_000);
  for (const socket of [
    paths.gatewaySocket,
    paths.vaultSocket,
    paths.vault,
    join(paths.run, 's99/egress.sock'),
    `${paths.gatewayRun}/s99/../../../../var/lib/glassclaw-gateway/vault.db`,
    `${paths.gatewayRun}/a/b/egress.sock`,
    `${paths.gatewayRun}/../egress.sock`,
  ])
    await assert.rejects(open(socket), { code: 'usage' }, socket);
  client.close();
  two.spawn('host');
  await two.ready();
});

test('nothing of the service is mounted into a group', { skip }, () => {
  const { paths } = two;
  const state = /is where GlassClaw keeps its state/;
  const closed = /cannot be looked at \(EACCES\)/;
  for (const [source, reason] of [
    [dirname(paths.config), state],
    [paths.home, state],
    [paths.gatewayRun, closed],
    [dirname(paths.vaultSocket), closed],
  ] as const) {
    two.group('greedy', `mounts: [{source: ${source}, access: read}]\n`);
    const { code, err } = two.glass(['group', 'plan', 'greedy']);
    assert.equal(code, 3);
    assert.match(err, reason);
  }
});

test('a folder of sockets that everybody may enter is not used', { skip }, async (context) => {
  const open = new TwoAccounts();
  context.after(() => open.stop());
  for (const [part, folder] of [
    ['gateway', open.paths.gatewayRun],
    ['host', open.paths.run],
  ] as const) {
    chmodSync(folder, statSync(folder).mode | 0o001);
    open.spawn(part);
    assert.equal(await open.exitOf(part), 3);
  }
});

test('up and down are not for a service', { skip }, () => {
  for (const verb of ['up', 'down']) {
    const { code, err } = two.glass([verb]);
    assert.deepEqual([code, /is a service — systemctl/.test(err)], [7, true]);
  }
});
