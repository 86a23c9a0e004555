import { accessSync, chmodSync, constants, lstatSync, mkdirSync, realpathSync, statSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { messageOf, OperatingError, systemCodeOf } from './errors.ts';
import { shortHash } from './ids.ts';
import { type ServicePlaces, serviceOf } from './service.ts';

/** Where everything of one install lies. Pure names: nothing here touches the disk but `prepareHome`. */
export interface Paths {
  /** The checkout: code, read-only at run time. */
  readonly root: string;
  /** `$GLASS_HOME`. */
  readonly home: string;
  /** A short stable name of this home: labels sandboxes, so that no install ends another's. */
  readonly install: string;
  /** Sockets and pid files; short, because a socket path has at most 107 bytes. */
  readonly run: string;
  /** The gateway has an account, a home and a run folder of its own; else it shares all three with the host. */
  readonly isService: boolean;
  readonly gatewayHome: string;
  readonly gatewayRun: string;
  /** Every folder of this install: nothing in them is ever mounted into a sandbox. */
  readonly own: readonly string[];
  /** Of sockets of ours: the owner's alone, or where two accounts share them, of the group that their folder lets in. */
  readonly socketMode: number;
  readonly ledger: string;
  readonly vault: string;
  readonly audit: string;
  readonly vaultKey: string;
  /** The operator’s own table of prices, where there is one. */
  readonly prices: string;
  /** Key and certificate of the authority that sandboxes trust: the gateway's; the certificate is public. */
  readonly caKey: string;
  readonly caCertificate: string;
  readonly config: string;
  readonly groups: string;
  /** Applied authorities, each under its hash. */
  readonly authorities: string;
  readonly sessions: string;
  /** What drivers keep, each channel in a folder of its own. */
  readonly channels: string;
  readonly blobs: string;
  readonly logs: string;
  readonly gatewayLogs: string;
  readonly cache: string;
  readonly controlSocket: string;
  readonly gatewaySocket: string;
  readonly vaultSocket: string;
  group(name: string): {
    folder: string;
    yaml: string;
    instructions: string;
    skills: string;
    workspace: string;
    /** The file system that is mounted on `workspace`, where this machine can do that. */
    image: string;
  };
  /** `state` is written by the sandbox, `inbox` by the host alone; `run` holds the two sockets, or a link to `egress`. */
  session(id: string): { state: string; inbox: string; run: string; hatch: string; egress: string; log: string };
}

/** The checkout that this file stands in. */
export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

/** The service's, `$GLASS_HOME`, else `~/.glassclaw`; without symbolic links, so that one home has one name, one lock and one run folder. */
export function homeFrom(env: NodeJS.ProcessEnv): string {
  return withoutLinks(serviceOf(env)?.home ?? resolve(env['GLASS_HOME'] || join(homedir(), '.glassclaw')));
}

/** The part of a path that exists is resolved; what is still to be made follows it as it is. */
function withoutLinks(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    const parent = dirname(path);
    return parent === path ? path : join(withoutLinks(parent), basename(path));
  }
}

export function pathsOf(home: string, env: NodeJS.ProcessEnv): Paths {
  const install = shortHash(home);
  const service = serviceOf(env);
  const places = service ?? sharedPlaces(home, join(runBase(env), `glassclaw-${install}`));
  const { gatewayHome, gatewayRun, hostRun: run } = places;
  const isService = service !== null;
  const logs = join(home, 'logs');
  return {
    root: ROOT,
    home,
    install,
    run,
    isService,
    gatewayHome,
    gatewayRun,
    own: [...new Set([home, gatewayHome, places.config, run, gatewayRun, places.controlRun, places.vaultRun])],
    socketMode: isService ? 0o660 : 0o600,
    ledger: join(home, 'ledger.db'),
    vault: join(gatewayHome, 'vault.db'),
    audit: join(gatewayHome, 'audit.db'),
    vaultKey: join(gatewayHome, 'vault.key'),
    prices: join(places.config, 'prices.json'),
    caKey: join(gatewayHome, 'ca.key'),
    // Made again from the key where it is missing; the host must be able to see it.
    caCertificate: join(isService ? gatewayRun : home, 'ca.pem'),
    config: join(places.config, 'glass.yaml'),
    groups: join(home, 'groups'),
    authorities: join(home, 'authorities'),
    sessions: join(home, 'sessions'),
    channels: join(home, 'channels'),
    blobs: join(home, 'blobs'),
    logs,
    gatewayLogs: join(gatewayHome, 'logs'),
    cache: join(home, 'cache'),
    controlSocket: join(places.controlRun, 'control.sock'),
    gatewaySocket: join(gatewayRun, 'gateway.sock'),
    vaultSocket: join(places.vaultRun, 'vault.sock'),
    group(name) {
      const folder = join(home, 'groups', name);
      return {
        folder,
        yaml: join(folder, 'group.yaml'),
        instructions: join(folder, 'AGENTS.md'),
        skills: join(folder, 'skills'),
        workspace: join(folder, 'workspace'),
        image: join(folder, 'workspace.img'),
      };
    },
    session(id) {
      const folder = join(run, id);
      return {
        state: join(home, 'sessions', id, 'state'),
        inbox: join(home, 'sessions', id, 'inbox'),
        run: folder,
        hatch: join(folder, 'hatch.sock'),
        egress: join(gatewayRun, id, 'egress.sock'),
        log: join(logs, 'sessions', `${id}.log`),
      };
    },
  };
}

/** One home and one run folder for everything. */
function sharedPlaces(home: string, run: string): ServicePlaces {
  return { home, gatewayHome: home, config: home, hostRun: run, gatewayRun: run, controlRun: run, vaultRun: run };
}

const ROOTS_BASE = '/run';

/** `$XDG_RUNTIME_DIR`, `/run` for root, else a private folder in the temporary directory. */
function runBase(env: NodeJS.ProcessEnv): string {
  const uid = process.getuid?.() ?? 0;
  if (uid === 0) return ROOTS_BASE;
  const given = env['XDG_RUNTIME_DIR'];
  return given !== undefined && given.length > 0 && given.length < 60 ? given : join(tmpdir(), `glass-${uid}`);
}

/**
 * Whoever can write to the folder that the run folder lies in could put sockets of their own in the place of ours, and be told
 * what is typed for them. Ours alone, so that what lies in it is ours too; made where it is missing, or somebody else would make it
 * in the shared temporary directory. Before anybody makes the run folder, or connects to what is in it. Throws `OperatingError('config')`.
 */
export function claimRunBase({ isService, run }: Paths): void {
  if (isService) return; // below /run, by whoever installed it
  const base = dirname(run);
  try {
    mkdirSync(base, { recursive: true, mode: 0o711 });
  } catch {
    // What is there instead is looked at; where nothing is, nothing listens.
  }
  const found = lstatSync(base, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (found.isDirectory() && found.uid === (process.getuid?.() ?? found.uid) && (found.mode & 0o022) === 0) return;
  throw new OperatingError(
    'config',
    `${base} is no folder that is yours alone: another account could listen there in GlassClaw's place`,
    base === ROOTS_BASE
      ? `run: chmod 755 ${base}`
      : 'remove it, or set XDG_RUNTIME_DIR to a folder that only you can write to',
  );
}

/** Makes the folders of an install, or says in one sentence why it cannot. Refuses a home of somebody else. */
export function prepareHome(paths: Paths): void {
  const { home, groups, authorities, sessions, blobs, cache, logs } = paths;
  prepare(paths, home, [groups, authorities, sessions, blobs, cache, join(logs, 'sessions')], paths.run);
  if (paths.isService) prepareRun(dirname(paths.controlSocket), statSync(home).uid, true);
}

/** The same for what the gateway writes to, where that is not the host's home. */
export function prepareGateway(paths: Paths): void {
  if (!paths.isService) return prepareHome(paths);
  prepare(paths, paths.gatewayHome, [paths.gatewayLogs], paths.gatewayRun);
  prepareRun(dirname(paths.vaultSocket), statSync(paths.gatewayHome).uid, true);
}

function prepare(paths: Paths, home: string, folders: string[], run: string): void {
  try {
    claimRunBase(paths);
    for (const folder of [home, ...folders]) mkdirSync(folder, { recursive: true, mode: 0o700 });
    const owner = statSync(home).uid;
    const uid = process.getuid?.() ?? owner;
    if (owner !== uid) {
      throw new OperatingError(
        'config',
        `${home} belongs to uid ${owner}, not to you (uid ${uid})`,
        'set GLASS_HOME to a folder of your own',
      );
    }
    accessSync(home, constants.W_OK);
    prepareRun(run, uid, paths.isService);
  } catch (error) {
    if (error instanceof OperatingError) throw error;
    throw new OperatingError(
      'storage',
      `${home} cannot be used: ${WHY_NOT[systemCodeOf(error) ?? ''] ?? messageOf(error)}`,
      'make it writable, or set GLASS_HOME to another folder',
      error,
    );
  }
}

const WHY_NOT: Record<string, string> = {
  EEXIST: 'something that is no folder stands in its way',
  ENOTDIR: 'something that is no folder stands in its way',
  EACCES: 'you may not write there',
  EPERM: 'you may not write there',
  EROFS: 'the disk is read-only',
  ENOSPC: 'the disk is full',
  ENOENT: 'it cannot be made there',
  ENAMETOOLONG: 'the path is too long',
};

/** It must be ours, and a folder, not a link. */
function prepareRun(path: string, uid: number, isGiven: boolean): void {
  for (const folder of [dirname(path), path]) mkdirSync(folder, { recursive: true, mode: 0o711 });
  const run = lstatSync(path);
  if (!run.isDirectory() || run.uid !== uid) {
    throw new OperatingError('config', `${path} belongs to somebody else`, 'remove it, or set XDG_RUNTIME_DIR');
  }
  if (isGiven) return refuseOpen(path, run.mode);
  // Other uids may pass through (a sandbox's mounts are staged below it) but not look; what lies in it keeps itself closed.
  chmodSync(path, 0o711);
}

/** A service's folder keeps the mode and the group that it was given: they say who may connect. */
function refuseOpen(path: string, mode: number): void {
  if ((mode & 0o007) === 0) return;
  throw new OperatingError('config', `${path} is open to every account`, 'run: systemd-tmpfiles --create');
}
