import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { InspectionTask } from '../../src/protocol/inspection.ts';
import { listed, outcomeOf, type Report, textOf } from './report.ts';

/** What can be seen, opened, written and linked. Nothing is ever written but in folders that are there to be written. */

export function observeFiles(report: Report, task: InspectionTask): void {
  for (const path of task.opens) report.tried(`open.${path}`, () => closeSync(openSync(path, constants.O_WRONLY)));
  for (const path of task.touches) report.tried(`touch.${path}`, () => chmodSync(path, statSync(path).mode & 0o7777));
  for (const { name, path } of task.absent)
    report.saw(
      `absent.${name}`,
      outcomeOf(() => statSync(path)),
    );
  for (const path of task.writes) report.tried(`write.${path}`, () => writeAndRemove(path, task.nonce));
  for (const path of task.reads) report.tried(`read.${path}`, () => readAny(path));
  for (const path of task.sizes) report.saw(`size.${path}`, sizeOf(path));
  report.saw(
    'mounts',
    textOf(() => readFileSync('/proc/self/mountinfo', 'utf8').trim()),
  );
  for (const path of ['/', '/dev', '/run', '/sys'])
    report.saw(
      `list.${path}`,
      textOf(() => listed(readdirSync(path))),
    );
  report.saw(
    'list./etc',
    textOf(() => listed(filesBelow('/etc'))),
  );
  report.saw(
    'resolver',
    textOf(() => readFileSync('/etc/resolv.conf', 'utf8').replace(/^#.*$/gm, '').trim() || 'none'),
  );
  report.tried('read./proc/kcore', () => readStart('/proc/kcore'));
  report.tried('read./proc/kmsg', () => readStart('/proc/kmsg'));
  report.tried('read./proc/1/mem', () => closeSync(openSync('/proc/1/mem', constants.O_RDONLY)));
  report.tried('own', () => makeRootsOwn(task.escape.folder, task.nonce));
  observeEscapes(report, task);
}

/** A set-uid program raises whoever starts it to its owner: one of root's is to be impossible where no mount ignores the bit. */
function makeRootsOwn(folder: string, nonce: string): void {
  const file = join(folder, `.glass-inspect-${nonce}`);
  writeFileSync(file, '', { mode: 0o700, flag: 'wx' });
  try {
    chownSync(file, 0, 0);
    chmodSync(file, 0o4755);
  } finally {
    rmSync(file);
  }
}

/** Links out of the workspace: a symbolic one leads nowhere, a hard one cannot be made, `..` ends at the root. */
function observeEscapes(report: Report, task: InspectionTask): void {
  const { folder, symlinkTo, hardlinks } = task.escape;
  const link = join(folder, `.glass-inspect-${task.nonce}`);
  const through = outcomeOf(() => {
    symlinkSync(symlinkTo, link);
    readdirSync(link);
  });
  rmSync(link, { force: true });
  report.saw('escape.symlink', through);
  const made = hardlinks.filter((path) => {
    const outcome = outcomeOf(() => linkSync(path, link));
    rmSync(link, { force: true });
    return outcome === 'ok';
  });
  report.saw('escape.hardlink', listed(made));
  const above = outcomeOf(() => {
    const [root, climbed] = [statSync('/'), statSync(`${folder}/../../../../..`)];
    if (root.dev !== climbed.dev || root.ino !== climbed.ino) throw new Error('another folder');
  });
  report.saw('escape.parent', above);
}

function writeAndRemove(folder: string, nonce: string): void {
  const file = join(folder, `.glass-inspect-${nonce}`);
  writeFileSync(file, nonce, { flag: 'wx' });
  rmSync(file);
}

function readAny(path: string): void {
  if (statSync(path).isDirectory()) readdirSync(path);
  else readStart(path);
}

function readStart(path: string): void {
  // Never waits: a kernel log without news would.
  closeSync(openSync(path, constants.O_RDONLY | constants.O_NONBLOCK));
}

function sizeOf(path: string): string {
  return textOf(() => {
    const { blocks, bsize } = statfsSync(path);
    return String(blocks * bsize);
  });
}

/** Paths of everything that is no folder, below `folder`; a folder that is closed stands for what is in it. */
function filesBelow(folder: string, prefix = ''): string[] {
  return readdirSync(join(folder, prefix), { withFileTypes: true }).flatMap((entry) => {
    const name = join(prefix, entry.name);
    if (!entry.isDirectory()) return [name];
    try {
      return filesBelow(folder, name);
    } catch {
      return [`${name}/`];
    }
  });
}
