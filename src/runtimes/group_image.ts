import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { canonicalPackages, type Packages } from '../authority/packages.ts';
import { OperatingError } from '../base/errors.ts';
import { buildIn, imageId } from './build.ts';
import type { Engine } from './engine.ts';
import { fetchWheels, installNpm } from './fetch.ts';
import { packagesPrefix, packagesRecipe, packagesTag } from './packages.ts';
import type { OnProgress } from './tool.ts';

/**
 * A group's image: the install's image with the group's packages on top. Works without an image registry, because the
 * base is the engine's own; packages come from wherever the host gets them.
 *
 * Debian's are fetched in the build, from the sources that the base names (`image.ts` made it with the host's); npm's and
 * Python's on the host, by `fetch.ts`.
 */

export interface GroupImage {
  /** The image's id, `sha256:…`: a tag may be moved, an id cannot. */
  ref: string;
  /** False: it was there already. */
  built: boolean;
}

/**
 * Builds it only when the engine has no image of that base and those packages. A long call, minutes: it streams, and
 * `onProgress` gets lines for a person. Throws `OperatingError`: `refused` for a name that is none, `unavailable` with the
 * last reason when the engine, the base or a package cannot be had.
 */
export async function buildGroupImage(
  engine: Engine,
  install: string,
  base: string,
  packages: Packages,
  onProgress: OnProgress,
): Promise<GroupImage> {
  const wanted = canonicalPackages(packages);
  const below = await imageId(engine, base);
  if (below === null)
    throw new OperatingError(
      'unavailable',
      `The image ${base} is missing`,
      `node src/runtimes/image.ts ${engine.dialect.name}`,
    );
  const tag = packagesTag(install, below, wanted);
  const present = await imageId(engine, tag);
  if (present !== null) return { ref: present, built: false };
  const context = mkdtempSync(join(tmpdir(), 'glass-image-'));
  try {
    await fillContext(context, wanted, onProgress);
    await buildIn(engine, { context, tag, args: { BASE: below } }, onProgress);
  } finally {
    rmSync(context, { recursive: true, force: true });
  }
  const ref = await imageId(engine, tag);
  if (ref === null) throw new OperatingError('unavailable', `The container engine built ${tag}, and does not have it`);
  return { ref, built: true };
}

/**
 * Takes the names of this install off the images that are not `used`; the engine removes what has no other name, and keeps
 * what a container runs on. Resolves with the names. Throws `OperatingError('unavailable')`.
 */
export async function pruneGroupImages(engine: Engine, install: string, used: Set<string | null>): Promise<string[]> {
  const { body } = await engine.expect('GET', '/images/json');
  const gone = (body as { Id: string; RepoTags: string[] | null }[])
    .filter(({ Id }) => !used.has(Id))
    .flatMap(({ RepoTags }) => RepoTags ?? [])
    .filter((tag) => tag.includes(packagesPrefix(install)));
  for (const tag of gone) await engine.expect('DELETE', `/images/${tag}`, undefined, [404, 409]);
  return gone;
}

async function fillContext(context: string, packages: Packages, onProgress: OnProgress): Promise<void> {
  writeFileSync(join(context, 'Dockerfile'), packagesRecipe(packages));
  if (packages.npm.length > 0) await installNpm(packages.npm, join(context, 'npm'), onProgress);
  if (packages.pip.length > 0) await fetchWheels(packages.pip, join(context, 'wheels'), onProgress);
}
