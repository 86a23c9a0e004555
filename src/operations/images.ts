import type { Authority } from '../authority/authority.ts';
import type { InstallConfig } from '../base/config.ts';
import { messageOf, OperatingError } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Paths } from '../base/paths.ts';
import { imageId } from '../runtimes/build.ts';
import { DOCKER, PODMAN } from '../runtimes/dialect.ts';
import { Engine, engineSocket, podmanSocket } from '../runtimes/engine.ts';
import { buildGroupImage, pruneGroupImages } from '../runtimes/group_image.ts';
import { makeRoot, pruneRoots } from '../runtimes/roots.ts';
import type { OnProgress } from '../runtimes/tool.ts';

/**
 * Where a group's programs come from, as `SandboxSpec.userland` names it: made when its authority is applied, and only
 * when it is not there yet; null: the host's own. It may take minutes, and never holds up the host. Throws
 * `OperatingError`: `refused` for a package that is none, `unavailable` with the last reason.
 */
export async function imageOf(
  authority: Authority,
  { paths, install, env }: { paths: Paths; install: InstallConfig; env: NodeJS.ProcessEnv },
  onProgress: OnProgress,
): Promise<string | null> {
  const { userland, runtime, packages } = authority;
  if (userland === 'host') return null;
  if (runtime === 'bubblewrap') return (await makeRoot(paths.cache, packages, onProgress)).ref;
  const engine = engineOf(runtime, env);
  if (engine === null) throw new OperatingError('unavailable', `${runtime} is not at a unix socket`);
  if (Object.values(packages).some((names) => names.length > 0))
    return (await buildGroupImage(engine, paths.install, install.image, packages, onProgress)).ref;
  const id = await imageId(engine, install.image);
  if (id === null)
    throw new OperatingError(
      'unavailable',
      `The image ${install.image} is missing`,
      `node src/runtimes/image.ts ${runtime}`,
    );
  return id;
}

function engineOf(runtime: 'docker' | 'podman', env: NodeJS.ProcessEnv): Engine | null {
  const podman = runtime === 'podman';
  const socket = podman ? podmanSocket(env, process.geteuid!()) : engineSocket(env);
  return socket === null ? null : new Engine(socket, podman ? PODMAN : DOCKER);
}

type Pruning = { paths: Paths; env: NodeJS.ProcessEnv; log: Log };

/** Removes the groups' images and roots that this install made and that are not `used`. Never rejects: it logs. */
export async function pruneImages(used: Set<string | null>, { paths, env, log }: Pruning): Promise<void> {
  const engines = (['docker', 'podman'] as const).flatMap((runtime) => engineOf(runtime, env) ?? []);
  const jobs = engines.map((engine) => pruneGroupImages(engine, paths.install, used));
  for (const outcome of await Promise.allSettled([...jobs, pruneRoots(paths.cache, used)])) {
    if (outcome.status === 'fulfilled') for (const image of outcome.value) log.info('image.removed', { image });
    // An engine that is not there holds nothing.
    else if (!(outcome.reason instanceof OperatingError))
      log.warn('image.not_removed', { reason: messageOf(outcome.reason) });
  }
}
