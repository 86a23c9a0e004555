import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Approvals } from './approvals/approvals.ts';
import { Desk } from './approvals/desk.ts';
import { Wishes } from './approvals/wishes.ts';
import { systemClock } from './base/clock.ts';
import { readInstall } from './base/config.ts';
import { describeError, exitCodeOf, messageOf } from './base/errors.ts';
import { faultsFrom } from './base/faults.ts';
import { holdLock } from './base/lock.ts';
import { type Log, openLog } from './base/log.ts';
import { dropStartGarbage } from './base/memory.ts';
import { homeFrom, type Paths, pathsOf, prepareHome } from './base/paths.ts';
import { VERSION } from './base/version.ts';
import { AGENTS, AgentsChannel } from './channels/agents/agents.ts';
import type { Channel } from './channels/channel.ts';
import type { ChannelKind } from './channels/kind.ts';
import { KINDS } from './channels/kinds.ts';
import { LocalChannel } from './channels/local/local.ts';
import { ControlServer } from './control/server.ts';
import { Delivery } from './delivery/delivery.ts';
import { Typing } from './delivery/typing.ts';
import { Alerts } from './evidence/alerts.ts';
import { statusOf } from './evidence/status.ts';
import { clearAllAlerts } from './ledger/alerts.ts';
import { endLeftOver } from './ledger/approvals.ts';
import { authorityInForce, imagesOfUse } from './ledger/authorities.ts';
import { chatById } from './ledger/chats.ts';
import { recordEvent } from './ledger/events.ts';
import { Ledger } from './ledger/ledger.ts';
import type { OutboundRow } from './ledger/outbound.ts';
import { Channels } from './operations/channels.ts';
import { ChatCommands } from './operations/chat_commands.ts';
import { boundaryCodeHash } from './operations/code_hash.ts';
import { prepareInstall } from './operations/first_run.ts';
import { gatewayNews } from './operations/gateway_news.ts';
import { Groups, groupNames } from './operations/groups.ts';
import { imageOf, pruneImages } from './operations/images.ts';
import { accountName, Operator, prepareLedger } from './operations/operator.ts';
import { People } from './operations/people.ts';
import { Proofs } from './operations/proofs.ts';
import { Retention } from './operations/retention.ts';
import { makeRuntimes, reap } from './operations/runtimes.ts';
import { Sweep } from './operations/sweep.ts';
import { codeCacheOf, warmUpAll } from './operations/warm_up.ts';
import { Wirings } from './operations/wirings.ts';
import { Answers } from './router/answers.ts';
import { Intake } from './router/intake.ts';
import { Router } from './router/router.ts';
import { Scheduler } from './scheduler/scheduler.ts';
import { Tasks } from './scheduler/tasks.ts';
import { agentPost } from './sessions/agent_post.ts';
import { Asks } from './sessions/asks.ts';
import { Egress } from './sessions/egress.ts';
import { Planner } from './sessions/planner.ts';
import { Sessions } from './sessions/sessions.ts';
import { Workspaces } from './sessions/workspaces.ts';

/**
 * The host: composition root. It makes what exists, passes to each part what it needs, and starts the parts in the order
 * in which they rely on one another:
 *
 *   home, lock → ledger → gateway link, sessions, delivery → control socket → leftovers, recovery → channels
 */
export interface HostOptions {
  env: NodeJS.ProcessEnv;
  /** Channels besides `local` and those of `glass.yaml`. */
  channels: (log: Log) => Channel[];
  /** What `glass.yaml` may name; absent: what this version has. */
  kinds?: readonly ChannelKind[];
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

type Base = Awaited<ReturnType<typeof openBase>>;
type Flow = ReturnType<typeof makeFlow> & ReturnType<typeof makeIntake>;
type Parts = Base & Flow & ReturnType<typeof makeControl>;

async function makeParts(options: HostOptions, paths: Paths): Promise<Parts> {
  const base = await openBase(options, paths);
  const parts = makeFlow(base, (question) => flow.desk.asked(question));
  const flow = { ...parts, ...makeIntake(base, parts) };
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
  const operatorChat = await ledger.write('start', (db) => {
    endLeftOver(db, clock);
    return prepareLedger(db, clock.now(), groups, install.default_group, install.uids);
  });
  const local = new LocalChannel();
  const channels = new Map<string, Channel>(
    [local, ...options.channels(log)].map((channel) => [channel.name, channel]),
  );
  const runtimes = makeRuntimes(paths, options.env, install.image);
  const runtime = runtimes.get(install.runtime)!;
  return {
    ...{ env: options.env, paths, clock, started, install, log, faults, ledger, operatorChat },
    ...{ local, channels, runtimes, runtime, kinds: options.kinds ?? KINDS },
  };
}

/**
 * A message's way from the ledger on: sessions → delivery, with the gateway beside it and alerts for what goes wrong. `asked`: an agent
 * has asked something that a person must decide.
 */
function makeFlow(base: Base, asked: (question: number) => void) {
  const { paths, clock, install, log, faults, ledger, local, channels, runtimes } = base;
  const trouble = (error: Error): void => log.error('ledger.trouble', { reason: error.message });
  const deliver = (chat: number, claimed?: OutboundRow | null): void => delivery.wake(chat, claimed);
  const capabilities = (channel: string) => (channels.get(channel) ?? local).capabilities;
  const alerts = new Alerts(ledger, clock, log, base.operatorChat, deliver);
  const [alert, clear] = [alerts.alert.bind(alerts), alerts.clear.bind(alerts)];
  channels.set(AGENTS, new AgentsChannel(agentPost({ ledger, clock, wake: (session) => sessions.wake(session) })));
  const asks = new Asks({ ledger, clock, deliver, trouble });
  const rejected = asks.undelivered.bind(asks);
  const delivery = new Delivery(ledger, paths.blobs, clock, channels, faults, { alert, trouble, rejected });
  // One after the other: each looks first whether the one before it has done the work.
  let warming = Promise.resolve();
  const warm = (): void => {
    warming = warming.then(() => warmUpAll(base, planner));
  };
  const late = { sessions: () => sessions, approvals: () => approvals, drivers: () => drivers, warm };
  const egress = new Egress(paths.gatewaySocket, log, gatewayNews(base, alert, late));
  const drivers = new Channels({ ...base, deliver, alert, clear, release: egress.release.bind(egress) });
  const approvals = new Approvals({
    ...{ ledger, clock, log, channels, operatorChat: base.operatorChat, alert, deliver, trouble },
    decide: (decision) => egress.decide(decision),
  });
  const workspaces = new Workspaces({ paths, alert, clear });
  const groups = makeGroups(base, workspaces, (group) => {
    sessions.renew('its authority changed', group);
    warm();
    return sessions.live().map(({ image }) => image);
  });
  const planner = new Planner({
    ...{ paths, ledger, egress, runtimes },
    places: () => groups.places(),
    limitsOf: () => workspaces.limits(),
    node: process.execPath,
    codeCache: codeCacheOf(paths),
  });
  const proofs = new Proofs({
    ...{ paths, ledger, clock, log, planner, workspaces, alert, clear },
    code: boundaryCodeHash(paths.root),
    groups: () => groups.names(),
  });
  const wake = (session: number): void => sessions.wake(session);
  const nudge = (session: number): void => sessions.nudge(session);
  const scheduler = new Scheduler({ ledger, clock, wake, nudge, deliver, alert, trouble });
  const zone = (): string => install.timezone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  const tasks = new Tasks({ ledger, clock, nudge, scheduler, zone });
  const wishes = new Wishes({
    ...{ ledger, clock, log, wake, deliver, trouble },
    foresee: groups.foresee.bind(groups),
    grant: groups.grant.bind(groups),
    asked,
  });
  const typing = new Typing(ledger, clock, channels);
  const sessions = new Sessions({
    ...{ ledger, clock, log, faults, paths, egress, workspaces, planner, deliver, alert, clear, trouble },
    prove: (plan) => proofs.require(plan),
    tools: {
      log,
      ledger,
      clock,
      capabilities,
      deliver,
      asks,
      asked,
      tasks: tasks.forAgents(),
      wish: wishes.ask.bind(wishes),
    },
    claim: (db, chat) => delivery.claim(db, chat),
    ...{ typing, drafts: install.drafts ? delivery.drafts : null },
    takes: (chat: number) => capabilities(chatById(ledger.db, chat)?.channel ?? local.name),
  });
  return {
    ...{ alert, trouble, warm, wake, nudge, deliver, drivers },
    ...{ delivery, egress, approvals, wishes, asks, groups, workspaces, planner, proofs, sessions, scheduler, tasks },
  };
}

/** `applied`: a group's authority changed; returns the images that sandboxes still run from. */
function makeGroups(base: Base, workspaces: Workspaces, applied: (group: string) => (string | null)[]): Groups {
  const { paths, install, ledger, clock, runtimes, env } = base;
  // By group, what was made last: it may not be in force yet.
  const made = new Map<string, string | null>();
  return new Groups({
    ...{ paths, install, ledger, clock, runtimes },
    limitsOf: () => workspaces.limits(),
    imageOf: async (authority, onProgress) => {
      const image = await imageOf(authority, { paths, install, env }, onProgress);
      made.set(authority.group, image);
      return image;
    },
    applied: (group) => {
      const live = applied(group);
      void pruneImages(new Set([...made.values(), ...imagesOfUse(ledger.db), ...live]), base);
    },
  });
}

/** What comes in: who may talk, to whom, who is asked about those that may not, and what a command does. */
function makeIntake(base: Base, flow: ReturnType<typeof makeFlow>) {
  const { paths, clock, log, ledger, channels, operatorChat, install } = base;
  const { egress, sessions, planner, delivery, deliver, groups, trouble, wake, nudge, tasks, approvals, wishes, asks } =
    flow;
  const admission = {
    clock,
    spoken: (group: string) => egress.spoken(group, clock.now()),
    nudge,
    groups: () => groups.names().filter((name) => authorityInForce(ledger.db, name) !== undefined),
  };
  const commands = new ChatCommands({
    ...{ ledger, clock, deliver },
    audit: egress.audit.bind(egress),
    usage: egress.usage.bind(egress),
    describe: planner.describe.bind(planner),
    live: sessions.live.bind(sessions),
    tasks: (groups) => tasks.list(groups),
    untaken: sessions.untaken.bind(sessions),
    stop: sessions.stop.bind(sessions),
    rest: sessions.rest.bind(sessions),
  });
  const told = { services: admission, requests: approvals, wishes, wake, deliver, trouble };
  const desk = new Desk({ ledger, log, channels, operatorChat, ...told });
  const answers = new Answers(admission, asks.ended.bind(asks));
  const router = new Router(ledger, clock, paths.blobs, admission, desk, commands, answers);
  const intake = new Intake(ledger, router, { wake, deliver, asked: (question) => desk.asked(question) });
  const sweep = new Sweep([sessions, delivery], log);
  const kept = { paths, ledger, clock, log, files: install.files };
  const retention = new Retention({ ...kept, live: sessions.live.bind(sessions) });
  return { admission, desk, intake, sweep, retention };
}

/** What the operator's clients can ask. */
function makeControl(base: Base, flow: Flow) {
  const { paths, clock, started, install, log, ledger, local, channels, runtime } = base;
  const { groups, tasks, planner, proofs, sessions, egress, approvals, admission, desk, workspaces } = flow;
  const { intake, sweep, retention } = flow;
  const operator = new Operator(ledger, clock, install.default_group, intake.sinkOf(local.name));
  const known = { ledger, clock, channels, groups: admission.groups, defaultGroup: install.default_group };
  const people = new People({ ...known, by: accountName(), operator: () => operator.person });
  const wirings = new Wirings({ ...known, by: accountName(), admission });
  const stopAsked = Promise.withResolvers<void>();
  const services = {
    ledger,
    local,
    groups,
    approvals,
    channels: flow.drivers,
    ...{ questions: desk, people, wirings },
    decide: (id: string, choice: string, reason: string) =>
      desk.show(id) === undefined
        ? approvals.decide(id, { person: operator.person, allow: choice !== 'deny', reason })
        : desk.decide(id, operator.person, choice, reason),
    inspect: proofs.inspect.bind(proofs),
    tasks,
    person: () => operator.person,
    operator: accountName(),
    egress,
    say: operator.say.bind(operator),
    stop: stopAsked.resolve,
    onEvents: ledger.onCommit.bind(ledger),
    clearAlerts: () => ledger.write('alerts_seen', (db) => clearAllAlerts(db, clock)),
    blobs: paths.blobs,
    status: () =>
      statusOf({
        ...{ clock, started, runtime },
        home: paths.home,
        folderLimits: () => workspaces.limits(),
        db: ledger.db,
        channels: channels.values(),
        sweepsNeeded: () => sweep.needed,
        gatewayConnected: () => egress.connected,
        groups: () =>
          groups
            .names()
            .map((name) => ({ ...planner.describe(name), edited: groups.edited(name), proof: proofs.last(name) })),
        sessions: () => sessions.live(),
        usage: egress.usage.bind(egress),
        pruned: () => retention.last,
      }),
  };
  return {
    control: new ControlServer(paths.controlSocket, paths.socketMode, services, log),
    stopAsked: stopAsked.promise,
  };
}

async function startParts(parts: Parts): Promise<void> {
  const { log, clock, ledger, paths, runtimes, install } = parts;
  for (const runtime of runtimes.values()) await reap(runtime, paths.install, log);
  void parts.workspaces.limits(); // its trial runs beside the rest, and the first sandbox waits for it
  parts.egress.start();
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
