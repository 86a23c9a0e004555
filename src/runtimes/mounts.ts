import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';

/** What the kernel says about mounts and loop devices, as this process sees them. */

export interface Mount {
  target: string;
  /** What is mounted: `/dev/loop3`, `tmpfs`. */
  source: string;
  /** The file system itself was turned read-only, by an error for example. */
  readOnly: boolean;
}

/** Pure: the rows of a `/proc/<pid>/mountinfo`. */
export function parseMounts(mountinfo: string): Mount[] {
  return mountinfo.split('\n').flatMap((line) => {
    const [before = '', after = ''] = line.split(' - ');
    const target = before.split(' ')[4];
    const [, source, options] = after.split(' ');
    if (target === undefined || source === undefined || options === undefined) return [];
    return [{ target: fromOctal(target), source: fromOctal(source), readOnly: options.split(',').includes('ro') }];
  });
}

/** The newest mount on exactly this path, or null. */
export function mountAt(path: string): Mount | null {
  return mounts().findLast((mount) => mount.target === path) ?? null;
}

/** Mounts below a folder, the deepest first: the order in which they can be undone. */
export function mountsBelow(folder: string): Mount[] {
  const below = mounts().filter((mount) => mount.target.startsWith(`${folder}/`));
  return below.sort((a, b) => b.target.length - a.target.length);
}

/** The loop device that has the file open, whoever mounted it and wherever; null: none has. */
export function loopOf(file: string): string | null {
  const devices = readdirSync('/sys/block').filter((name) => name.startsWith('loop'));
  const found = devices.find((name) => backingFile(name) === file);
  return found === undefined ? null : `/dev/${found}`;
}

/** The file behind `/dev/loop3`; null for everything else. */
export function fileOfLoop(device: string): string | null {
  return /^\/dev\/loop\d+$/.test(device) ? backingFile(basename(device)) : null;
}

function mounts(): Mount[] {
  return parseMounts(readFileSync('/proc/self/mountinfo', 'utf8'));
}

function backingFile(loop: string): string | null {
  try {
    return readFileSync(`/sys/block/${loop}/loop/backing_file`, 'utf8').replace(/\n$/, '');
  } catch {
    return null; // the device is free
  }
}

/** The kernel writes blank, tab, newline and backslash in octal. */
function fromOctal(text: string): string {
  return text.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
