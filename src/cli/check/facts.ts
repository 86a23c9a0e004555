import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { arch, cpus, release, totalmem } from 'node:os';
import type { Paths } from '../../base/paths.ts';
import { showBytes } from '../../base/text.ts';
import { CHECKS, type CheckName, type CheckReport } from '../../evidence/check/report.ts';
import type { Status } from '../../evidence/status.ts';
import type { GroupShown } from '../../operations/groups.ts';
import type { Supervisor } from './processes.ts';

/** What was checked, where, and under which configuration. */
export function factsOf(paths: Paths, status: Status, supervisor: Supervisor | null): CheckReport['facts'] {
  const by = { up: 'glass up', systemd: 'systemd' };
  const facts: Record<string, string> = {
    GlassClaw: status.version,
    Node: status.node,
    Kernel: `${release()} ${arch()}`,
    Machine: `${cpus().length} processors (${cpus()[0]?.model.trim() ?? 'unknown'}), ${showBytes(totalmem())} of memory`,
    Runtime: status.runtime.name,
    'Limits of sandboxes': status.runtime.limits.map(({ name, state }) => `${name} ${state}`).join(', '),
    'Started by': supervisor === null ? 'hand' : by[supervisor.kind],
    'The account of the check': `uid ${process.getuid?.() ?? '?'}`,
    Home: status.home,
    'SHA-256 of glass.yaml': hashOfFile(paths.config),
    Channels: status.channels.map(({ name, state }) => `${name} ${state}`).join(', '),
  };
  return Object.entries(facts).map(([label, value]) => ({ label, value }));
}

function hashOfFile(path: string): string {
  try {
    return createHash('sha256').update(readFileSync(path)).digest('hex');
  } catch {
    return 'this account cannot read it';
  }
}

/** What a reader must know before the result counts for something. */
export function warningsOf(status: Status, groups: GroupShown[], only: readonly CheckName[]): string[] {
  const missing = CHECKS.filter((name) => !only.includes(name));
  return [
    ...(missing.length > 0 ? [`Not all four checks were asked for: ${missing.join(', ')} did not run.`] : []),
    ...groups
      .filter(({ in_force }) => in_force === null)
      .map(({ group }) => `Nothing of ${group} is in force: it was not inspected.`),
    ...groups
      .filter(({ in_force, edited }) => in_force !== null && edited !== null)
      .map(({ group, edited }) => `${group}: ${edited}.`),
    ...status.runtime.limits
      .filter(({ state }) => state !== 'enforced')
      .map(({ name, state, reason }) => `The limit ${name} is ${state} on this machine: ${reason}.`),
    ...status.alerts.map(({ id, text }) => `An alert stood already (${id}): ${text}`),
    ...status.conservation.violations.map((text) => `A law of conservation was broken already: ${text}.`),
  ];
}
