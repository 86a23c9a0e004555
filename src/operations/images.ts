import type { Authority } from '../authority/authority.ts';
import type { InstallConfig } from '../base/config.ts';
import { OperatingError } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';
import { imageId } from '../runtimes/build.ts';
import { DOCKER, PODMAN } from '../runtimes/dialect.ts';
import { Engine, engineSocket, podmanSocket } from '../runtimes/engine.ts';
import { buildGroupImage } from '../runtimes/group_image.ts';
import { makeRoot } from '../runtimes/roots.ts';
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
  const podman = runtime === 'podman';
  const socket = podman ? podmanSocket(env, process.geteuid!()) : engineSocket(env);
  if (socket === null) throw new OperatingError('unavailable', `${runtime} is not at a unix socket`);
  const engine = new Engine(socket, podman ? PODMAN : DOCKER);
  if (Object.values(packages).some((names) => names.length > 0))
    return (await buildGroupImage(engine, install.image, packages, onProgress)).ref;
  const id = await imageId(engine, install.image);
  if (id === null)
    throw new OperatingError(
      'unavailable',
      `The image ${install.image} is missing`,
      `node src/runtimes/image.ts ${runtime}`,
    );
  return id;
}
