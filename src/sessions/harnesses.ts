import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Authority } from '../authority/authority.ts';
import type { HarnessName } from '../base/config.ts';
import { OperatingError } from '../base/errors.ts';

/** Harnesses with packages of their own. `probe` needs none. */
const PACKAGED: Record<HarnessName, boolean> = { probe: false, native: true, claude: true };

/**
 * Which harness a group runs now. `auto` is `claude` once the credential of its model is in the vault, and the stand-in
 * until then; a harness that is named is never replaced by another.
 */
export function effectiveHarness(
  authority: Pick<Authority, 'harness' | 'model'>,
  secrets: ReadonlySet<string>,
): HarnessName {
  if (authority.harness !== 'auto') return authority.harness;
  const { provider, secret } = authority.model;
  if (secret !== null && !secrets.has(secret)) return 'probe';
  return provider === 'anthropic' ? 'claude' : 'native';
}

export function harnessFolder(root: string, name: HarnessName): string {
  return join(root, 'sandbox/harnesses', name);
}

/** The file that an installation ends with, and what it then says: for which lock file the packages are complete. */
export function installStamp(root: string, name: HarnessName): { file: string; content: string } {
  const folder = harnessFolder(root, name);
  const content = createHash('sha256')
    .update(readFileSync(join(folder, 'package-lock.json')))
    .digest('hex');
  return { file: join(folder, 'node_modules/.glass-complete'), content };
}

/** False too when an installation was cut short, or was made for another version of GlassClaw. */
export function isInstalled(root: string, name: HarnessName): boolean {
  if (!PACKAGED[name]) return true;
  try {
    const stamp = installStamp(root, name);
    return readFileSync(stamp.file, 'utf8').trim() === stamp.content;
  } catch {
    return false;
  }
}

/** Throws `OperatingError('unavailable')` with the command that installs it. */
export function requireInstalled(root: string, name: HarnessName): void {
  if (!isInstalled(root, name)) {
    throw new OperatingError('unavailable', `the harness ${name} is not installed`, `./glass harness install ${name}`);
  }
}
