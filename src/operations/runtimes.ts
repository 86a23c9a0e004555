import type { RuntimeName } from '../base/config.ts';
import type { Paths } from '../base/paths.ts';
import { BubblewrapRuntime } from '../runtimes/bubblewrap.ts';
import { DockerRuntime } from '../runtimes/docker.ts';
import { engineSocket } from '../runtimes/engine.ts';
import type { Runtime } from '../runtimes/runtime.ts';

/** The list of what exists. `image`: the base image of docker sandboxes, where it is not the usual one. */
export function makeRuntimes(
  paths: Paths,
  env: NodeJS.ProcessEnv,
  image: string | undefined,
): ReadonlyMap<RuntimeName, Runtime> {
  const docker = { socket: engineSocket(env), ...(image === undefined ? {} : { image }) };
  return new Map<RuntimeName, Runtime>([
    ['bubblewrap', new BubblewrapRuntime({ cache: paths.cache, run: paths.run })],
    ['docker', new DockerRuntime(docker)],
  ]);
}
