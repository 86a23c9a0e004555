import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, request, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Gate } from '../../sandbox/harnesses/claude/gate.ts';
import { AWAY_MS } from '../../sandbox/runner/relay.ts';

/** A model endpoint that serves `alive` requests of each connection, and closes it when one more comes; `at`: on this socket. */
async function endpoint(context: TestContext, alive: number, at?: string) {
  const counts = new Map<Socket, number>();
  const received: number[] = [];
  const server = createServer((incoming, response: ServerResponse) => {
    const count = (counts.get(incoming.socket) ?? 0) + 1;
    counts.set(incoming.socket, count);
    if (count > alive) return void incoming.socket.destroy();
    incoming.resume();
    incoming.on('end', () => {
      received.push(count);
      response.end('fine');
    });
  });
  await new Promise<void>((resolve) => server.listen(at ?? { port: 0, host: '127.0.0.1' }, resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = at === undefined ? `http://127.0.0.1:${(server.address() as AddressInfo).port}` : 'http://127.0.0.1:1';
  return { url, received };
}

function ask(base: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request(`${base}/v1/messages`, { method: 'POST', agent: false }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode!));
    });
    sent.on('error', reject);
    sent.end('x'.repeat(4 * 1024 * 1024));
  });
}

test('a kept connection that the endpoint has closed costs no turn: the request is made once more', async (context) => {
  const { url, received } = await endpoint(context, 1);
  const gate = new Gate(url, null, () => {});
  const base = await gate.listen();
  gate.open();
  for (let i = 0; i < 3; i += 1) assert.equal(await ask(base), 200);
  assert.equal(gate.failure, null);
  assert.deepEqual(received, [1, 1, 1]);
});

test('an endpoint that closes each new connection is a failure, after one attempt', async (context) => {
  const { url, received } = await endpoint(context, 0);
  const gate = new Gate(url, null, () => {});
  const base = await gate.listen();
  gate.open();
  assert.equal(await ask(base), 502);
  assert.equal(gate.failure?.status, 502);
  assert.deepEqual(received, []);
});

/** A gate whose requests go to a socket, where nobody listens yet. */
async function gateAtSocket(context: TestContext): Promise<{ at: string; gate: Gate; base: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'gate-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const at = join(folder, 'egress.sock');
  const gate = new Gate('http://127.0.0.1:1', at, () => {});
  const base = await gate.listen();
  gate.open();
  return { at, gate, base };
}

test('where there is a socket the requests go there, also the one that is made once more', async (context) => {
  const { at, base } = await gateAtSocket(context);
  const { received } = await endpoint(context, 1, at);
  for (let i = 0; i < 3; i += 1) assert.equal(await ask(base), 200);
  assert.deepEqual(received, [1, 1, 1]);
});

test('while nobody listens on its socket a request waits for who comes next, and is made once', async (context) => {
  const { at, gate, base } = await gateAtSocket(context);
  const asked = ask(base);
  await new Promise((resolve) => setTimeout(resolve, 300));
  const { received } = await endpoint(context, 1, at);
  assert.equal(await asked, 200);
  assert.equal(gate.failure, null);
  assert.deepEqual(received, [1]);
});

test('where nobody comes in time the request has failed', async (context) => {
  context.mock.timers.enable({ apis: ['Date'] });
  const { gate, base } = await gateAtSocket(context);
  const asked = ask(base);
  await new Promise((resolve) => setTimeout(resolve, 300));
  context.mock.timers.tick(AWAY_MS);
  assert.equal(await asked, 502);
  assert.equal(gate.failure?.status, 502);
});

/** So many gateways, one after the other, of which each dies over the first request that it has read. Resolves when the last one has. */
async function dying(at: string, count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) {
    const died = Promise.withResolvers<void>();
    const server = createServer((incoming) => {
      incoming.resume().on('end', () => {
        server.close(() => died.resolve());
        incoming.socket.destroy();
      });
    });
    server.listen(at).unref();
    await died.promise;
  }
}

for (const [deaths, status] of [
  [2, 200],
  [3, 502],
] as const)
  test(`${deaths} gateways that die over a request, and what it is answered by the next: ${status}`, async (context) => {
    const { at, gate, base } = await gateAtSocket(context);
    const asked = ask(base);
    await Promise.race([dying(at, deaths), asked]);
    const { received } = await endpoint(context, 1, at);
    assert.equal(await asked, status);
    assert.equal(gate.failure?.status, status === 200 ? undefined : 502);
    assert.equal(received.length, status === 200 ? 1 : 0);
  });
