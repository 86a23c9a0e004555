import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  FRAMES_PER_SECOND_MAX,
  HATCH_BACKLOG_BYTES_MAX,
  HATCH_BYTES_PER_SECOND_MAX,
  HELLO_MS,
  HOST_FRAME_BYTES_MAX,
  RUNNER_FRAME_BYTES_MAX,
} from '../../src/base/limits/messages.ts';
import { HATCH_VERSION, type HostFrame, type RunnerFrame } from '../../src/protocol/frames.ts';
import { encodeFrame, frameReader } from '../../src/protocol/framing.ts';
import { Hatch } from '../../src/sessions/hatch.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';

/** Whatever comes over a hatch ends at most this hatch, with a reason, once. */

const WELCOME: HostFrame = {
  t: 'welcome',
  v: HATCH_VERSION,
  mcp: [],
  session: 's1',
  group: 'assistant',
  harness: 'probe',
  model: { provider: 'anthropic', name: 'm', effort: null },
  tools: [],
  resume: null,
  instructions: '',
  drafts: false,
};
const HELLO = { t: 'hello', v: HATCH_VERSION };

interface Opened {
  hatch: Hatch;
  path: string;
  frames: RunnerFrame[];
  refused: string[];
  ends: string[];
  ended: Promise<string>;
}

async function opened(
  context: TestContext,
  judge: (frame: RunnerFrame) => string | null = () => null,
): Promise<Opened> {
  const path = join(temporaryFolder(context), 'hatch.sock');
  const { promise, resolve } = Promise.withResolvers<string>();
  const found = { path, frames: [] as RunnerFrame[], refused: [] as string[], ends: [] as string[], ended: promise };
  const hatch = new Hatch(path, WELCOME, {
    onFrame(frame) {
      found.frames.push(frame);
      return judge(frame);
    },
    onEnd(reason) {
      found.ends.push(reason);
      resolve(reason);
    },
    onRefused: (reason) => found.refused.push(reason),
  });
  await hatch.listen();
  context.after(() => hatch.end('the test is over'));
  return { hatch, ...found };
}

/** A peer on the hatch: what it heard, and its end. It ends with the test, which might fail and leave it open. */
async function peer(
  context: TestContext,
  path: string,
): Promise<{ socket: Socket; heard: unknown[]; closed: Promise<void> }> {
  const socket = connect(path);
  context.after(() => socket.destroy());
  const heard: unknown[] = [];
  socket.on(
    'data',
    frameReader(
      HOST_FRAME_BYTES_MAX,
      (bytes) => heard.push(JSON.parse(bytes.toString())) > 0,
      () => {},
    ),
  );
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()));
  await Promise.race([new Promise<void>((resolve) => socket.once('connect', resolve)), closed]);
  return { socket, heard, closed };
}

async function until(done: () => boolean): Promise<void> {
  for (let i = 0; i < 1000 && !done(); i += 1) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.ok(done(), 'not within 5 s');
}

const MEGABYTE = 1024 * 1024;
const FLOOD = 100;

function header(bytes: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(bytes);
  return buffer;
}

test('hello is answered with welcome, then frames come in order', async (context) => {
  const { path, frames, hatch, ends } = await opened(context);
  const { socket, heard } = await peer(context, path);
  socket.write(
    Buffer.concat(
      [HELLO, { t: 'ready', steer: true, resumed: false }, { t: 'taken', turn: 1, ids: [1] }].map(encodeFrame),
    ),
  );
  await until(() => frames.length === 2);
  assert.deepEqual(
    frames.map((frame) => frame.t),
    ['ready', 'taken'],
  );
  hatch.send({ t: 'interrupt', turn: 1 });
  await until(() => heard.length === 2);
  assert.deepEqual(heard, [WELCOME, { t: 'interrupt', turn: 1 }]);
  assert.deepEqual(ends, []);
});

test('frames that are blown up with blanks are read at a bounded rate, and none is lost', async (context) => {
  const { path, frames, ends } = await opened(context);
  const { socket } = await peer(context, path);
  socket.write(encodeFrame(HELLO));
  const text = JSON.stringify({ t: 'tool', turn: 1, tool: 'x', ok: true, ms: 0, summary: '' });
  const frame = Buffer.concat([header(MEGABYTE), Buffer.from(text.padEnd(MEGABYTE))]);
  for (let i = 0; i < FLOOD; i += 1) socket.write(frame);
  const began = performance.now();
  await until(() => frames.length === FLOOD);
  // A second's worth may have begun with it, and each may go over by what is on its way.
  const least_ms = (FLOOD * MEGABYTE - 1.5 * HATCH_BYTES_PER_SECOND_MAX) / HATCH_BYTES_PER_SECOND_MAX;
  assert.ok(performance.now() - began >= 1000 * least_ms);
  assert.deepEqual(ends, []);
});

const DONE = { t: 'done', turn: 1, outcome: 'answered', text: '', resume: null };

const ENDED: [name: string, after: object[], bytes: Buffer, reason: RegExp][] = [
  ['garbage', [], Buffer.from('GET / HTTP/1.1\r\n\r\n'), /^a frame of \d+ bytes/],
  ['a frame that is no JSON', [], Buffer.concat([header(3), Buffer.from('{{{')]), /not JSON/],
  ['an empty frame', [HELLO], header(0), /a frame of 0 bytes/],
  ['the length of an oversized frame', [HELLO], header(RUNNER_FRAME_BYTES_MAX + 1), /at most/],
  ['a frame before hello', [], encodeFrame(DONE), /a frame "done" before hello/],
  ['a frame of the host', [HELLO], encodeFrame({ t: 'interrupt', turn: 1 }), /unknown kind/],
  ['a second hello', [HELLO], encodeFrame(HELLO), /a second hello/],
  ['another version', [], encodeFrame({ t: 'hello', v: 99 }), /hatch version 99, this host speaks 5/],
  ['an unknown key', [HELLO], encodeFrame({ ...DONE, session: 's2' }), /unknown key "session"/],
  ['a frame that is out of place', [HELLO], encodeFrame({ ...DONE, turn: 4711 }), /of a turn that does not run/],
];

for (const [name, before, bytes, reason] of ENDED) {
  test(`${name} ends the hatch, with the reason, once`, async (context) => {
    const { path, ended, ends } = await opened(context, (frame) =>
      'turn' in frame && frame.turn === 4711 ? 'a frame "done" of a turn that does not run' : null,
    );
    const { socket, closed } = await peer(context, path);
    socket.write(Buffer.concat([...before.map(encodeFrame), bytes, encodeFrame(HELLO)]));
    assert.match(await ended, reason);
    await closed;
    assert.equal(ends.length, 1);
    assert.ok(!existsSync(path), 'nobody can connect again');
  });
}

test('a deeply nested input ends the hatch, not the host', async (context) => {
  const { path, ended } = await opened(context);
  const { socket } = await peer(context, path);
  const depth = 300_000;
  const body = Buffer.from(
    `{"t":"call","call":1,"turn":1,"tool":"x","input":${'['.repeat(depth)}${']'.repeat(depth)}}`,
  );
  socket.write(Buffer.concat([encodeFrame(HELLO), header(body.length), body]));
  assert.match(await ended, /frame call|deep|JSON/);
});

test('a second connection is refused and recorded, while the first goes on', async (context) => {
  const { path, refused, frames, ends } = await opened(context);
  const first = await peer(context, path);
  first.socket.write(encodeFrame(HELLO));
  await until(() => first.heard.length === 1);
  for (let i = 0; i < 3; i += 1) {
    const second = await peer(context, path);
    second.socket.write(encodeFrame(HELLO));
    await second.closed;
    assert.deepEqual(second.heard, []);
  }
  assert.deepEqual(refused, Array(3).fill('a second connection to the hatch'));
  first.socket.write(encodeFrame(DONE));
  await until(() => frames.length === 1);
  assert.deepEqual(ends, []);
});

test('who connects and does not say hello in time is ended', async (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const { path, ends, frames, ended } = await opened(context);
  const { socket, closed } = await peer(context, path);
  socket.write(encodeFrame(HELLO).subarray(0, 3));
  for (let looks = 0; looks < 100 && ends.length === 0; looks += 1) {
    context.mock.timers.tick(HELLO_MS);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.match(await ended, /^no hello in time$/);
  await closed;
  assert.deepEqual(frames, []);
});

test('a flood of frames ends the hatch after so many in a second', async (context) => {
  const { path, frames, ended } = await opened(context);
  const { socket } = await peer(context, path);
  const frame = encodeFrame({ t: 'tool', turn: 1, tool: 'x', ok: true, ms: 0, summary: '' });
  // More than a busy machine reads in one second, so that one second has too many of them.
  const written = 20 * FRAMES_PER_SECOND_MAX;
  socket.write(Buffer.concat([encodeFrame(HELLO), ...Array(written).fill(frame)]));
  assert.match(await ended, /more than 2000 frames a second/);
  assert.ok(frames.length >= FRAMES_PER_SECOND_MAX - 1 && frames.length < written, `${frames.length} were heard`);
});

test('a peer that does not read is ended at the backlog, and what is sent after that is dropped', async (context) => {
  const { path, hatch, ended, ends } = await opened(context);
  const { socket, heard } = await peer(context, path);
  socket.write(encodeFrame(HELLO));
  await until(() => heard.length === 1);
  socket.pause();
  const big: HostFrame = { t: 'receipt', call: 1, ok: true, value: 'x'.repeat(500_000) };
  let sent = 0;
  while (ends.length === 0 && sent < 100) {
    hatch.send(big);
    sent += 1;
  }
  assert.match(await ended, /does not read its hatch/);
  assert.ok(sent * 500_000 < 2 * HATCH_BACKLOG_BYTES_MAX, `after ${sent} frames`);
  hatch.send(big);
  assert.equal(ends.length, 1);
});

for (const [name, leave] of [
  ['ends', (socket: Socket) => socket.end()],
  ['breaks off in mid-frame', (socket: Socket) => socket.write(header(100), () => socket.destroy())],
] as const) {
  test(`a peer that ${name} ends the hatch`, async (context) => {
    const { path, ended, ends } = await opened(context);
    const { socket } = await peer(context, path);
    socket.write(encodeFrame(HELLO));
    leave(socket);
    assert.equal(await ended, 'the sandbox closed the hatch');
    assert.equal(ends.length, 1);
  });
}

test('frames behind the one that ended the hatch are not heard', async (context) => {
  const { path, frames, ended } = await opened(context, (frame) => (frame.t === 'taken' ? 'out of place' : null));
  const { socket } = await peer(context, path);
  socket.write(Buffer.concat([HELLO, { t: 'taken', turn: 1, ids: [] }, DONE, DONE].map(encodeFrame)));
  assert.equal(await ended, 'out of place');
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(frames.length, 1);
});

test('ended before anybody came: told once, and nobody gets in', async (context) => {
  const { hatch, path, ends } = await opened(context);
  hatch.end('first');
  hatch.end('second');
  hatch.send(WELCOME);
  assert.deepEqual(ends, ['first']);
  await new Promise<void>((resolve) => connect(path).on('error', () => resolve()));
});
