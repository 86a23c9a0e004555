import type { RuntimeName } from '../base/config.ts';
import { messageOf, systemCodeOf } from '../base/errors.ts';
import type { Log } from '../base/log.ts';
import type { Paths } from '../base/paths.ts';
import { BubblewrapRuntime } from '../runtimes/bubblewrap.ts';
import { PODMAN } from '../runtimes/dialect.ts';
import { DockerRuntime } from '../runtimes/docker.ts';
import { engineSocket, podmanSocket } from '../runtimes/engine.ts';
import type { Runtime } from '../runtimes/runtime.ts';

/** The list of what exists. `image`: the base image of containers, where it is not the usual one. */
export function makeRuntimes(
  paths: Paths,
  env: NodeJS.ProcessEnv,
  image: string | undefined,
): ReadonlyMap<RuntimeName, Runtime> {
  const containers = { cache: paths.cache, run: paths.run, ...(image === undefined ? {} : { image }) };
  return new Map<RuntimeName, Runtime>([
    ['bubblewrap', new BubblewrapRuntime({ cache: paths.cache, run: paths.run })],
    ['docker', new DockerRuntime({ ...containers, socket: engineSocket(env) })],
    ['podman', new DockerRuntime({ ...containers, socket: podmanSocket(env, process.geteuid!()), dialect: PODMAN })],
  ]);
}

/** Ends what an earlier host of this home left behind, and nobody else's. */
export async function reap(runtime: Runtime, install: string, log: Log): Promise<void> {
  try {
    const sandboxes = await runtime.reap(install);
    if (sandboxes > 0) log.warn('runtime.reaped', { runtime: runtime.name, sandboxes });
  } catch (error) {
    // Most machines have one of the engines, or none, or one for others. What does not answer may have sandboxes that go on.
    const code = error instanceof Error ? systemCodeOf(error.cause) : undefined;
    if (code !== 'ENOENT' && code !== 'EACCES')
      log.warn('runtime.reap_failed', { runtime: runtime.name, reason: messageOf(error) });
  }
}
