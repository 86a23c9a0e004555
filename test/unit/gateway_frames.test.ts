import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { FrameReader } from '../../src/gateway/frames.ts';
import { type FrameOptions, frame } from '../fakes/websocket.ts';

function read(bytes: Buffer, masked = true): string {
  const pieces = new FrameReader(masked).read(bytes);
  if (typeof pieces === 'string') return pieces;
  return pieces.map(({ part, data, last }) => `${data ? '' : 'control '}${part}${last ? '.' : ''}`).join(' ');
}

function odd(options: FrameOptions, payload = 'odd'): Buffer {
  return frame(payload, options);
}

/** A header as it is written, without what it announces. */
const head = (...bytes: number[]): Buffer => Buffer.from(bytes);

const WRONG_CONTROL = 'a control frame that is too long or split';

for (const [name, bytes, expected] of [
  ['a message', frame('hello'), 'head payload.'],
  ['an empty message', frame(''), 'head.'],
  ['a message of 64 KiB', frame('x'.repeat(65_536)), 'head payload.'],
  ['a ping in a message', Buffer.concat([odd({ final: false }), odd({ opcode: 9 }), odd({ opcode: 0 })]), null],
  ['a header that is not whole', frame('hello').subarray(0, 5), ''],
  ['a frame without a mask', odd({ masked: false }), 'a frame without a mask'],
  ...[1, 2, 4].map((reserved) => ['reserved bits', odd({ reserved }), 'a frame with a reserved bit'] as const),
  ...[3, 7, 11, 15].map((opcode) => ['another kind', odd({ opcode }), 'a frame of no known kind'] as const),
  ['a ping of 125 bytes', odd({ opcode: 9 }, 'x'.repeat(125)), 'control head control payload.'],
  ['a ping of 126 bytes', odd({ opcode: 9 }, 'x'.repeat(126)), WRONG_CONTROL],
  ['a ping in parts', odd({ opcode: 9, final: false }), WRONG_CONTROL],
  ['a rest without a beginning', odd({ opcode: 0 }), 'a frame out of order'],
  ['a beginning in a message', Buffer.concat([odd({ final: false }), odd({})]), 'a frame out of order'],
  ['something after the end', Buffer.concat([odd({ opcode: 8 }), odd({ opcode: 9 })]), 'a frame after the last one'],
  ['a long form of a short length', head(0x82, 0xfe, 0, 125, 0, 0, 0, 0), 'a frame whose length is not plain'],
  ['a longer form', head(0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0), 'a frame whose length is not plain'],
  [
    'a length that nobody counts',
    head(0x82, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    'a frame whose length is not plain',
  ],
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'a frame with a reserved bit'],
] as [string, Buffer, string | null][]) {
  const words = expected ?? 'head payload. control head control payload. head payload.';
  test(`${name} is ${words || 'waited for'}`, () => assert.equal(read(bytes), words));
}

test('a frame of a service has no mask', () => {
  assert.equal(read(odd({ masked: false }), false), 'head payload.');
  assert.equal(read(odd({}), false), 'a frame with a mask');
});

test('wherever chunks end, the same bytes go on, and as many messages are counted', () => {
  const whole = Buffer.concat([
    ...[frame('a'.repeat(200)), odd({ final: false }), odd({ opcode: 9 }), odd({ opcode: 0 })],
    ...[frame('b'.repeat(70_000)), frame(''), odd({ opcode: 8 })],
  ]);
  for (const size of [1, 2, 3, 7, 13, 64, 1000, whole.length]) {
    const reader = new FrameReader(true);
    const out: Buffer[] = [];
    let heads = 0;
    for (let at = 0; at < whole.length; at += size) {
      const pieces = reader.read(whole.subarray(at, at + size));
      assert.ok(typeof pieces !== 'string', `${pieces}`);
      for (const { bytes, part, data } of pieces) {
        out.push(bytes);
        if (part === 'head' && data) heads += 1;
      }
    }
    assert.deepEqual(Buffer.concat(out), whole);
    assert.equal(heads, 5, `in chunks of ${size}`);
  }
});

test('bytes of no sense are refused or waited for, and nothing is thrown', () => {
  for (let round = 0; round < 5000; round += 1) {
    const reader = new FrameReader(round % 2 === 0);
    for (let chunk = 0; chunk < 4; chunk += 1) if (typeof reader.read(randomBytes(round % 40)) === 'string') break;
  }
});
