import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { GATEWAY_LINE_BYTES_MAX } from '../../src/base/limits/gateway.ts';
import { lineReader } from '../../src/protocol/lines.ts';
import { LineClient } from '../../src/protocol/lines_client.ts';

const root = mkdtempSync(join(tmpdir(), 'lc-'));
after(() => rmSync(root, { recursive: true }));
const WAIT_MS = 5000;
let made = 0;

/** A server that answers with what `reply` returns for a request; null: no answer. */
async function serving(reply: (request: { id: number; op: string }, socket: Socket) => string | null): Promise<{
  path: string;
  server: Server;
}> {
  const path = join(root, `${++made}.sock`);
  const server = createServer((socket) => {
    const read = lineReader(
      1 << 20,
      (line) => {
        const text = reply(JSON.parse(line), socket);
        if (text !== null) socket.write(`${text}\n`);
      },
      () => {},
    );
    socket.on('data', read);
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  after(() => server.close());
  return { path, server };
}

test('answers find their requests in any order', async () => {
  const waiting: number[] = [];
  const { path } = await serving((request, socket) => {
    waiting.push(request.id);
    if (waiting.length === 3) for (const id of waiting.reverse()) socket.write(`{"id":${id},"ok":true,"n":${id}}\n`);
    return null;
  });
  const client = await LineClient.connect(path, WAIT_MS, { peer: 'the peer' });
  const answers = await Promise.all([1, 2, 3].map(() => client.request<{ n: number }>({ op: 'x' }, WAIT_MS)));
  assert.deepEqual(
    answers.map((answer) => answer.n),
    [1, 2, 3],
  );
  client.close();
});

test('a refusal keeps its code and sentence, and an unknown code is internal', async () => {
  const { path } = await serving(({ id, op }) => JSON.stringify({ id, ok: false, error: op, message: 'because' }));
  const client = await LineClient.connect(path, WAIT_MS, { peer: 'the peer' });
  await assert.rejects(client.request({ op: 'conflict' }, WAIT_MS), { code: 'conflict', message: 'because' });
  await assert.rejects(client.request({ op: 'toString' }, WAIT_MS), { code: 'internal' });
  client.close();
});

test('events arrive in order, and the end is told once, after the pending requests were rejected', async () => {
  const { path } = await serving((_request, socket) => {
    socket.end('{"event":"a"}\n{"event":"b"}\n');
    return null;
  });
  const seen: unknown[] = [];
  const client = await LineClient.connect(path, WAIT_MS, {
    peer: 'the peer',
    onEvent: (event) => seen.push(event),
    onClose: () => seen.push('closed'),
  });
  await assert.rejects(client.request({ op: 'x' }, WAIT_MS), { code: 'unavailable', message: /was lost/ });
  assert.deepEqual(seen, [{ event: 'a' }, { event: 'b' }, 'closed']);
  assert.ok(client.closed);
  await assert.rejects(client.request({ op: 'x' }, WAIT_MS), { code: 'unavailable' });
  client.close();
});

test('no answer in time is unavailable, and a late one is ignored', async () => {
  let late = (): void => {};
  const { path } = await serving(({ id, op }, socket) => {
    if (op !== 'slow') return JSON.stringify({ id, ok: true });
    late = () => socket.write(`{"id":${id},"ok":true}\n`);
    return null;
  });
  const client = await LineClient.connect(path, WAIT_MS, { peer: 'the peer' });
  await assert.rejects(client.request({ op: 'slow' }, 20), { code: 'unavailable', message: /did not answer "slow"/ });
  late();
  await client.request({ op: 'quick' }, WAIT_MS);
  client.close();
});

test('nobody there is unavailable', async () => {
  await assert.rejects(LineClient.connect(join(root, 'none.sock'), WAIT_MS, { peer: 'the gateway' }), {
    code: 'unavailable',
    message: 'the gateway is not running (ENOENT)',
  });
});

for (const [name, line] of [
  ['an answer of no known shape', '{"id":1,"ok":"yes"}'],
  ['a line without end', 'x'.repeat(GATEWAY_LINE_BYTES_MAX + 1)],
] as const) {
  test(`${name} ends the connection`, async () => {
    const { path } = await serving(() => line);
    const client = await LineClient.connect(path, WAIT_MS, { peer: 'the peer' });
    await assert.rejects(client.request({ op: 'x' }, WAIT_MS), { code: 'unavailable' });
  });
}
