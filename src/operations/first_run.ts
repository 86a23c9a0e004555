import { chmodSync, copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { isGroupName } from '../base/config.ts';
import { OperatingError } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';

/** Puts the files of a new install into its home. What exists is never touched. */
export function prepareInstall(paths: Paths): void {
  copyIfMissing(join(paths.root, 'templates/glass.yaml'), paths.config);
  if (!existsSync(paths.groups) || !existsSync(paths.group('assistant').yaml)) makeGroup(paths, 'assistant');
}

function makeGroup(paths: Paths, name: string): void {
  if (!isGroupName(name)) throw new OperatingError('usage', `"${name}" cannot be the name of a group`);
  const group = paths.group(name);
  for (const folder of [group.folder, group.skills, group.workspace])
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  copyIfMissing(join(paths.root, 'templates/assistant/group.yaml'), group.yaml);
  copyIfMissing(join(paths.root, 'templates/assistant/AGENTS.md'), group.instructions);
  // The agent's uid is another one where the host runs as root; the folders above stay closed to everybody else.
  chmodSync(group.instructions, 0o644);
  chmodSync(group.skills, 0o755);
}

function copyIfMissing(from: string, to: string): void {
  if (!existsSync(to)) copyFileSync(from, to);
}
