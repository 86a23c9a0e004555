import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import type { Trace } from '../../src/evidence/trace.ts';
import { FakeOneCli } from '../fakes/onecli.ts';
import { remove } from '../fakes/remove.ts';
import { shell } from '../fakes/scripted_group.ts';
import { Terminal } from '../fakes/terminal.ts';
import { ServiceWorld, type WorldOptions } from '../kits/service_world.ts';

/** The whole way, from a program in a real sandbox through OneCLI to a service, and what the operator is told of it. */

const options: WorldOptions = {};
const world = new ServiceWorld(options);
const { install, api } = world;
const onecli = new FakeOneCli(world.authority, [api]);
const folder = mkdtempSync(join(tmpdir(), 'go-'));
const THEIRS = 'credential-that-onecli-has';

before(async () => {
  await onecli.listen();
  const ca = join(folder, 'onecli-ca.pem');
  writeFileSync(ca, onecli.authority.certificate);
  options.install = `onecli: {gateway: "${onecli.gateway}", token: onecli-token, ca: ${ca}}\n`;
  await world.start();
  await install.secret('onecli-token', await setUp(), {
    form: { kind: 'basic', user: 'x' },
    hosts: [`127.0.0.1:${onecli.port}`],
  });
  world.reset();
});
afterEach((context) => install.explain(context));
after(async () => {
  await world.stop();
  await onecli.close();
  remove(folder);
});

/** An agent there, a secret for the service; resolves with the agent's token. */
async function setUp(): Promise<string> {
  const post = (path: string, body: object) =>
    fetch(`${onecli.dashboard}/v1/${path}`, { method: 'POST', body: JSON.stringify(body) });
  await post('agents', { name: 'Glass', identifier: 'glass' });
  const injectionConfig = { headerName: 'Authorization', valueFormat: 'Bearer {value}' };
  await post('secrets', { name: 'api', type: 'generic', value: THEIRS, hostPattern: api.host, injectionConfig });
  const agents = (await (await fetch(`${onecli.dashboard}/v1/agents`)).json()) as { accessToken: string }[];
  return agents[0]!.accessToken;
}

test('plan, explain, the sandbox, trace and log: each says or shows that it goes via OneCLI', async () => {
  const straight =
    'private: [127.0.0.0/8]\n    use: api-token\n    allow: [GET /items/**, POST /items, GET /is-number]';
  const before = world.group('native');
  const yaml = before.replace(straight, 'via: onecli\n    allow: [GET /items/**]');
  assert.notEqual(yaml, before);
  install.group('assistant', yaml);
  assert.match(
    install.glass('group', 'plan', 'assistant').stdout,
    /GET \S+\/items\/\*\*, via OneCLI with a credential/,
  );
  await install.change('assistant', yaml);
  const explained = install.glass('egress', 'explain', 'assistant', 'GET', `https://${api.place}/items/1`);
  assert.equal(explained.stdout.trim(), 'allow: api allows GET /items/** via OneCLI');

  const agent = await Terminal.open(install.control, 'chained');
  const ask =
    "fetch(process.argv[1], { headers: { authorization: 'Bearer mine' } }).then((r) => r.text()).then(console.log)";
  const said = await shell(agent, `node -e "${ask}" https://${api.place}/items/1; env`);
  assert.match(said, /\{"items":3\}/);
  assert.ok(!said.includes(THEIRS) && !said.includes('aoc_'));
  assert.deepEqual(api.values('authorization'), [`Bearer ${THEIRS}`]);

  const { steps } = await install.control.call<Trace>('trace', { message: 'latest' });
  const [step] = steps.filter(({ kind }) => kind === 'egress.request');
  const { decision, status, rule, secret, service } = step!.data;
  assert.deepEqual(
    { decision, status, rule, secret, service },
    { decision: 'allow', status: 200, rule: 'api: GET /items/** via OneCLI', secret: 'onecli-token', service: 'api' },
  );
  assert.match(install.glass('egress', 'log').stdout, /api: GET \/items\/\*\* via OneCLI/);

  await onecli.stop();
  const refused = await shell(agent, `node -e "${ask}" https://${api.place}/items/2`);
  assert.match(refused, /OneCLI cannot be asked/);
  assert.equal(api.received.length, 1);
});
