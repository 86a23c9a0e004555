import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { harnessSchema, type RuntimeName } from '../base/config.ts';
import { VERSION_ASK_MS } from '../base/limits/telemetry.ts';
import { VERSION } from '../base/version.ts';
import type { Versions } from '../evidence/status.ts';
import { LAUNCH_ENV } from '../runtimes/bubblewrap_check.ts';
import { harnessFolder } from '../sessions/harnesses.ts';

const PROGRAMS: Record<RuntimeName, string> = { bubblewrap: 'bwrap', docker: 'docker', podman: 'podman' };

/** What runs here, without what only the ledger knows. Starts one program; never rejects. */
export async function versionsHere(root: string, runtime: RuntimeName): Promise<Omit<Versions, 'schema'>> {
  return {
    glassclaw: VERSION,
    node: process.versions.node,
    sqlite: process.versions['sqlite'] ?? null,
    kernel: release(),
    runtime: await programVersion(PROGRAMS[runtime]),
    harnesses: Object.fromEntries(harnessSchema.options.map((name) => [name, packagesAt(harnessFolder(root, name))])),
  };
}

/** `0.8.0` of what `<program> --version` says; null: it is not there. */
async function programVersion(program: string): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)(program, ['--version'], { env: LAUNCH_ENV, timeout: VERSION_ASK_MS });
    return /\d+(?:\.\d+)+/.exec(stdout)?.[0] ?? null;
  } catch {
    return null;
  }
}

/** The packages that a harness's folder names, as they are pinned; none for one that is built in. */
function packagesAt(folder: string): Record<string, string> {
  try {
    const { dependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    return dependencies ?? {};
  } catch {
    return {};
  }
}
