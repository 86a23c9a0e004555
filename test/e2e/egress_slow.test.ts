import assert from 'node:assert/strict';
import { createConnection, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { AttackBench } from '../fakes/attack_bench.ts';
import { type Patch, PatchedTree } from '../fakes/patched_tree.ts';
import { askService, connectTo, openTunnel } from '../fakes/tunnel.ts';

/** Agents that begin something and do not go on: each is given up, on record, and holds up nobody but itself. */
const LIMITS = 'src/base/limits/gateway.ts';
/** Nobody waits for the real ones: 15 s, 10 s, two minutes, a minute. */
const IMPATIENT: Patch[] = [
  [LIMITS, 'AGENT_HEADERS_MS = 15 * SECOND_MS', 'AGENT_HEADERS_MS = SECOND_MS'],
  [LIMITS, 'AGENT_TLS_MS = 10 * SECOND_MS', 'AGENT_TLS_MS = SECOND_MS'],
  [LIMITS, 'AGENT_REQUEST_MS = 2 * MINUTE_MS', 'AGENT_REQUEST_MS = 2 * SECOND_MS'],
  [LIMITS, 'AGENT_KEEP_ALIVE_MS = MINUTE_MS', 'AGENT_KEEP_ALIVE_MS = SECOND_MS'],
  [LIMITS, 'AGENT_CHECK_MS = SECOND_MS', 'AGENT_CHECK_MS = 100'],
];
const CONNECTIONS_MAX = 64;

const tree = new PatchedTree(IMPATIENT);
const bench = new AttackBench(tree.root);
before(() => bench.start());
after(async () => {
  await bench.dispose();
  tree[Symbol.dispose]();
});

/** What comes until the gateway ends the connection. */
function untilClosed(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    let heard = '';
    socket.on('data', (part) => {
      heard += part.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(heard));
    socket.resume();
  });
}

async function rowsOf(id: string): Promise<string[]> {
  return (await bench.rows(id)).map(({ decision, status, rule }) => `${decision} ${status} ${rule}`);
}

function tunnel(socket: string) {
  return openTunnel(socket, { ca: bench.ca, place: bench.places.api });
}

test('half a CONNECT line is answered with 408', async () => {
  const { id, socket } = await bench.session();
  const slow = createConnection({ path: socket }, () => slow.write('CONNECT api.exam'));
  assert.match(await untilClosed(slow), /^HTTP\/1\.1 408/);
  assert.deepEqual(await rowsOf(id), ['deny 408 malformed request']);
});

test('a tunnel in which no TLS begins is closed', async () => {
  const { id, socket } = await bench.session();
  const { socket: slow } = await connectTo(socket, `CONNECT ${bench.places.api} HTTP/1.1\r\n\r\n`);
  assert.equal(await untilClosed(slow), '');
  assert.deepEqual(await rowsOf(id), ['deny 400 tls']);
});

test('half of a request’s head in a tunnel is answered with 408', async () => {
  const { id, socket } = await bench.session();
  const slow = await tunnel(socket);
  slow.write(`GET /items/1 HTTP/1.1\r\nHost: ${bench.places.api}\r\nX-More`);
  assert.match(await untilClosed(slow), /^HTTP\/1\.1 408/);
  assert.deepEqual(await rowsOf(id), ['deny 408 malformed request']);
});

for (const [length, what] of [
  [10, 'small'],
  [1_000_000, 'large'],
] as const) {
  test(`a ${what} body that does not come is given up, and no service takes it for a whole one`, async () => {
    const { socket } = await bench.session();
    bench.api.received.length = 0;
    const slow = await tunnel(socket);
    slow.write(`POST /items HTTP/1.1\r\nHost: ${bench.places.api}\r\nContent-Length: ${length}\r\n\r\n{`);
    await untilClosed(slow);
    assert.deepEqual(bench.api.received, []);
  });
}

test('a tunnel in which nothing is asked is closed', async () => {
  const { socket } = await bench.session();
  const idle = await tunnel(socket);
  await untilClosed(idle);
});

test('a session has so many connections and no more; its neighbour has its own', async () => {
  const [greedy, other] = [await bench.session(), await bench.session()];
  const idle = Array.from({ length: CONNECTIONS_MAX }, () => createConnection({ path: greedy.socket }));
  await Promise.all(idle.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
  const options = { ca: bench.ca, place: bench.places.api };
  const [refused, served] = await Promise.allSettled([
    askService(greedy.socket, options, '/items/1'),
    askService(other.socket, options, '/items/1'),
  ]);
  assert.equal(refused.status, 'rejected');
  assert.equal(served.status === 'fulfilled' && served.value.status, 200);
  await Promise.all(idle.map(untilClosed));
  assert.equal((await askService(greedy.socket, options, '/items/1')).status, 200, 'and then there is room again');
});
