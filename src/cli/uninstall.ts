import { existsSync, globSync, readFileSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import { messageOf, OperatingError } from '../base/errors.ts';
import { shortHash } from '../base/ids.ts';
import { isHeld } from '../base/lock.ts';
import type { Log } from '../base/log.ts';
import type { Paths } from '../base/paths.ts';
import { removeHome } from '../operations/backup/shelf.ts';
import { findLeft, hostRuns, leftoverFindings } from '../operations/doctor_leftovers.ts';
import { pruneImages } from '../operations/images.ts';
import { mendAll } from '../operations/mend.ts';
import { makeRuntimes } from '../operations/runtimes.ts';
import { upgradeLock } from '../operations/upgrade/record.ts';
import { confirmed } from './confirm.ts';
import { type Io, printable } from './io.ts';
import { service } from './service.ts';
import { bringDown } from './upgrade/rest.ts';
import { split } from './words.ts';

/**
 * `glass uninstall [--keep-data|--purge] [--yes]`: ends an install and takes away what it has made on the machine. The home stays and is
 * named, unless `--purge` is said and the home's name is typed. The checkout is the operator's. Exit code 1: something is left, and said.
 */
const USAGE = 'glass uninstall [--keep-data | --purge] [--yes]';

interface Done {
  removed: string[];
  kept: string[];
  /** What could not be removed, and why. */
  left: string[];
}

export async function uninstall(args: string[], paths: Paths, io: Io): Promise<number> {
  const { words, flags } = split(args, [], ['keep-data', 'purge', 'yes'], USAGE);
  const purge = flags.has('purge');
  if (words.length > 0 || (purge && flags.has('keep-data'))) throw new OperatingError('usage', USAGE);
  await refuse(paths);
  if (!(await agreed(paths, purge, flags.has('yes'), io))) return 1;
  const done: Done = { removed: [], kept: [], left: [] };
  await endService(paths, io, done);
  if (await hostRuns(paths)) {
    await bringDown(paths, paths.root, io.err);
    done.removed.push('gateway and host (they have ended)');
  }
  await removeTraces(paths, io, done);
  if (purge) await removeData(paths, done);
  else if (existsSync(paths.home)) done.kept.push(`${paths.home}: messages, secrets, workspaces, backups`);
  done.kept.push(`${paths.root}: the checkout, which is yours to remove`);
  return tell(done, io);
}

async function refuse(paths: Paths): Promise<void> {
  if (await isHeld(upgradeLock(shortHash(paths.root))))
    throw new OperatingError('conflict', 'an upgrade of this checkout is under way', 'wait for its end');
  if (existsSync(paths.home) && statSync(paths.home).uid !== process.geteuid!() && process.geteuid!() !== 0)
    throw new OperatingError(
      'refused',
      `${paths.home} belongs to another account`,
      'run it as that account, or with sudo',
    );
  if (serviceRuns(paths) && process.geteuid!() !== 0)
    throw new OperatingError('refused', 'this GlassClaw is a service, which only root can remove', 'run it with sudo');
}

/** Whether the units of this machine are of this checkout. */
function serviceRuns({ isService, root }: Paths): boolean {
  if (isService) return true;
  const unit = '/etc/systemd/system/glassclaw.service';
  return existsSync(unit) && readFileSync(unit, 'utf8').includes(` ${root}/src/host.ts`);
}

/** What is typed for `--purge` is the name of the home: a yes is said too quickly for something that nobody brings back. */
async function agreed({ home }: Paths, purge: boolean, yes: boolean, io: Io): Promise<boolean> {
  if (!purge)
    return yes || confirmed(`End GlassClaw on ${home} and remove it from this machine? The home stays.`, '--yes');
  io.err(
    `With ${home} go its messages, secrets, workspaces and backups. Nobody brings them back. Type its name (${basename(home)}):`,
  );
  const lines = createInterface({ input: process.stdin });
  const [typed] = await new Promise<string[]>((resolve) => {
    lines.once('line', (line) => resolve([line]));
    lines.once('close', () => resolve([]));
  });
  lines.close();
  if (typed?.trim() === basename(home)) return true;
  throw new OperatingError('usage', 'that is not its name: nothing was removed', 'without --purge the home stays');
}

async function endService(paths: Paths, io: Io, done: Done): Promise<void> {
  if (!serviceRuns(paths)) return;
  await service(['remove'], paths, { ...io, out: () => {} });
  done.removed.push('the two units of systemd');
}

/** Sandboxes, mounts, sockets, control groups, images and the run folder: by label and home, so that no other install loses anything. */
async function removeTraces(paths: Paths, io: Io, done: Done): Promise<void> {
  const runtimes = makeRuntimes(paths, process.env, undefined);
  const findings = leftoverFindings(await findLeft(paths, process.env), runtimes, paths.install);
  const yes = { uid: process.geteuid!(), confirm: async () => true, onProgress: io.err };
  for (const { what, done: isDone, says } of await mendAll(findings, yes))
    (isDone ? done.removed : done.left).push(`${what}: ${says}`);
  await pruneImages(new Set(), { paths, env: process.env, log: removalsTo(done.removed) });
  const groups = globSync(`/sys/fs/cgroup/{,*/}glassclaw/${paths.install}`);
  for (const group of groups) removeControlGroup(group, done);
  for (const folder of new Set([paths.run, paths.gatewayRun])) {
    if (!existsSync(folder) || paths.isService) continue;
    rmSync(folder, { recursive: true, force: true });
    done.removed.push(folder);
  }
}

/** Depth first: a control group holds no files that could be removed, only others. */
function removeControlGroup(group: string, done: Done): void {
  try {
    const below = globSync('**/', { cwd: group }).sort((a, b) => b.length - a.length);
    for (const folder of [...below.map((name) => join(group, name)), group]) rmdirSync(folder);
    done.removed.push(group);
  } catch (error) {
    if (existsSync(group)) done.left.push(`${group} (${messageOf(error)})`);
  }
}

/** Images say their names in a log line. */
function removalsTo(removed: string[]): Log {
  return {
    info: (_event, fields) => void removed.push(`the image ${String(fields?.['image'])}`),
    warn: () => {},
    error: () => {},
  };
}

async function removeData(paths: Paths, done: Done): Promise<void> {
  for (const folder of new Set([paths.home, paths.gatewayHome])) {
    if (!existsSync(folder)) continue;
    try {
      await removeHome(folder);
      done.removed.push(folder);
    } catch (error) {
      done.left.push(`${folder}: ${messageOf(error)}`);
    }
  }
}

function tell({ removed, kept, left }: Done, io: Io): number {
  if (io.json) io.out(JSON.stringify({ removed, kept, left }));
  else {
    for (const line of removed) io.out(printable(`removed: ${line}`));
    for (const line of kept) io.out(printable(`kept: ${line}`));
    for (const line of left) io.out(printable(`! left: ${line}`));
  }
  return left.length === 0 ? 0 : 1;
}
