import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

/**
 * Where an install lies that runs as two units of systemd, under two accounts. Names, owners and modes are made by
 * `deploy/systemd/glassclaw.tmpfiles`; nothing here or in the two processes changes them. Who may open a socket is decided by
 * its folder: each belongs to the account that listens, and to the group that may connect.
 */
export interface ServicePlaces {
  /** The host's state; the gateway may pass through to `authorities/`. */
  readonly home: string;
  /** The gateway's state: closed to everybody else. */
  readonly gatewayHome: string;
  /** What the operator writes and both read: `glass.yaml`, `prices.json`. */
  readonly config: string;
  readonly hostRun: string;
  /** `gateway.sock`, `ca.pem`, a folder for each session: the host may enter, nobody else. */
  readonly gatewayRun: string;
  /** `control.sock`, `vault.sock`: the operators may enter. */
  readonly controlRun: string;
  readonly vaultRun: string;
}

/** `root` is `/`, but in tests. */
export function servicePlaces(root: string): ServicePlaces {
  const run = join(root, 'run/glassclaw');
  return {
    home: join(root, 'var/lib/glassclaw'),
    gatewayHome: join(root, 'var/lib/glassclaw-gateway'),
    config: join(root, 'etc/glassclaw'),
    hostRun: join(run, 'host'),
    gatewayRun: join(run, 'gateway'),
    controlRun: join(run, 'control'),
    vaultRun: join(run, 'vault'),
  };
}

/** Null: gateway and host share one home and one account. The units set `GLASS_SERVICE=/`. */
export function serviceOf(env: NodeJS.ProcessEnv): ServicePlaces | null {
  const root = env['GLASS_SERVICE'];
  return root === undefined || root === '' ? null : servicePlaces(resolve(root));
}

/** For the command line: whoever names the home of the installed service means the service. */
export function withService(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { home, config } = servicePlaces('/');
  const named = env['GLASS_HOME'];
  const meant = named !== undefined && resolve(named) === home && existsSync(config);
  return meant ? { GLASS_SERVICE: '/', ...env } : env;
}
