import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { MESSAGE_FILES_BYTES_MAX } from '../../src/base/limits/messages.ts';
import type { Trace } from '../../src/evidence/trace.ts';
import { Install, until } from '../fakes/install.ts';
import { passesForOrdinaryUser } from '../fakes/ordinary_user.ts';
import { post } from '../fakes/raw_control.ts';
import { rows, sessionOf, statesOf, Terminal } from '../fakes/terminal.ts';

/** Files that a person sends, to the sandbox and no further, with gateway, host and bubblewrap as they ship. */

const IS_ROOT = process.geteuid!() === 0;
const PNG = Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), randomBytes(50_000)]);
const install = new Install();

before(async () => {
  install.group('assistant', 'harness: probe\n');
  await install.start();
});
afterEach((context) => install.explain(context));
after(() => install.stop());

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** What the probe says of a file that it has read. */
function line(message: string, name: string, type: string, bytes: Buffer): string {
  return `/inbox/${message}/${name} ${type} ${bytes.length} ${sha256(bytes)}`;
}

async function hears(chat: Terminal, text: string): Promise<void> {
  await until(`${chat.chat} hears ${text}`, async () => assert.ok(chat.text().includes(text), chat.text()));
}

test('the agent reads the exact bytes, and the trace names the files', async () => {
  const chat = await Terminal.open(install.control, 'bytes');
  const text = Buffer.from('ein Text: é\n');
  const message = await chat.say('files', [
    { name: 'a.png', bytes: PNG },
    { name: 'a.png', bytes: text },
    { name: 'raw', bytes: Buffer.from([0, 1, 2]) },
  ]);
  for (const expected of [
    line(message, 'a.png', 'image/png', PNG),
    line(message, 'a-2.png', 'text/plain', text),
    line(message, 'raw', 'application/octet-stream', Buffer.from([0, 1, 2])),
  ])
    await hears(chat, expected);
  const trace = await install.control.call<Trace>('trace', { message });
  assert.deepEqual(
    (trace.steps[0]!.data['files'] as { name: string }[]).map((file) => file.name),
    ['a.png', 'a-2.png', 'raw'],
  );
  const { stdout } = install.glass('trace', message);
  assert.match(
    stdout,
    /3 files \(a\.png image\/png 50 KB, a-2\.png text\/plain 13 B, raw application\/octet-stream 3 B\)/,
  );
});

test('a message of a file alone is answered, and one that joins a running turn has its files too', async () => {
  const chat = await Terminal.open(install.control, 'joins');
  await chat.say('', [{ name: 'a.png', bytes: PNG }]);
  await chat.hears(/You said/);
  await chat.say('sleep 1');
  await until('the turn runs', async () => assert.equal(statesOf(install, 'joins').at(-1), 'running'));
  const message = await chat.say('files', [{ name: 'late.png', bytes: PNG }]);
  await hears(chat, line(message, 'late.png', 'image/png', PNG));
});

test('what is in the inbox is the host’s: a copy, readable and not writable by the group', async () => {
  const chat = await Terminal.open(install.control, 'owner');
  const message = await chat.say('files', [{ name: 'a.png', bytes: PNG }]);
  await hears(chat, sha256(PNG));
  const folder = join(install.paths.session(sessionOf(install, 'owner')).inbox, message);
  const [blob, file] = [lstatSync(join(install.paths.blobs, sha256(PNG))), lstatSync(join(folder, 'a.png'))];
  assert.notEqual(file.ino, blob.ino);
  assert.equal(file.nlink, 1);
  assert.equal(blob.mode & 0o777, 0o600);
  assert.equal(file.mode & 0o777, 0o444);
  assert.equal(lstatSync(folder).mode & 0o777, 0o755);
  assert.equal(file.uid, process.geteuid!());
  assert.deepEqual(readdirSync(folder), ['a.png']);
});

test('a turn that is tried again finds its files again', async () => {
  const chat = await Terminal.open(install.control, 'retry');
  const message = await chat.say('crash-once', [{ name: 'a.png', bytes: PNG }]);
  await chat.hears(/attempt 2/);
  const placed = join(install.paths.session(sessionOf(install, 'retry')).inbox, message, 'a.png');
  const before = lstatSync(placed).ino;
  await chat.say('sleep 1');
  await until('the turn runs', async () => assert.equal(statesOf(install, 'retry').at(-1), 'running'));
  const second = await chat.say('files', [{ name: 'b.png', bytes: PNG }]);
  await install.end('host', 'SIGKILL');
  install.spawn('host');
  await install.ready();
  await chat.open();
  await hears(chat, line(second, 'b.png', 'image/png', PNG));
  assert.equal(lstatSync(placed).ino, before, 'what is in its place stays');
});

const HOSTILE: [name: string, given: string, shown: string][] = [
  ['a path upwards', '../../x', 'x'],
  ['an absolute path', '/etc/passwd', 'passwd'],
  ['a reversed extension', 'a\u202egnp.exe', 'agnp.exe'],
  ['lines and controls', 'a\n\u0000\u001b[2J.png', 'a[2J.png'],
  ['dots', '..', 'file'],
  ['255 bytes', `${'x'.repeat(251)}.png`, `${'x'.repeat(96)}.png`],
];

for (const [index, [name, given, shown]] of HOSTILE.entries()) {
  test(`${name} as the name of a file lands in its own folder as a plain name`, async () => {
    const chat = await Terminal.open(install.control, `hostile-${index}`);
    const message = await chat.say('files', [{ name: given, bytes: PNG }]);
    await hears(chat, line(message, shown, 'image/png', PNG));
    const { inbox } = install.paths.session(sessionOf(install, chat.chat));
    assert.deepEqual(readdirSync(inbox, { recursive: true }).sort(), [message, `${message}/${shown}`]);
  });
}

const A = { name: 'a', data: 'QQ==' };
const REFUSED: [name: string, files: object[], sentence: RegExp][] = [
  ['six files', Array(6).fill(A), /^a message has at most 5 files$/],
  ['an empty file', [{ name: 'a', data: '' }], /^the file "a" is empty$/],
  ['no base64', [{ name: 'a', data: 'QQ=!' }], /^the file "a" is not in base64$/],
  ['half of base64', [{ name: 'a', data: 'QQ' }], /^the file "a" is not in base64$/],
  ['a name of 300 bytes', [{ name: 'x'.repeat(300), data: 'QQ==' }], /at most 255 bytes/],
  [
    'more bytes than a message takes',
    [{ name: 'a', data: Buffer.alloc(MESSAGE_FILES_BYTES_MAX + 1).toString('base64') }],
    /at most 8 MiB together/,
  ],
  ['a path of the host', [{ name: 'a', path: '/etc/passwd' }], /^files\.0/],
];

for (const [name, files, sentence] of REFUSED) {
  test(`${name}: refused in one sentence, and nothing is stored`, async () => {
    const blobs = readdirSync(install.paths.blobs).length;
    const body = Buffer.from(JSON.stringify({ chat: 'refused', text: 'x', key: 'refused', files }));
    const { status, error } = await post(install.paths.controlSocket, '/v1/say', body);
    assert.equal(status, 400);
    assert.equal(error.code, 'usage');
    assert.match(error.message, sentence);
    assert.deepEqual(rows(install, "SELECT id FROM chats WHERE platform_id = 'refused'"), []);
    assert.equal(readdirSync(install.paths.blobs).length, blobs);
  });
}

test('a message of 2 GB is refused before it has come, and the host holds none of it', async () => {
  const resident = (): number =>
    Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${install.pid('host')}/status`, 'utf8'))![1]) * 1024;
  const before = resident();
  const sent = request({
    ...{ socketPath: install.paths.controlSocket, method: 'POST', path: '/v1/say' },
    headers: { 'content-length': 2 * 1024 ** 3 },
  });
  const answered = new Promise<IncomingMessage>((resolve, reject) => sent.on('response', resolve).on('error', reject));
  let [written, open] = [0, true];
  const answer = answered.finally(() => {
    open = false;
  });
  const piece = Buffer.alloc(2 ** 20, 'x');
  for (; open && written < 2 * 1024 ** 3; written += piece.length)
    if (!sent.write(piece)) await Promise.race([once(sent, 'drain'), answer]);
  const response = await answer;
  const text = Buffer.concat(await response.toArray()).toString();
  assert.equal(response.statusCode, 400);
  assert.match(text, /a request has at most 13 MiB/);
  assert.ok(resident() - before < 256 * 2 ** 20, `${resident() - before} bytes more`);
  sent.destroy();
});

test('the most that a message may have is taken', async () => {
  const chat = await Terminal.open(install.control, 'most');
  const bytes = Buffer.alloc(MESSAGE_FILES_BYTES_MAX - 4, 1);
  const files = ['b', 'c', 'd', 'e'].map((name) => ({ name, bytes: Buffer.from(name) }));
  const message = await chat.say('files', [{ name: 'a', bytes }, ...files]);
  await hears(chat, line(message, 'a', 'text/plain', bytes));
  await hears(chat, `/inbox/${message}/e `);
});

test('glass chat sends a file with its text, and says why it cannot', () => {
  const folder = mkdtempSync(join(tmpdir(), 'glass-files-'));
  try {
    writeFileSync(join(folder, 'a b.png'), PNG);
    writeFileSync(join(folder, 'large'), Buffer.alloc(MESSAGE_FILES_BYTES_MAX + 1));
    writeFileSync(join(folder, 'empty'), '');
    const sent = install.glass('chat', '--chat', 'cli', `/file "${folder}/a b.png" files`);
    assert.equal(sent.status, 0, sent.stderr);
    assert.match(sent.stdout, new RegExp(`/a b\\.png image/png ${PNG.length} ${sha256(PNG)}`));
    for (const [name, reason] of [
      ['none', /there is no file .*none/],
      ['', /is a folder/],
      ['large', /has 8\.4 MB; a message takes at most 8 MiB/],
      ['empty', /the file "empty" is empty/],
    ] as const) {
      const refused = install.glass('chat', '--chat', 'cli', `/file ${folder}/${name}`);
      assert.notEqual(refused.status, 0);
      assert.match(refused.stderr, reason);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('an agent sends a file; a terminal shows it, and it is saved with the same bytes, never over another', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'glass-files-'));
  const target = join(folder, 'out.png');
  try {
    const chat = await Terminal.open(install.control, 'out');
    const message = await chat.say('files', [{ name: 'a.png', bytes: PNG }]);
    await hears(chat, sha256(PNG));
    await chat.say(`file /inbox/${message}/a.png here it is`);
    const { file } = await chat.hears(/^here it is$/);
    assert.deepEqual(
      { ...file, id: '' },
      { id: '', name: 'a.png', type: 'image/png', bytes: PNG.length, sha256: sha256(PNG) },
    );
    const saved = install.glass('file', file!.id, target);
    assert.equal(saved.status, 0, saved.stderr);
    assert.equal(saved.stdout, `saved ${target} (image/png, 50 KB)\n`);
    assert.deepEqual(readFileSync(target), PNG);
    const again = install.glass('file', file!.id, target);
    assert.equal(again.status, 2);
    assert.match(again.stderr, /out\.png is there already/);
    assert.match(install.glass('file', 'o99999').stderr, /there is no file "o99999"/);
    const { stdout } = install.glass('chat', '--chat', 'out', `file /inbox/${message}/a.png`);
    assert.match(stdout, /^\[file a\.png, image\/png, 50 KB: \/save o\d+ \[path\]\]$/m);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

for (const [what, path, reason] of [
  ['a folder', '/workspace', /is not a regular file/],
  ['nothing', '/workspace/none', /cannot be opened/],
  ['a device', '/dev/zero', /is not a regular file/],
  ['a link', '/proc/self/exe', /cannot be opened/],
] as const) {
  test(`${what} is not sent as a file`, async () => {
    const chat = await Terminal.open(install.control, `no-${what.replaceAll(' ', '-')}`);
    await chat.say(`file ${path}`);
    await chat.hears(new RegExp(`refused: .*${reason.source}`));
    assert.ok(chat.heard.every(({ file }) => file === null));
  });
}

test('a file whose bytes are gone is said to be, and nothing half is left', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'glass-files-'));
  try {
    const chat = await Terminal.open(install.control, 'gone');
    const bytes = randomBytes(300_000);
    const message = await chat.say('files', [{ name: 'b', bytes }]);
    await hears(chat, sha256(bytes));
    await chat.say(`file /inbox/${message}/b take it`);
    const { file } = await chat.hears(/^take it$/);
    const blob = join(install.paths.blobs, sha256(bytes));
    writeFileSync(blob, bytes.subarray(0, 200_000));
    const cut = install.glass('file', file!.id, join(folder, 'b'));
    rmSync(blob);
    const gone = install.glass('file', file!.id, join(folder, 'b'));
    for (const { status, stderr } of [cut, gone]) {
      assert.notEqual(status, 0);
      assert.match(stderr, /did not come whole/);
    }
    assert.deepEqual(readdirSync(folder), []);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the same tests pass for an ordinary user', { skip: IS_ROOT ? false : 'this is an ordinary user' }, () => {
  passesForOrdinaryUser(import.meta.url);
});
