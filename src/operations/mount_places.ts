import { dirname } from 'node:path';
import { AUTHORITY_VERSION, type Authority } from '../authority/authority.ts';
import { type GivenMount, type MountPlaces, placesOf } from '../authority/mounts.ts';
import type { InstallConfig } from '../base/config.ts';
import type { Paths } from '../base/paths.ts';
import { authorityInForce } from '../ledger/authorities.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { engineSocket, podmanSocket } from '../runtimes/engine.ts';

export interface PlacesInput {
  paths: Paths;
  install: InstallConfig;
  ledger: Ledger;
  /** Names where the engines' sockets are. */
  env: NodeJS.ProcessEnv;
}

/** What decides of a mount of `group`, as this machine is now; `groups`: all that exist. */
export function mountPlaces(
  { paths, install, ledger, env }: PlacesInput,
  group: string,
  groups: readonly string[],
): MountPlaces {
  const sockets = [engineSocket(env), podmanSocket(env, process.geteuid!())];
  const others = groups
    .filter((name) => name !== group)
    .flatMap((name): GivenMount[] => {
      const row = authorityInForce(ledger.db, name);
      if (row === undefined) return [];
      const { version, mounts } = JSON.parse(row.object) as Authority;
      // Of another version nothing starts.
      return version === AUTHORITY_VERSION ? mounts.map((mount) => ({ ...mount, group: name })) : [];
    });
  const engines = sockets.flatMap((socket) => (socket === null ? [] : [dirname(socket)]));
  return placesOf({ state: [...paths.own], root: paths.root, writable: install.mounts.write, engines, others });
}
