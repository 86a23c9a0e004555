import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describeError, OperatingError } from '../base/errors.ts';
import { buildIn, follow } from './build.ts';
import { makeDebian } from './debian.ts';
import { DOCKER, PODMAN } from './dialect.ts';
import { SANDBOX_IMAGE } from './docker.ts';
import { Engine, engineSocket, podmanSocket } from './engine.ts';
import type { OnProgress } from './tool.ts';

/**
 * Builds the image of an engine's sandboxes from `sandbox/image/Dockerfile`: on a Debian image of a registry, or, where
 * none can be reached, on a base that `mmdebstrap` makes of Debian packages.
 *
 *     node src/runtimes/image.ts [docker|podman]
 */

const RECIPE = fileURLToPath(new URL('../../sandbox/image', import.meta.url));
const REGISTRY_BASE = 'debian:bookworm-slim';
const LOCAL_BASE = 'glassclaw-base:local';

/**
 * Builds `SANDBOX_IMAGE`. `onProgress` gets lines for a person. Throws `OperatingError('unavailable')` with the last
 * reason when neither way works.
 */
export async function buildImage(engine: Engine, onProgress: OnProgress): Promise<void> {
  try {
    onProgress(`Building ${SANDBOX_IMAGE} on ${REGISTRY_BASE}`);
    await build(engine, REGISTRY_BASE, onProgress);
    return;
  } catch (error) {
    if (!(error instanceof OperatingError)) throw error;
    onProgress(`That did not work (${error.message}); making a base of Debian packages instead`);
  }
  await importBase(engine, onProgress);
  await build(engine, LOCAL_BASE, onProgress);
}

function build(engine: Engine, base: string, onProgress: OnProgress): Promise<void> {
  return buildIn(
    engine,
    { context: RECIPE, tag: SANDBOX_IMAGE, args: { BASE: base, RECIPE: recipeHash() } },
    onProgress,
  );
}

/** Of what the image is made by; `.ci/run` compares the label of the one that is there. */
function recipeHash(): string {
  const files = [join(RECIPE, 'Dockerfile'), fileURLToPath(new URL('debian.ts', import.meta.url))];
  return createHash('sha256')
    .update(Buffer.concat(files.map((file) => readFileSync(file))))
    .digest('hex');
}

async function importBase(engine: Engine, onProgress: OnProgress): Promise<void> {
  const maker = makeDebian({ include: [], hooks: [] }, onProgress);
  const [repo, tag] = LOCAL_BASE.split(':');
  const query = new URLSearchParams({ fromSrc: '-', repo: repo!, tag: tag! });
  // The maker's reason comes first: an engine that got half a tar only says that it is one.
  const imported = engine.stream('POST', `/images/create?${query}`, maker.output).then((s) => follow(s, onProgress));
  imported.catch(() => {});
  await maker.ended;
  await imported;
}

if (import.meta.main) {
  const [name] = process.argv.slice(2);
  const dialect = name === 'podman' ? PODMAN : DOCKER;
  const socket = name === 'podman' ? podmanSocket(process.env, process.geteuid!()) : engineSocket(process.env);
  try {
    if (socket === null) throw new OperatingError('unavailable', 'The container engine is not at a unix socket');
    await buildImage(new Engine(socket, dialect), (line) => console.log(line));
  } catch (error) {
    console.error(describeError(error));
    process.exitCode = 1;
  }
}
