import { join } from 'node:path';
import type { Authority } from '../authority/authority.ts';
import type { HarnessName } from '../base/config.ts';
import { OperatingError } from '../base/errors.ts';
import { isComplete, type PackageSet } from '../base/packages.ts';

/** Megabytes of their packages. `probe` needs none. */
const PACKAGES_MB: Record<HarnessName, number> = { probe: 0, native: 30, claude: 430 };

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

/** What is installed for a harness; null: it needs no packages. */
export function packagesOf(root: string, name: HarnessName): PackageSet | null {
  const size_mb = PACKAGES_MB[name];
  const command = `./glass harness install ${name}`;
  return size_mb === 0 ? null : { title: `the harness ${name}`, folder: harnessFolder(root, name), size_mb, command };
}

export function isInstalled(root: string, name: HarnessName): boolean {
  return PACKAGES_MB[name] === 0 || isComplete(harnessFolder(root, name));
}

/** Throws `OperatingError('unavailable')` with the command that installs it. */
export function requireInstalled(root: string, name: HarnessName): void {
  if (!isInstalled(root, name)) {
    throw new OperatingError('unavailable', `the harness ${name} is not installed`, `./glass harness install ${name}`);
  }
}
