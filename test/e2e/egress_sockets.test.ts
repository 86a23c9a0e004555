import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import type { Status } from '../../src/evidence/status.ts';
import type { AuditRow } from '../../src/protocol/gateway.ts';
import { Install, until } from '../fakes/install.ts';
import { cannotDrop } from '../fakes/ordinary_user.ts';
import { PatchedTree } from '../fakes/patched_tree.ts';
import { shell } from '../fakes/scripted_group.ts';
import { rows, sessionOf, Terminal } from '../fakes/terminal.ts';
import { ServiceWorld } from '../kits/service_world.ts';

/**
 * A session's egress socket in the hands of somebody else: another group's sandbox, another account, another session of the
 * same group that is handed a connection. Who asks is the socket alone. That no header says it is in `egress_attacks.test.ts`
 * ("claims of identity"), that no mount leads there in `authority_mounts.test.ts` ("the folder of our sockets").
 */

const PYTHON = '/usr/bin/python3';
const world = new ServiceWorld();
const { install, api } = world;
let mine: Terminal;
let second: Terminal;
let neighbour: Terminal;

before(async () => {
  await world.start();
  mine = await Terminal.open(install.control, 'mine');
  second = await Terminal.open(install.control, 'second');
  for (const chat of [mine, second]) await shell(chat, 'true');
  install.group('neighbour', `harness: native\nmodel: {upstream: "${world.model.origin}"}\n`);
  writeFileSync(install.paths.config, `${readFileSync(install.paths.config)}default_group: neighbour\n`);
  await install.end('host', 'SIGTERM');
  install.spawn('host');
  await install.ready();
  neighbour = await Terminal.open(install.control, 'theirs');
  await Promise.all([mine.open(), second.open()]);
  for (const chat of [mine, second, neighbour]) await shell(chat, 'true');
});
beforeEach(() => world.reset());
afterEach((context) => install.explain(context));
after(() => world.stop());

/** What an account of the host gets that opens these as that account: `open`, or the system's code. */
function tried(uid: number, paths: string[], sockets: string[]): Record<string, string> {
  const script = `
const { openSync } = require('node:fs'), { connect } = require('node:net');
const found = {};
const [paths, sockets] = ${JSON.stringify([paths, sockets])};
for (const path of paths) try { openSync(path); found[path] = 'open'; } catch ({ code }) { found[path] = code; }
let left = sockets.length;
for (const path of sockets) {
  const done = (said) => { found[path] = said; left -= 1; if (left === 0) { console.log(JSON.stringify(found)); process.exit(); } };
  connect(path).on('connect', () => done('open')).on('error', ({ code }) => done(code));
}`;
  const as = [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--', process.execPath, '-e', script];
  const { stdout, stderr } = spawnSync('setpriv', as, { encoding: 'utf8' });
  assert.ok(stdout.startsWith('{'), stderr);
  return JSON.parse(stdout) as Record<string, string>;
}

function uidOf(made: Install, group: string): number {
  return rows<{ uid: number }>(made, 'SELECT uid FROM groups WHERE name = ?', group)[0]!.uid;
}

test('the account of another group opens no socket of a session, and nothing of the gateway', {
  skip: cannotDrop(),
}, () => {
  const { paths } = install;
  const { egress } = paths.session(sessionOf(install, 'mine'));
  const files = [paths.caKey, paths.vaultKey, paths.vault, paths.audit];
  const sockets = [egress, paths.gatewaySocket, paths.vaultSocket, paths.controlSocket];
  const closed = Object.fromEntries([...files, ...sockets].map((path) => [path, 'EACCES']));
  assert.deepEqual(tried(uidOf(install, 'neighbour'), files, sockets), closed);
  assert.deepEqual(tried(uidOf(install, 'assistant'), files, sockets), { ...closed, [egress]: 'open' });
});

test('without the closed folder of a session another account opens its socket', {
  skip: cannotDrop(),
}, async (context) => {
  using tree = new PatchedTree([
    ['src/sessions/folders.ts', 'giveTo(folder, uid);', 'giveTo(folder, uid);\n    chmodSync(folder, 0o755);'],
  ]);
  const open = new Install(undefined, tree.root);
  context.after(() => open.stop());
  open.group('assistant', 'harness: probe\n');
  await open.start();
  const chat = await Terminal.open(open.control, 'main');
  await chat.say('hello');
  await chat.hears(/You said: hello/);
  const { egress } = open.paths.session(sessionOf(open, 'main'));
  assert.deepEqual(tried(61234, [], [egress]), { [egress]: 'open' });
});

/** Says what a connection to each path comes to, from inside. */
function connects(...paths: string[]): string {
  const script = `for (const path of ${JSON.stringify(paths)}) require("node:net").connect(path)
  .on("connect", function () { console.log(path, "open"); this.destroy(); }).on("error", ({ code }) => console.log(path, code));`;
  return `cat > connects.cjs <<'END'\n${script}\nEND\nnode connects.cjs`;
}

test('from another group’s sandbox no path and no link leads to a session’s socket', async () => {
  const { egress, run } = install.paths.session(sessionOf(install, 'mine'));
  assert.ok(existsSync(egress), 'it is there, outside');
  const own = '/run/glass/egress.sock';
  const said = await shell(
    neighbour,
    `ln -sf ${egress} link; ln -sfn ${run} folder; ln -sf /proc/1/root${egress} root
${connects('link', 'folder/egress.sock', 'root', egress, `/run/glass/../${sessionOf(install, 'mine')}/egress.sock`, own)}`,
  );
  const found = [...said.matchAll(/^(?:tool said: )?(\S+) (open|E[A-Z]+)\s*$/gm)].map(([, path, what]) => [path, what]);
  assert.equal(found.length, 6, said);
  assert.deepEqual(
    found.filter(([, what]) => what === 'open').map(([path]) => path),
    [own],
  );
});

/** The one gives a tunnel of its own away, the other asks in it and waits for its end. */
const GIVE = `import socket
own = socket.socket(socket.AF_UNIX); own.connect("/run/glass/egress.sock")
own.sendall(b"CONNECT PLACE HTTP/1.1\\r\\nHost: PLACE\\r\\n\\r\\n"); own.recv(1000)
door = socket.socket(socket.AF_UNIX); door.bind("/workspace/door"); door.listen(1)
socket.send_fds(door.accept()[0], [b"x"], [own.fileno()])`;
const TAKE = `import socket, ssl
door = socket.socket(socket.AF_UNIX); door.connect("/workspace/door")
given = socket.socket(fileno=socket.recv_fds(door, 1, 1)[1][0])
tls = ssl.create_default_context(cafile="/opt/glass/ca.pem").wrap_socket(given, server_hostname="HOST")
tls.sendall(b"GET /items/7 HTTP/1.1\\r\\nHost: PLACE\\r\\n\\r\\n")
print(tls.recv(1000).decode().split("\\r\\n")[0], flush=True)
try: tls.recv(1000)
except Exception: pass
print("ended", flush=True)`;

test('a connection that is handed to another session stays the first one’s, and ends with it', {
  skip: !existsSync(PYTHON) && `no ${PYTHON} here`,
}, async () => {
  const run = (name: string, script: string): string =>
    `cat > ${name}.py <<'END'\n${script.replaceAll('PLACE', api.place).replaceAll('HOST', api.host)}\nEND
setsid ${PYTHON} ${name}.py > ${name}.txt 2>&1 & `;
  await shell(mine, `rm -f door; ${run('give', GIVE)} for i in $(seq 100); do [ -S door ] && break; sleep 0.1; done`);
  const said = await shell(
    second,
    `${run('take', TAKE)} for i in $(seq 100); do grep HTTP take.txt && break; sleep 0.1; done; cat take.txt`,
  );
  assert.match(said, /HTTP\/1\.1 200 OK/);
  assert.doesNotMatch(said, /ended/);
  const { rows: asked } = JSON.parse(install.glass('egress', 'log', 'assistant', '--json').stdout) as {
    rows: AuditRow[];
  };
  const row = asked.find(({ path }) => path === '/items/7');
  assert.equal(row?.session, sessionOf(install, 'mine'));
  await endSandbox('mine');
  const after = await shell(second, 'for i in $(seq 100); do grep ended take.txt && break; sleep 0.1; done');
  assert.match(after, /ended/);
  const { egress } = install.paths.session(sessionOf(install, 'mine'));
  assert.ok(!existsSync(egress), 'and its socket is gone');
  assert.match(await shell(second, `curl -sS https://${api.place}/items/8`), /"items":3/, 'what is its own it keeps');
});

async function endSandbox(chat: string): Promise<void> {
  const live = async () =>
    (await install.control.call<Status>('status')).sessions.find(({ session }) => session === sessionOf(install, chat));
  process.kill((await live())!.pid!, 'SIGKILL');
  await until('it has ended', async () => assert.equal(await live(), undefined));
}
