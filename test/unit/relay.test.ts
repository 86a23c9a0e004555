import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { AWAY_MS, startRelay } from '../../sandbox/runner/relay.ts';

async function relay(context: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'relay-'));
  const at = join(folder, 'egress.sock');
  const { port, server } = await startRelay(at, 0);
  context.after(() => {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return { at, port, clients: promisify(server.getConnections.bind(server)) };
}

/** A gateway that gives back in capitals what it is told, and ends when it is told the end. */
async function gateway(context: TestContext, at: string): Promise<Socket[]> {
  const taken: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    taken.push(socket);
    socket.on('data', (part) => socket.write(part.toString().toUpperCase())).on('end', () => socket.end());
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(at, resolve));
  context.after(() => {
    for (const socket of taken) socket.destroy();
    server.close();
  });
  return taken;
}

function said(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let heard = '';
    const client = connect(port, '127.0.0.1', () => client.end(text));
    client.on('data', (part) => {
      heard += part;
    });
    client.on('error', reject).on('close', () => resolve(heard));
  });
}

const MEGABYTE = 'x'.repeat(1024 * 1024);

test('bytes pass both ways, and each end', async (context) => {
  const { at, port } = await relay(context);
  await gateway(context, at);
  assert.equal(await said(port, MEGABYTE), MEGABYTE.toUpperCase());
});

test('what is said while no gateway is there waits for the next one, whole', async (context) => {
  const { at, port } = await relay(context);
  const answer = said(port, MEGABYTE);
  await pause(300);
  const taken = await gateway(context, at);
  assert.equal(await answer, MEGABYTE.toUpperCase());
  assert.equal(taken.length, 1);
});

test('where no gateway comes in time the connection ends', async (context) => {
  context.mock.timers.enable({ apis: ['Date'] });
  const { port } = await relay(context);
  const ended = said(port, 'x');
  await pause(300);
  context.mock.timers.tick(AWAY_MS);
  assert.equal(await ended, '');
});

test('a gateway that dies ends its connections', async (context) => {
  const { at, port } = await relay(context);
  const taken = await gateway(context, at);
  const client = connect(port, '127.0.0.1');
  client.on('error', () => {});
  const closed = new Promise((resolve) => client.on('close', resolve));
  client.on('data', () => taken[0]!.destroy()).write('x');
  await closed;
});

test('whose client has gone meanwhile makes no connection', async (context) => {
  const { at, port, clients } = await relay(context);
  const client = connect(port, '127.0.0.1');
  client.on('error', () => {});
  await new Promise((resolve) => client.on('connect', resolve));
  while ((await clients()) === 0) await pause(10);
  client.resetAndDestroy();
  while ((await clients()) > 0) await pause(10);
  const taken = await gateway(context, at);
  assert.equal(await said(port, 'x'), 'X');
  await pause(300);
  assert.equal(taken.length, 1);
});
