import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { FILE_BYTES_MAX, FILE_CHUNK_BYTES_MAX, FILES_OPEN_MAX } from '../../src/base/limits/messages.ts';
import { harmlessName } from '../../src/channels/files.ts';
import { type ChunkResult, FileReceiver } from '../../src/sessions/files.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';

function receiver(context: TestContext): { files: FileReceiver; folder: string; stored: () => string[] } {
  const folder = join(temporaryFolder(context), 'blobs');
  mkdirSync(folder);
  const files = new FileReceiver(folder);
  context.after(() => files.close());
  return { files, folder, stored: () => readdirSync(folder) };
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Streams a file as an honest runner does: all chunks, whatever is answered. */
function stream(files: FileReceiver, call: number, name: string, bytes: Buffer, hash = sha256(bytes)): ChunkResult[] {
  const results = [files.begin(announce(call, name, bytes.length, hash))];
  for (let seq = 0, at = 0; at < bytes.length; seq += 1, at += FILE_CHUNK_BYTES_MAX)
    results.push(files.chunk(call, seq, bytes.subarray(at, at + FILE_CHUNK_BYTES_MAX).toString('base64')));
  return results;
}

const kinds = (results: ChunkResult[]): string[] => results.map((result) => result.kind);
const BYTES = Buffer.alloc(2 * FILE_CHUNK_BYTES_MAX + 10, 'file bytes');
const NOTHING = sha256(Buffer.alloc(0));

test('a file in three chunks is stored under its own hash, with the bytes that came', (context) => {
  const { files, folder, stored } = receiver(context);
  const results = stream(files, 1, 'report.pdf', BYTES);
  assert.deepEqual(kinds(results), ['more', 'more', 'more', 'stored']);
  assert.deepEqual(results.at(-1), {
    kind: 'stored',
    file: { name: 'report.pdf', type: 'text/plain', bytes: BYTES.length, sha256: sha256(BYTES) },
  });
  assert.deepEqual(stored(), [sha256(BYTES)]);
  assert.deepEqual(readFileSync(join(folder, sha256(BYTES))), BYTES);
});

test('an empty file is stored at once, the same file twice is one', (context) => {
  const { files, stored } = receiver(context);
  assert.equal(files.begin(announce(1, 'empty', 0, NOTHING)).kind, 'stored');
  assert.equal(files.begin(announce(2, 'empty too', 0, NOTHING)).kind, 'stored');
  assert.deepEqual(stored(), [NOTHING]);
});

for (const name of ['../../etc/passwd', '/etc/passwd', '..', '', 'a\0b', '.incoming-x', 'x'.repeat(255)]) {
  test(`the name ${JSON.stringify(name).slice(0, 24)} is kept without what is dangerous in it, and names no path`, (context) => {
    const { files, folder, stored } = receiver(context);
    const last = stream(files, 1, name, Buffer.from('x')).at(-1)!;
    assert.equal(last.kind === 'stored' && last.file.name, harmlessName(name));
    assert.deepEqual(stored(), [sha256(Buffer.from('x'))]);
    assert.deepEqual(readdirSync(join(folder, '..')), ['blobs']);
  });
}

test('a hash that is a path names no file', (context) => {
  const { files, folder, stored } = receiver(context);
  assert.equal(stream(files, 1, 'x', Buffer.from('x'), '../escaped').at(-1)!.kind, 'refused');
  assert.deepEqual(stored(), []);
  assert.deepEqual(readdirSync(join(folder, '..')), ['blobs']);
});

test('bytes that are not the announced ones are refused, and nothing of them stays', (context) => {
  const { files, stored } = receiver(context);
  const results = stream(files, 1, 'x', BYTES, sha256(Buffer.from('another file')));
  assert.deepEqual(kinds(results), ['more', 'more', 'more', 'refused']);
  assert.deepEqual(stored(), []);
  assert.equal(stream(files, 1, 'x', BYTES).at(-1)!.kind, 'stored', 'the next attempt is a new one');
});

const OUT_OF_ORDER: [name: string, send: (files: FileReceiver) => ChunkResult][] = [
  ['a chunk of no file', (files) => files.chunk(9, 0, 'QQ==')],
  ['a chunk that is not the next', (files) => files.chunk(1, 1, 'QQ==')],
  ['a chunk of a negative number', (files) => files.chunk(1, -1, 'QQ==')],
  ['an empty chunk', (files) => files.chunk(1, 0, '')],
  ['a chunk that is no base64', (files) => files.chunk(1, 0, '!!!!')],
  [
    'a chunk that is too large',
    (files) => files.chunk(1, 0, Buffer.alloc(FILE_CHUNK_BYTES_MAX + 1).toString('base64')),
  ],
  ['more bytes than announced', (files) => files.chunk(2, 0, 'QUFB')],
  ['the same file announced again', (files) => files.begin(announce(1, 'x', 5, NOTHING))],
  ['a file that is too large', (files) => files.begin(announce(3, 'x', FILE_BYTES_MAX + 1, NOTHING))],
];

for (const [name, send] of OUT_OF_ORDER) {
  test(`${name} is a violation`, (context) => {
    const { files } = receiver(context);
    files.begin(announce(1, 'x', 3 * FILE_CHUNK_BYTES_MAX, NOTHING));
    files.begin(announce(2, 'y', 2, NOTHING));
    assert.equal(send(files).kind, 'violation');
  });
}

test('chunks of several files may alternate; one more file than allowed is a violation', (context) => {
  const { files, stored } = receiver(context);
  const contents = Array.from({ length: FILES_OPEN_MAX }, (_, i) => Buffer.from([i, i + 1]));
  for (const [call, bytes] of contents.entries()) files.begin(announce(call, 'x', 2, sha256(bytes)));
  assert.equal(files.begin(announce(99, 'x', 2, NOTHING)).kind, 'violation');
  for (const half of [0, 1])
    for (const [call, bytes] of contents.entries())
      files.chunk(call, half, bytes.subarray(half, half + 1).toString('base64'));
  assert.equal(stored().length, FILES_OPEN_MAX);
  assert.equal(files.begin(announce(99, 'x', 0, NOTHING)).kind, 'stored', 'there is room again');
});

test('what is unfinished when the sandbox ends leaves nothing behind', (context) => {
  const { files, stored } = receiver(context);
  files.begin(announce(1, 'x', 10, NOTHING));
  files.chunk(1, 0, 'QQ==');
  assert.equal(stored().length, 1);
  files.close();
  files.close();
  assert.deepEqual(stored(), []);
});

for (const [name, breakIt] of [
  ['before it', 0],
  ['in the middle of it', 1],
] as const) {
  test(`storage that fails ${name} is one refusal; the rest of the stream is swallowed, and the next file is stored`, (context) => {
    const { files, folder } = receiver(context);
    if (breakIt === 0) rmSync(folder, { recursive: true });
    const results = [files.begin(announce(1, 'x', BYTES.length, sha256(BYTES)))];
    if (breakIt === 1) rmSync(folder, { recursive: true });
    for (let seq = 0, at = 0; at < BYTES.length; seq += 1, at += FILE_CHUNK_BYTES_MAX)
      results.push(files.chunk(1, seq, BYTES.subarray(at, at + FILE_CHUNK_BYTES_MAX).toString('base64')));
    assert.equal(results.filter((result) => result.kind === 'refused').length, 1);
    assert.equal(results.filter((result) => result.kind === 'violation').length, 0);
    mkdirSync(folder);
    assert.equal(stream(files, 1, 'x', BYTES).at(-1)!.kind, 'stored');
  });
}

function announce(call: number, name: string, bytes: number, sha256: string) {
  return { call, name, bytes, sha256 };
}

test('a type is told from all the bytes: a character may lie across two chunks, a zero in the last one', (context) => {
  const { files } = receiver(context);
  const typeOf = (call: number, bytes: Buffer): string | false => {
    const last = stream(files, call, 'x', bytes).at(-1)!;
    return last.kind === 'stored' && last.file.type;
  };
  const text = Buffer.concat([Buffer.alloc(FILE_CHUNK_BYTES_MAX - 1, 'x'), Buffer.from('é')]);
  assert.equal(typeOf(1, text), 'text/plain');
  assert.equal(typeOf(2, Buffer.concat([text, Buffer.from([0])])), 'application/octet-stream');
  assert.equal(typeOf(3, text.subarray(0, -1)), 'application/octet-stream', 'half a character at its end');
  assert.equal(typeOf(4, Buffer.concat([Buffer.from('%PDF-1.7'), text])), 'application/pdf');
});
