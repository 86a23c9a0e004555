import assert from 'node:assert/strict';
import { test } from 'node:test';
import { declaredPixels } from '../../sandbox/runner/pixels.ts';
import { sniffType } from '../../src/channels/files.ts';
import { randomOf } from '../fakes/random.ts';

/** What an image says of its size, by headers as their formats define them; nothing here is an image that could be shown. */

const bytes = (...parts: (string | number[])[]): Buffer =>
  Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : Buffer.from(part))));
const be16 = (n: number): number[] => [n >> 8, n & 255];
const le16 = (n: number): number[] => [n & 255, n >> 8];
const le24 = (n: number): number[] => [n & 255, (n >> 8) & 255, n >> 16];
const be32 = (n: number): number[] => [n >>> 24, (n >> 16) & 255, (n >> 8) & 255, n & 255];

/** One segment of a JPEG. */
const segment = (marker: number, length: number): number[] => [
  0xff,
  marker,
  ...be16(length),
  ...Array(length - 2).fill(0),
];
const frame = (marker: number, width: number, height: number): number[] => [
  ...[0xff, marker, 0, 17, 8, ...be16(height), ...be16(width), 3],
  ...Array(9).fill(0),
];
const vp8l = (width: number, height: number): number[] => {
  const bits = (width - 1) | ((height - 1) << 14);
  return [bits & 255, (bits >>> 8) & 255, (bits >>> 16) & 255, bits >>> 24];
};
const SIZE = 'size';

const IMAGES: [name: string, data: Buffer, type: string, width: number, height: number][] = [
  ['PNG', bytes('\x89PNG\r\n\x1a\n', be32(13), 'IHDR', be32(50_000), be32(49_999)), 'image/png', 50_000, 49_999],
  [
    'PNG of the largest size',
    bytes('\x89PNG\r\n\x1a\n', be32(13), 'IHDR', be32(2 ** 31), be32(2 ** 32 - 1)),
    'image/png',
    2 ** 31,
    2 ** 32 - 1,
  ],
  ['GIF', bytes('GIF89a', le16(65_535), le16(7)), 'image/gif', 65_535, 7],
  [
    'WebP',
    bytes('RIFF', SIZE, 'WEBPVP8 ', SIZE, [0, 0, 0, 0x9d, 1, 0x2a], le16(16_383), le16(5)),
    'image/webp',
    16_383,
    5,
  ],
  [
    'WebP without loss',
    bytes('RIFF', SIZE, 'WEBPVP8L', SIZE, [0x2f], vp8l(16_384, 9_000)),
    'image/webp',
    16_384,
    9_000,
  ],
  [
    'WebP of several parts',
    bytes('RIFF', SIZE, 'WEBPVP8X', SIZE, [0, 0, 0, 0], le24(99_999), le24(1)),
    'image/webp',
    100_000,
    2,
  ],
  ['JPEG', bytes([0xff, 0xd8], segment(0xe0, 16), frame(0xc0, 50_000, 40_000)), 'image/jpeg', 50_000, 40_000],
  [
    'JPEG with tables, filling bytes and a thumbnail before its frame',
    bytes([0xff, 0xd8], segment(0xe1, 60_000), [0xff, 0xff], segment(0xc4, 30).slice(1), frame(0xc2, 9, 8)),
    'image/jpeg',
    9,
    8,
  ],
];

for (const [name, data, type, width, height] of IMAGES)
  test(`a ${name} says that it has ${width}×${height} pixels`, () => {
    assert.equal(sniffType(data), type);
    assert.deepEqual(declaredPixels(data, type), { width, height });
  });

test('what ends before its size, has none, or is of another type says nothing', () => {
  for (const [name, data, type] of IMAGES) {
    const whole = JSON.stringify(declaredPixels(data, type));
    for (let end = 0; end < data.length; end += 1) {
      const part = declaredPixels(data.subarray(0, end), type);
      assert.ok(part === null || JSON.stringify(part) === whole, `${name}, ${end} bytes`);
    }
  }
  const nothing = bytes('\x89PNG\r\n\x1a\n', be32(13), 'IHDR', be32(0), be32(5));
  assert.equal(declaredPixels(nothing, 'image/png'), null);
  assert.equal(declaredPixels(IMAGES[0]![1], 'image/webp'), null);
  assert.equal(declaredPixels(IMAGES[0]![1], 'image/svg+xml'), null);
  assert.equal(declaredPixels(bytes([0xff, 0xd8], segment(0xe0, 16), [0xff, 0xda]), 'image/jpeg'), null);
  // A length of nothing must not keep it at its place.
  assert.equal(declaredPixels(bytes([0xff, 0xd8], Array(4000).fill([0xff, 0xe0, 0, 0]).flat()), 'image/jpeg'), null);
});

test('ten thousand random ends are read in time, and never throw', () => {
  const random = randomOf(7);
  for (let i = 0; i < 10_000; i += 1) {
    const [, data, type] = IMAGES[i % IMAGES.length]!;
    const noise = Buffer.from(Array.from({ length: 64 }, () => Math.floor(random() * 256)));
    declaredPixels(Buffer.concat([data.subarray(0, Math.floor(random() * 30)), noise]), type);
  }
});
