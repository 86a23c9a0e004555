import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { canonicalPackages, type Packages } from '../authority/packages.ts';
import { messageOf, OperatingError } from '../base/errors.ts';
import { IMAGE_BUILD_MS } from '../base/limits/sandbox.ts';
import { DEBIAN, type Debian, makeDebian } from './debian.ts';
import { fetchWheels, installNpm } from './fetch.ts';
import { removeTree } from './image_tools.ts';
import { PIP_INSTALLER, packagesHash, pipInstall } from './packages.ts';
import { type OnProgress, startTool } from './tool.ts';
import { finishEtc } from './userland.ts';

/**
 * An unpacked root of Debian packages: the system files of a bubblewrap sandbox that is to have others than the host's,
 * or more. `<cache>/roots/<hash>` belongs to the host's user, is made beside its place and renamed when it is complete,
 * and is only ever bound read-only.
 */

export interface Root {
  /** Absolute path, for `SandboxSpec.userland`. */
  ref: string;
  /** False: it was there already. */
  built: boolean;
}

const DRAFT = 'draft-';

/** Files of a root that hold nothing a sandbox is given, or that only root could make. */
const LEFT_OUT = ['./dev/*', './proc/*', './sys/*', './var/cache/*', './var/lib/apt/*'];

/**
 * Makes the root for these packages unless it is there. A minute or two; it streams, and `onProgress` gets lines for a
 * person. Throws `OperatingError`: `refused` for a name that is none, `unavailable` with the last reason.
 */
export async function makeRoot(cache: string, packages: Packages, onProgress: OnProgress): Promise<Root> {
  const wanted = canonicalPackages(packages);
  const roots = join(cache, 'roots');
  const place = join(roots, packagesHash(DEBIAN, wanted));
  if (existsSync(place)) return { ref: place, built: false };
  mkdirSync(roots, { recursive: true, mode: 0o700 });
  const draft = mkdtempSync(join(roots, DRAFT));
  const wheels = mkdtempSync(join(tmpdir(), 'glass-wheels-'));
  try {
    // Sandboxes read it under other uids.
    chmodSync(draft, 0o755);
    // First what fails within seconds.
    if (wanted.npm.length > 0) await installNpm(wanted.npm, join(draft, 'usr/local'), onProgress);
    if (wanted.pip.length > 0) await fetchWheels(wanted.pip, wheels, onProgress);
    await unpack(draft, wanted, wheels, onProgress);
    finishEtc(join(draft, 'etc'));
    renameSync(draft, place);
    return { ref: place, built: true };
  } catch (error) {
    // Another process of this install was quicker; its content is the same by its name.
    if (existsSync(place)) return { ref: place, built: false };
    if (error instanceof OperatingError) throw error;
    throw new OperatingError('unavailable', `A root cannot be made (${messageOf(error)})`, undefined, error);
  } finally {
    for (const folder of [draft, wheels]) rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * Removes the roots that are not `used`, and drafts that are older than a making can take. Resolves with their paths.
 * Rejects when one cannot be removed.
 */
export async function pruneRoots(cache: string, used: Set<string | null>): Promise<string[]> {
  const roots = join(cache, 'roots');
  const isOld = (path: string): boolean => Date.now() - statSync(path).ctimeMs > IMAGE_BUILD_MS;
  const gone = (existsSync(roots) ? readdirSync(roots) : [])
    .map((name) => join(roots, name))
    .filter((path) => !used.has(path) && (!path.startsWith(join(roots, DRAFT)) || isOld(path)));
  for (const path of gone) {
    // Out of its place first: what a removal leaves that was cut short must not be taken for a root.
    const draft = mkdtempSync(join(roots, DRAFT));
    renameSync(path, draft);
    await removeTree(draft);
  }
  return gone;
}

async function unpack(draft: string, packages: Packages, wheels: string, onProgress: OnProgress): Promise<void> {
  const maker = makeDebian(planOf(packages, wheels), onProgress);
  const left = LEFT_OUT.map((pattern) => `--exclude=${pattern}`);
  const tar = ['tar', '-x', '-C', draft, '--no-same-owner', '--preserve-permissions', ...left];
  const unpacker = startTool(tar, 'install tar', onProgress, maker.output);
  unpacker.output.resume();
  // The maker's reason comes first: half a tar is only its consequence.
  await maker.ended;
  await unpacker.ended;
}

/** Python's packages are installed while the root is made, and have to be where its own pip sees them. */
function planOf({ apt, pip }: Packages, wheels: string): Debian {
  const closed = 'find "$1" -xdev -perm /6000 -type f -exec chmod a-s {} +';
  if (pip.length === 0) return { include: apt, hooks: [closed] };
  const install = `chroot "$1" ${pipInstall(pip, '/tmp/wheels')}`;
  const hooks = [`cp -r ${quoted(wheels)} "$1/tmp/wheels"`, install, 'rm -r "$1/tmp/wheels"', closed];
  return { include: [...apt, PIP_INSTALLER], hooks };
}

/** A path as one word of a shell. */
function quoted(path: string): string {
  return `'${path.replaceAll("'", "'\\''")}'`;
}
