import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { hostname, release } from 'node:os';
import { listed, type Report, textOf } from './report.ts';

/** What this process is: its identity, environment, namespaces, limits and open files. */

const STATUS_FIELDS = [
  ...['Uid', 'Gid', 'Groups', 'CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp'],
];
const NAMESPACES = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts'];
const SECRET_NAME = /key|token|secret|passw|credential/i;
const SECRET_VALUE = /-----BEGIN|\b(sk-|ghp_|gho_|github_pat_|xox[abp]-|AKIA|glpat-|eyJ)[\w-]{8}/;
/** What every process may have open, besides its standard streams: Node's own event loop, and covered descriptors. */
const OWN_DESCRIPTOR = /^(anon_inode:|pipe:|\/dev\/null$|\/proc\/)/;

export function observeProcess(report: Report): void {
  observeIdentity(report);
  observeEnvironment(report);
  for (const name of NAMESPACES)
    report.saw(
      `namespace.${name}`,
      textOf(() => readlinkSync(`/proc/self/ns/${name}`)),
    );
  report.saw('descriptors', listed(foreignDescriptors()));
  observeLimits(report);
}

function observeIdentity(report: Report): void {
  const status = textOf(() => readFileSync('/proc/self/status', 'utf8'));
  for (const field of STATUS_FIELDS) {
    // Said, not left out: a kernel that has no such line is another thing than an observer that did not come to it.
    const value = new RegExp(`^${field}:[ \\t]*(.*)$`, 'm').exec(status)?.[1] ?? 'no such line';
    report.saw(`status.${field}`, value.trim().replace(/\s+/g, ' '));
  }
  report.tried('set.uid', () => process.setuid!(0));
  report.tried('set.gid', () => process.setgid!(0));
  report.tried('set.groups', () => process.setgroups!([0]));
  report.saw('hostname', hostname());
  report.saw('kernel', release());
  const stat = textOf(() => readFileSync('/proc/self/stat', 'latin1'));
  // Behind the name in brackets: state, parent, process group, session. A leader outside this namespace shows as 0.
  report.saw('session', stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3] === '0' ? 'of the host' : 'own');
}

/** Names only: a value that should not be here must not be carried out of here. */
function observeEnvironment(report: Report): void {
  report.saw('env.names', listed(Object.keys(process.env)));
  const suspicious = Object.entries(process.env).filter(
    ([name, value]) => SECRET_NAME.test(name) || SECRET_VALUE.test(value ?? ''),
  );
  report.saw('env.secrets', listed(suspicious.map(([name]) => name)));
  const first = textOf(() => {
    const names = readFileSync('/proc/1/environ', 'utf8').split('\0').filter(Boolean);
    return listed(names.map((entry) => entry.split('=')[0]!));
  });
  report.saw('env.first', first);
}

/** Both ends of the event loop's own pipes are open here; a pipe of which one end is, leads out. */
function foreignDescriptors(): string[] {
  const targets = readdirSync('/proc/self/fd')
    .filter((fd) => Number(fd) > 2)
    .map((fd) => textOf(() => readlinkSync(`/proc/self/fd/${fd}`)));
  const leadsOut = (target: string): boolean =>
    target.startsWith('pipe:') && targets.filter((other) => other === target).length === 1;
  return targets.filter((target) => target !== 'ENOENT' && (leadsOut(target) || !OWN_DESCRIPTOR.test(target)));
}

function observeLimits(report: Report): void {
  const limits = textOf(() => readFileSync('/proc/self/limits', 'utf8'));
  for (const [name, label, letter] of [
    ['open_files', 'Max open files', 'n'],
    ['core', 'Max core file size', 'c'],
  ] as const) {
    const found = new RegExp(`^${label}\\s+(\\S+)\\s+(\\S+)`, 'm').exec(limits);
    report.saw(`limit.${name}`, found === null ? limitsOfShell(letter) : `${found[1]} ${found[2]}`);
  }
  report.saw('limit.processes', /^Max processes\s+(\S+)/m.exec(limits)?.[1] ?? 'unknown');
  report.saw('limit.pids', firstOf(['/sys/fs/cgroup/pids/pids.max', '/sys/fs/cgroup/pids.max']));
  // Version 2 puts the period behind the quota.
  const quota = firstOf(['/sys/fs/cgroup/cpu/cpu.cfs_quota_us', '/sys/fs/cgroup/cpu.max']);
  report.saw('limit.cpus', quota.split(' ')[0]!);
  report.saw('limit.memory', firstOf(['/sys/fs/cgroup/memory/memory.limit_in_bytes', '/sys/fs/cgroup/memory.max']));
}

/** Soft and hard, where /proc has no file of them (gVisor): a shell asks the kernel. */
function limitsOfShell(letter: string): string {
  const script = `echo $(ulimit -S${letter}) $(ulimit -H${letter})`;
  return textOf(() =>
    execFileSync('/bin/sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'] })
      .toString()
      .trim(),
  );
}

/** The content of the first of the files that is there, or the code of the last one's refusal. */
function firstOf(paths: string[]): string {
  const found = paths.map((path) => textOf(() => readFileSync(path, 'utf8').trim()));
  return found.find((text) => !/^E[A-Z]+$/.test(text)) ?? found.at(-1)!;
}
