import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { ask, shell } from '../fakes/scripted_group.ts';
import { Terminal } from '../fakes/terminal.ts';
import { echoUpgrade } from '../fakes/websocket.ts';
import { wheelOf } from '../fakes/wheel.ts';
import { requireHarness } from '../kits/harness_bench.ts';
import { SECRET, ServiceWorld } from '../kits/service_world.ts';

/**
 * Ordinary programs in a real sandbox, told nothing: curl, Node, git, Python. What gets through is what the group's rules
 * let through, with a secret that the sandbox never sees; the service's own record and the trace are what is asserted.
 */
const world = new ServiceWorld();
const { install, api, code, other } = world;

before(() => world.start());
afterEach((context) => install.explain(context));
beforeEach(() => world.reset());
after(() => world.stop());

function has(program: string): boolean {
  return spawnSync(program, ['--version']).status === 0;
}

test('curl asks a service, and the secret is there that it never saw', {
  skip: !has('curl') && 'no curl here',
}, async () => {
  const agent = await Terminal.open(install.control, 'curl');
  const said = await shell(
    agent,
    `curl -sS https://${api.place}/items/1; curl -sS -d '{"a":1}' -H 'Authorization: Bearer mine' https://${api.place}/items; env`,
  );
  assert.match(said, /\{"items":3\}\{"items":7\}/);
  assert.ok(!said.includes(SECRET));
  assert.deepEqual(
    api.received.map(({ method, target, body }) => [method, target, body.toString()]),
    [
      ['GET', '/items/1', ''],
      ['POST', '/items', '{"a":1}'],
    ],
  );
  assert.deepEqual(api.values('authorization'), [`Bearer ${SECRET}`]);
  assert.deepEqual(await world.requests(), [
    ['allow', 200, `GET ${api.place}/items/1`, 'api-token'],
    ['allow', 200, `POST ${api.place}/items`, 'api-token'],
  ]);
});

test('what is not allowed is refused in words that a program can read, and reaches nobody', {
  skip: !has('curl') && 'no curl here',
}, async () => {
  const agent = await Terminal.open(install.control, 'refused');
  const said = await shell(
    agent,
    `curl -sS https://${api.place}/users; curl -sS -X DELETE https://${api.place}/items/1
for url in https://${other.place}/ https://${api.host}/items/1 https://169.254.169.254/items/1; do curl -sS $url; echo " $?"; done
curl -sS http://${api.place}/items/1; curl -sS --noproxy '*' https://${api.place}/items/1; echo " $?"
curl -sS --path-as-is https://${api.place}/items/../users`,
  );
  assert.match(said, /no rule for api\.example\.com allows GET \/users/);
  assert.match(said, /no rule for api\.example\.com allows DELETE \/items\/1/);
  assert.equal(said.match(/response 403/g)?.length, 3, said);
  assert.match(said, /plain http is never let out/);
  assert.match(said, /Could not resolve host/);
  assert.match(said, /holds a segment of dots/);
  assert.deepEqual([api.received, other.connections], [[], 0]);
  const found = (await world.requests()) as [string, number, string, string | null][];
  assert.ok(found.every(([decision, , , secret]) => decision === 'deny' && secret === null));
  assert.deepEqual(
    found.map(([, status, to]) => [status, to]),
    [
      [403, `GET ${api.place}/users`],
      [403, `DELETE ${api.place}/items/1`],
      [403, `CONNECT ${other.place}`],
      [403, `CONNECT ${api.host}:443`],
      [403, `CONNECT 169.254.169.254:443`],
      [400, `GET ${api.place}/items/../users`],
    ],
  );
});

test('git clones over HTTPS, and does not push', { skip: !has('git') && 'no git here' }, async () => {
  const agent = await Terminal.open(install.control, 'git');
  const said = await shell(
    agent,
    `git clone -q https://${code.place}/app.git && cd app && cat file.txt && git log --oneline | wc -l
git -c user.name=a -c user.email=a@example.com commit -q --allow-empty -m x && git push -q; echo "push $?"`,
  );
  assert.match(said, /version 3\n3\n/);
  assert.match(said, /error: 403[\s\S]*push 128/);
  assert.deepEqual(
    code.received.map(({ method, target }) => `${method} ${target}`),
    [
      'GET /app.git/info/refs?service=git-upload-pack',
      'POST /app.git/git-upload-pack',
      'POST /app.git/git-upload-pack',
    ],
  );
  assert.deepEqual(code.values('authorization'), [
    `Basic ${Buffer.from(`x-access-token:${SECRET}`).toString('base64')}`,
  ]);
  const found = (await world.requests()) as [string, number, string][];
  assert.deepEqual(
    found.map(([decision, status]) => `${decision} ${status}`),
    [...Array(3).fill('allow 200'), 'deny 403'],
  );
});

test('Node’s fetch and its https module go the same way', async () => {
  const agent = await Terminal.open(install.control, 'node');
  const script = `
const reply = await fetch('https://${api.place}/items/2');
console.log(reply.status, await reply.text());
const https = require('node:https');
https.get('https://${api.place}/users', (response) => response.resume().on('end', () => console.log('https', response.statusCode)));
`;
  const said = await shell(agent, `cat > a.cjs <<'END'\n(async () => {${script}})();\nEND\nnode a.cjs`);
  assert.match(said, /200 \{"items":3\}\nhttps 403/);
  assert.deepEqual(
    api.received.map(({ target }) => target),
    ['/items/2'],
  );
});

test('Node’s own WebSocket goes the same way, and what it may not open fails for it', async () => {
  api.upgrade = echoUpgrade;
  const agent = await Terminal.open(install.control, 'websocket');
  const script = `
const ask = (path, message) => new Promise((resolve) => {
  const socket = new WebSocket('wss://${api.place}' + path);
  socket.onopen = () => socket.send(message);
  socket.onmessage = ({ data }) => { resolve(data); socket.close(); };
  socket.onerror = () => resolve('refused');
});
for (const [path, message] of [['/live/a', 'hello'], ['/live/a', 'authorization'], ['/items/1', 'hello']])
  console.log('got', await ask(path, message));
`;
  const said = await shell(agent, `cat > w.mjs <<'END'\n${script}\nEND\nnode w.mjs`);
  assert.match(said, /got hello\ngot Bearer \*{26}\ngot refused/);
  assert.deepEqual(api.values('authorization'), [`Bearer ${SECRET}`]);
  assert.deepEqual(await world.requests(), [
    ['allow', 101, `GET ${api.place}/live/a`, 'api-token'],
    ['allow', 101, `GET ${api.place}/live/a`, 'api-token'],
    ['deny', 403, `GET ${api.place}/items/1`, null],
  ]);
});

test('Python’s own client goes the same way', {
  skip: !has('/usr/bin/python3') && 'no /usr/bin/python3 here',
}, async () => {
  const agent = await Terminal.open(install.control, 'python');
  const script = `from urllib.request import urlopen; print(urlopen("https://${api.place}/items/2").read())`;
  const said = await shell(agent, `/usr/bin/python3 -c '${script}'`);
  assert.match(said, /\{"items":3\}/);
});

test('npm asks a registry that is a service', { skip: !has('/usr/bin/npm') && 'no /usr/bin/npm here' }, async () => {
  api.handler = (_request, response) => {
    response.setHeader('content-type', 'application/json');
    response.end(
      '{"name":"is-number","dist-tags":{"latest":"7.0.0"},"versions":{"7.0.0":{"name":"is-number","version":"7.0.0"}}}',
    );
  };
  const agent = await Terminal.open(install.control, 'npm');
  const said = await shell(agent, `/usr/bin/npm --registry https://${api.place}/ view is-number version`);
  assert.match(said, /7\.0\.0/);
});

test('pip installs a wheel from an index that is a service', {
  skip: !has('/usr/bin/pip3') && 'no /usr/bin/pip3 here',
}, async () => {
  const wheel = wheelOf('glass_greeting', 'word = "hello from a wheel"\n');
  const file = 'glass_greeting-1.0-py3-none-any.whl';
  const hash = createHash('sha256').update(wheel).digest('hex');
  api.handler = (request, response) => {
    if (request.url === `/items/${file}`) return void response.end(wheel);
    response.setHeader('content-type', 'text/html');
    response.end(`<!DOCTYPE html><html><body><a href="/items/${file}#sha256=${hash}">${file}</a></body></html>`);
  };
  const agent = await Terminal.open(install.control, 'pip');
  const said = await shell(
    agent,
    `export PIP_INDEX_URL=https://${api.place}/items PIP_DISABLE_PIP_VERSION_CHECK=1
/usr/bin/pip3 download -q --no-cache-dir --no-deps -d wheels glass-greeting && ls wheels
/usr/bin/pip3 install -q --no-cache-dir --no-deps --target lib glass-greeting
PYTHONPATH=lib /usr/bin/python3 -c 'import glass_greeting; print(glass_greeting.word)'
PIP_INDEX_URL=https://${api.place}/closed /usr/bin/pip3 download -q --no-deps other; echo " $?"`,
  );
  assert.match(said, /glass_greeting-1\.0-py3-none-any\.whl\nhello from a wheel\n/);
  assert.match(said, /No matching distribution found for other\s+1\s*$/);
  assert.deepEqual(
    api.received.map(({ target }) => target),
    ['/items/glass-greeting/', `/items/${file}`, '/items/glass-greeting/', `/items/${file}`],
  );
  assert.deepEqual(api.values('authorization'), [`Bearer ${SECRET}`]);
});

test('a large file passes both ways', { skip: !has('curl') && 'no curl here' }, async () => {
  const agent = await Terminal.open(install.control, 'large');
  const said = await shell(
    agent,
    `head -c 100000000 /dev/zero | curl -sS -T - -X POST https://${api.place}/items; ls -l /tmp | wc -l`,
  );
  assert.match(said, /"items":100000000/);
});

test('the self-check holds for a group with services, and its sandbox has the certificate and no key', async () => {
  const found = install.glass('inspect', 'assistant');
  assert.equal(found.status, 0, found.stdout);
  assert.match(found.stdout, /^ +secrets +.*\bapi-token\b/m);
  assert.match(found.stdout, /^ +egress +(?!none$)\w+( \w+)*$/m);
  const agent = await Terminal.open(install.control, 'certificate');
  const said = await shell(
    agent,
    `cat /opt/glass/ca.pem; echo x >> /opt/glass/ca.pem; ls ${install.paths.home}; env | sort`,
  );
  assert.match(said, /BEGIN CERTIFICATE/);
  assert.doesNotMatch(said, /PRIVATE KEY/);
  assert.match(said, /Read-only file system|Permission denied/);
  for (const name of [
    'https_proxy',
    'HTTPS_PROXY',
    'no_proxy',
    'NODE_USE_ENV_PROXY',
    'SSL_CERT_FILE',
    'GIT_SSL_CAINFO',
  ])
    assert.match(said, new RegExp(`^${name}=`, 'm'));
});

test('Claude’s own shell goes the same way, and its model does not go through the proxy', async () => {
  await requireHarness('claude');
  await install.change('assistant', world.group('claude'));
  const agent = await Terminal.open(install.control, 'claude');
  const command = `curl -sS https://${api.place}/items/1; curl -sS https://${api.place}/users`;
  const said = await ask(agent, `tool Bash ${JSON.stringify({ command, description: 'ask' })}`);
  assert.match(said, /\{"items":3\}\{"error":"Forbidden"/);
  assert.deepEqual(api.values('authorization'), [`Bearer ${SECRET}`]);
});

test('a group without services has neither the proxy nor the certificate', async () => {
  await install.change('assistant', `harness: native\nmodel: {upstream: "${world.model.origin}"}\n`);
  const agent = await Terminal.open(install.control, 'without');
  const said = await shell(agent, `env | sort; ls /opt/glass; curl -sS https://${api.place}/items/1`);
  assert.doesNotMatch(said, /proxy|ca\.pem|SSL_CERT/i);
  assert.equal(api.connections, 0);
});
