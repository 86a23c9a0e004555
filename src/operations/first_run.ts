import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Paths } from '../base/paths.ts';
import { copyIfMissing, makeGroup } from './groups.ts';

/** Puts the files of a new install into its home. What exists is never touched. */
export function prepareInstall(paths: Paths): void {
  copyIfMissing(join(paths.root, 'templates/glass.yaml'), paths.config);
  if (!existsSync(paths.group('assistant').yaml)) makeGroup(paths, 'assistant');
}
