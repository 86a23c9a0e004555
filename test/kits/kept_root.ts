import { homedir } from 'node:os';
import { join } from 'node:path';
import { NO_PACKAGES } from '../../src/authority/packages.ts';
import { OperatingError } from '../../src/base/errors.ts';
import { makeRoot, type Root } from '../../src/runtimes/roots.ts';

/** A root of real packages from real registries, kept between runs because it takes a minute to make. */
export const PACKAGES = { ...NO_PACKAGES, apt: ['jq'], npm: ['semver@7.7.2'] };
export const ROOTS_CACHE = join(homedir(), '.cache/glassclaw-test');

/** A sentence: why it cannot be made on this machine. */
export async function keptRoot(): Promise<Root | string> {
  // As the host has it: what is made must be readable for sandboxes all the same.
  const mask = process.umask(0o077);
  try {
    return await made(() => makeRoot(ROOTS_CACHE, PACKAGES, () => {}));
  } finally {
    process.umask(mask);
  }
}

/** What cannot be fetched here is a reason to skip a test. */
export async function made<T>(make: () => Promise<T>): Promise<T | string> {
  try {
    return await make();
  } catch (error) {
    if (error instanceof OperatingError && error.code === 'unavailable') return error.message;
    throw error;
  }
}
