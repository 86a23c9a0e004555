import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { ROOT } from '../../src/base/paths.ts';
import { type FakeModel, startModel } from '../fakes/model.ts';
import { remove } from '../fakes/remove.ts';
import { Talk } from '../fakes/talk.ts';
import { bearerFor, placesEnv, TestAuthority, Upstream } from '../fakes/upstream.ts';
import { requireHarness } from '../kits/harness_bench.ts';
import { keptRoot, PACKAGES } from '../kits/kept_root.ts';

/**
 * What an agent was granted is there and works: each test tries it in a sandbox that has it not, has the agent ask, has Ada press
 * Approve, and tries the same again. The agent is `native` with a scripted model, so that Bob's messages are its calls of tools.
 */
const SECRET = 'fake-token-of-the-operator';
const authority = new TestAuthority();
const api = new Upstream('api.example.com', authority);
await api.listen();
const talk = await Talk.make(ROOT, placesEnv([api]));
const { install } = talk;
const folder = mkdtempSync(join(tmpdir(), 'gg-'));
let model: FakeModel;

before(async () => {
  await requireHarness('native');
  api.handler = (_request, response) => void response.end('{"items":3}');
  model = await startModel();
  install.install(`upstream_ca: ${authority.write(folder)}\n`);
  await install.start();
  await install.secret('anthropic', 'sk-scripted-0123456789');
  await install.secret('api-token', SECRET, bearerFor(api.host));
  await talk.known('ada', 'admin');
  await talk.known('bob', 'member');
});
afterEach((context) => install.explain(context));
after(async () => {
  await talk.end();
  await model?.close();
  await api.close();
  remove(folder);
});

/** A group whose agent does in its own chat what Bob says. */
async function group(name: string): Promise<void> {
  await install.change(name, `harness: native\nmodel: {upstream: "${model.origin}"}\n`);
  await talk.wire(name, name);
}

/** Bob has the agent call a tool; resolves with what came of it. */
async function tool(chat: string, name: string, input: object): Promise<string> {
  await talk.rests();
  const from = (await talk.sent(chat)).length;
  await talk.say(chat, 'bob', `tool ${name} ${JSON.stringify(input)}`);
  return (await talk.hears(chat, /^tool said: /, from)).text;
}

/** The agent asks for that, Ada presses Approve; resolves when the agent has been told. */
async function granted(chat: string, add: object): Promise<void> {
  const told = await tool(chat, 'request_authority', { reason: 'to get on', add });
  const id = /"id":"(h\d+)"/.exec(told)?.[1] ?? assert.fail(told);
  const { buttons } = await talk.hears('dm-ada', new RegExp(`^${id}: the agent`));
  await talk.press('dm-ada', 'ada', buttons!.find(({ label }) => label === 'Approve')!.token);
  await talk.hears('dm-ada', new RegExp(`^${id} is in force`));
  await talk.hears(chat, new RegExp(`echo: [\\s\\S]*Your request ${id} was approved and is in force`));
}

test('a service and a secret: what the agent asks for arrives there, with the secret that it never sees', {
  skip: spawnSync('curl', ['--version']).status !== 0 && 'no curl here',
}, async () => {
  await group('services');
  const command = `curl -sS https://${api.host}/items; curl -sS https://${api.host}/users; env`;
  await tool('services', 'bash', { command });
  assert.equal(api.connections, 0);
  const service = { name: 'api', host: api.host, use: 'api-token', allow: ['GET /items'] };
  await granted('services', { secrets: ['api-token'], egress: [service] });
  const said = await tool('services', 'bash', { command });
  assert.match(said, /\{"items":3\}[\s\S]*no rule for api\.example\.com allows GET \/users/);
  assert.ok(!said.includes(SECRET));
  assert.deepEqual(
    api.received.map(({ method, target }) => `${method} ${target}`),
    ['GET /items'],
  );
  assert.deepEqual(api.values('authorization'), [`Bearer ${SECRET}`]);
});

test('a server of tools: the agent is offered its tool, calls it and gets the answer', async () => {
  await group('tools');
  copyFileSync(join(ROOT, 'test/fakes/mcp_server.ts'), join(install.paths.group('tools').workspace, 'sums.ts'));
  const sum = { a: 20, b: 22 };
  assert.match(await tool('tools', 'mcp__sums__add', sum), /unavailable tool 'mcp__sums__add'/);
  const server = { name: 'sums', command: ['node', '/workspace/sums.ts'], env: { GREETING: 'hello' } };
  await granted('tools', { mcp: [server] });
  assert.match(await tool('tools', 'mcp__sums__add', sum), /^tool said: hello: 42 in \/workspace/);
  const offered = (model.requests.at(-1)!.json.tools as { name: string }[]).map(({ name }) => name);
  assert.ok(offered.includes('mcp__sums__add'), offered.join(' '));
});

const root = await keptRoot();

test('packages: their programs run in the new sandbox', { skip: typeof root === 'string' && root }, async () => {
  assert.ok(typeof root !== 'string');
  await group('packages');
  const command = 'semver -i minor 1.2.3; echo \'{"a":[7]}\' | jq .a[0]';
  assert.match(await tool('packages', 'bash', { command }), /semver: (?:command )?not found/);
  const roots = join(install.paths.cache, 'roots');
  mkdirSync(roots, { recursive: true });
  symlinkSync(root.ref, join(roots, basename(root.ref)));
  const { apt, npm } = PACKAGES;
  await granted('packages', { apt, npm });
  assert.match(await tool('packages', 'bash', { command }), /^tool said: 1\.3\.0\n7$/);
});
