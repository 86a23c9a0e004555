import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { OperatingError, systemCodeOf } from '../../src/base/errors.ts';
import { FILE_CHUNK_BYTES_MAX } from '../../src/base/limits/messages.ts';
import { ROOT } from '../../src/base/paths.ts';
import type { Status } from '../../src/evidence/status.ts';
import { type ChunkResult, FileReceiver } from '../../src/sessions/files.ts';
import { Install, until } from '../fakes/install.ts';
import { unmountBelow } from '../fakes/remove.ts';
import { rows, statesOf, Terminal } from '../fakes/terminal.ts';

/** A home on a small disk of its own, which is filled and taken away from under a running host. */

const YAML = 'harness: probe\n';
const DISK_MIB = 96;
const BLOCK = Buffer.alloc(64 * 1024, 'ballast');

const disk = mountDisk();
const skip = typeof disk === 'string' ? disk : false;

/** The folder of a fresh tmpfs, or the reason why there is none. */
function mountDisk(): { folder: string } | string {
  if (process.getuid?.() !== 0) return 'only root can mount a small disk';
  const folder = mkdtempSync(join(tmpdir(), 'gd-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m,mode=700`, 'glass-test', folder], { stdio: 'pipe' });
  } catch (error) {
    rmSync(folder, { recursive: true });
    return `a small disk cannot be mounted here: ${String(error).split('\n')[0]}`;
  }
  process.on('exit', () => {
    execFileSync('umount', ['-l', folder]);
    rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  });
  return { folder };
}

function folderOfDisk(): string {
  assert.ok(typeof disk !== 'string');
  return disk.folder;
}

function remount(how: 'ro' | 'rw'): void {
  execFileSync('mount', ['-o', `remount,${how}`, folderOfDisk()], { stdio: 'pipe' });
}

/** Takes the last block of the disk. Returns how to give all of it back. */
function fill(): () => void {
  const file = join(folderOfDisk(), 'ballast');
  const fd = openSync(file, 'a');
  try {
    for (;;) writeSync(fd, BLOCK);
  } catch (error) {
    assert.equal(systemCodeOf(error), 'ENOSPC');
  } finally {
    closeSync(fd);
  }
  return () => rmSync(file, { force: true });
}

async function started(context: TestContext, yaml = ''): Promise<Install> {
  const install = new Install(folderOfDisk());
  if (yaml !== '') install.install(yaml);
  install.group('assistant', YAML);
  context.after(() => install.stop());
  await install.start();
  return install;
}

async function answered(install: Install, chat: string, count: number): Promise<void> {
  await until(`${count} messages of ${chat} are answered`, async () =>
    assert.deepEqual(statesOf(install, chat), Array(count).fill('answered')),
  );
}

test('a full disk: say is refused in one sentence, the host lives, and with space again nothing is missing', {
  skip,
}, async (context) => {
  const install = await started(context);
  const chat = await Terminal.open(install.control, 'full');
  await chat.say('before');
  await chat.hears(/You said: before/);
  const free = fill();
  context.after(free);
  const kept: number[] = [];
  const refusals: unknown[] = [];
  const padding = 'x'.repeat(100_000);
  for (let i = 0; i < 40 && refusals.length < 3; i += 1) {
    await chat.say(`big ${i}; ${padding}`).then(
      () => kept.push(i),
      (error) => refusals.push(error),
    );
  }
  assert.equal(refusals.length, 3, 'the disk is full');
  for (const refusal of refusals) {
    assert.ok(refusal instanceof OperatingError);
    assert.equal(refusal.code, 'storage');
    assert.match(refusal.message, /^the ledger cannot be written: [^\n]+$/);
    assert.match(refusal.fix ?? '', /free some space/);
  }
  const full = await install.control.call<Status>('status');
  assert.equal(full.gateway, 'connected', 'host and gateway live');
  free();
  await chat.say('after');
  await chat.hears(/You said: after/);
  await answered(install, 'full', kept.length + 2);
  for (const i of kept) await chat.hears(new RegExp(`You said: big ${i};`));
  await until('all is well again', async () => {
    const { conservation } = await install.control.call<Status>('status');
    assert.deepEqual(conservation.violations, []);
    // In `main` the operator's alerts wait for somebody who reads there.
    const states = rows<{ state: string }>(
      install,
      "SELECT DISTINCT o.state FROM outbound o JOIN chats c ON c.id = o.chat_id WHERE c.platform_id <> 'main'",
    );
    assert.deepEqual(
      states.map((row) => ({ ...row })),
      [{ state: 'sent' }],
    );
  });
});

test('a disk that fills while a turn runs: its end waits for space, and is written once', { skip }, async (context) => {
  const elsewhere = mkdtempSync(join(tmpdir(), 'gd-'));
  context.after(() => rmSync(elsewhere, { recursive: true }));
  const [program, told] = [join(elsewhere, 'tell.mjs'), join(elsewhere, 'told')];
  writeFileSync(program, `import fs from 'node:fs'; fs.appendFileSync('${told}', fs.readFileSync(0, 'utf8') + '\\n');`);
  const install = await started(context, `alerts: {command: [${process.execPath}, ${program}]}\n`);
  const chat = await Terminal.open(install.control, 'turn');
  await chat.say('hello');
  await chat.hears(/hello/);
  await chat.say('sleep 0.5');
  await until('the turn runs', async () => assert.deepEqual(statesOf(install, 'turn'), ['answered', 'running']));
  const free = fill();
  context.after(free);
  const hog = new Terminal(install.control, 'hog');
  for (let refused = false; !refused; ) await hog.say('y'.repeat(200_000)).catch(() => (refused = true));
  await new Promise((resolve) => setTimeout(resolve, 1200)); // the turn ends meanwhile, with nowhere to write that
  const heard = (): string[] =>
    (existsSync(told) ? readFileSync(told, 'utf8') : '')
      .split('\n')
      .filter((line) => line.includes('"ledger.trouble"'))
      .map((line) => JSON.parse(line).state);
  await until('the owner is told although nothing can be written', async () => assert.deepEqual(heard(), ['raised']));
  free();
  await until('that it is over too', async () => assert.deepEqual(heard(), ['raised', 'cleared']));
  await chat.hears(/slept 0\.5 s/);
  await answered(install, 'turn', 2);
  assert.equal(chat.heard.length, 2);
});

test('a read-only disk: host and gateway refuse to start in one sentence, and what was accepted is answered later', {
  skip,
}, async (context) => {
  const install = await started(context);
  const chat = new Terminal(install.control, 'readonly');
  await chat.say('hello');
  await answered(install, 'readonly', 1);
  await chat.say('sleep 1');
  await until('the turn runs', async () => assert.deepEqual(statesOf(install, 'readonly'), ['answered', 'running']));
  await Promise.all([install.end('host', 'SIGKILL'), install.end('gateway', 'SIGKILL')]);
  unmountBelow(install.paths.home); // a file system in a file of this disk keeps it busy
  await until('nobody writes any more', async () => remount('ro'));
  context.after(() => remount('rw'));
  const { code, stderr } = await outcomeOf('src/host.ts', install);
  assert.equal(code, 8, stderr);
  assert.equal(stderr.trim().split('\n').length, 1, stderr);
  assert.match(stderr, /cannot be used|cannot be opened|read-?only/i);
  const gateway = await outcomeOf('src/gateway.ts', install);
  assert.notEqual(gateway.code, 0);
  assert.doesNotMatch(gateway.stderr, /\n {4}at /, 'a sentence, not a stack');
  remount('rw');
  await install.start();
  await chat.open();
  await chat.hears(/attempt 2[\s\S]*slept 1 s/);
  await answered(install, 'readonly', 2);
});

test('a file that does not fit is refused, and no part of it passes for the whole', { skip }, (context) => {
  const folder = join(folderOfDisk(), 'blobs');
  mkdirSync(folder);
  const files = new FileReceiver(folder);
  const bytes = Buffer.alloc(3 * FILE_CHUNK_BYTES_MAX, 'content');
  const free = fill();
  context.after(free);
  truncateBallast(FILE_CHUNK_BYTES_MAX + 20_000);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  const results: ChunkResult[] = [files.begin(announce(1, 'x', bytes.length, sha256))];
  for (let seq = 0; seq < 3; seq += 1) {
    const part = bytes.subarray(seq * FILE_CHUNK_BYTES_MAX, (seq + 1) * FILE_CHUNK_BYTES_MAX);
    results.push(files.chunk(1, seq, part.toString('base64')));
  }
  assert.deepEqual(
    results.map((result) => result.kind),
    ['more', 'more', 'refused', 'more'],
  );
  assert.deepEqual(readdirSync(folder), []);
});

/** Gives back so many bytes at the end of the ballast. */
function truncateBallast(bytes: number): void {
  const file = join(folderOfDisk(), 'ballast');
  const size = Number(execFileSync('stat', ['-c', '%s', file]).toString());
  truncateSync(file, size - bytes);
}

/** A process of the install that is expected to end by itself. */
function outcomeOf(program: string, install: Install): Promise<{ code: number | null; stderr: string }> {
  return new Promise((resolve) => {
    const env = { ...process.env, GLASS_HOME: install.paths.home };
    const child = spawn(process.execPath, [join(ROOT, program)], { env, stdio: ['ignore', 'ignore', 'pipe'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    child.on('close', (code) => {
      clearTimeout(timer);
      resolve({ code, stderr });
    });
  });
}

function announce(call: number, name: string, bytes: number, sha256: string) {
  return { call, name, bytes, sha256 };
}
