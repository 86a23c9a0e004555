import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { OperatingError } from '../../src/base/errors.ts';
import type { Status } from '../../src/evidence/status.ts';
import { Install, until } from '../fakes/install.ts';
import { unmountBelow } from '../fakes/remove.ts';
import { rows, statesOf, Terminal } from '../fakes/terminal.ts';

/**
 * A home on a disk that the kernel makes read-only under a running host, as it does with one that it finds damaged. A `remount` would
 * be refused here, for files are open for writing; a full disk gives space back, while this one has to be repaired first.
 */

/** With so much of it free that nothing but its being read-only is wrong with it. The file is sparse. */
const DISK_MIB = 3072;

const disk = makeDisk();
const skip = typeof disk === 'string' ? disk : false;

interface Disk {
  /** Of the images, and of what must be written whatever becomes of the disk. */
  beside: string;
  mounted: string;
  image: string;
}

/** A fresh ext4 in a file, or the reason why there is none. */
function makeDisk(): Disk | string {
  if (process.getuid?.() !== 0) return 'only root can mount a disk';
  const beside = mkdtempSync(join(tmpdir(), 'gr-'));
  const made = { beside, mounted: join(beside, 'disk'), image: join(beside, 'image') };
  try {
    mkdirSync(made.mounted, { mode: 0o700 });
    writeFileSync(made.image, '');
    truncateSync(made.image, DISK_MIB * 2 ** 20);
    system('mkfs.ext4', '-q', '-F', '-e', 'remount-ro', made.image);
    mount(made);
    if (!existsSync(errorsOf(made))) throw new Error('this kernel cannot be told that a file system is damaged');
  } catch (error) {
    takeAway(made);
    return `no disk that fails can be made here: ${String(error).split('\n')[0]}`;
  }
  process.on('exit', () => takeAway(made));
  return made;
}

function takeAway({ beside, mounted }: Disk): void {
  unmountBelow(beside);
  if (existsSync(mounted)) rmSync(beside, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
}

function system(...argv: string[]): string {
  const env = { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` };
  return execFileSync(argv[0]!, argv.slice(1), { env, stdio: 'pipe', encoding: 'utf8' });
}

function mount({ image, mounted }: Disk): void {
  system('mount', '-o', 'loop', image, mounted);
}

/** Where the kernel is told that it has found an error on the disk. */
function errorsOf({ mounted }: Disk): string {
  const device = system('findmnt', '-n', '-o', 'SOURCE', mounted).trim();
  return join('/sys/fs/ext4', basename(device), 'trigger_fs_error');
}

/**
 * Repairs what was unmounted, on a disk of its own: sandboxes of tests beside this one may have seen the old one when they began,
 * and it stays read-only for as long as one of them has it.
 */
function repair(found: Disk): void {
  const { image, mounted } = found;
  unmountBelow(mounted);
  system('umount', '--lazy', mounted);
  system('sync', image);
  found.image = `${image}-repaired`;
  system('cp', '--sparse=always', image, found.image);
  try {
    system('e2fsck', '-f', '-y', found.image);
  } catch (error) {
    assert.equal((error as { status: number }).status, 1, 'it was damaged, and is repaired');
  }
  mount(found);
}

/** Damages what the install keeps for its sandboxes: each file is there, under its name, without its content. */
function emptyCache(install: Install): void {
  const found = readdirSync(install.paths.cache).filter((name) => /^(seccomp|etc)/.test(name));
  assert.equal(found.length, 2);
  for (const name of found) {
    const place = join(install.paths.cache, name);
    const files = name.startsWith('etc') ? readdirSync(place).map((file) => join(place, file)) : [place];
    for (const file of files) if (statSync(file).isFile()) truncateSync(file, 0);
  }
}

/** With a way for alerts that does not need the disk; `told`: the states of an alert that it was given. */
async function started(context: TestContext, { beside, mounted }: Disk) {
  const [program, file] = [join(beside, 'tell.mjs'), join(beside, 'told')];
  writeFileSync(program, `import fs from 'node:fs'; fs.appendFileSync('${file}', fs.readFileSync(0, 'utf8') + '\\n');`);
  const install = new Install(mounted);
  install.install(`alerts: {command: [${process.execPath}, ${program}]}\n`);
  install.group('assistant', 'harness: probe\n');
  context.after(() => install.stop());
  await install.start();
  const told = (kind: string): string[] =>
    (existsSync(file) ? readFileSync(file, 'utf8') : '')
      .split('\n')
      .filter((line) => line.includes(`"${kind}"`))
      .map((line) => JSON.parse(line).state);
  return { install, told };
}

test('a disk that becomes read-only under a running host: nothing is accepted, the owner hears of it, and once it is repaired nothing is missing or comes twice', {
  skip,
}, async (context) => {
  assert.ok(typeof disk !== 'string');
  const { install, told } = await started(context, disk);
  const chat = await Terminal.open(install.control, 'readonly');
  const first = await chat.say('before');
  await chat.hears(/You said: before/);
  await chat.say('sleep 2');
  await until('the turn runs', async () => assert.deepEqual(statesOf(install, 'readonly'), ['answered', 'running']));

  writeFileSync(errorsOf(disk), '1');
  assert.throws(() => writeFileSync(join(disk.mounted, 'more'), ''), { code: 'EROFS' });
  for (const text of ['refused', 'refused too']) {
    const error = await chat.say(text).then(assert.fail, (reason: unknown) => reason);
    assert.ok(error instanceof OperatingError);
    assert.equal(error.code, 'storage');
    assert.match(error.message, /^the ledger cannot be written: [^\n]+$/);
    assert.match(error.fix ?? '', /make the disk writable/);
  }
  await until('the owner is told although nothing can be written', async () =>
    assert.deepEqual(told('ledger.trouble'), ['raised']),
  );
  const status = install.glass('status');
  assert.equal(status.status, 1, status.stderr);
  assert.match(status.stdout, /needs attention\n {2}alert +ledger\.trouble .*the ledger cannot be written.*\n +→ /);
  const trace = install.glass('trace', first);
  assert.equal(trace.status, 0, trace.stderr);
  assert.match(trace.stdout, /delivery\.sent/);
  await install.end('host', 'SIGTERM');
  await install.end('gateway', 'SIGTERM');

  repair(disk);
  emptyCache(install); // as a disk leaves what it had not written yet
  await install.start();
  await chat.open();
  await chat.hears(/slept 2 s/);
  await chat.say('after');
  await chat.hears(/You said: after/);
  await until('all is answered', async () =>
    assert.deepEqual(statesOf(install, 'readonly'), ['answered', 'answered', 'answered']),
  );
  assert.deepEqual(
    ['said: before', 'slept', 'said: after'].map((said) => chat.heard.filter(({ body }) => body.includes(said)).length),
    [1, 1, 1],
  );
  assert.equal(chat.heard.length, 3);
  const { conservation, unwritten } = await install.control.call<Status>('status');
  assert.deepEqual([conservation.violations, unwritten], [[], []]);
  assert.deepEqual(rows(install, "SELECT text FROM messages WHERE text LIKE 'refused%'"), []);
});
