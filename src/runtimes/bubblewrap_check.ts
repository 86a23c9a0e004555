import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { messageOf } from '../base/errors.ts';
import { RUNTIME_CHECK_MS } from '../base/limits/sandbox.ts';
import { seccompArch } from './seccomp.ts';

/** Whether bubblewrap works on this machine, and else what to do about it. */

/**
 * Nothing of this process's environment reaches a launcher but where its tools are. First a copy of bubblewrap of our own,
 * where there is one: AppArmor gives the right to make user namespaces by path.
 */
export const LAUNCH_ENV = {
  PATH: '/usr/local/lib/glassclaw:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
};

/** Sentences with the fix; empty when sandboxes can start. */
export async function checkBubblewrap(): Promise<string[]> {
  if (seccompArch(process.arch) === null) return [`There is no system call filter for ${process.arch}`];
  const missing = ['bwrap', 'setpriv', 'unshare', 'prlimit', 'mount'].filter((tool) => !onPath(tool));
  if (missing.includes('bwrap')) return ['bubblewrap is not installed: apt install bubblewrap'];
  if (missing.length > 0) return [`${missing.join(', ')} not found: apt install util-linux mount`];
  return tryBubblewrap();
}

function onPath(tool: string): boolean {
  return LAUNCH_ENV.PATH.split(':').some((folder) => existsSync(join(folder, tool)));
}

/** The smallest sandbox with the namespaces that ours has. */
async function tryBubblewrap(): Promise<string[]> {
  const dropped = process.geteuid!() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', '--'] : [];
  const namespaces = ['--unshare-user', '--unshare-pid', '--unshare-net', '--disable-userns', '--cap-drop', 'ALL'];
  const mounts = ['--ro-bind', '/', '/', '--proc', '/proc', '--dev', '/dev'];
  const trial = [...dropped, 'bwrap', ...namespaces, ...mounts, '--', 'true'];
  try {
    await promisify(execFile)(trial[0]!, trial.slice(1), { env: LAUNCH_ENV, cwd: '/', timeout: RUNTIME_CHECK_MS });
    return [];
  } catch (error) {
    const said = typeof error === 'object' && error !== null && 'stderr' in error ? String(error.stderr) : '';
    return [whyNot(said.trim() || messageOf(error))];
  }
}

function whyNot(text: string): string {
  if (/disable-userns|Unknown option/.test(text))
    return 'bubblewrap is older than 0.8: install it newer, or set runtime: docker';
  if (/uid map|namespace|Permission denied|not permitted/i.test(text)) {
    const fix = existsSync('/proc/sys/kernel/apparmor_restrict_unprivileged_userns')
      ? './glass doctor says how to allow it (AppArmor restricts unprivileged user namespaces here)'
      : 'allow unprivileged user namespaces (sysctl user.max_user_namespaces)';
    return `bubblewrap may not make user namespaces: ${fix}`;
  }
  return `bubblewrap does not work here: ${text.split('\n').at(-1)}`;
}
