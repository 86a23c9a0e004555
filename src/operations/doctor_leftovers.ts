import { globSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RuntimeName } from '../base/config.ts';
import { answers } from '../base/lock.ts';
import type { Paths } from '../base/paths.ts';
import { type Dialect, DOCKER, PODMAN } from '../runtimes/dialect.ts';
import { INSTALL_LABEL } from '../runtimes/docker_request.ts';
import { Engine, engineSocket, podmanSocket } from '../runtimes/engine.ts';
import { findLeftovers, isRunning } from '../runtimes/leftovers.ts';
import { mountsBelow } from '../runtimes/mounts.ts';
import type { Runtime } from '../runtimes/runtime.ts';
import type { Finding, Mend } from './finding.ts';
import { DRAFT, PID_FILE } from './mend.ts';

/** What an earlier life of this home has left on the machine. While its host runs, all of it is the host's own. */
export interface Leftovers {
  sockets: string[];
  pidFiles: string[];
  drafts: string[];
  mounts: string[];
  /** By runtime: labels of sandboxes, ids of containers, folders of control groups. */
  sandboxes: Record<RuntimeName, string[]>;
}

/** Whether a host of this home runs: it holds an abstract socket for as long as it lives. */
export function hostRuns({ install }: Paths): Promise<boolean> {
  return answers({ path: `\0glassclaw/${install}/host` });
}

/** Looks without touching. Never rejects. */
export async function findLeft(paths: Paths, env: NodeJS.ProcessEnv): Promise<Leftovers> {
  const [sockets, pidFiles] = [[] as string[], [] as string[]];
  for (const name of namesIn(paths.run)) {
    const path = join(paths.run, name);
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat?.isSocket() && !(await answers({ path }))) sockets.push(path);
    if (stat?.isDirectory() && /^(?:s\d+|inspect-[\w-]+)$/.test(name) && onlySockets(path)) sockets.push(path);
    if (stat?.isFile() && PID_FILE.test(name) && !isRunning(Number(readFileSync(path, 'utf8')))) pidFiles.push(path);
  }
  const groups = globSync(`/sys/fs/cgroup/{,*/}glassclaw/${paths.install}/sandboxes/*`, { withFileTypes: true });
  const folders = groups.filter((group) => group.isDirectory()).map(({ parentPath, name }) => join(parentPath, name));
  const uid = process.geteuid!();
  return {
    ...{ sockets, pidFiles, drafts: draftsIn(paths) },
    mounts: mountsBelow(paths.home).map(({ target }) => target),
    sandboxes: {
      bubblewrap: [...new Set(findLeftovers(paths.install).map(({ label }) => label)), ...folders],
      docker: await containersAt(engineSocket(env), DOCKER, paths.install),
      podman: await containersAt(podmanSocket(env, uid), PODMAN, paths.install),
    },
  };
}

/** One finding for each kind of thing, with what removes it; empty when nothing is left. */
export function leftoverFindings(
  left: Leftovers,
  runtimes: ReadonlyMap<RuntimeName, Runtime>,
  install: string,
): Finding[] {
  const { sockets, pidFiles, drafts, mounts, sandboxes } = left;
  const found = (what: string, things: string[], says: string, fix: string, mend: Mend): Finding[] =>
    things.length === 0 ? [] : [{ what, state: 'weak', says: `${says}: ${things.join(', ')}`, fix, mend }];
  const stale = [...pidFiles, ...sockets];
  return [
    ...found('run folder', stale, 'nobody is behind these any more', `rm -r ${stale.join(' ')}`, {
      do: 'remove',
      paths: stale,
    }),
    ...found('drafts', drafts, 'files that were given up half-written', `rm ${drafts.join(' ')}`, {
      do: 'remove',
      paths: drafts,
    }),
    ...[...runtimes].flatMap(([name, runtime]) =>
      found('sandboxes', sandboxes[name], `left by ${name} without their host`, './glass up ends them', {
        do: 'reap',
        runtime,
        install,
      }),
    ),
    // After the sandboxes, which may hold them.
    ...mounts.flatMap((target) =>
      found('mount', [target], 'is still mounted', `umount ${target}`, { do: 'unmount', target }),
    ),
  ];
}

function draftsIn({ home, blobs, authorities, groups }: Paths): string[] {
  const folders = [home, blobs, authorities, ...namesIn(groups).map((name) => join(groups, name))];
  return folders.flatMap((folder) =>
    namesIn(folder)
      .filter((name) => DRAFT.test(name))
      .map((name) => join(folder, name)),
  );
}

function onlySockets(folder: string): boolean {
  return namesIn(folder).every((name) => {
    const stat = lstatSync(join(folder, name), { throwIfNoEntry: false });
    return stat === undefined || stat.isSocket() || stat.isSymbolicLink();
  });
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** Ids of this install's containers; none where no engine answers. */
async function containersAt(socket: string | null, dialect: Dialect, install: string): Promise<string[]> {
  if (socket === null) return [];
  const filters = encodeURIComponent(JSON.stringify({ label: [`${INSTALL_LABEL}=${install}`] }));
  try {
    const { body } = await new Engine(socket, dialect).expect('GET', `/containers/json?all=1&filters=${filters}`);
    return (body as { Id: string }[]).map(({ Id }) => Id.slice(0, 12));
  } catch {
    return []; // an engine that is not there holds nothing
  }
}
