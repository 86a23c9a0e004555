import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { SESSION_REQUESTS_MAX } from '../../src/base/limits/gateway.ts';
import { AttackBench, SECRET } from '../fakes/attack_bench.ts';
import { until } from '../fakes/install.ts';
import { PatchedTree } from '../fakes/patched_tree.ts';
import { askService, openTunnel } from '../fakes/tunnel.ts';
import type { Upgrade } from '../fakes/upstream.ts';
import { AgentSocket, accepted, echoUpgrade, frame, handshake } from '../fakes/websocket.ts';

/** WebSockets through a real gateway process, for as long as they last: what each side gets, and the row. */

const MASKED = '*'.repeat(SECRET.length);
const bench = new AttackBench();
let pid: number | undefined;
before(async () => {
  await bench.start();
  pid = bench.gateway.pid;
});
after(() => bench.dispose());

interface Session {
  id: string;
  open(target?: string): Promise<AgentSocket>;
  /** Decision, status and rule of each row, when all have ended. */
  rows(): Promise<string[]>;
}

/** `upgrade`: what the service does with the WebSockets of this test. */
async function session(upgrade: Upgrade = echoUpgrade, on = bench): Promise<Session> {
  on.live.upgrade = upgrade;
  const { id, socket } = await on.session();
  return {
    id,
    open: (target = '/ws/a') => AgentSocket.open(socket, { ca: on.ca, place: on.places.live }, target),
    rows: async () => (await on.rows(id)).map(({ decision, status, rule }) => `${decision} ${status} ${rule}`),
  };
}

/** A service that sends these parts one after the other, once it was asked. */
function sending(...parts: Buffer[]): Upgrade {
  return (received, socket) => {
    socket.write(accepted(received));
    socket.once('data', async () => {
      for (const part of parts) {
        socket.write(part);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    });
  };
}

function text(payload: string): Buffer {
  return frame(payload, { masked: false });
}

test('messages go both ways, a ping is answered, and the last frame ends both sides', async () => {
  const { open, rows, id } = await session();
  const agent = await open();
  assert.match(agent.head, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  assert.match(agent.head, /upgrade: websocket/i);
  assert.match(agent.head, /x-kept: a/i);
  assert.doesNotMatch(agent.head, /extensions|close/i);
  agent.send('one');
  assert.deepEqual(await agent.take(1), ['one']);
  agent.send('ping', { opcode: 9 });
  agent.send('two ', { final: false });
  assert.deepEqual(await agent.take(3), ['one', 'ping', 'two ']);
  assert.equal(agent.frames[1]!.opcode, 10);
  agent.send('parts', { opcode: 0 });
  agent.send('\x03\xe8', { opcode: 8 });
  await agent.closed;
  assert.deepEqual(await rows(), ['allow 101 live: GET /ws/**']);
  const [row] = await bench.rows(id);
  assert.equal(row!.secret, 'api-token');
  assert.ok(row!.request_bytes > 30 && row!.response_bytes > 20, JSON.stringify(row));
});

test('a WebSocket can follow other requests in its tunnel', async () => {
  const { socket } = await bench.session();
  const { ca, places } = bench;
  const tls = await openTunnel(socket, { ca, place: places.live });
  tls.write(`GET /still HTTP/1.1\r\nHost: ${places.live}\r\n\r\n`);
  await new Promise((resolve) => tls.once('data', resolve));
  tls.write(handshake(places.live, '/ws/a'));
  const agent = await AgentSocket.on(tls);
  agent.send('after');
  assert.deepEqual(await agent.take(1), ['after']);
  tls.destroy();
});

test('a megabyte and more passes both ways, and an agent that does not read holds its service back', async () => {
  const { open } = await session();
  const agent = await open();
  const big = 'x'.repeat(4_000_000);
  agent.send(big);
  assert.deepEqual(
    (await agent.take(1)).map((payload) => payload.length),
    [big.length],
  );
  agent.tls.pause();
  let written = 0;
  const { open: openOther } = await session((received, socket) => {
    socket.write(accepted(received));
    const part = text('y'.repeat(65_536));
    const more = (): void => {
      while (written < 64_000_000 && !socket.destroyed) {
        written += part.length;
        if (!socket.write(part)) return void socket.once('drain', more);
      }
    };
    more();
  });
  const slow = await openOther();
  slow.tls.pause();
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.ok(written < 32_000_000, `${written} bytes were taken for an agent that reads none`);
  agent.tls.destroy();
  slow.tls.destroy();
});

test('a secret is masked within a frame wherever a chunk ends, told, and nothing waits for the next frame', async () => {
  await bench.restartHost();
  const whole = text(`<${SECRET}>`);
  const { open, rows } = await session(
    sending(whole.subarray(0, 9), whole.subarray(9), text(SECRET.slice(0, 4)), text('next'), frame(SECRET, PING)),
  );
  const agent = await open();
  agent.send('go');
  assert.deepEqual(await agent.take(4), [`<${MASKED}>`, SECRET.slice(0, 4), 'next', MASKED]);
  agent.tls.destroy();
  await rows();
  await until('the alert', async () =>
    assert.ok(bench.events.some((event) => event.event === 'alert' && event.kind === 'secret_echo')),
  );
});

const PING = { opcode: 9, masked: false };

test('a service that refuses answers as it would any request, however long its words are', async () => {
  const words = 'no '.repeat(300_000);
  const { open, rows } = await session((_received, socket) =>
    socket.write(`HTTP/1.1 403 Forbidden\r\nContent-Length: ${words.length}\r\nX-Token: ${SECRET}\r\n\r\n${words}`),
  );
  const agent = await open();
  let bytes = 0;
  agent.tls.on('data', (part) => {
    bytes += part.length;
  });
  await agent.closed;
  assert.match(agent.head, /^HTTP\/1\.1 403 .*connection: close/is);
  assert.ok(agent.head.includes(MASKED) && bytes > 800_000, `${bytes} bytes`);
  assert.deepEqual(await rows(), ['allow 403 live: GET /ws/**']);
});

test('an agent that goes away while its service is silent ends that too', async () => {
  let ended = 0;
  bench.live.upgrade = (_received, socket) => void socket.resume().on('close', () => (ended += 1));
  const { id, socket } = await bench.session();
  const tls = await openTunnel(socket, { ca: bench.ca, place: bench.places.live });
  tls.write(handshake(bench.places.live, '/ws/gone'));
  await until('it is asked', async () => assert.equal(bench.live.received.at(-1)?.target, '/ws/gone'));
  tls.destroy();
  await until('the service’s side has ended', async () => assert.equal(ended, 1));
  const [row] = await bench.rows(id);
  assert.deepEqual([row!.decision, row!.status], ['allow', null]);
});

test('the end of its session ends a WebSocket at once, on both sides', async () => {
  let ended = 0;
  const { id, open, rows } = await session((received, socket) => {
    socket.on('close', () => {
      ended += 1;
    });
    echoUpgrade(received, socket);
  });
  const agents = [await open(), await open()];
  agents[0]!.send('hello');
  await agents[0]!.take(1);
  await bench.host.request({ op: 'close', session: id }, 5000);
  await Promise.all(agents.map(({ closed }) => closed));
  await until('the service’s side has ended', async () => assert.equal(ended, 2));
  assert.deepEqual(await rows(), Array(2).fill('allow 101 live: GET /ws/**'));
});

test('an open WebSocket is a running request of its session, and makes room when it ends', async () => {
  const { open } = await session();
  const agents = await Promise.all(Array.from({ length: SESSION_REQUESTS_MAX }, () => open()));
  const more = await open();
  assert.match(more.head, /^HTTP\/1\.1 429 /);
  await more.closed;
  agents[0]!.send('', { opcode: 8 });
  await agents[0]!.closed;
  const next = await open();
  assert.match(next.head, /^HTTP\/1\.1 101 /);
  for (const agent of [...agents, next]) agent.tls.destroy();
});

test('each message costs what a request does: one more than the rate has is not sent, and ends it', async () => {
  const { open, rows, id } = await session();
  const agent = await open('/paced');
  for (const payload of ['one', 'two', 'three']) {
    agent.send(payload, { final: false, opcode: payload === 'one' ? 1 : 0 });
    await agent.take(agent.frames.length + 1);
  }
  await agent.closed;
  assert.equal(bench.live.received.at(-1)!.body.toString(), 'onetwo');
  assert.deepEqual(await rows(), ['error 101 paced: rate 3/hour']);
  const again = await open('/paced');
  assert.match(again.head, /^HTTP\/1\.1 429 /);
  assert.equal((await bench.rows(id)).length, 2);
});

test('what is too much, silent, idle or too old is cut, and its row says which', async () => {
  using tree = new PatchedTree([
    ['src/base/limits/gateway.ts', 'WEBSOCKET_BYTES_MAX = 512 * MIB', 'WEBSOCKET_BYTES_MAX = 64 * KIB'],
    ['src/base/limits/gateway.ts', 'WEBSOCKET_IDLE_MS = 10 * MINUTE_MS', 'WEBSOCKET_IDLE_MS = SECOND_MS / 4'],
    ['src/base/limits/gateway.ts', 'MODEL_FIRST_BYTE_MS = 5 * MINUTE_MS', 'MODEL_FIRST_BYTE_MS = SECOND_MS'],
    ['src/base/limits/gateway.ts', 'WEBSOCKET_AGE_MS = 120 * MINUTE_MS', 'WEBSOCKET_AGE_MS = SECOND_MS'],
  ]);
  const impatient = new AttackBench(tree.root);
  try {
    await impatient.start();
    const up = await session(echoUpgrade, impatient);
    (await up.open()).send('x'.repeat(70_000));
    assert.deepEqual(await up.rows(), ['error 101 websocket: bytes']);
    const down = await session(sending(text('y'.repeat(70_000))), impatient);
    (await down.open()).send('go');
    assert.deepEqual(await down.rows(), ['error 101 upstream websocket: bytes']);
    const idle = await session(echoUpgrade, impatient);
    await (await idle.open()).closed;
    assert.deepEqual(await idle.rows(), ['error 101 websocket: idle']);
    const silent = await session(echoUpgrade, impatient);
    assert.match((await silent.open('/ws/silent')).head, /^HTTP\/1\.1 504 /);
    assert.deepEqual(await silent.rows(), ['error 504 upstream deadline']);
    const old = await session(echoUpgrade, impatient);
    const agent = await old.open();
    const talk = setInterval(() => agent.send('still here'), 50);
    await agent.closed;
    clearInterval(talk);
    assert.deepEqual(await old.rows(), ['error 101 websocket: age']);
  } finally {
    await impatient.dispose();
  }
});

test('after all that the gateway is the same process, and serves', async () => {
  const { socket } = await bench.session();
  const reply = await askService(socket, { ca: bench.ca, place: bench.places.live }, '/still');
  assert.equal(reply.status, 200);
  assert.equal(bench.gateway.pid, pid);
});
