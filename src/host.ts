import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeError, exitCodeOf, messageOf } from './base/errors.ts';
import { holdLock } from './base/lock.ts';
import { dropStartGarbage } from './base/memory.ts';
import { homeFrom, type Paths, pathsOf, prepareHome } from './base/paths.ts';
import { VERSION } from './base/version.ts';
import { feedWatchdog } from './base/watchdog.ts';
import { type HostOptions, makeFlow, openBase } from './host_parts.ts';
import { makeControl, makeIntake } from './host_ways_in.ts';
import { recordEvent } from './ledger/events.ts';
import { endLife } from './ledger/lives.ts';
import { type Exporters, startExporters } from './operations/exporters.ts';
import { prepareInstall } from './operations/first_run.ts';
import { reap } from './operations/runtimes.ts';
import { refuseHalfRestored, whenTrialEnds } from './operations/starts.ts';

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
  refuseHalfRestored(paths.home);
  prepareHome(paths);
  await holdLock(`${paths.install}/host`, `GlassClaw is already running on ${paths.home}`, 'stop it with ./glass down');
  prepareInstall(paths);
  const parts = await makeParts(options, paths);
  // Before anybody can ask: an install that has just been made is whole when it first answers.
  if (!parts.safe) await applyFirst(parts);
  await parts.control.listen();
  writeFileSync(join(paths.run, 'host.pid'), `${process.pid}\n`);
  await (parts.safe ? startSafe(parts) : startParts(parts));
  const exporters = await exportersOf(parts);
  let stopping: Promise<void> | null = null;
  const stop = (reason: string): Promise<void> => {
    stopping ??= stopParts(parts, exporters, reason).then(options.onStopped);
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
      recordEvent(db, clock, 'host.started', {}, { version: VERSION, runtime: install.runtime, pid: process.pid }),
    )
    .catch(() => {});
  log.info('host.ready', { ms: Math.round(clock.monotonic() - parts.started), home: paths.home });
  const { desk, wishes, asks, scheduler, proofs, retention, anchors, watch } = parts;
  for (const part of [desk, wishes, asks, scheduler, proofs, retention, anchors, watch]) part.start();
  parts.warm();
  dropStartGarbage();
}

/** To look at it: the ledger is read, the gateway has its link, the operator's terminal its end. What does anything by itself is not begun. */
async function startSafe(parts: Parts): Promise<void> {
  const { log, ledger, clock, paths, runtimes, install, local, intake } = parts;
  parts.sweep.stop();
  parts.alerts.stop();
  // In a trial only what belongs to its throw-away group is ever woken (`operations/trial.ts`).
  if (!parts.trial) await Promise.all([parts.sessions.drain(), parts.delivery.stop(0)]);
  for (const runtime of runtimes.values()) await reap(runtime, paths.install, log);
  parts.egress.start();
  await local.start(intake.sinkOf(local.name));
  const data = { version: VERSION, runtime: install.runtime, pid: process.pid, safe: true as const };
  await ledger.write('started_safe', (db) => recordEvent(db, clock, 'host.started', {}, data)).catch(() => {});
  log.info('host.ready', { safe: true, home: paths.home });
}

/** An install that has just been made answers without another command. */
async function applyFirst({ groups, install, log }: Parts): Promise<void> {
  await groups.applyFirst(install.default_group).catch((error) => {
    log.warn('authority.first', { group: install.default_group, reason: messageOf(error) });
  });
}

function exportersOf(parts: Parts): Promise<Exporters> {
  const { paths, ledger, clock, log, status, egress, alert, clear } = parts;
  return startExporters(parts.install, parts.safe, () => ({
    ...{ root: paths.root, install: paths.install, ledger, clock, log, status, alert, clear },
    audit: egress.audit.bind(egress),
    release: egress.release.bind(egress),
  }));
}

async function stopParts(parts: Parts, exporters: Exporters, reason: string): Promise<void> {
  const { log, clock, ledger, paths } = parts;
  log.info('host.stopping', { reason });
  for (const part of [parts.sweep, parts.scheduler, parts.proofs, parts.desk, parts.asks]) part.stop();
  await parts.watch.stop();
  await parts.sessions.drain();
  await parts.retention.stop();
  await parts.workspaces.close();
  await parts.delivery.stop(DELIVERY_GRACE_MS);
  await parts.drivers.stop();
  await exporters.stop();
  parts.alerts.stop();
  await ledger
    .write('stopped', (db) => {
      endLife(db, clock.now());
      recordEvent(db, clock, 'host.stopped', {}, { reason });
    })
    .catch(() => {});
  await parts.anchors.stop();
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
  feedWatchdog(process.env);
  try {
    const host = await startHost({ env: process.env, channels: () => [], onStopped: () => process.exit(0) });
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void host.stop(signal));
    whenTrialEnds(process.env, () => void host.stop('its trial has ended'));
  } catch (error) {
    process.stderr.write(`${describeError(error)}\n`);
    process.exit(exitCodeOf(error));
  }
}

if (import.meta.main) await main();
