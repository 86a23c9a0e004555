import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeError, exitCodeOf, messageOf } from './base/errors.ts';
import { holdLock } from './base/lock.ts';
import { dropStartGarbage } from './base/memory.ts';
import { homeFrom, type Paths, pathsOf, prepareHome } from './base/paths.ts';
import { VERSION } from './base/version.ts';
import { type HostOptions, makeFlow, openBase } from './host_parts.ts';
import { makeControl, makeIntake } from './host_ways_in.ts';
import { recordEvent } from './ledger/events.ts';
import { prepareInstall } from './operations/first_run.ts';
import { reap } from './operations/runtimes.ts';

/**
 * The host: composition root. It makes what exists (`host_parts.ts`, and `host_ways_in.ts` on top of it), passes to each part what it
 * needs, and starts the parts in the order in which they rely on one another:
 *
 *   home, lock → ledger → gateway link, sessions, delivery → control socket → leftovers, recovery → channels
 */

export interface Host {
  /** Drains and ends. Safe to call twice. */
  stop(reason: string): Promise<void>;
}

/** Starts a host on the home that `env` names. Rejects with `OperatingError` when it cannot. */
export async function startHost(options: HostOptions): Promise<Host> {
  const paths = pathsOf(homeFrom(options.env), options.env);
  prepareHome(paths);
  await holdLock(`${paths.install}/host`, `GlassClaw is already running on ${paths.home}`, 'stop it with ./glass down');
  prepareInstall(paths);
  const parts = await makeParts(options, paths);
  // Before anybody can ask: an install that has just been made is whole when it first answers.
  await applyFirst(parts);
  await parts.control.listen();
  writeFileSync(join(paths.run, 'host.pid'), `${process.pid}\n`);
  await startParts(parts);
  let stopping: Promise<void> | null = null;
  const stop = (reason: string): Promise<void> => {
    stopping ??= stopParts(parts, reason).then(options.onStopped);
    return stopping;
  };
  parts.stopAsked.then(() => stop('asked to stop'));
  return { stop };
}

type Parts = Awaited<ReturnType<typeof makeParts>>;

async function makeParts(options: HostOptions, paths: Paths) {
  const base = await openBase(options, paths);
  const parts = makeFlow(base, (question) => flow.desk.asked(question));
  const flow = { ...parts, ...makeIntake(base, parts) };
  return { ...base, ...flow, ...makeControl(base, flow) };
}

async function startParts(parts: Parts): Promise<void> {
  const { log, clock, ledger, paths, runtimes, install } = parts;
  for (const runtime of runtimes.values()) await reap(runtime, paths.install, log);
  void parts.workspaces.limits(); // its trial runs beside the rest, and the first sandbox waits for it
  parts.egress.start();
  await parts.throwAways.removeLeftOver();
  await parts.delivery.recover();
  await parts.sessions.recover();
  await parts.drivers.start(parts.intake);
  await ledger
    .write('started', (db) =>
      recordEvent(db, clock, 'host.started', {}, { version: VERSION, runtime: install.runtime }),
    )
    .catch(() => {});
  log.info('host.ready', { ms: Math.round(clock.monotonic() - parts.started), home: paths.home });
  const { desk, wishes, asks, scheduler, proofs, retention } = parts;
  for (const part of [desk, wishes, asks, scheduler, proofs, retention]) part.start();
  parts.warm();
  dropStartGarbage();
}

/** An install that has just been made answers without another command. */
async function applyFirst({ groups, install, log }: Parts): Promise<void> {
  await groups.applyFirst(install.default_group).catch((error) => {
    log.warn('authority.first', { group: install.default_group, reason: messageOf(error) });
  });
}

async function stopParts(parts: Parts, reason: string): Promise<void> {
  const { log, clock, ledger, paths } = parts;
  log.info('host.stopping', { reason });
  for (const part of [parts.sweep, parts.scheduler, parts.proofs, parts.desk, parts.asks]) part.stop();
  await parts.sessions.drain();
  await parts.retention.stop();
  await parts.workspaces.close();
  await parts.delivery.stop(DELIVERY_GRACE_MS);
  await parts.drivers.stop();
  await ledger.write('stopped', (db) => recordEvent(db, clock, 'host.stopped', {}, { reason })).catch(() => {});
  parts.egress.stop();
  ledger.close();
  rmSync(join(paths.run, 'host.pid'), { force: true });
  parts.control.close();
}

/** Sends that are under way when the host ends. */
const DELIVERY_GRACE_MS = 2000;

/** `node src/host.ts`: runs until SIGTERM, SIGINT or the operation `stop`. */
async function main(): Promise<void> {
  process.umask(0o077);
  try {
    const host = await startHost({ env: process.env, channels: () => [], onStopped: () => process.exit(0) });
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void host.stop(signal));
  } catch (error) {
    process.stderr.write(`${describeError(error)}\n`);
    process.exit(exitCodeOf(error));
  }
}

if (import.meta.main) await main();
