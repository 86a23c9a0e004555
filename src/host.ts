import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from './base/clock.ts';
import { isGroupName, type RuntimeName, readInstall } from './base/config.ts';
import { describeError, exitCodeOf, messageOf } from './base/errors.ts';
import { faultsFrom } from './base/faults.ts';
import { holdLock } from './base/lock.ts';
import { type Log, openLog } from './base/log.ts';
import { homeFrom, type Paths, pathsOf, prepareHome } from './base/paths.ts';
import { VERSION } from './base/version.ts';
import type { Channel } from './channels/channel.ts';
import { LocalChannel } from './channels/local/local.ts';
import { ControlServer } from './control/server.ts';
import { Delivery } from './delivery/delivery.ts';
import { Alerts } from './evidence/alerts.ts';
import { statusOf } from './evidence/status.ts';
import { clearAllAlerts } from './ledger/alerts.ts';
import { chatById } from './ledger/chats.ts';
import { recordEvent } from './ledger/events.ts';
import { Ledger } from './ledger/ledger.ts';
import type { OutboundRow } from './ledger/outbound.ts';
import type { SessionRow } from './ledger/sessions.ts';
import { prepareInstall } from './operations/first_run.ts';
import { Operator, prepareLedger } from './operations/operator.ts';
import { Sweep } from './operations/sweep.ts';
import { codeCacheOf, warmUp } from './operations/warm_up.ts';
import { Intake } from './router/intake.ts';
import { Router } from './router/router.ts';
import { BubblewrapRuntime } from './runtimes/bubblewrap.ts';
import { PODMAN } from './runtimes/dialect.ts';
import { DockerRuntime } from './runtimes/docker.ts';
import { engineSocket, podmanSocket } from './runtimes/engine.ts';
import type { Runtime } from './runtimes/runtime.ts';
import { Egress } from './sessions/egress.ts';
import { Sessions } from './sessions/sessions.ts';

/**
 * The host: composition root. It makes what exists, passes to each part what it needs, and starts the parts in the order
 * in which they rely on one another:
 *
 *   home, lock → ledger → gateway link, sessions, delivery → control socket → leftovers, recovery → channels
 */
export interface HostOptions {
  env: NodeJS.ProcessEnv;
  /** Channels besides `local`. */
  channels: (log: Log) => Channel[];
  /** Everything has ended in order; the process may go. */
  onStopped: () => void;
}

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

type Base = Awaited<ReturnType<typeof openBase>>;
type Flow = ReturnType<typeof makeFlow>;
type Parts = Base & Flow & ReturnType<typeof makeControl>;

async function makeParts(options: HostOptions, paths: Paths): Promise<Parts> {
  const base = await openBase(options, paths);
  const flow = makeFlow(base);
  return { ...base, ...flow, ...makeControl(base, flow) };
}

/** What everything else stands on: configuration, log, ledger, and the lists of what exists. */
async function openBase(options: HostOptions, paths: Paths) {
  const clock = systemClock;
  const started = clock.monotonic();
  const install = readInstall(paths.config);
  const log = openLog('host', join(paths.logs, 'host.log'), true);
  const faults = faultsFrom(options.env, paths.run);
  const ledger = await Ledger.open(paths.ledger, faults);
  const groups = groupNames(paths);
  const operatorChat = await ledger.write('start', (db) =>
    prepareLedger(db, clock.now(), groups, install.default_group),
  );
  const local = new LocalChannel();
  const channels = new Map<string, Channel>(
    [local, ...options.channels(log)].map((channel) => [channel.name, channel]),
  );
  const containers = { cache: paths.cache, run: paths.run, image: install.image };
  const runtimes = new Map<RuntimeName, Runtime>([
    ['bubblewrap', new BubblewrapRuntime({ cache: paths.cache, run: paths.run })],
    ['docker', new DockerRuntime({ ...containers, socket: engineSocket(options.env) })],
    [
      'podman',
      new DockerRuntime({
        ...containers,
        socket: podmanSocket(options.env, process.geteuid!()),
        dialect: PODMAN,
      }),
    ],
  ]);
  const runtime = runtimes.get(install.runtime)!;
  return { paths, clock, started, install, log, faults, ledger, operatorChat, local, channels, runtimes, runtime };
}

/** A message's way: intake → sessions → delivery, with the gateway beside it and alerts for what goes wrong. */
function makeFlow(base: Base) {
  const { paths, clock, install, log, faults, ledger, local, channels, runtimes, runtime } = base;
  const trouble = (error: Error): void => log.error('ledger.trouble', { reason: error.message });
  const deliver = (chat: number, claimed?: OutboundRow | null): void => delivery.wake(chat, claimed);
  const textMax = (channel: string): number =>
    channels.get(channel)?.capabilities.text_max ?? local.capabilities.text_max;
  const alerts = new Alerts(ledger, clock, log, base.operatorChat, deliver);
  const alert = alerts.alert.bind(alerts);
  const delivery = new Delivery(ledger, clock, channels, faults, { alert, trouble });
  const egress = new Egress(paths.gatewaySocket, log, {
    alert,
    secrets: () => {
      sessions.restIdle('the set of secrets changed');
      void warmUpAll(paths, sessions, runtime, log);
    },
    refused: (session, reason) => sessions.end(session, `no egress: ${reason}`),
  });
  const sessions = new Sessions({
    ...{ ledger, clock, log, faults, paths, egress, install, runtimes, deliver, alert, trouble },
    node: process.execPath,
    codeCache: codeCacheOf(paths),
    tools: { log, ledger, clock, textMax, deliver },
    claim: (db, chat) => delivery.claim(db, chat),
    textMax: (session: SessionRow) => textMax(chatById(ledger.db, session.chat_id)?.channel ?? local.name),
    clear: alerts.clear.bind(alerts),
  });
  const intake = new Intake(
    ledger,
    new Router(ledger, clock, paths.blobs),
    (session) => sessions.wake(session),
    deliver,
  );
  const sweep = new Sweep([sessions, delivery], log);
  return { alert, delivery, egress, sessions, intake, sweep };
}

/** What the operator's clients can ask. */
function makeControl(base: Base, flow: Flow) {
  const { paths, clock, started, install, log, ledger, local, channels, runtime } = base;
  const { sessions, egress, intake, sweep } = flow;
  const operator = new Operator(ledger, clock, install.default_group, intake.sinkOf(local.name));
  const stopAsked = Promise.withResolvers<void>();
  const services = {
    ledger,
    local,
    audit: egress.audit.bind(egress),
    say: operator.say.bind(operator),
    stop: stopAsked.resolve,
    onEvents: ledger.onCommit.bind(ledger),
    clearAlerts: () => ledger.write('alerts_seen', (db) => clearAllAlerts(db, clock)),
    status: () =>
      statusOf({
        ...{ clock, started, runtime },
        home: paths.home,
        db: ledger.db,
        channels: channels.values(),
        sweepsNeeded: () => sweep.needed,
        gatewayConnected: () => egress.connected,
        groups: () => groupNames(paths).map((name) => sessions.describeGroup(name)),
        sessions: () => sessions.live(),
        usage: egress.usage.bind(egress),
      }),
  };
  return { control: new ControlServer(paths.controlSocket, services, log), stopAsked: stopAsked.promise };
}

async function startParts(parts: Parts): Promise<void> {
  const { log, clock, ledger, paths, runtimes, install } = parts;
  for (const runtime of runtimes.values()) await reap(runtime, paths.install, log);
  parts.egress.start();
  await parts.delivery.recover();
  await parts.sessions.recover();
  for (const channel of parts.channels.values()) {
    await channel
      .start(parts.intake.sinkOf(channel.name), parts.intake.cursorsOf(channel.name))
      .catch((error) =>
        parts.alert('channel.start', channel.name, `The channel ${channel.name} could not start: ${messageOf(error)}`),
      );
  }
  await ledger
    .write('started', (db) =>
      recordEvent(db, clock, 'host.started', {}, { version: VERSION, runtime: install.runtime }),
    )
    .catch(() => {});
  log.info('host.ready', { ms: Math.round(clock.monotonic() - parts.started), home: paths.home });
  void warmUpAll(paths, parts.sessions, parts.runtime, log);
}

/** In the background: a first message that comes before it is done only starts slower. */
async function warmUpAll(paths: Paths, sessions: Sessions, runtime: Runtime, log: Log): Promise<void> {
  for (const name of groupNames(paths)) {
    const plan = sessions.harnessOf(name);
    if (plan !== null) await warmUp(paths, runtime, plan.group, plan.harness, log);
  }
}

async function stopParts(parts: Parts, reason: string): Promise<void> {
  const { log, clock, ledger, local, channels, paths } = parts;
  log.info('host.stopping', { reason });
  parts.sweep.stop();
  for (const channel of channels.values()) if (channel !== local) await channel.stop();
  await parts.sessions.drain();
  await parts.delivery.stop(DELIVERY_GRACE_MS);
  await local.stop();
  await ledger.write('stopped', (db) => recordEvent(db, clock, 'host.stopped', {}, { reason })).catch(() => {});
  parts.egress.stop();
  ledger.close();
  rmSync(join(paths.run, 'host.pid'), { force: true });
  parts.control.close();
}

/** Sends that are under way when the host ends. */
const DELIVERY_GRACE_MS = 2000;

/** Ends what an earlier host of this home left behind, and nobody else's. */
async function reap(runtime: Runtime, install: string, log: Log): Promise<void> {
  try {
    const sandboxes = await runtime.reap(install);
    if (sandboxes > 0) log.warn('runtime.reaped', { runtime: runtime.name, sandboxes });
  } catch (error) {
    log.warn('runtime.reap_failed', { runtime: runtime.name, reason: messageOf(error) });
  }
}

function groupNames(paths: Paths): string[] {
  return readdirSync(paths.groups, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && isGroupName(entry.name))
    .map((entry) => entry.name)
    .sort();
}

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
