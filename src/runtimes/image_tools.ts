import { execFile } from 'node:child_process';
import { closeSync, openSync, readSync } from 'node:fs';
import { OperatingError } from '../base/errors.ts';
import {
  IMAGE_LISTING_BYTES_MAX,
  IMAGE_TOOL_MS,
  WORKSPACE_BYTES_PER_FILE,
  WORKSPACE_MOVE_MS,
} from '../base/limits/sandbox.ts';

/**
 * The system's own programs around an ext4 image. Argument vectors are pure; `run` executes one.
 *
 * A program outlives a host that is killed, and two that repair one image at once would destroy it: whatever writes to an
 * image holds a lock on its file.
 */

export interface Ran {
  code: number;
  /** Standard output; bytes as they are, for names are bytes. */
  out: string;
  /** One line of the error output. */
  complaint: string;
}

const ENV = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };
const LOCK_SECONDS = String(IMAGE_TOOL_MS / 1000);

/** Mounted like this, what a group wrote is neither a device nor set-uid for anybody, in whatever way it is bound further. */
const MOUNT_OPTIONS = 'loop,rw,nosuid,nodev,noatime';

/** Resolves with how it ended; code -1 when it could not start or did not end within `within_ms`. Never rejects. */
export function run(argv: string[], within_ms = IMAGE_TOOL_MS): Promise<Ran> {
  const options = {
    env: ENV,
    timeout: within_ms,
    killSignal: 'SIGKILL' as const,
    maxBuffer: IMAGE_LISTING_BYTES_MAX,
    encoding: 'latin1' as const,
  };
  return new Promise((resolve) => {
    execFile(argv[0]!, argv.slice(1), options, (error, out, err) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, out, complaint: complaintOf(err) || (error?.message.split('\n')[0] ?? '') });
    });
  });
}

/** The first line in which a program complains by its name; some begin with their version. */
function complaintOf(stderr: string): string {
  const lines = stderr.trim().split('\n');
  return lines.find((line) => /^[\w.-]+: /.test(line)) ?? lines[0]!;
}

/** As `run`, but a failure is an `OperatingError('unavailable')`: `<what>: <complaint>`. */
export async function must(what: string, argv: string[], within_ms = IMAGE_TOOL_MS): Promise<string> {
  const { code, out, complaint } = await run(argv, within_ms);
  if (code !== 0) throw new OperatingError('unavailable', `${what}: ${complaint || `exit code ${code}`}`);
  return out;
}

/**
 * Removes a folder. By the system's own `rm`: names are bytes, and need not be text; there may be millions, deeper than a path
 * is long. What an agent has closed to this account is opened first. Never rejects.
 */
export async function removeTree(folder: string): Promise<void> {
  const script = 'chmod -R u+rwX -- "$1"; rm -rf --one-file-system -- "$1"';
  await run(['sh', '-c', script, 'sh', folder], WORKSPACE_MOVE_MS);
}

function locked(image: string, argv: string[]): string[] {
  return ['flock', '--no-fork', '--timeout', LOCK_SECONDS, image, ...argv];
}

/** An empty file system whose root belongs to `uid`. It is mounted read-only by the kernel as soon as it is found damaged. */
export function makeArgv(image: string, uid: number): string[] {
  // Tables and journal are left sparse: 20 ms and 1 MiB for an image of 2 GiB, instead of 80 MiB of zeros.
  const extended = `root_owner=${uid}:${uid},lazy_itable_init=1,lazy_journal_init=1,nodiscard`;
  const inodes = ['-i', String(WORKSPACE_BYTES_PER_FILE)];
  return locked(image, ['mkfs.ext4', '-q', '-F', '-m', '0', '-e', 'remount-ro', ...inodes, '-E', extended, image]);
}

/** `mount` takes the loop device that has this file already: two of them would be two file systems that destroy each other. */
export function mountArgv(image: string, folder: string): string[] {
  return locked(image, ['mount', '-t', 'ext4', '-o', MOUNT_OPTIONS, image, folder]);
}

/** Replays the journal and repairs what is safe to repair; 15 ms for a clean one. Codes above 1: it needs a person. */
export function repairArgv(image: string, thorough: boolean): string[] {
  return locked(image, ['e2fsck', '-p', ...(thorough ? ['-f'] : []), image]);
}

/** `target` is the image while it is not mounted, else its loop device. */
export function growArgv(image: string, target: string): string[] {
  return locked(image, ['resize2fs', target]);
}

/** Links, pipes, modes, owners and times as they are; nothing is followed. */
export function copyArgv(from: string, to: string): string[] {
  return ['cp', '-a', '--sparse=always', '--one-file-system', '--', `${from}/.`, to];
}

/** One record for each entry: kind, mode, owner, target, size of files, name. `lost+found` belongs to the file system. */
export function listArgv(folder: string): string[] {
  const files = ['-type', 'f', '-printf', String.raw`%s %m %U %P\0`];
  const others = ['-printf', String.raw`%y %m %U %l %P\0`];
  return ['find', folder, '-mindepth', '1', '-xdev', '(', ...files, ')', '-o', ...others];
}

const SUPERBLOCK_AT = 1024;
const SUPERBLOCK_BYTES = 1024;

/** Size of the ext4 file system in an image, in bytes; null when it holds none. Throws what reading a file throws. */
export function imageBytes(image: string): number | null {
  const block = Buffer.alloc(SUPERBLOCK_BYTES);
  const fd = openSync(image, 'r');
  try {
    readSync(fd, block, 0, SUPERBLOCK_BYTES, SUPERBLOCK_AT);
  } finally {
    closeSync(fd);
  }
  return superblockBytes(block);
}

/** Pure: blocks times their size, from the fields that ext4 documents. */
export function superblockBytes(block: Buffer): number | null {
  if (block.readUInt16LE(0x38) !== 0xef53) return null;
  const blocks = block.readUInt32LE(0x4) + block.readUInt32LE(0x150) * 2 ** 32;
  return blocks * 1024 * 2 ** block.readUInt32LE(0x18);
}
