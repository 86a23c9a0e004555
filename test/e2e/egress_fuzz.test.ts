import assert from 'node:assert/strict';
import { createConnection, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { connect as tlsConnect } from 'node:tls';
import { AttackBench, SECRET } from '../fakes/attack_bench.ts';
import { fuzzOf, Mutations } from '../fakes/mutations.ts';
import { randomOf } from '../fakes/random.ts';
import { askService, connectTo } from '../fakes/tunnel.ts';
import type { Handler, Received } from '../fakes/upstream.ts';
import { frame, handshake } from '../fakes/websocket.ts';

/**
 * Hostile bytes on a real gateway's sockets: CONNECT lines, names in TLS, requests in tunnels and on the socket itself.
 * After each portion the gateway still serves, no service got what it should not have, and all that it got is on record.
 */
const { seed, cases } = fuzzOf(2400);
const AT_ONCE = 24;
/** Agents that send half a request wait for ever: these hang up. */
const SILENCE_MS = 100;
const OWN = 'the-agents-own-credential';

const bench = new AttackBench();
const mutations = new Mutations(randomOf(seed));
before(() => bench.start());
after(() => bench.dispose());

/** One hostile agent; what it was answered. */
type Attempt = (socket: string) => Promise<string>;

function requestTo(place: string): string {
  const [method, target, body] = mutations.pick([
    ['GET', '/items/1', ''],
    ['POST', '/items', '{"a":1}'],
    ['GET', '/items/hidden', ''],
  ] as const);
  const own = mutations.some(
    [
      `Authorization: Bearer ${OWN}`,
      `X-Api-Key: ${OWN}`,
      `Cookie: a=${OWN}`,
      `PRIVATE-TOKEN: ${OWN}`,
      'X-Group-Id: other',
    ],
    0.3,
  );
  const length = body === '' ? [] : [`Content-Length: ${body.length}`];
  const lines = [`${method} ${target} HTTP/1.1`, `Host: ${place}`, ...own, ...length, 'Connection: close'];
  return `${lines.join('\r\n')}\r\n\r\n${body}`;
}

function connectLine(): Attempt {
  const { api } = bench.places;
  const bytes = mutations.of(`CONNECT ${api} HTTP/1.1\r\nHost: ${api}\r\n\r\n`);
  return (socket) => exchange(createConnection({ path: socket }), bytes);
}

function onTheSocket(): Attempt {
  const bytes = mutations.of(requestTo('model').replace('/items', '/model/default/v1/messages'), 4);
  return (socket) => exchange(createConnection({ path: socket }), bytes);
}

function nameInTls(): Attempt {
  const { api } = bench.places;
  const servername = mutations.of('api.example.com', 2).replace(/[^!-~]/g, '-') || 'x';
  const bytes = requestTo(api);
  return (socket) => inTunnel(socket, api, servername, bytes);
}

function inATunnel(): Attempt {
  const { api, plain } = bench.places;
  const place = mutations.pick([api, api, plain]);
  const bytes = mutations.of(requestTo(place), 4) + (mutations.chance(0.2) ? requestTo(place) : '');
  return (socket) => inTunnel(socket, place, place.split(':')[0]!, bytes);
}

/** A handshake and frames behind it: one of the two is hostile. */
function webSocket(): Attempt {
  const { live } = bench.places;
  const whole = handshake(
    live,
    '/ws/a',
    mutations
      .some([`Authorization: ${OWN}`, 'Sec-WebSocket-Extensions: x'], 0.3)
      .map((line) => `${line}\r\n`)
      .join(''),
  );
  const frames = ['hello', 'authorization', ''].map((payload) =>
    frame(payload, { opcode: mutations.pick([0, 1, 1, 2, 9]) }).toString('latin1'),
  );
  const bytes = mutations.chance(0.5)
    ? mutations.of(whole, 2) + frames.join('')
    : whole + mutations.of(frames.join(''), 2);
  return (socket) => inTunnel(socket, live, live.split(':')[0]!, bytes);
}

async function inTunnel(path: string, place: string, servername: string, bytes: string): Promise<string> {
  const { socket } = await connectTo(path, `CONNECT ${place} HTTP/1.1\r\nHost: ${place}\r\n\r\n`);
  const options = { socket, ca: bench.ca, rejectUnauthorized: false };
  return exchange(tlsConnect(/^[a-z0-9.-]+$/i.test(servername) ? { ...options, servername } : options), bytes);
}

function exchange(socket: Socket, bytes: string): Promise<string> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    socket.setTimeout(SILENCE_MS, () => socket.destroy());
    socket.on('data', (part) => parts.push(part));
    socket.on('error', () => {});
    socket.on('close', () => resolve(Buffer.concat(parts).toString('latin1')));
    socket.write(Buffer.from(bytes, 'latin1'));
  });
}

const STATUSES = new Set([101, 200, 400, 403, 404, 405, 408, 413, 414, 421, 429, 431, 502, 505]);

function checkAnswer(answer: string): void {
  assert.ok(!answer.includes(SECRET), 'the secret came back');
  for (const [, status] of answer.matchAll(/^HTTP\/1\.1 (\d+)/gm)) assert.ok(STATUSES.has(Number(status)), answer);
}

const KINDS = ['api', 'plain', 'live'] as const;
type Kind = (typeof KINDS)[number];
const RULES = {
  api: /^(GET \/items\/.+|POST \/items(\?.*)?)$/,
  plain: /^/,
  live: /^((GET|POST) \/ws\/.+|GET \/still(\?.*)?)$/,
};

function checkReceived({ method, target, rawHeaders }: Received, kind: Kind): void {
  const credentialed = kind !== 'plain';
  const shown = JSON.stringify([method, target, rawHeaders]);
  const path = target.split('?')[0]!;
  assert.doesNotMatch(path, /\/\.{1,2}(\/|$)|\/\/|\\|%2e|%2f|%5c|%00|;|[^!-~]/i, shown);
  assert.notEqual(path, credentialed ? '/items/hidden' : '/hidden');
  assert.match(`${method} ${target}`, RULES[kind], shown);
  const values = (name: string): string[] =>
    rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]!.toLowerCase() === name);
  assert.deepEqual(values('authorization'), credentialed ? [`Bearer ${SECRET}`] : [], shown);
  assert.equal(values('host').length, 1, shown);
  assert.ok(values('content-length').length + values('transfer-encoding').length <= 1, shown);
  for (const name of ['x-api-key', 'cookie', 'private-token', 'x-group-id', 'sec-websocket-extensions'])
    assert.deepEqual(values(name), [], shown);
}

/** Sends back all that it was sent, the secret among it. */
const echo: Handler = (_request, response, { rawHeaders }) => {
  response.setHeader('x-echo', rawHeaders.join(' ').replace(/[^ -~]/g, '?'));
  response.end(rawHeaders.join(' '));
};

test(`${cases} hostile attempts get nothing that they should not, and all that left is on record (seed ${seed})`, async () => {
  const pid = bench.gateway.pid;
  for (const kind of KINDS) bench[kind].handler = echo;
  let reached = 0;
  for (let done = 0; done < cases; ) {
    for (const kind of KINDS) bench[kind].received.length = 0;
    const { id, socket } = await bench.session();
    const kinds = [connectLine, onTheSocket, nameInTls, inATunnel, inATunnel, inATunnel, webSocket, webSocket];
    for (let portion = 0; portion < 5; portion += 1, done += AT_ONCE) {
      const attempts = Array.from({ length: AT_ONCE }, () => mutations.pick(kinds)());
      const answers = await Promise.all(attempts.map((attempt) => attempt(socket)));
      answers.forEach(checkAnswer);
    }
    const good = await askService(socket, { ca: bench.ca, place: bench.places.api }, '/items/1');
    assert.equal(good.status, 200, 'the next ordinary request is served');
    for (const kind of KINDS) for (const received of bench[kind].received) checkReceived(received, kind);
    const arrived = KINDS.reduce((sum, kind) => sum + bench[kind].received.length, 0);
    const left = (await bench.rows(id)).filter(({ decision }) => decision !== 'deny');
    assert.ok(left.length >= arrived, 'each request that left has a row');
    reached += arrived;
  }
  assert.equal(bench.gateway.pid, pid);
  assert.ok(reached > cases / 20, `${reached} requests reached a service`);
});
