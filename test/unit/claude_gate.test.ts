import assert from 'node:assert/strict';
import { createServer, request, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { Gate } from '../../sandbox/harnesses/claude/gate.ts';

/** A model endpoint that serves `alive` requests of each connection, and closes it when one more comes. */
async function endpoint(context: TestContext, alive: number): Promise<{ url: string; received: number[] }> {
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
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received };
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
  const gate = new Gate(url, () => {});
  const base = await gate.listen();
  gate.open();
  for (let i = 0; i < 3; i += 1) assert.equal(await ask(base), 200);
  assert.equal(gate.failure, null);
  assert.deepEqual(received, [1, 1, 1]);
});

test('an endpoint that closes each new connection is a failure, after one attempt', async (context) => {
  const { url, received } = await endpoint(context, 0);
  const gate = new Gate(url, () => {});
  const base = await gate.listen();
  gate.open();
  assert.equal(await ask(base), 502);
  assert.equal(gate.failure?.status, 502);
  assert.deepEqual(received, []);
});
