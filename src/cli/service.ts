import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { OperatingError } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';
import { servicePlaces } from '../base/service.ts';
import {
  checkoutProblem,
  foreignOwner,
  removeFiles,
  requireSystemd,
  type ServiceFile,
  SYSUSERS,
  serviceFiles,
  TMPFILES,
  UNITS,
  writeFiles,
} from '../operations/service.ts';
import { bold, type Io, red } from './io.ts';

/**
 * `glass service install|remove|status`: gateway and host as two units of systemd, under two accounts. `--print` shows the files,
 * `--root <folder>` writes them below a folder, for an image; neither needs root. Both verbs may be repeated.
 */
const USAGE = 'usage: glass service install [--print] [--root <folder>] | remove [--root <folder>] | status';

interface Asked {
  print: boolean;
  /** `/` for this machine. */
  below: string;
}

export async function service(args: string[], paths: Paths, io: Io): Promise<number> {
  const [verb, ...rest] = args;
  const asked = askedOf(rest);
  const files = serviceFiles(paths.root, process.execPath, asked.below);
  if (verb === 'install') return asked.print ? print(files, io) : install(files, asked, paths, io);
  if (verb === 'remove' && !asked.print) return remove(files, asked, io);
  if (verb === 'status' && rest.length === 0) return status(files, io);
  throw new OperatingError('usage', USAGE);
}

function askedOf(words: string[]): Asked {
  const at = words.indexOf('--root');
  const folder = at === -1 ? undefined : words[at + 1];
  const others = words.filter((word, i) => word !== '--print' && (at === -1 || (i !== at && i !== at + 1)));
  if (others.length > 0 || (at !== -1 && folder === undefined)) throw new OperatingError('usage', USAGE);
  return { print: words.includes('--print'), below: folder === undefined ? '/' : resolve(folder) };
}

function print(files: readonly ServiceFile[], io: Io): number {
  if (io.json) io.out(JSON.stringify({ files: files.map(({ path, text }) => ({ path, text })) }));
  else for (const { path, text } of files) io.out(`${bold(io, `# ${path}`)}\n${text}`);
  return 0;
}

function install(files: readonly ServiceFile[], { below }: Asked, { root }: Paths, io: Io): number {
  const isHere = below === '/';
  if (isHere) requireSystemd();
  const problem = isHere ? checkoutProblem(root, process.execPath) : null;
  if (problem !== null) throw new OperatingError('config', problem.says, problem.fix);
  const written = writeFiles(files, below);
  if (isHere) start(written);
  const { home } = servicePlaces('/');
  if (io.json) io.out(JSON.stringify({ installed: true, written, units: UNITS, home }));
  else {
    io.out(written.length === 0 ? 'everything is in place already' : `written below ${below}: ${written.join(', ')}`);
    const owner = foreignOwner(root);
    if (owner !== null) io.err(`! uid ${owner} owns ${root}, and so decides what the service runs`);
    if (isHere && spawnSync('bwrap', ['--version']).error !== undefined)
      io.err('! bubblewrap is missing, which makes the sandboxes: apt install bubblewrap');
    if (isHere) io.out(`It runs, and starts with the machine. Talk to it: GLASS_HOME=${home} ./glass status`);
  }
  return 0;
}

/** Accounts and folders first: the units name them. What runs already is replaced only by something new. */
function start(written: readonly string[]): void {
  run('systemd-sysusers', SYSUSERS);
  run('systemd-tmpfiles', '--create', TMPFILES);
  run('systemctl', 'daemon-reload');
  run('systemctl', 'enable', '--quiet', ...UNITS);
  run('systemctl', written.length > 0 ? 'restart' : 'start', ...UNITS);
}

function remove(files: readonly ServiceFile[], { below }: Asked, io: Io): number {
  if (below === '/') {
    requireSystemd();
    for (const unit of UNITS) if (existsSync(unitFile(unit))) run('systemctl', 'disable', '--quiet', '--now', unit);
  }
  const removed = removeFiles(files, below);
  if (below === '/') run('systemctl', 'daemon-reload');
  const { home, gatewayHome, config } = servicePlaces(below);
  const kept = [home, gatewayHome, config].filter((folder) => existsSync(folder));
  if (io.json) io.out(JSON.stringify({ removed, kept }));
  else {
    io.out(removed.length === 0 ? 'there is no service' : `removed: ${removed.join(', ')}`);
    if (kept.length > 0) io.out(`State, secrets and configuration are kept: ${kept.join(', ')}`);
  }
  return 0;
}

/** Exit code 0 when both run, 6 when one does not, 4 when there is no service. */
function status(files: readonly ServiceFile[], io: Io): number {
  const isInstalled = UNITS.every((unit) => existsSync(unitFile(unit)));
  const units = isInstalled ? UNITS.map(stateOf) : [];
  const isCurrent = files.every(({ path, text, isKept }) => isKept || sameText(path, text));
  const { home } = servicePlaces('/');
  if (io.json) io.out(JSON.stringify({ installed: isInstalled, current: isCurrent, units, home }));
  else if (!isInstalled) io.out('there is no service: sudo ./glass service install');
  else {
    for (const { unit, state, pid, user, restarts } of units) {
      const words = state === 'active' ? `runs as ${user}, pid ${pid}, restarted ${restarts} times` : red(io, state);
      io.out(`${unit.padEnd(26)} ${words}`);
    }
    if (!isCurrent) io.out('the units are of another checkout or version: sudo ./glass service install');
    io.out(`What it is doing: GLASS_HOME=${home} ./glass status      Its journal: journalctl -u 'glassclaw*'`);
  }
  if (!isInstalled) return 4;
  return units.every(({ state }) => state === 'active') ? 0 : 6;
}

function stateOf(unit: string) {
  const names = ['ActiveState', 'MainPID', 'User', 'NRestarts'];
  const shown = run('systemctl', 'show', unit, `--property=${names.join(',')}`);
  const value = (name: string): string => new RegExp(`^${name}=(.*)$`, 'm').exec(shown)?.[1] ?? '';
  return {
    unit,
    state: value('ActiveState'),
    pid: Number(value('MainPID')),
    user: value('User'),
    restarts: Number(value('NRestarts')),
  };
}

function sameText(path: string, text: string): boolean {
  return existsSync(path) && readFileSync(path, 'utf8') === text;
}

function unitFile(unit: string): string {
  return join('/etc/systemd/system', unit);
}

/** Throws `OperatingError('unavailable')` with what the program said. */
function run(program: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  if (status === 0) return stdout;
  const said = error?.message ?? stderr.trim().split('\n').at(-1) ?? '';
  throw new OperatingError('unavailable', `${[program, ...args].join(' ')} failed: ${said}`, 'see journalctl -xe');
}
