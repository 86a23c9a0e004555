import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  statfsSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { OperatingError } from '../../src/base/errors.ts';
import { ROOT } from '../../src/base/paths.ts';
import { loopOf, mountAt } from '../../src/runtimes/mounts.ts';
import {
  imagesProblem,
  mountWorkspace,
  unmountWorkspace,
  type WorkspaceImage,
} from '../../src/runtimes/workspace_image.ts';
import { contentOf } from '../fakes/litter.ts';
import { remove } from '../fakes/remove.ts';

/** Workspaces as file systems of their own: real images, real mounts, and hosts that are killed while they make them. */

const MIB = 2 ** 20;
const UID = 2_000_000_001;

const scratch = mkdtempSync(join(tmpdir(), 'gw-'));
const problem = await imagesProblem(join(scratch, 'trial'));
remove(scratch);
const skip = problem ?? false;

function fresh(context: TestContext, bytes = 32 * MIB): WorkspaceImage {
  const home = mkdtempSync(join(tmpdir(), 'gw-'));
  context.after(() => remove(home));
  return { folder: join(home, 'workspace'), image: join(home, 'workspace.img'), uid: UID, bytes };
}

/** What an agent leaves: odd names, closed files, links out, a pipe, a hole. */
function litter(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const script = `umask 022; mkdir -p deep/closed; echo text > deep/closed/file; chmod 0 deep/closed; echo x > "$(printf 'two\\nlines')"
printf y > "$(printf 'not\\377text')"; ln -s /etc/passwd out; ln -s nowhere broken; mkfifo pipe; echo 1 > one; ln one same
truncate -s 5M hole; touch "$(printf 'n%.0s' $(seq 255))"; chown -hR ${UID}:${UID} .`;
  execFileSync('sh', ['-c', script], { cwd: folder, stdio: 'pipe' });
}

/** As at the end of a host, when no sandbox has it either: one of another test may have come to life with a copy of all mounts. */
async function putAway({ folder, image }: WorkspaceImage): Promise<void> {
  assert.ok(await unmountWorkspace(folder));
  for (let left = 600; loopOf(image) !== null; left -= 1) {
    assert.ok(left > 0, `${loopOf(image)} still has ${image}`);
    await sleep(50);
  }
}

/** As the group's own account, within its workspace: what was printed, errors included. */
function asGroup(folder: string, command: string): string {
  // The folders above are closed to that account, as a home is: it gets its workspace as its root folder.
  const inner = `cd "$1" && exec setpriv --reuid=${UID} --regid=${UID} --clear-groups -- sh -c "$2" 2>&1`;
  const run = ['-c', inner, 'sh', folder, `${command}; true`];
  return execFileSync('sh', run, { stdio: 'pipe' }).toString();
}

test('a new workspace is an empty file system of the wanted size, closed to others, without devices and set-uid files', {
  skip,
}, async (context) => {
  const workspace = fresh(context);
  assert.equal(await mountWorkspace(workspace), null);
  assert.deepEqual(readdirSync(workspace.folder), []);
  const { uid, mode } = statSync(workspace.folder);
  assert.deepEqual({ uid, mode: mode & 0o777 }, { uid: UID, mode: 0o700 });
  assert.equal(statSync(workspace.image).mode & 0o777, 0o600);
  assert.ok(statSync(workspace.image).blocks * 512 < 8 * MIB, 'it takes no more of the disk than is in it');
  const line = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .find((each) => each.includes(workspace.folder))!;
  assert.match(line, /rw,nosuid,nodev/);
});

test('the kernel refuses what goes over its size, and too many files', { skip }, async (context) => {
  const workspace = fresh(context);
  await mountWorkspace(workspace);
  assert.match(asGroup(workspace.folder, 'head -c 64M /dev/zero > big'), /No space left/);
  assert.ok(statSync(workspace.image).blocks * 512 <= 32 * MIB);
  assert.match(asGroup(workspace.folder, 'rm big; touch $(seq 5000)'), /No space left/);
  assert.ok(readdirSync(workspace.folder).length <= (32 * MIB) / 16_384);
});

test('it is found again after an end in order, and what is mounted already stays as it is', {
  skip,
}, async (context) => {
  const workspace = fresh(context);
  await mountWorkspace(workspace);
  writeFileSync(join(workspace.folder, 'kept'), 'yes');
  await mountWorkspace(workspace);
  await putAway(workspace);
  assert.equal(mountAt(workspace.folder), null);
  assert.equal(statSync(workspace.folder).mode & 0o777, 0, 'without its mount nobody else can write there');
  await mountWorkspace(workspace);
  assert.equal(readFileSync(join(workspace.folder, 'kept'), 'utf8'), 'yes');
});

test('one that the kernel has turned read-only, for want of disk space say, is writable again at the next start', {
  skip,
}, async (context) => {
  const workspace = fresh(context);
  await mountWorkspace(workspace);
  writeFileSync(join(workspace.folder, 'kept'), 'yes');
  execFileSync('mount', ['-o', 'remount,ro', workspace.folder]);
  assert.equal(await mountWorkspace(workspace), null);
  writeFileSync(join(workspace.folder, 'more'), 'yes');
  assert.deepEqual(readdirSync(workspace.folder), ['kept', 'more']);
});

test('an image that a sandbox still has is mounted again as the same file system', { skip }, async (context) => {
  const workspace = fresh(context);
  await mountWorkspace(workspace);
  const holder = spawn('unshare', ['--mount', '--propagation', 'private', '--', 'sh', '-c', 'echo; exec sleep 60']);
  context.after(() => holder.kill('SIGKILL'));
  await new Promise((resolve) => holder.stdout.once('data', resolve));
  const device = loopOf(workspace.image);
  assert.ok(await unmountWorkspace(workspace.folder));
  assert.equal(loopOf(workspace.image), device, 'the other namespace holds it');
  await mountWorkspace(workspace);
  assert.equal(mountAt(workspace.folder)?.source, device);
});

test('a folder with files becomes an image with the same files', { skip }, async (context) => {
  const workspace = fresh(context);
  litter(workspace.folder);
  const before = contentOf(workspace.folder);
  assert.equal(await mountWorkspace(workspace), null);
  assert.equal(contentOf(workspace.folder), before);
  assert.ok(statSync(workspace.image).blocks * 512 < 16 * MIB, 'holes stay holes');
  assert.deepEqual(readdirSync(join(workspace.folder, '..')).sort(), ['workspace', 'workspace.img']);
});

test('a folder that does not fit is left as it is, and one sentence says so', { skip }, async (context) => {
  const workspace = fresh(context);
  litter(workspace.folder);
  writeFileSync(join(workspace.folder, 'large'), Buffer.alloc(40 * MIB, 'x'));
  const before = contentOf(workspace.folder);
  await assert.rejects(mountWorkspace(workspace), /cannot be moved into an image of 33554432 bytes: .*No space left/);
  assert.equal(contentOf(workspace.folder), before);
  assert.deepEqual(readdirSync(join(workspace.folder, '..')), ['workspace']);
});

test('a host that is killed at any moment of the move loses no file', { skip }, async (context) => {
  const seen = new Set<string>();
  for (let wait_ms = 5; wait_ms <= 180; wait_ms += 12) {
    const workspace = fresh(context);
    litter(workspace.folder);
    const before = contentOf(workspace.folder);
    const program = join(ROOT, 'test/fakes/workspace_mount.ts');
    const host = spawn(process.execPath, [program, JSON.stringify(workspace)], { detached: true });
    const ended = new Promise((resolve) => host.once('exit', resolve));
    await new Promise((resolve) => host.stdout.once('data', resolve));
    host.stdin.write('go\n');
    await sleep(wait_ms);
    if (host.exitCode === null) process.kill(-host.pid!, 'SIGKILL'); // its programs as well, as at the end of a unit
    await ended;
    seen.add(readdirSync(join(workspace.folder, '..')).sort().join(' '));
    await mountWorkspace(workspace);
    assert.equal(contentOf(workspace.folder), before, `killed after ${wait_ms} ms`);
  }
  context.diagnostic(`found after the kills: ${[...seen].join(' | ')}`);
  assert.ok(seen.size > 1, 'the kills met different moments');
});

test('each state that a crash can leave leads to the same files', { skip }, async (context) => {
  const aside = (at: WorkspaceImage): void => renameSync(at.folder, `${at.folder}.plain`);
  const states: Record<string, (at: WorkspaceImage) => Promise<void>> = {
    'a draft that is worth nothing': async (at) => writeFileSync(`${at.image}.draft`, 'half'),
    'the folder is aside, and no image is in force': async (at) => aside(at),
    'the image is in force, and the folder still goes': async (at) => {
      await mountWorkspace(at);
      await putAway(at);
      litter(`${at.folder}.plain`);
    },
    'a draft is mounted': async (at) => {
      const draft = { ...at, folder: `${at.folder}.draft`, image: `${at.image}.draft` };
      await mountWorkspace(draft);
    },
  };
  for (const [name, make] of Object.entries(states)) {
    const workspace = fresh(context);
    litter(workspace.folder);
    const before = contentOf(workspace.folder);
    await make(workspace);
    await mountWorkspace(workspace);
    assert.equal(contentOf(workspace.folder), before, name);
    assert.deepEqual(readdirSync(join(workspace.folder, '..')).sort(), ['workspace', 'workspace.img'], name);
  }
});

test('a larger limit makes it larger, a smaller one smaller, and one below what is in it changes nothing', {
  skip,
}, async (context) => {
  const workspace = fresh(context);
  litter(workspace.folder);
  await mountWorkspace(workspace);
  const before = contentOf(workspace.folder);
  const again = async (bytes: number): Promise<string | null> => {
    await putAway(workspace);
    return mountWorkspace({ ...workspace, bytes });
  };
  assert.equal(await again(96 * MIB), null);
  assert.ok(sizeOf(workspace.folder) > 64 * MIB);
  assert.equal(await again(48 * MIB), null);
  assert.ok(sizeOf(workspace.folder) < 48 * MIB);
  writeFileSync(join(workspace.folder, 'large'), Buffer.alloc(24 * MIB, 'x'));
  assert.match((await again(16 * MIB))!, /keeps its 50331648 bytes: .*No space left/);
  execFileSync('rm', [join(workspace.folder, 'large')]);
  assert.equal(contentOf(workspace.folder), before);
});

test('what was written is in the image when it is unmounted, though somebody has a copy of all mounts', {
  skip,
}, async (context) => {
  const workspace = fresh(context);
  await mountWorkspace(workspace);
  const holder = spawn('unshare', ['--mount', '--propagation', 'private', 'sh', '-c', 'echo there; exec sleep 60'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  context.after(() => holder.kill('SIGKILL'));
  await once(holder.stdout, 'data');
  writeFileSync(join(workspace.folder, 'kept'), 'yes');
  assert.ok(await unmountWorkspace(workspace.folder));
  assert.notEqual(loopOf(workspace.image), null, 'it is held');
  const copy = fresh(context);
  copyFileSync(workspace.image, copy.image);
  await mountWorkspace(copy);
  assert.equal(readFileSync(join(copy.folder, 'kept'), 'utf8'), 'yes');
  await putAway(copy);
  holder.kill('SIGKILL');
  await putAway(workspace);
});

test('a limit that changes while it is in use: larger at once where the kernel lets it, smaller at the next start', {
  skip,
}, async (context) => {
  const workspace = fresh(context);
  await mountWorkspace(workspace);
  writeFileSync(join(workspace.folder, 'kept'), 'yes');
  assert.match((await mountWorkspace({ ...workspace, bytes: 16 * MIB }))!, /until the host starts again/);
  const grown = await mountWorkspace({ ...workspace, bytes: 96 * MIB });
  // A container's root may lack the right to grow a file system in use.
  if (grown === null) assert.ok(sizeOf(workspace.folder) > 64 * MIB);
  else assert.match(grown, /grows when the host starts again \(.+\)/);
  await putAway(workspace);
  assert.equal(await mountWorkspace({ ...workspace, bytes: 96 * MIB }), null);
  assert.ok(sizeOf(workspace.folder) > 64 * MIB);
  assert.equal(readFileSync(join(workspace.folder, 'kept'), 'utf8'), 'yes');
});

test('an image that is damaged, foreign or beside files is refused in one sentence, and nothing is deleted', {
  skip,
}, async (context) => {
  const states: Record<string, [make: (at: WorkspaceImage) => void, sentence: RegExp]> = {
    'no file system': [
      (at) => writeFileSync(at.image, Buffer.alloc(MIB)),
      /is damaged \(it holds no ext4 file system\)/,
    ],
    'cut in the middle': [(at) => truncateSync(at.image, 2 * MIB), /is damaged \(/],
    'files where it is to be mounted': [
      (at) => {
        rmdirSync(at.folder);
        litter(at.folder);
      },
      /holds files although its image .* is not mounted there/,
    ],
  };
  for (const [name, [make, sentence]] of Object.entries(states)) {
    const workspace = fresh(context);
    await mountWorkspace(workspace);
    writeFileSync(join(workspace.folder, 'kept'), 'yes');
    await putAway(workspace);
    make(workspace);
    const size = statSync(workspace.image).size;
    await assert.rejects(mountWorkspace(workspace), (error) => {
      assert.ok(error instanceof OperatingError, name);
      assert.match(error.message, sentence, name);
      assert.ok(!error.message.includes('\n') && error.fix !== undefined, name);
      return true;
    });
    assert.equal(statSync(workspace.image).size, size, name);
    assert.equal(mountAt(workspace.folder), null, name);
    assert.ok(existsSync(workspace.folder));
  }
});

function sizeOf(folder: string): number {
  const { blocks, bsize } = statfsSync(folder);
  return blocks * bsize;
}

test('what a host that was killed in its trial has left mounted does not keep the next one from images', {
  skip,
}, async (context) => {
  const home = mkdtempSync(join(tmpdir(), 'gw-'));
  context.after(() => remove(home));
  const left = { folder: join(home, 'trial', 'trial'), image: join(home, 'left.img'), uid: UID, bytes: 16 * MIB };
  await mountWorkspace(left);
  assert.equal(await imagesProblem(join(home, 'trial')), null);
  assert.equal(mountAt(left.folder), null);
});
