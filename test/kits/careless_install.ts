import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ScriptedInstall, scriptedInstall } from '../fakes/scripted_group.ts';

/** For agents that try to get out: an install with one file that they must not reach. */
export const LIMITS = 'limits: {memory: 512MiB, pids: 64, turn: 60s}\n';

/** `outside`: the folder of that file. As careless as can be: only the mount stands between the agent and its own instructions. */
export async function carelessInstall(): Promise<{ made: ScriptedInstall; outside: string }> {
  const made = await scriptedInstall(LIMITS);
  const outside = join(made.install.paths.home, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'file'), 'untouched');
  const { instructions, skills } = made.install.paths.group('assistant');
  writeFileSync(instructions, 'Be brief.');
  chmodSync(instructions, 0o666);
  chmodSync(skills, 0o777);
  return { made, outside };
}
