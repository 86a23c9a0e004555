import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RUNNER_FRAME_BYTES_MAX } from '../../src/base/limits/messages.ts';
import { encodeFrame, frameReader } from '../../src/protocol/framing.ts';
import { randomOf } from '../fakes/random.ts';

interface Reading {
  read: (chunk: Buffer) => void;
  frames: string[];
  broken: string[];
}

function reading(go: (frame: string) => boolean = () => true): Reading {
  const frames: string[] = [];
  const broken: string[] = [];
  const read = frameReader(
    RUNNER_FRAME_BYTES_MAX,
    (bytes) => {
      frames.push(bytes.toString('utf8'));
      return go(frames.at(-1)!);
    },
    (reason) => broken.push(reason),
  );
  return { read, frames, broken };
}

function header(bytes: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeUInt32BE(bytes);
  return buffer;
}

const FRAMES = [{ a: 1 }, { text: 'größer €😀' }, {}, { list: [1, 2, 3] }];
const STREAM = Buffer.concat(FRAMES.map(encodeFrame));
const EXPECTED = FRAMES.map((frame) => JSON.stringify(frame));

test('frames are whole wherever the stream is cut in two', () => {
  for (let at = 0; at <= STREAM.length; at += 1) {
    const { read, frames, broken } = reading();
    read(STREAM.subarray(0, at));
    read(STREAM.subarray(at));
    assert.deepEqual(frames, EXPECTED, `cut at ${at}`);
    assert.deepEqual(broken, []);
  }
});

test('frames are whole byte by byte, and in random pieces', () => {
  for (let seed = 0; seed <= 50; seed += 1) {
    const random = randomOf(seed);
    const { read, frames } = reading();
    for (let at = 0; at < STREAM.length; ) {
      const size = seed === 0 ? 1 : Math.floor(random() * 12);
      read(STREAM.subarray(at, at + size));
      at += size;
    }
    assert.deepEqual(frames, EXPECTED, `seed ${seed}`);
  }
});

test('a frame of the largest size passes; it comes once, when its last byte does', () => {
  const { read, frames, broken } = reading();
  read(header(RUNNER_FRAME_BYTES_MAX));
  read(Buffer.alloc(RUNNER_FRAME_BYTES_MAX - 1, 0x20));
  assert.equal(frames.length, 0);
  read(Buffer.from(' '));
  assert.equal(frames.length, 1);
  assert.equal(frames[0]!.length, RUNNER_FRAME_BYTES_MAX);
  assert.deepEqual(broken, []);
});

for (const size of [0, RUNNER_FRAME_BYTES_MAX + 1, 2 ** 31, 2 ** 32 - 1]) {
  test(`a frame of ${size} bytes is refused at its length, before a byte of it came`, () => {
    const { read, frames, broken } = reading();
    read(Buffer.concat([STREAM, header(size)]));
    assert.deepEqual(broken, [`a frame of ${size} bytes (at most ${RUNNER_FRAME_BYTES_MAX})`]);
    read(STREAM);
    read(header(0));
    assert.deepEqual(frames, EXPECTED, 'nothing after it is read');
    assert.equal(broken.length, 1, 'and it is told once');
  });
}

test('a reader that says stop hears nothing more, not even of what came with the same chunk', () => {
  const { read, frames, broken } = reading((frame) => frame !== EXPECTED[1]);
  read(STREAM);
  read(STREAM);
  read(header(0));
  assert.deepEqual(frames, EXPECTED.slice(0, 2));
  assert.deepEqual(broken, []);
});

test('a frame that drips in byte by byte costs its own size, not a hundred times that', () => {
  const { read } = reading();
  const before = process.memoryUsage();
  read(header(RUNNER_FRAME_BYTES_MAX));
  for (let i = 0; i < 300_000; i += 1) read(Buffer.allocUnsafeSlow(1));
  const after = process.memoryUsage();
  const grown = after.heapUsed + after.external - before.heapUsed - before.external;
  read(Buffer.alloc(1)); // the reader is alive until here
  assert.ok(grown < 20 * RUNNER_FRAME_BYTES_MAX, `${Math.round(grown / 1e6)} MB for 0.3 MB`);
});
