import { execFile, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { codeOf, listed, type Report, textOf } from './report.ts';

/** Whether any set-uid or set-gid program of the userland gives its caller another identity. */

/** Where distributions put them. All of /usr would take a second, and say no more: one that raises is one too many. */
const PROGRAM_FOLDERS = ['/usr/bin', '/usr/sbin', '/usr/local/bin', '/usr/lib', '/usr/libexec'];
const SEARCH_MS = 3000;
/** A userland has a dozen; each costs a process. */
const PROGRAMS_MAX = 30;

export async function observeSetId(report: Report): Promise<void> {
  let programs: string[];
  try {
    const there = PROGRAM_FOLDERS.filter((folder) => existsSync(folder));
    const words = [...there, '-maxdepth', '2', '-xdev', '-type', 'f', '-perm', '/6000'];
    const { stdout } = await promisify(execFile)('/usr/bin/find', words, { timeout: SEARCH_MS, cwd: '/' });
    programs = stdout.split('\n').filter(Boolean).slice(0, PROGRAMS_MAX);
  } catch (error) {
    report.notRun('set_id.raised', `find: ${codeOf(error)}`);
    return;
  }
  if (programs.length === 0) report.notRun('set_id.raised', 'there is no such program in this userland');
  else report.saw('set_id.raised', listed(programs.filter(raises)));
}

/** Reads the identity right after the exec; the kernel keeps it until the process is collected, however soon it ends. */
function raises(program: string): boolean {
  const child = spawn(program, ['--version'], { stdio: 'ignore', cwd: '/' });
  child.on('error', () => {});
  if (child.pid === undefined) return false;
  const own = idsOf('self');
  const its = idsOf(String(child.pid));
  child.kill('SIGKILL');
  return its !== own;
}

function idsOf(process: string): string {
  const status = textOf(() => readFileSync(`/proc/${process}/status`, 'utf8'));
  return /^Uid:.*\nGid:.*$/m.exec(status)?.[0] ?? status;
}
