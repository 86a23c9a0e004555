import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import type { GatewayEvent, HoldEvent } from '../../src/protocol/gateway.ts';
import type { LineClient } from '../../src/protocol/lines_client.ts';
import { GatewayProcess } from '../fakes/gateway_process.ts';
import { until } from '../fakes/install.ts';
import { askService, openTunnel } from '../fakes/tunnel.ts';
import { namesEnv, TestAuthority, Upstream } from '../fakes/upstream.ts';
import { AgentSocket, echoUpgrade } from '../fakes/websocket.ts';

/** The rule of two at a real gateway process; the test is the host, and says what is on record when it wants to. */

const authority = new TestAuthority();
const web = new Upstream('web.example.com', authority);
const gateway = new GatewayProcess(namesEnv({ [web.host]: ['127.0.0.1'] }));
const events: GatewayEvent[] = [];
let host: LineClient;
let made = 0;

before(async () => {
  await web.listen();
  writeFileSync(gateway.paths.config, `upstream_ca: ${authority.write(gateway.paths.home)}\n`);
  await gateway.start();
  host = await gateway.host((event) => {
    if ((event as GatewayEvent).event !== 'anchor') events.push(event as GatewayEvent);
  });
});
beforeEach(() => {
  events.length = 0;
  web.received.length = 0;
  web.upgrade = null;
});
afterEach(() => host.request({ op: 'close', session: `s${made}` }, 5000));
after(async () => {
  await gateway.dispose();
  await web.close();
});

/** What each path reads, and whether it is an act; of one host. */
function yaml(policy: string, more = ''): string {
  const at = `host: web.example.com, port: ${web.port}, private: [127.0.0.0/8]`;
  return `rule_of_two: ${policy}
egress:
  pages: {${at}, reads: untrusted, allow: [GET /pages/**]}
  files: {${at}, reads: private, allow: [GET /files/**]}
  posts: {${at}, reads: none, allow: [POST /posts/**]}
  asked: {${at}, reads: none, approve: [POST /asked/**]}
  live: {${at}, reads: none, ws: true, allow: [GET /live/**]}
${more}`;
}

/** A session that is marked already, and what its agent can do. */
async function session(policy: string, marks: string, more = '') {
  made += 1;
  const id = `s${made}`;
  const hash = gateway.group('assistant', yaml(policy, more));
  const socket = await gateway.open(host, id, 'assistant', hash, [...marks]);
  const options = { ca: readFileSync(gateway.paths.caCertificate, 'utf8'), place: web.place };
  const told = (has: string) => host.request({ op: 'marks', session: id, marks: [...has] }, 5000);
  const decide = ({ hold, body_sha256 }: HoldEvent, allow: boolean) =>
    host.request<{ refused: string | null }>(
      { op: 'decide', hold, session: id, policy: hash, body_sha256, allow, reason: '' },
      5000,
    );
  return {
    ...{ id, told, decide, socket, options },
    get: (path: string) => askService(socket, options, path),
    post: (path: string, body: string) => askService(socket, options, path, { method: 'POST', body }),
  };
}

function heard<Kind extends GatewayEvent['event']>(
  kind: Kind,
  at = 0,
): Promise<Extract<GatewayEvent, { event: Kind }>> {
  return until(`the host hears ${kind}`, async () => {
    const found = events.filter((event) => event.event === kind)[at];
    if (found === undefined) throw new Error(JSON.stringify(events));
    return found as Extract<GatewayEvent, { event: Kind }>;
  });
}

const sent = (): string[] => web.received.map(({ method, target, body }) => `${method} ${target} ${body}`.trim());
const ROUND_MS = 200;
const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, ROUND_MS));

for (const policy of ['off', 'warn', 'enforce'])
  test(`with ${policy}, nothing leaves before the host has on record what it marks the session with`, async () => {
    const { id, get, told } = await session(policy, '');
    const answer = get('/pages/a');
    const { session: marked, marks, cause } = await heard('mark');
    assert.deepEqual([marked, marks, cause], [id, ['A'], `GET ${web.place}/pages/a`]);
    await pause();
    assert.deepEqual(sent(), []);
    await told('A');
    assert.equal((await answer).status, 200);
    assert.equal((await get('/pages/b')).status, 200);
    assert.equal(events.filter(({ event }) => event === 'mark').length, 1, 'a mark is recorded once');
  });

for (const policy of ['off', 'warn'])
  test(`with ${policy} no act is held`, async () => {
    const { post } = await session(policy, 'ABC');
    assert.equal((await post('/posts/a', 'body')).status, 200);
    assert.deepEqual(events, []);
  });

test('an act after both is held with its bytes, goes on after a yes, and the next one is held again', async () => {
  const { post, decide } = await session('enforce', 'AB');
  const first = post('/posts/a', 'what leaves');
  const held = await heard('hold');
  assert.deepEqual([held.path, held.preview, held.marks, held.rule_of_two], ['/posts/a', 'what leaves', ['C'], true]);
  assert.deepEqual(sent(), []);
  assert.equal((await decide(held, true)).refused, null);
  assert.equal((await first).status, 200);
  const second = post('/posts/b', 'more');
  const again = await heard('hold', 1);
  assert.deepEqual(again.marks, []);
  await decide(again, false);
  const { status, body } = await second;
  assert.equal(status, 403);
  assert.match(body, /posts: POST \/posts\/\*\*, rule of two: denied/);
  assert.deepEqual(sent(), ['POST /posts/a what leaves']);
});

test('of two reads at once, which make it three together, the second one asks a person', async () => {
  const { get, told } = await session('enforce', 'C');
  const first = get('/pages/a');
  await heard('mark');
  const second = get('/files/a').catch(() => ({ status: 0 }));
  const held = await heard('hold');
  assert.deepEqual([held.path, held.marks], ['/files/a', ['B']]);
  await told('A');
  assert.equal((await first).status, 200);
  assert.deepEqual(sent(), ['GET /pages/a']);
  await host.request({ op: 'close', session: `s${made}` }, 5000);
  assert.notEqual((await second).status, 200);
});

test('a read that waits for its record is refused when the host has seen more meanwhile', async () => {
  const { get, told } = await session('enforce', 'C');
  const answer = get('/files/a');
  await heard('mark');
  await told('A');
  const { status, body } = await answer;
  assert.deepEqual([status, /has seen more meanwhile/.test(body)], [403, true]);
  assert.deepEqual(sent(), []);
});

test('the third is held whichever it is, and a no leaves it the third', async () => {
  const { get, decide } = await session('enforce', 'AC');
  for (const at of [0, 1]) {
    const answer = get('/files/a');
    const held = await heard('hold', at);
    assert.deepEqual(held.marks, ['B']);
    await decide(held, false);
    assert.equal((await answer).status, 403);
  }
  const { get: other } = await session('enforce', 'BC');
  void other('/pages/a').catch(() => {});
  assert.deepEqual((await heard('hold', 2)).marks, ['A']);
  assert.deepEqual(sent(), []);
});

test('reading goes on after all three, and an act that no rule of two holds is held by its own rule alone', async () => {
  const { get } = await session('enforce', 'ABC');
  assert.deepEqual([(await get('/pages/a')).status, (await get('/files/a')).status], [200, 200]);
  const { post: clean } = await session('enforce', '');
  void clean('/asked/a', 'x').catch(() => {});
  const held = await heard('hold');
  assert.deepEqual([held.marks, held.rule_of_two], [['C'], undefined]);
});

test('a request that was let in before a mark came is judged again before it leaves', async () => {
  const { socket, options, told } = await session('enforce', 'AC');
  const agent = await openTunnel(socket, options);
  let answer = '';
  agent.on('data', (part) => {
    answer += part;
  });
  // Small, so that it is read whole before it leaves: the mark comes while half of it is missing.
  agent.write(`POST /posts/a HTTP/1.1\r\nHost: ${web.place}\r\nContent-Length: 8\r\n\r\nhalf`);
  await pause();
  await told('ABC');
  agent.write('half');
  await until('it is refused', async () => assert.match(answer, /^HTTP\/1\.1 403 [\s\S]*rule of two/));
  assert.deepEqual(sent(), []);
  agent.destroy();
});

test('an act that streams ends when what it may carry becomes known', async () => {
  const { id, socket, options, told } = await session('enforce', 'AC');
  const agent = await openTunnel(socket, options);
  agent.on('error', () => {});
  agent.write(`POST /posts/a HTTP/1.1\r\nHost: ${web.place}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n`);
  await until('it has begun', async () => assert.equal((await gateway.rows(host, id)).length, 1));
  await told('ABC');
  await until('it has ended', async () => assert.ok(agent.destroyed));
  assert.deepEqual(sent(), []);
});

test('no WebSocket is opened where it would be the third, and one that is open ends', async () => {
  web.upgrade = echoUpgrade;
  const { socket, options, told } = await session('enforce', 'AC');
  const agent = await AgentSocket.open(socket, options, '/live/a');
  assert.match(agent.head, /^HTTP\/1\.1 101/);
  await told('ABC');
  await agent.closed;
  const refused = await AgentSocket.open(socket, options, '/live/b');
  assert.match(refused.head, /^HTTP\/1\.1 403/);
  assert.deepEqual(sent(), ['GET /live/a']);
});

test('what a sandbox has from its beginning on counts before the host says so', async () => {
  const { post } = await session('enforce', 'A', 'mcp: {mail: {command: [mail], reads: private}}\n');
  void post('/posts/a', 'x').catch(() => {});
  assert.equal((await heard('hold')).rule_of_two, true);
  assert.deepEqual(sent(), []);
});
