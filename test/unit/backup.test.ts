import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../src/base/clock.ts';
import { noFaults } from '../../src/base/faults.ts';
import { ROOT } from '../../src/base/paths.ts';
import { recordEvent } from '../../src/ledger/events.ts';
import { Ledger } from '../../src/ledger/ledger.ts';
import { readArchive, selectionOf, writeArchive } from '../../src/operations/backup/archive.ts';
import { commitOf, createBackup } from '../../src/operations/backup/create.ts';
import { MANIFEST, type Manifest, readManifest } from '../../src/operations/backup/manifest.ts';
import { unpack, verifyBackup } from '../../src/operations/backup/restore.ts';
import {
  findBackup,
  keepNewest,
  listShelf,
  shelfOf,
  sweepShelf,
  writeProof,
} from '../../src/operations/backup/shelf.ts';
import { made } from '../fakes/backup_kit.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';
import { cannotDrop, passesForOrdinaryUser } from '../fakes/ordinary_user.ts';

const verify = (folder: string): Promise<Manifest> => verifyBackup(folder, ROOT, () => {});

function change(folder: string, act: (manifest: Manifest) => void): void {
  const file = join(folder, MANIFEST);
  const manifest = JSON.parse(readFileSync(file, 'utf8')) as Manifest;
  act(manifest);
  writeFileSync(file, JSON.stringify(manifest));
}

test('a backup says what it is, can be read by nobody else, and lacks the key unless it is asked for', async (context) => {
  const { folder, manifest, paths } = await made(context);
  assert.deepEqual(manifest.files.map(({ path }) => path).sort(), ['audit.db', 'files.tar', 'ledger.db', 'vault.db']);
  assert.deepEqual(readdirSync(folder).sort(), ['audit.db', 'files.tar', 'ledger.db', 'manifest.json', 'vault.db']);
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  for (const name of readdirSync(folder)) assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name);
  assert.equal(manifest.key, paths.vaultKey);
  assert.equal(manifest.counts.secrets, 1);
  assert.ok(!readFileSync(join(folder, 'vault.db')).includes('fake-secret-value'));
  assert.deepEqual(await verify(folder), manifest);
  const second = await createBackup({ paths, shelf: shelfOf(paths), withKey: true, tell: () => {} });
  assert.equal(second.manifest.key, null);
  assert.deepEqual(readFileSync(join(second.folder, 'vault.key')), readFileSync(paths.vaultKey));
});

const SABOTAGES: [name: string, act: (folder: string) => void, says: RegExp][] = [
  ['has no manifest', (folder) => rmSync(join(folder, MANIFEST)), /it has no manifest\.json/],
  ['lacks the ledger', (folder) => rmSync(join(folder, 'ledger.db')), /it says that it has ledger\.db, and lacks it/],
  [
    'names no ledger',
    (folder) => change(folder, (it) => void it.files.splice(0, 1)),
    /it must name each of ledger\.db, vault\.db, audit\.db, files\.tar once/,
  ],
  [
    'has a cut vault',
    (folder) => truncateSync(join(folder, 'vault.db'), 4096),
    /vault\.db has 4096 bytes instead of \d+/,
  ],
  [
    'has another byte in it',
    (folder) => {
      const bytes = readFileSync(join(folder, 'files.tar'));
      bytes[700] = (bytes[700] ?? 0) ^ 1;
      writeFileSync(join(folder, 'files.tar'), bytes);
    },
    /files\.tar is not the file that was backed up/,
  ],
  [
    'has a link in the place of a file',
    (folder) => {
      renameSync(join(folder, 'audit.db'), join(folder, 'elsewhere'));
      symlinkSync('elsewhere', join(folder, 'audit.db'));
    },
    /audit\.db cannot be read \(ELOOP\)/,
  ],
  [
    'has a pipe in the place of a file',
    (folder) => {
      rmSync(join(folder, 'audit.db'));
      execFileSync('mkfifo', [join(folder, 'audit.db')]);
    },
    /audit\.db is not a regular file/,
  ],
  [
    'names a path outside',
    (folder) => change(folder, (it) => void Object.assign(it.files[0]!, { path: '../ledger.db' })),
    /files\.0\.path: Invalid option/,
  ],
  [
    'is of a newer schema',
    (folder) => change(folder, (it) => void Object.assign(it, { schema: 9999 })),
    /was made by GlassClaw \S+ with schema 9999, this one knows \d+/,
  ],
];

for (const [name, sabotage, says] of SABOTAGES)
  test(`a folder that ${name} is not put back`, async (context) => {
    const { folder } = await made(context);
    sabotage(folder);
    await assert.rejects(verify(folder), { code: 'config', message: says });
  });

test('a database that was cut before it was hashed is found, too', async (context) => {
  const { folder } = await made(context);
  truncateSync(join(folder, 'ledger.db'), 3000);
  hashAgain(folder);
  await assert.rejects(verify(folder), { code: 'config', message: /ledger\.db is damaged/ });
});

test('an index of the ledger that has another key of a message is found, in the install and in a backup', async (context) => {
  const { paths } = await made(context);
  const asked = { paths, shelf: shelfOf(paths), withKey: false, tell: () => {} };
  const db = new DatabaseSync(paths.ledger);
  db.exec(`INSERT INTO chats (id, channel, platform_id, title, created_ms) VALUES (1, 'local', 'main', 'main', 1);
    INSERT INTO messages (dedupe_key, chat_id, sender, platform_id, text, sent_ms, received_ms) VALUES ('its key', 1, 'Ann', 'p', 'hello', 1, 1)`);
  db.close();
  const { folder } = await createBackup(asked);
  changeKey(join(folder, 'ledger.db'));
  hashAgain(folder);
  const message = /ledger\.db is damaged \(row 1 missing from index sqlite_autoindex_messages_1\)/;
  await assert.rejects(verify(folder), { code: 'config', message });
  changeKey(paths.ledger);
  await assert.rejects(createBackup(asked), { code: 'config', message });
});

/** Of the message in its index, and not in its table. */
function changeKey(ledger: string): void {
  const db = new DatabaseSync(ledger);
  const page = db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'sqlite_autoindex_messages_1'").get();
  const size = db.prepare('PRAGMA page_size').get();
  db.close();
  const bytes = readFileSync(ledger);
  bytes.write('ITS', bytes.indexOf('its key', (Number(page!['rootpage']) - 1) * Number(size!['page_size'])));
  writeFileSync(ledger, bytes);
}

/** The manifest says of the ledger what it is by now. */
function hashAgain(folder: string): void {
  const ledger = readFileSync(join(folder, 'ledger.db'));
  const now = { bytes: ledger.length, sha256: createHash('sha256').update(ledger).digest('hex') };
  change(folder, (it) => void Object.assign(it.files.find(({ path }) => path === 'ledger.db')!, now));
}

test('what an agent leaves in its workspace neither stops a backup nor leads out of it', async (context) => {
  const { paths } = await made(context);
  const { workspace } = paths.group('assistant');
  const script = `mkdir -p deep/closed; echo text > deep/closed/file; [ $(id -u) != 0 ] || chmod 0 deep/closed/file
echo x > "$(printf 'two\\nlines')"; printf y > "$(printf 'not\\377text')"; echo z > '--checkpoint-action=exec=touch evil'
ln -s /etc/passwd out; ln -s ../../../ledger.db up; mkfifo pipe; echo 1 > one; ln one same; truncate -s 1T giant
i=0; while [ $i -lt 300 ]; do mkdir nnnnnnnnnnnnnnnn; cd nnnnnnnnnnnnnnnn; i=$((i+1)); done; echo deep > end`;
  execFileSync('sh', ['-c', script], { cwd: workspace, stdio: 'pipe' });
  const began = performance.now();
  const { folder, manifest } = await createBackup({ paths, shelf: shelfOf(paths), withKey: false, tell: () => {} });
  assert.ok(performance.now() - began < 60_000);
  const archive = manifest.files.find(({ path }) => path === 'files.tar')!;
  assert.ok(archive.bytes < 4 * 1024 ** 2, `${archive.bytes} bytes: holes stay holes`);
  const copy = join(temporaryFolder(context), 'copy');
  await unpack(folder, await verify(folder), copy, null);
  const list = (home: string): string =>
    execFileSync('sh', ['-c', "find . -printf '%y %s %l %P\\0' | LC_ALL=C sort -z | sed -z 's/^d [0-9]*/d/'"], {
      cwd: join(home, 'groups/assistant/workspace'),
      encoding: 'latin1',
      maxBuffer: 2 ** 26,
    });
  assert.ok(list(copy) === list(paths.home), 'the same entries, whatever their names');
  const { blocks } = statSync(join(copy, 'groups/assistant/workspace/giant'));
  assert.ok(blocks < 100, 'sparse stays sparse');
  assert.ok(!existsSync(join(workspace, 'evil')) && !existsSync(join(copy, 'evil')));
});

test('what cannot be read is left out and said, and keeps nothing else out', {
  skip: process.geteuid!() === 0 && 'root reads everything',
}, async (context) => {
  const { paths } = await made(context);
  const closed = join(paths.group('assistant').workspace, 'closed');
  writeFileSync(closed, 'x');
  chmodSync(closed, 0);
  const { manifest } = await createBackup({ paths, shelf: shelfOf(paths), withKey: false, tell: () => {} });
  assert.match(manifest.without.map(({ what }) => what).join('\n'), /closed.*Permission denied/);
});

test('a workspace that is an image goes in once: as the image at rest, without the draft of one', async (context) => {
  const { paths } = await made(context);
  const { image, workspace } = paths.group('assistant');
  for (const file of [image, `${image}.draft`]) writeFileSync(file, 'ext4');
  rmSync(workspace, { recursive: true });
  mkdirSync(workspace);
  const file = join(temporaryFolder(context), 'files.tar');
  await writeArchive(paths, selectionOf(paths), file);
  const into = temporaryFolder(context);
  await readArchive(file, into, false);
  assert.deepEqual(readdirSync(join(into, 'groups/assistant')).sort(), ['group.yaml', 'workspace.img']);
});

test('the newest stay, older ones go, and never the last that is proven', async (context) => {
  const { paths, folder } = await made(context);
  const shelf = shelfOf(paths);
  const proof = { at: new Date().toISOString(), ok: true, says: 'm1 was answered', version: '0' };
  const names = ['2026-01-01T00-00-00Z-aaaaaa', '2026-01-02T00-00-00Z-bbbbbb', '2026-01-03T00-00-00Z-cccccc'];
  for (const name of names) execFileSync('cp', ['-a', folder, join(shelf, name)]);
  rmSync(folder, { recursive: true });
  const left = (): string[] => listShelf(shelf).map(({ name }) => name);
  assert.deepEqual(await keepNewest(shelf, 1), [], 'none is proven');
  writeProof(join(shelf, names[0]!), proof);
  assert.deepEqual(await keepNewest(shelf, 1), []);
  writeProof(join(shelf, names[1]!), proof);
  writeProof(join(shelf, names[2]!), { ...proof, ok: false });
  assert.deepEqual(await keepNewest(shelf, 2), []);
  assert.deepEqual(await keepNewest(shelf, 1), [names[0]]);
  assert.deepEqual(left(), [names[2], names[1]]);
});

test('what a killed run left is swept, and nothing else', async (context) => {
  const { paths, folder } = await made(context);
  const shelf = shelfOf(paths);
  const left = ['.draft-a', '.trial-a', '.restore-a', '.from-gateway-a', '2026-01-01T00-00-00Z-aaaaaa'];
  for (const name of [...left, 'replaced-2026-01-01T00-00-00Z', 'mine']) mkdirSync(join(shelf, name));
  assert.equal(await sweepShelf(shelf), left.length);
  assert.deepEqual(
    readdirSync(shelf).sort(),
    [folder.split('/').at(-1), 'mine', 'replaced-2026-01-01T00-00-00Z'].sort(),
  );
  for (const name of ['../home', 'nothing', '2026-01-01T00-00-00Z-aaaaaa', join(shelf, 'none')])
    assert.throws(() => findBackup(shelf, name), { code: 'not_found' }, name);
});

test('a disk that fills up while files are copied is one sentence, and no backup', {
  skip: process.geteuid!() !== 0 && 'only root can mount',
}, async (context) => {
  const { paths } = await made(context);
  const small = temporaryFolder(context);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=700', 'glass-test', small]);
  try {
    writeFileSync(join(paths.group('assistant').workspace, 'large'), Buffer.alloc(3 * 1024 ** 2, 'x'));
    await assert.rejects(createBackup({ paths, shelf: small, withKey: false, tell: () => {} }), {
      code: 'storage',
      message: /a backup needs [\d.]+ MB on the disk of .*, and [\d.]+ [KM]B are free/,
    });
    await assert.rejects(writeArchive(paths, selectionOf(paths), join(small, 'files.tar')), {
      code: 'storage',
      message: /cannot be written: ENOSPC/,
    });
    assert.deepEqual(listShelf(small), []);
  } finally {
    execFileSync('umount', ['--lazy', small]);
  }
});

test('the commit of a checkout is read without asking git', (context) => {
  const folder = temporaryFolder(context);
  assert.equal(commitOf(folder), null);
  const git = (...words: string[]): string => execFileSync('git', words, { cwd: folder, encoding: 'utf8' });
  const as = ['-c', 'user.name=a', '-c', 'user.email=a@example.com'];
  git('init', '-q');
  git(...as, 'commit', '-q', '--allow-empty', '-m', 'one');
  const head = git('rev-parse', 'HEAD').trim();
  assert.equal(commitOf(folder), head);
  git('worktree', 'add', '-q', 'beside');
  assert.equal(commitOf(join(folder, 'beside')), head);
  git('checkout', '-q', '--detach');
  assert.equal(commitOf(folder), head);
});

test('a manifest that is no manifest is said to be none', async (context) => {
  const { folder } = await made(context);
  for (const text of ['', '[]', '{"format":2}', 'x'.repeat(2 ** 21)]) {
    writeFileSync(join(folder, MANIFEST), text);
    assert.throws(() => readManifest(folder), {
      code: 'config',
      message: /is no backup: its manifest\.json cannot be used/,
    });
  }
});

test('ledger and audit are of one moment: a ledger that knows of more than the audit is not kept', async (context) => {
  const { paths } = await made(context);
  const ledger = await Ledger.open(paths.ledger, noFaults);
  await ledger.write('start', (db) => {
    recordEvent(db, systemClock, 'egress.anchored', {}, { seq: 7, hash: 'a'.repeat(64) });
  });
  ledger.close();
  await assert.rejects(createBackup({ paths, shelf: shelfOf(paths), withKey: false, tell: () => {} }), {
    code: 'unavailable',
    message: /records too fast for a copy of one moment/,
  });
});

test('an agent that swaps a folder for a link while it is copied gets nothing else into the backup', async (context) => {
  const { paths } = await made(context);
  const { workspace } = paths.group('assistant');
  const outside = temporaryFolder(context);
  for (let at = 0; at < 50; at += 1) writeFileSync(join(outside, `s${at}`), 'what-is-outside');
  const script = `for i in $(seq 100); do mkdir -p d$i/x/y; echo own > d$i/s$i; done; while :; do for i in $(seq 100)
do mv d$i e; ln -s ${outside} d$i; rm d$i; mv e d$i; mv d$i/s$i f; ln -s ${outside}/s1 d$i/s$i; rm d$i/s$i; mv f d$i/s$i; done; done`;
  const swapping = spawn('sh', ['-c', script], { cwd: workspace, stdio: 'ignore', detached: true });
  try {
    await sleep(500);
    const file = join(temporaryFolder(context), 'files.tar');
    for (let at = 0; at < 20; at += 1) {
      await writeArchive(paths, selectionOf(paths), file);
      assert.ok(!readFileSync(file).includes('what-is-outside'));
      rmSync(file);
    }
  } finally {
    const ended = once(swapping, 'exit');
    process.kill(-swapping.pid!, 'SIGKILL');
    await ended;
  }
});

const skip = cannotDrop();
test('the same for an ordinary user, who cannot read everything', { skip }, () => {
  passesForOrdinaryUser(
    import.meta.url,
    '--test-name-pattern=^what cannot be read|^what an agent leaves|^a backup says',
  );
});
