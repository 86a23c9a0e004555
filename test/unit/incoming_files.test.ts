import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { showBytes } from '../../src/base/text.ts';
import { checkFiles, harmlessName, harmlessNames, sniffType } from '../../src/channels/files.ts';
import { readSaid } from '../../src/cli/chat_file.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';

const MIB = 2 ** 20;
const NAMES: [name: string, given: string, shown: string][] = [
  ['a plain name', 'photo.png', 'photo.png'],
  ['a name in another script', 'Übersicht 2026 – 图.pdf', 'Übersicht 2026 – 图.pdf'],
  ['a path upwards', '../../x', 'x'],
  ['an absolute path', '/etc/passwd', 'passwd'],
  ['a path of another system', 'C:\\Users\\ann\\a.png', 'a.png'],
  ['a folder', 'a/b/', 'b'],
  ['a hidden file', '..bashrc', 'bashrc'],
  ['dots only', '..', 'file'],
  ['nothing', '', 'file'],
  ['a slash', '/', 'file'],
  ['invisible characters only', '\u200b\u202e\u0000', 'file'],
  ['a path of 4,000 bytes', `/${'d/'.repeat(1990)}last.png`, 'last.png'],
  ['a name of 4,000 bytes', 'n'.repeat(4000), 'n'.repeat(100)],
  ['a reversed extension', 'invoice\u202egnp.exe', 'invoicegnp.exe'],
  ['control characters and lines', 'a\n\u001b[2J\u0000\u0085b\u2028.txt', 'a[2Jb.txt'],
  ['a dot behind what is invisible', '\u200b.env', 'env'],
  ['half a character', 'a\ud83d.png', 'a.png'],
  ['white space around it', '  a b.txt \t', 'a b.txt'],
];

for (const [name, given, shown] of NAMES)
  test(`${name} becomes ${JSON.stringify(shown)}`, () => assert.equal(harmlessName(given), shown));

test('a long name is cut to 100 bytes, between characters, and keeps its extension', () => {
  for (const given of [`${'x'.repeat(300)}.jpeg`, `${'é'.repeat(150)}.jpeg`, `${'😀'.repeat(75)}.jpeg`]) {
    const shown = harmlessName(given);
    assert.ok(Buffer.byteLength(shown) <= 100 && Buffer.byteLength(shown) > 90, shown);
    assert.ok(shown.endsWith('.jpeg') && !shown.includes('\ufffd'), shown);
  }
  assert.equal(harmlessName('x'.repeat(300)).length, 100);
  assert.equal(harmlessName(`a.${'x'.repeat(300)}`).length, 100);
});

test('names of one message are all different, whatever they were', () => {
  assert.deepEqual(harmlessNames(['a.png', 'x/a.png', 'a.png', 'a-2.png', '']), [
    'a.png',
    'a-2.png',
    'a-3.png',
    'a-2-2.png',
    'file',
  ]);
  const long = harmlessNames(Array(5).fill(`${'x'.repeat(200)}.png`));
  assert.equal(new Set(long).size, 5);
  assert.ok(long.every((name) => name.length === 100 && name.endsWith('.png')));
});

const binary = (text: string): Buffer => Buffer.from(text, 'latin1');
const TYPES: [bytes: Buffer, type: string][] = [
  [binary('\x89PNG\r\n\x1a\n'), 'image/png'],
  [binary('\xff\xd8\xff\xe0'), 'image/jpeg'],
  [binary('GIF89a'), 'image/gif'],
  [binary('GIF87a...'), 'image/gif'],
  [binary('RIFF\x00\n\x01\x02WEBPVP8 '), 'image/webp'],
  [binary('RIFF\x00\x00\x00\x00WAVEfmt '), 'application/octet-stream'],
  [binary('%PDF-1.7'), 'application/pdf'],
  [Buffer.from('x %PDF-1.7'), 'text/plain'],
  [Buffer.from('<svg onload="x">é</svg>'), 'text/plain'],
  [Buffer.from('a\0b'), 'application/octet-stream'],
  [binary('\xe9t\xe9'), 'application/octet-stream'],
  [binary('\x89PN'), 'application/octet-stream'],
];

for (const [bytes, type] of TYPES)
  test(`${JSON.stringify(bytes.toString('latin1'))} is ${type}`, () => assert.equal(sniffType(bytes), type));

test('the limits of a message’s files are exact', () => {
  const file = (bytes: number, name = 'a') => ({ name, data: Buffer.alloc(bytes, 'x') });
  checkFiles([]);
  checkFiles([file(4 * MIB), file(4 * MIB)]);
  checkFiles(Array(5).fill(file(1, 'x'.repeat(255))));
  assert.throws(() => checkFiles([file(4 * MIB), file(4 * MIB), file(1)]), /at most 8 MiB together/);
  assert.throws(() => checkFiles(Array(6).fill(file(1))), /at most 5 files/);
  assert.throws(() => checkFiles([file(1), file(0, 'x/y')]), /the file "y" is empty/);
  assert.throws(() => checkFiles([file(1, 'é'.repeat(128))]), /at most 255 bytes/);
});

test('sizes are short', () => {
  assert.deepEqual([1, 999, 12_300, 999_499, 1_234_567].map(showBytes), ['1 B', '999 B', '12 KB', '999 KB', '1.2 MB']);
});

const LINES: [line: string, path: RegExp][] = [
  ['/file /no/such.png', /there is no file \/no\/such\.png$/],
  ['/file ~/no/such.png what is this', /there is no file \/[^~]*\/no\/such\.png$/],
  ['/file "/no/with spaces.png" text', /there is no file \/no\/with spaces\.png$/],
  ["/file '/no/with spaces.png'", /there is no file \/no\/with spaces\.png$/],
  ['/file /no/with\\ spaces.png text', /there is no file \/no\/with spaces\.png$/],
  ['/file /', /^\/ is a folder$/],
  ['/file /dev/null', /is not a regular file$/],
  ['/file', /which file\?/],
  ['/file   ', /which file\?/],
];

for (const [line, reason] of LINES)
  test(`${JSON.stringify(line)} is refused in one sentence`, () =>
    assert.rejects(readSaid(line), (error: Error) => reason.test(error.message) && !error.message.includes('\n')));

test('a file of 2 GB is refused by its size, and nothing of it is read', async (context) => {
  const path = join(temporaryFolder(context), 'huge');
  writeFileSync(path, '');
  truncateSync(path, 2 * 1024 ** 3);
  const before = process.memoryUsage().rss;
  await assert.rejects(readSaid(`/file ${path}`), /huge has 2147\.5 MB; a message takes at most 8 MiB$/);
  assert.ok(process.memoryUsage().rss - before < 256 * MIB, 'it was read');
});

test('a pipe that nobody writes to, and paths that no disk has, are refused at once', async (context) => {
  const pipe = join(temporaryFolder(context), 'pipe');
  execFileSync('mkfifo', [pipe]);
  await assert.rejects(readSaid(`/file ${pipe}`), /is not a regular file$/);
  for (const path of [`/${'n'.repeat(4000)}`, `/${'n/'.repeat(4000)}`, '"/a\0b"'])
    await assert.rejects(readSaid(`/file ${path}`), (error: Error) => !error.message.includes('\n'));
});

test('a file is sent with its name, its bytes and the text', async () => {
  const said = await readSaid(`/file ${import.meta.filename}  what is\nthis? `);
  assert.equal(said.text, 'what is\nthis?');
  assert.equal(said.files[0]!.name, 'incoming_files.test.ts');
  assert.match(Buffer.from(said.files[0]!.data, 'base64').toString(), /^import assert/);
});

test('what only looks like the command is a text', async () => {
  for (const line of ['/files', '/filex a', 'see /file a', '/ file a'])
    assert.deepEqual(await readSaid(line), { text: line, files: [] });
});
