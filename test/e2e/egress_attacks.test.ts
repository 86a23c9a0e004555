import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createConnection } from 'node:net';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { ATTACKS as HTTP_ATTACKS } from '../fakes/approval_attacks.ts';
import { AttackBench, expectedOf, SECRET } from '../fakes/attack_bench.ts';
import { askService, connectTo, openTunnel, rawInTunnel } from '../fakes/tunnel.ts';
import { WEBSOCKET_ATTACKS } from '../fakes/websocket_attacks.ts';

/** Hostile bytes: the status, what the services received, and the rows. */

const bench = new AttackBench();
before(() => bench.start());
after(() => bench.dispose());

for (const attack of [...HTTP_ATTACKS, ...WEBSOCKET_ATTACKS]) {
  test(`${attack.name} gets ${attack.statuses.join(' and ') || 'no answer'}`, async () => {
    assert.deepEqual(await bench.outcome(attack), expectedOf(attack));
    if (attack.received === undefined || attack.received.length === 0)
      assert.equal(bench.api.connections + bench.plain.connections + bench.live.connections, 0, 'nobody was dialled');
  });
}

function ask(socket: string, target: string, options = {}) {
  return askService(socket, { ca: bench.ca, place: bench.places.api }, target, options);
}

test('a client that checks does not take our certificate for another name', async () => {
  const { id, socket } = await bench.session();
  const tunnel = openTunnel(socket, { ca: bench.ca, place: bench.places.api, sni: 'plain.example.com' });
  await assert.rejects(tunnel, /certificate for DNS:api\.example\.com/);
  await bench.rows(id);
});

test('a client that speaks HTTP/2 only, or no TLS, is on record; one that does not trust us sends nothing', async () => {
  const { id, socket } = await bench.session();
  const place = bench.places.api;
  const stranger = await bench.session();
  await assert.rejects(openTunnel(stranger.socket, { ca: '', place }));
  await assert.rejects(openTunnel(socket, { ca: bench.ca, place, alpn: ['h2'] }), /no.application.protocol/i);
  const { socket: noise } = await connectTo(
    socket,
    `CONNECT ${place} HTTP/1.1\r\n\r\nthis is no TLS at all, but HTTP\r\n\r\n`,
  );
  await new Promise((resolve) => noise.resume().on('close', resolve));
  const rows = await bench.rows(id);
  assert.deepEqual(
    rows.map(({ decision, status, rule, method }) => [decision, status, rule, method]),
    Array(2).fill(['deny', 400, 'tls', 'CONNECT']),
  );
  // Whether it goes before the handshake is done, or just after, is its own affair.
  assert.ok((await bench.rows(stranger.id)).every(({ rule }) => rule === 'tls'));
});

test('a name in TLS is compared without case', async () => {
  const { socket } = await bench.session();
  const options = { ca: bench.ca, place: bench.places.api, sni: 'API.example.com', careless: true };
  const answer = await rawInTunnel(
    socket,
    options,
    `GET /items/1 HTTP/1.1\r\nHost: ${bench.places.api}\r\nConnection: close\r\n\r\n`,
  );
  assert.match(answer, /^HTTP\/1\.1 200/);
});

test('a compressed reply to a request with a secret is a 502, for nobody could search it', async () => {
  const { id, socket } = await bench.session();
  bench.api.handler = (_request, response) => {
    response.setHeader('content-encoding', 'gzip');
    response.end(gzipSync(SECRET));
  };
  assert.equal((await ask(socket, '/items/1')).status, 502);
  bench.api.handler = (_request, response) => void response.end('ok');
  assert.deepEqual(
    (await bench.rows(id)).map((row) => `${row.decision} ${row.status}`),
    ['error 502'],
  );
});

test('a redirect is the agent’s to follow, and is judged like any other request', async () => {
  const { socket } = await bench.session();
  bench.plain.received.length = 0;
  bench.api.handler = (_request, response) => {
    response.writeHead(302, { location: `https://${bench.places.plain}/stolen` });
    response.end();
  };
  const reply = await ask(socket, '/items/1');
  bench.api.handler = (_request, response) => void response.end('ok');
  assert.deepEqual([reply.status, reply.headers.location], [302, `https://${bench.places.plain}/stolen`]);
  await askService(socket, { ca: bench.ca, place: bench.places.plain }, '/stolen');
  assert.deepEqual(bench.plain.values('authorization'), []);
});

test('a service that answers with nonsense, an upgrade or information without end is a 502', async () => {
  const { socket } = await bench.session();
  for (const bytes of [
    'this is no HTTP\r\n\r\n',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: foo\r\nConnection: upgrade\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc',
    'HTTP/1.1 200 OK\r\nX-A: b\r\nX\u0000: c\r\nContent-Length: 0\r\n\r\n',
    `${'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'.repeat(50)}HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n`,
  ]) {
    bench.api.handler = (_request, response) => void response.socket!.end(Buffer.from(bytes, 'latin1'));
    assert.equal((await ask(socket, '/items/1')).status, 502, bytes.slice(0, 60));
  }
  bench.api.handler = (_request, response) => void response.end('ok');
  assert.equal((await ask(socket, '/items/1')).status, 200, 'and the next request is served');
});

test('a secret that is echoed is masked wherever a chunk ends, in each usual form', async () => {
  const { socket } = await bench.session();
  const forms = [
    SECRET,
    encodeURIComponent(SECRET),
    Buffer.from(SECRET).toString('hex'),
    Buffer.from(`user:${SECRET}`).toString('base64'),
  ];
  for (const form of forms) {
    for (let cut = 1; cut < form.length; cut += 7) {
      bench.api.handler = (_request, response) => {
        response.write(`<${form.slice(0, cut)}`);
        setImmediate(() => response.end(`${form.slice(cut)}>`));
      };
      const { body } = await ask(socket, '/items/1');
      assert.equal(body.length, form.length + 2, 'of the same length');
      assert.ok(!body.includes(form) && /\*{20}/.test(body), body);
    }
  }
  bench.api.handler = (_request, response) => void response.end('ok');
});

test('"Expect" on a cold connection is answered, and does not block the next request', async () => {
  const { socket } = await bench.session();
  const began = performance.now();
  const body = '{"a":1}';
  const headers = { expect: '100-continue', 'content-length': String(body.length) };
  assert.equal((await ask(socket, '/items', { method: 'POST', body, headers })).status, 200);
  assert.deepEqual(bench.api.values('expect'), []);
  assert.equal((await ask(socket, '/items/1')).status, 200);
  assert.ok(performance.now() - began < 5000);
});

test('a burst on a rate takes exactly what is there', async () => {
  const { gateway, plain, ca } = bench;
  const hash = gateway.group(
    'burst',
    `egress: {slow: {host: plain.example.com, port: ${plain.port}, private: [127.0.0.0/8], rate: 5/hour, allow: [GET /**]}}\n`,
  );
  const host = await gateway.host();
  const socket = await gateway.open(host, 's900', 'burst', hash);
  const statuses = await Promise.all(
    Array.from({ length: 12 }, () => askService(socket, { ca, place: plain.place }, '/a').then(({ status }) => status)),
  );
  assert.deepEqual(statuses.sort(), [...Array(5).fill(200), ...Array(7).fill(429)]);
});

test('connections that break off anywhere, and bytes of no sense, leave the gateway running', async () => {
  await bench.restartHost();
  const { socket } = await bench.session();
  const lines = [
    ...['', 'C', `CONNECT ${bench.places.api}`, `CONNECT ${bench.places.api} HTTP/1.1\r\n\r\n`],
    ...[`CONNECT ${bench.places.api} HTTP/1.1\r\n\r\n\x16\x03\x01`, 'GET / HTTP/1.1\r\nHost: a\r\n'],
  ];
  const one = (at: number): Promise<void> =>
    new Promise((resolve) => {
      const client = createConnection({ path: socket }, () => {
        client.write(lines[at % lines.length]!);
        client.write(randomBytes((at * 37) % 300));
        setTimeout(() => client.destroy(), at % 7);
      });
      client.on('error', () => {});
      client.resume().on('close', () => resolve());
    });
  for (let round = 0; round < 20; round += 1)
    await Promise.all(Array.from({ length: 15 }, (_, at) => one(round * 15 + at)));
  assert.equal((await ask(socket, '/items/1')).status, 200);
});
