import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { oneCliFinding } from '../../src/operations/doctor.ts';
import type { HoldEvent } from '../../src/protocol/gateway.ts';
import { raw } from '../fakes/gateway_process.ts';
import { until } from '../fakes/install.ts';
import { OneCliBench, OURS, outcomeOf, THEIRS } from '../fakes/onecli_bench.ts';
import { CASES } from '../fakes/onecli_cases.ts';

/** Services through a fake OneCLI, which is set up by its own API: what everybody on the way sees. */

const bench = new OneCliBench();

before(() => bench.start());
after(() => bench.dispose());

for (const one of CASES) test(one.name, async () => assert.deepEqual(await outcomeOf(bench, one), one.expected));

test('a service that does not go this way is asked straight, with its own secret', async () => {
  await bench.open();
  bench.onecli.connects.length = 0;
  const reply = await bench.ask('/a', {}, bench.own.place);
  assert.equal(reply?.status, 200);
  assert.deepEqual(bench.own.values('authorization'), [`Bearer ${OURS}`]);
  assert.equal(bench.onecli.connects.length, 0);
});

for (const place of ['metadata.google.internal:443', '127.0.0.1:443', '169.254.169.254:443', '[::1]:443'])
  test(`OneCLI is never asked for ${place}`, async () => {
    await bench.open();
    bench.onecli.connects.length = 0;
    const answer = await raw(bench.socket, `CONNECT ${place} HTTP/1.1\r\nHost: ${place}\r\n\r\n`);
    assert.match(answer, /^HTTP\/1\.1 403 .*"rule":"default deny"/s);
    assert.equal(bench.onecli.connects.length, 0);
  });

const WHY = '{"because":"old"}';

test('what a person has allowed goes through OneCLI, as the bytes that they were shown', async () => {
  await bench.open();
  bench.onecli.connects.length = 0;
  const asked = bench.ask('/items/7', {
    method: 'DELETE',
    body: WHY,
    headers: { 'content-length': String(WHY.length) },
  });
  const isHeld = (event: { event: string }): event is HoldEvent => event.event === 'hold';
  const held = await until('it is held', async () => {
    const found = bench.events.find(isHeld);
    if (found === undefined) throw new Error('not yet');
    return found;
  });
  assert.equal(bench.onecli.connects.length, 0);
  const { hold, session, policy, body_sha256 } = held;
  await bench.host.request({ op: 'decide', hold, session, policy, body_sha256, allow: true, reason: '' }, 4000);
  assert.equal((await asked)?.status, 200);
  const { method, target, body } = bench.api.received.at(-1)!;
  assert.deepEqual([method, target, body.toString()], ['DELETE', '/items/7', WHY]);
  assert.deepEqual(bench.api.values('authorization'), [`Bearer ${THEIRS}`]);
  const [row] = await bench.gateway.audit(bench.host, session);
  assert.deepEqual([row!.rule, row!.secret], ['api: DELETE /items/** via OneCLI', 'onecli-token']);
});

test('sixteen requests at once get their answers', async () => {
  await bench.open();
  const replies = await Promise.all(Array.from({ length: 16 }, (_, at) => bench.ask(`/items/${at}`)));
  assert.deepEqual([...new Set(replies.map((reply) => reply?.status))], [200]);
});

test('neither log nor row has the token', async () => {
  const token = await bench.token();
  const pair = Buffer.from(`x:${token}`).toString('base64');
  const { rows } = await bench.host.request<{ rows: object[] }>(
    { op: 'log', group: null, since_ms: 0, limit: 100 },
    4000,
  );
  const all = `${bench.gateway.log()}${bench.gateway.stderr}${JSON.stringify(rows)}${JSON.stringify(bench.events)}`;
  assert.ok(all.includes('via OneCLI'));
  for (const secret of [token, pair, THEIRS]) assert.ok(!all.includes(secret));
});

test('doctor says whether OneCLI answers', async () => {
  const config = { gateway: bench.onecli.gateway, token: 'onecli-token', ca: '/nonexistent' };
  assert.equal((await oneCliFinding(config)).state, 'well');
  const wrong = await oneCliFinding({ ...config, gateway: bench.onecli.dashboard });
  assert.deepEqual([wrong.state, /answers with 404$/.test(wrong.says)], ['weak', true]);
  await bench.onecli.stop();
  const gone = await oneCliFinding(config);
  await bench.onecli.listen();
  assert.deepEqual([gone.state, /does not answer$/.test(gone.says)], ['weak', true]);
});

/** What OPERATIONS has the operator do there, and what the adapter relies on. */
const CONTRACT = [
  'POST /v1/agents',
  'POST /v1/secrets',
  'GET /v1/container-config',
  'POST /v1/agents/agent-1/regenerate-token',
  'DELETE /v1/secrets/secret-1',
];

test('the API is what it was set up by', async () => {
  for (const call of CONTRACT) assert.ok(bench.onecli.asked.includes(call), call);
  assert.deepEqual(await bench.call('GET', 'gateway/ca'), bench.onecli.authority.certificate);
  assert.equal((await bench.call<{ status: string }>('GET', 'health')).status, 'ok');
  const agents = await bench.call<{ identifier: string; accessToken: string }[]>('GET', 'agents');
  assert.deepEqual(
    agents.map(({ identifier, accessToken }) => [identifier, accessToken]),
    [['glass', await bench.token()]],
  );
  assert.match(agents[0]!.accessToken, /^aoc_[0-9a-f]{64}$/);
});
