import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { ROOT } from '../../src/base/paths.ts';
import { teams } from '../../src/channels/teams/kind.ts';
import { zipOf } from '../../src/cli/zip.ts';

/** What a person uploads to a platform: read as the format's own description says, from its end. */
function unzipped(zip: Buffer): Record<string, Buffer> {
  const end = zip.length - 22;
  assert.equal(zip.toString('latin1', end, end + 4), 'PK\x05\x06');
  const [count, bytes, begins] = [zip.readUInt16LE(end + 10), zip.readUInt32LE(end + 12), zip.readUInt32LE(end + 16)];
  assert.equal(begins + bytes, end);
  const files: Record<string, Buffer> = {};
  let at = begins;
  for (let i = 0; i < count; i += 1) {
    assert.equal(zip.toString('latin1', at, at + 4), 'PK\x01\x02');
    const [checksum, size, nameLength] = [
      zip.readUInt32LE(at + 16),
      zip.readUInt32LE(at + 24),
      zip.readUInt16LE(at + 28),
    ];
    const name = zip.toString('latin1', at + 46, at + 46 + nameLength);
    const local = zip.readUInt32LE(at + 42);
    assert.equal(zip.toString('latin1', local, local + 4), 'PK\x03\x04');
    assert.deepEqual(zip.subarray(local + 6, local + 28), zip.subarray(at + 8, at + 30), 'both places say the same');
    const from = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28);
    const data = zip.subarray(from, from + size);
    assert.equal(crc32(data), checksum);
    files[name] = data;
    at += 46 + nameLength;
  }
  assert.equal(at, end);
  return files;
}

test('a zip is what its format says', () => {
  const files = [
    { name: 'a.txt', data: Buffer.from('one') },
    { name: 'empty', data: Buffer.alloc(0) },
  ];
  assert.deepEqual(unzipped(zipOf(files)), { 'a.txt': files[0]!.data, empty: files[1]!.data });
});

test('the app package of Teams has the App ID wherever one belongs, and icons of the sides that Teams asks for', () => {
  const app_id = '12345678-1234-4234-8234-123456789012';
  const files = unzipped(zipOf(teams.upload!({ app_id })));
  assert.deepEqual(Object.keys(files), ['manifest.json', 'color.png', 'outline.png']);
  const manifest = JSON.parse(files['manifest.json']!.toString('utf8'));
  assert.deepEqual([manifest.id, manifest.bots[0].botId], [app_id, app_id]);
  assert.ok(!files['manifest.json']!.includes('00000000'));
  for (const [name, side] of [
    ['color.png', 192],
    ['outline.png', 32],
  ] as const) {
    const icon = files[name]!;
    assert.equal(icon.toString('latin1', 1, 4), 'PNG');
    assert.deepEqual([icon.readUInt32BE(16), icon.readUInt32BE(20)], [side, side]);
  }
});

test('the page of Teams tells each permission that the manifest asks for', () => {
  const page = readFileSync(join(ROOT, 'docs/channels/teams.md'), 'utf8');
  const { permissions } = JSON.parse(readFileSync(join(ROOT, 'src/channels/teams/manifest.json'), 'utf8'));
  const told = [...page.matchAll(/^\| `(\w+)` of the app package \| \S.{10,} \|$/gm)].map(([, name]) => name);
  assert.deepEqual(told, permissions);
});
