import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf, OperatingError } from '../../base/errors.ts';
import { CHANNELS_BACK_MS, DOWN_MS, LOOK_MS, ORPHANS_MS, START_MS } from '../../base/limits/upgrade.ts';
import { isHeld } from '../../base/lock.ts';
import type { Paths } from '../../base/paths.ts';
import { type Ran, reasonOf, runProgram, UPGRADE_MARK } from '../../operations/upgrade/programs.ts';
import { isTold, type Places, untold } from '../../operations/upgrade/record.ts';
import { hasEnded, pidOf, supervisorOf } from '../check/processes.ts';
import { ControlClient } from '../control_client.ts';

/** What runs of an install, and how it is brought to rest and up again by the launcher of a checkout. No packages: what mends needs it. */

export type Say = (line: string) => void;

export interface Life {
  was: 'up' | 'down';
  /** Names of the channels that are connected. */
  connected: string[];
}

/** Rejects with `OperatingError('conflict')` for one that would not come up again by itself, or that must not be ended. */
export async function lifeOf(paths: Paths): Promise<Life> {
  if (!(await isHeld(`${paths.install}/host`))) {
    if (pidOf(paths, 'gateway') !== null)
      throw new OperatingError('conflict', 'a gateway of this home runs without its host', 'end it, or ./glass up');
    return { was: 'down', connected: [] };
  }
  const supervisor = supervisorOf(paths);
  if (supervisor?.kind === 'systemd') throw serviceRefused();
  if (supervisor === null || !isDetached(supervisor.pid, paths)) {
    const who = supervisor === null ? '' : ` (pid ${supervisor.pid})`;
    throw new OperatingError(
      'conflict',
      `GlassClaw runs in the foreground${who}, and only whoever started it can start it there again`,
      './glass down, then ./glass upgrade, then start it again; or ./glass up --detach',
    );
  }
  return { was: 'up', connected: await connectedChannels(paths) };
}

export function serviceRefused(): OperatingError {
  return new OperatingError(
    'refused',
    'this checkout runs as a service of systemd, whose two accounts have two homes: it is upgraded by hand',
    'docs/OPERATIONS.md, "Upgrades", has the commands',
  );
}

/** What `up --detach` starts writes into the log. */
function isDetached(pid: number, { logs }: Paths): boolean {
  try {
    return readlinkSync(`/proc/${pid}/fd/1`) === join(logs, 'up.log');
  } catch {
    return false;
  }
}

interface ChannelSeen {
  name: string;
  state?: string;
}

/** Empty where nobody answers. */
async function connectedChannels(paths: Paths): Promise<string[]> {
  const client = new ControlClient(paths.controlSocket);
  try {
    const { channels } = await client.call<{ channels: ChannelSeen[] }>('channels');
    return channels.filter(({ state }) => state === 'connected').map(({ name }) => name);
  } catch {
    return [];
  } finally {
    client.close();
  }
}

/** Waits for those that were connected. Resolves with the names of those that are not. */
export async function channelsBack(paths: Paths, names: readonly string[]): Promise<string[]> {
  const end = performance.now() + CHANNELS_BACK_MS;
  for (;;) {
    const there = await connectedChannels(paths);
    const missing = names.filter((name) => !there.includes(name));
    if (missing.length === 0 || performance.now() > end) return missing;
    await sleep(5 * LOOK_MS);
  }
}

/** Another install whose processes run this code, in words; null: none. */
export function otherInstall(root: string, paths: Paths): string | null {
  const own = new Set([pidOf(paths, 'host'), pidOf(paths, 'gateway')]);
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    if (own.has(Number(name))) continue;
    const words = read(`/proc/${name}/cmdline`).split('\0');
    if (words.includes(join(root, 'src/host.ts'))) return `pid ${name}`;
  }
  const unit = read('/etc/systemd/system/glassclaw.service');
  return unit.includes(` ${root}/src/host.ts`) ? 'the service of systemd' : null;
}

/** Runs a verb by the launcher of a tree, on the home. It is told that it is part of an upgrade. */
export function runGlass(tree: string, words: readonly string[], paths: Paths, ms: number, say?: Say): Promise<Ran> {
  const env = { ...process.env, GLASS_HOME: paths.home, GLASS_UPGRADING: '1', NO_COLOR: '1' };
  const shown =
    say === undefined ? {} : { onLine: (line: string) => say(`  ${line}`), what: words.slice(0, 2).join(' ') };
  return runProgram(join(tree, 'glass'), words, { cwd: tree, env, ms, ...shown });
}

/** Ends it after its running turns. Rejects with `OperatingError('unavailable')` when something of it still lives after all bounds. */
export async function bringDown(paths: Paths, root: string, say: Say): Promise<void> {
  const supervisor = supervisorOf(paths);
  const ran = await runGlass(root, ['down'], paths, DOWN_MS, say);
  const end = performance.now() + DOWN_MS;
  const lives = async (): Promise<boolean> =>
    (supervisor?.kind === 'up' && !hasEnded(supervisor.pid)) || (await somethingLives(paths));
  while (await lives()) {
    if (performance.now() > end)
      throw new OperatingError('unavailable', `it does not end (${reasonOf(ran)})`, './glass down, then try again');
    await sleep(LOOK_MS);
  }
}

async function somethingLives(paths: Paths): Promise<boolean> {
  const held = await Promise.all(['up', 'host'].map((name) => isHeld(`${paths.install}/${name}`)));
  return held.includes(true) || pidOf(paths, 'gateway') !== null || pidOf(paths, 'host') !== null;
}

/**
 * Of an upgrade that was killed: what it had started is ended, and what that had started ends by itself. An install that an upgrade has
 * brought up again carries no mark. Rejects with `unavailable` when something of the home still lives after all bounds.
 */
export async function endOrphans(paths: Paths, root: string): Promise<void> {
  endMarked(root);
  const began = performance.now();
  while (await somethingLives(paths)) {
    if (performance.now() - began > ORPHANS_MS) {
      signalSupervisors(paths, 'SIGKILL');
      for (const part of ['host', 'gateway'] as const) signal(pidOf(paths, part), 'SIGKILL');
      await sleep(5 * LOOK_MS);
      if (!(await somethingLives(paths))) return;
      throw new OperatingError('unavailable', `something runs on ${paths.home} and does not end`, './glass down');
    }
    await sleep(LOOK_MS);
  }
}

/** Programs that an upgrade of that checkout has started, and theirs; not this process, which got the mark after its start. */
export function endMarked(root: string): void {
  const mark = `${UPGRADE_MARK}=${root}`;
  const marked = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => read(`/proc/${name}/environ`).split('\0').includes(mark));
  for (const pid of marked) signal(Number(pid), 'SIGKILL');
}

/** Starts it again as `up --detach` does, and waits until it is ready. Rejects with `OperatingError('unavailable')`. */
export async function bringUp(paths: Paths, root: string, say: Say): Promise<void> {
  const ran = await runGlass(root, ['up', '--detach', '--json'], paths, START_MS, say);
  if (ran.status === 0) return;
  throw new OperatingError('unavailable', `it did not start: ${saidBy(ran)}`, `see ${join(paths.logs, 'up.log')}`);
}

/** Tells whom the alerts reach. Never rejects: resolves with whether somebody took it. */
export async function raise(paths: Paths, kind: string, subject: string, text: string): Promise<boolean> {
  const client = new ControlClient(paths.controlSocket);
  try {
    await client.call('upgrade_alert', { kind, subject, text: text.slice(0, 1000) });
    return true;
  } catch {
    return false;
  } finally {
    client.close();
  }
}

/** Once the install runs again: of an upgrade that went back, also where nobody was there when it did. Never rejects. */
export async function tellReturned(paths: Paths, places: Places): Promise<void> {
  const line = untold(places, paths.home);
  if (line === null) return;
  const { from, to, why } = line;
  const text = `the ${line.verb} to ${to.version} (${to.commit.slice(0, 12)}) did not hold, and ${from.version} is back with everything it had: ${why}`;
  if (await raise(paths, 'upgrade.returned', to.version, text)) isTold(places, line);
}

/** The result of a verb with `--json`: its last line. Rejects with `OperatingError` of what it said. */
export function resultOf(ran: Ran, what: string): Record<string, unknown> {
  if (ran.status !== 0) throw new OperatingError('unavailable', `${what} failed: ${saidBy(ran)}`);
  try {
    return JSON.parse(ran.stdout.trim().split('\n').at(-1) ?? '') as Record<string, unknown>;
  } catch (error) {
    throw new OperatingError('unavailable', `${what} said something unreadable (${messageOf(error)})`);
  }
}

/** Its sentence, out of the JSON of an error, or of a proof that did not hold, where it is one. */
function saidBy(ran: Ran): string {
  for (const line of [...ran.stdout.split('\n'), ...ran.stderr.split('\n')].reverse()) {
    try {
      const { error, proof } = JSON.parse(line) as { error?: { message: string }; proof?: { says: string } };
      if (error !== undefined || proof !== undefined) return (error?.message ?? proof?.says)!;
    } catch {
      // A line for people.
    }
  }
  return reasonOf(ran);
}

/** Of an `up` that goes on starting what does not start. */
export function signalSupervisors(paths: Paths, name: NodeJS.Signals): void {
  for (const part of ['host', 'gateway'] as const) {
    const parent = Number(/^PPid:\t(\d+)$/m.exec(read(`/proc/${pidOf(paths, part) ?? 0}/status`))?.[1] ?? 0);
    const words = read(`/proc/${parent}/cmdline`).split('\0');
    if (words.includes('up') && words.some((word) => word.endsWith('src/cli/main.ts'))) signal(parent, name);
  }
}

function signal(pid: number | null, name: NodeJS.Signals): void {
  try {
    if (pid !== null) process.kill(pid, name);
  } catch {
    // It has just ended.
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
