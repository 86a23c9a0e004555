import assert from 'node:assert/strict';
import { test } from 'node:test';
import { superblockBytes } from '../../src/runtimes/image_tools.ts';
import { parseMounts } from '../../src/runtimes/mounts.ts';

test('a row of the mount table is read with its blanks, its optional fields and its state', () => {
  const table = [
    '27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard',
    '44 27 7:0 / /srv/my\\040agents/w\\134x rw,nosuid shared:3 master:1 - ext4 /dev/loop0 ro,errors=remount-ro',
    'garbage',
    '',
  ].join('\n');
  assert.deepEqual(parseMounts(table), [
    { target: '/', source: '/dev/vda', readOnly: false },
    { target: '/srv/my agents/w\\x', source: '/dev/loop0', readOnly: true },
  ]);
});

test('the size of a file system is read from its superblock, beyond 16 TiB too, and garbage has none', () => {
  const block = Buffer.alloc(1024);
  assert.equal(superblockBytes(block), null);
  block.writeUInt16LE(0xef53, 0x38);
  block.writeUInt32LE(524_288, 0x4);
  block.writeUInt32LE(2, 0x18);
  assert.equal(superblockBytes(block), 2 ** 31);
  block.writeUInt32LE(1, 0x150);
  assert.equal(superblockBytes(block), 2 ** 31 + 2 ** 44);
});
