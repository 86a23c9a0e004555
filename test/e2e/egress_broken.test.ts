import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { createConnection, type Socket } from 'node:net';
import { test } from 'node:test';
import { AttackBench } from '../fakes/attack_bench.ts';
import { ask } from '../fakes/gateway_process.ts';
import { until } from '../fakes/install.ts';
import { startModel } from '../fakes/model.ts';
import { type Patch, PatchedTree } from '../fakes/patched_tree.ts';
import { ResettingWay } from '../fakes/resets.ts';
import { askService, connectTo, openTunnel, rawInTunnel } from '../fakes/tunnel.ts';
import { AgentSocket } from '../fakes/websocket.ts';

/**
 * Connections that break where it hurts: agents that go away at each stage with bytes unread (on a unix socket that is what a
 * reset is), services that reset TCP at each stage. Afterwards the same process serves, and nothing of it is left: no
 * descriptor, no open row, no reservation.
 */

const MESSAGES = '/model/default/v1/messages';
const AT_ONCE = 12;
const LATE_MS = 1000;
/** The whole of it takes two seconds on a machine that does nothing else; without a guard it may take for ever. */
const PATIENCE = { whole_ms: 90_000, calm_ms: 30_000 };
const IMPATIENCE = { whole_ms: 30_000, calm_ms: 3000 };
/** Idle connections to services come and go; a leak leaves one or two descriptors for each of `AT_ONCE`. */
const DESCRIPTORS_MORE = 10;
/** Of a reply, in each stage: nothing, in TLS, after it, in the head, in the body. */
const RESET_AFTER = [0, 1, 600, 1500, 40_000];

class World {
  readonly model = startModel();
  readonly bench: AttackBench;
  readonly way: ResettingWay;
  #socket = '';
  #session = '';

  constructor(root?: string) {
    this.bench = new AttackBench(root);
    this.way = new ResettingWay(() => this.bench.plain.port);
  }

  async start(): Promise<void> {
    const { bench, way } = this;
    await Promise.all([bench.start(), way.listen()]);
    await bench.gateway.setSecret('anthropic', 'fake-secret-for-the-model');
    const { origin } = await this.model;
    const at = (port: number) => `port: ${port}, private: [127.0.0.0/8]`;
    const policy = bench.gateway.group(
      'broken',
      `model: {upstream: "${origin}"}
budget: {requests_per_day: 4000, tokens_per_day: 4500}
egress:
  api: {host: api.example.com, ${at(bench.api.port)}, allow: ["* /**"]}
  live: {host: live.example.com, ${at(bench.live.port)}, ws: true, allow: [GET /ws/**]}
  way: {host: plain.example.com, ${at(way.port)}, allow: [GET /**]}
`,
    );
    this.#session = 's900';
    this.#socket = await bench.gateway.open(bench.host, this.#session, 'broken', policy);
  }

  get socket(): string {
    return this.#socket;
  }

  get options() {
    return { ca: this.bench.ca, place: this.bench.places.api };
  }

  tunnel() {
    return openTunnel(this.socket, this.options);
  }

  /** A request like any other; its status. */
  async ask(target: string): Promise<number> {
    return (await askService(this.socket, this.options, target)).status;
  }

  /** Requests on record that have not ended. */
  async running(): Promise<number> {
    const rows = await this.bench.gateway.rows(this.bench.host, this.#session);
    return rows.filter(({ ended_ms }) => ended_ms === null).length;
  }

  get descriptors(): number {
    return readdirSync(`/proc/${this.bench.gateway.pid}/fd`).length;
  }

  async dispose(): Promise<void> {
    await this.bench.dispose();
    await Promise.all([this.way.close(), this.model.then((model) => model.close())]);
  }
}

/** Agents that go away in the middle, each with bytes unread where there are any. */
const LEAVES: Record<string, (world: World) => Promise<unknown>> = {
  'before CONNECT': async ({ socket }) => (await connected(socket)).destroy(),
  'in the line of CONNECT': async ({ socket }) => leave(await connected(socket), 'CONNECT api.exam'),
  'after CONNECT': async ({ socket, bench }) => (await connectTo(socket, connectLine(bench))).socket.destroy(),
  'in the hello of TLS': async ({ socket, bench }) => {
    const { socket: agent } = await connectTo(socket, connectLine(bench));
    await leave(agent, Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]));
  },
  'in the head of a request': async (world) =>
    leave(await world.tunnel(), `GET /items/1 HTTP/1.1\r\nHost: ${world.options.place}\r\nX-A`),
  'in a body': async (world) =>
    leave(
      await world.tunnel(),
      `POST /items HTTP/1.1\r\nHost: ${world.options.place}\r\nContent-Length: 9000000\r\n\r\n${'x'.repeat(200_000)}`,
    ),
  'in a chunk of a body': async (world) =>
    leave(
      await world.tunnel(),
      `POST /items HTTP/1.1\r\nHost: ${world.options.place}\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\nabc`,
    ),
  'before its reply': async (world) =>
    leave(await world.tunnel(), `GET /items/1 HTTP/1.1\r\nHost: ${world.options.place}\r\n\r\n`),
  'in a reply': async (world) => {
    const agent = await world.tunnel();
    agent.write(`GET /endless HTTP/1.1\r\nHost: ${world.options.place}\r\n\r\n`);
    await Promise.race([once(agent, 'data'), once(agent, 'close')]);
    agent.destroy();
  },
  'in a WebSocket': async ({ socket, bench }) => {
    const options = { ca: bench.ca, place: bench.places.live };
    const agent = await AgentSocket.open(socket, options, '/ws/a');
    agent.send('hello');
    agent.tls.write(Buffer.from([0x81, 0xfe, 0x10]));
    agent.tls.destroy();
  },
  'in a request to the model': async ({ socket }) =>
    leave(await connected(socket), `POST ${MESSAGES} HTTP/1.1\r\nHost: model\r\nContent-Length: 900\r\n\r\n{`),
};

function connectLine({ places }: AttackBench): string {
  return `CONNECT ${places.api} HTTP/1.1\r\nHost: ${places.api}\r\n\r\n`;
}

async function connected(path: string): Promise<Socket> {
  const socket = createConnection({ path });
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

/** Goes away when its last bytes are on their way, or nobody reads them. */
function leave(socket: Socket, bytes: string | Buffer): Promise<void> {
  socket.on('error', () => {});
  return new Promise((resolve) => {
    const late = setTimeout(() => socket.destroy(), LATE_MS);
    socket.on('close', () => {
      clearTimeout(late);
      resolve();
    });
    socket.write(bytes, () => socket.destroy());
  });
}

/** What is answered, as statuses: bytes that crash careless parsers. */
const ODD: [name: string, bytes: (place: string) => string, statuses: number[]][] = [
  ['the preface of HTTP/2, twice', () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'.repeat(2), [400]],
  [
    'trailers, twice',
    (place) =>
      `POST /items HTTP/1.1\r\nHost: ${place}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\nTrailer: X-A\r\n\r\n1\r\na\r\n0\r\nX-A: b\r\nX-A: c\r\n\r\n`,
    [200],
  ],
];

interface Found {
  statuses: Record<string, number[]>;
  /** Of good requests behind it all: to the service, and to the model. */
  good: number[];
  alive: boolean;
  problem?: string;
  running: number;
  leaked: boolean;
}

const EXPECTED: Found = {
  statuses: Object.fromEntries(ODD.map(([name, , statuses]) => [name, statuses])),
  good: [200, 200],
  alive: true,
  running: 0,
  leaked: false,
};

/** Everything that breaks, some dozen times each. */
async function flood(world: World): Promise<void> {
  const many = async (one: () => Promise<unknown>): Promise<void> => {
    await Promise.all(Array.from({ length: AT_ONCE }, () => one().catch(() => {})));
    // A session has so many connections: the next ones need their room.
    await until('it serves', () => world.ask('/items/1'), 15_000);
  };
  for (const leaving of Object.values(LEAVES)) await many(() => leaving(world));
  const options = { ca: world.bench.ca, place: `plain.example.com:${world.way.port}` };
  for (const bytes of RESET_AFTER) {
    world.way.bytes = bytes;
    await many(() => askService(world.socket, options, '/big'));
  }
}

/** An agent that asks the model and goes, once the model has the request: what was reserved must be free for the next. */
async function abandonedModels(world: World): Promise<void> {
  const model = await world.model;
  model.mode = 'hang';
  for (let round = 1; round <= 3; round += 1) {
    const before = model.requests.length;
    const agent = await connected(world.socket);
    agent.write(`POST ${MESSAGES} HTTP/1.1\r\nHost: model\r\nContent-Length: 2\r\n\r\n{}`);
    await until('the model has it', async () => assert.equal(model.requests.length, before + 1), 5000);
    agent.destroy();
    await until('it has ended', async () => assert.equal(await world.running(), 0), 5000);
  }
  model.mode = 'ok';
}

async function foundIn(root?: string): Promise<Found> {
  const world = new World(root);
  const { whole_ms, calm_ms } = root === undefined ? PATIENCE : IMPATIENCE;
  const found: Found = { ...EXPECTED, statuses: {}, good: [], alive: false };
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, whole_ms);
  });
  try {
    await world.start();
    await Promise.race([look(world, found, calm_ms), late]);
  } catch (error) {
    found.problem = String(error);
  } finally {
    clearTimeout(timer);
    await world.dispose();
  }
  return found;
}

async function look(world: World, found: Found, calm_ms: number): Promise<void> {
  const { bench, options, socket } = world;
  const { pid } = bench.gateway;
  answerBroken(bench);
  await world.ask('/items/1');
  const before = world.descriptors;
  await flood(world);
  for (const [name, bytes] of ODD) {
    const answer = await rawInTunnel(socket, options, bytes(options.place));
    found.statuses[name] = [...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status));
  }
  await abandonedModels(world);
  found.good.push(await world.ask('/items/1'), (await ask(socket, MESSAGES)).status);
  const calm = async (): Promise<void> => {
    found.running = await world.running();
    found.leaked = world.descriptors > before + DESCRIPTORS_MORE;
    assert.deepEqual([found.running, found.leaked], [0, false]);
  };
  await until('nothing is left', calm, calm_ms).catch(() => {});
  found.alive = bench.gateway.isRunning && bench.gateway.pid === pid;
}

function answerBroken({ api, plain }: AttackBench): void {
  api.handler = (request, response) => {
    if (request.url !== '/endless') return void response.end('ok');
    const more = (): void => {
      while (!response.destroyed && response.write('x'.repeat(10_000)));
    };
    response.on('drain', more);
    more();
  };
  plain.handler = (_request, response) => {
    response.writeHead(200, { trailer: 'x-a' });
    response.write('y'.repeat(100_000));
    response.addTrailers({ 'x-a': 'b' });
    response.addTrailers({ 'x-a': 'c' });
    response.end();
  };
}

test('connections that break at each stage, on both sides, cost nothing but themselves', async () => {
  assert.deepEqual(await foundIn(), EXPECTED);
});

const SESSION = 'src/gateway/session.ts';
const SABOTAGES: [without: string, patch: Patch][] = [
  ['the end of a tunnel whose agent ends before TLS', ['src/gateway/tunnel.ts', "tls.on('end', ended);", '']],
  [
    'the end of an agent that ends in the middle',
    [SESSION, "if (error.code === 'HPE_INVALID_EOF_STATE')", 'if (false)'],
  ],
  ['what settles a reservation', [SESSION, 'this.#context.budgets.settle(reservation, used);', '']],
  ['the end of a row', [SESSION, 'this.#context.audit.end(row, outcome, used);', '']],
  [
    'the look for an agent that has gone',
    ['src/gateway/forward.ts', "response.on('close', () => this.#agentGone());", ''],
  ],
  [
    'the answer to an error of a connection',
    ['src/gateway/forward.ts', 'onResponseError(_controller', 'onNothing(_controller'],
  ],
];

/** What nobody gives up in time is seen to be left. */
const PATIENT: Patch = ['src/base/limits/gateway.ts', 'AGENT_TLS_MS = 10 * SECOND_MS', 'AGENT_TLS_MS = 10 * MINUTE_MS'];

for (const [without, patch] of SABOTAGES)
  test(`without ${without} that comes out differently`, async () => {
    using tree = new PatchedTree([patch, PATIENT]);
    assert.notDeepEqual(await foundIn(tree.root), EXPECTED);
  });
