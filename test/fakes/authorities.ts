import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { type Authority, readGroup } from '../../src/authority/authority.ts';
import { placesOf } from '../../src/authority/mounts.ts';
import { keepAuthority } from '../../src/authority/store.ts';
import { type InstallConfig, readInstall } from '../../src/base/config.ts';
import type { Paths } from '../../src/base/paths.ts';
import type { ControlClient } from '../../src/cli/control_client.ts';
import type { Plan } from '../../src/operations/groups.ts';

/** Groups of tests, read and applied by the code that ships. */

export function readFixture(
  file: string,
  install: Pick<InstallConfig, 'runtime' | 'onecli'> = { runtime: 'bubblewrap' },
  group = 'assistant',
): Authority {
  return readGroup(
    group,
    file,
    install,
    placesOf({ state: ['/nonexistent'], root: '/nonexistent', writable: [], engines: [], others: [] }),
  );
}

/** Writes a group's file and what a host would have applied of it; returns the hash that `open` of the gateway wants. */
export function keptGroup(paths: Paths, group: string, yaml: string): string {
  const { folder, yaml: file } = paths.group(group);
  for (const made of [folder, paths.authorities]) mkdirSync(made, { recursive: true });
  writeFileSync(file, yaml);
  const install = existsSync(paths.config) ? readInstall(paths.config) : undefined;
  return keepAuthority(paths.authorities, readFixture(file, install, group));
}

/** What the operator does with `glass group apply`. */
export async function applyGroup(control: ControlClient, group: string): Promise<Plan> {
  const { hash } = await control.call<Plan>('group_plan', { group });
  return control.call<Plan>('group_apply', { group, hash });
}
