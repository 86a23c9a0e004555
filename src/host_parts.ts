import { join } from 'node:path';
import { Approvals } from './approvals/approvals.ts';
import { Wishes } from './approvals/wishes.ts';
import { systemClock } from './base/clock.ts';
import { readInstall } from './base/config.ts';
import { faultsFrom } from './base/faults.ts';
import { ANCHORED, type Log, openLog } from './base/log.ts';
import type { Paths } from './base/paths.ts';
import { AGENTS, AgentsChannel } from './channels/agents/agents.ts';
import type { Channel } from './channels/channel.ts';
import type { ChannelKind } from './channels/kind.ts';
import { KINDS } from './channels/kinds.ts';
import { LocalChannel } from './channels/local/local.ts';
import { Delivery } from './delivery/delivery.ts';
import { Typing } from './delivery/typing.ts';
import { watchTurns } from './evidence/failing.ts';
import { inspectSandbox } from './evidence/inspection/inspection.ts';
import { configHash } from './evidence/status_facts.ts';
import { makeAlerts, makeWatch } from './host_alerts.ts';
import { endLeftOver } from './ledger/approvals.ts';
import { imagesOfUse } from './ledger/authorities.ts';
import { chatById, uidRange } from './ledger/chats.ts';
import { Ledger } from './ledger/ledger.ts';
import { beginLife } from './ledger/lives.ts';
import type { OutboundRow } from './ledger/outbound.ts';
import { Anchors } from './operations/anchors.ts';
import { forgetRestore, stopRestored } from './operations/backup/marks.ts';
import { Channels } from './operations/channels.ts';
import { boundaryCodeHash } from './operations/code_hash.ts';
import { gatewayNews } from './operations/gateway_news.ts';
import { Groups, groupNames } from './operations/groups.ts';
import { imageOf, pruneImages } from './operations/images.ts';
import { prepareLedger } from './operations/operator.ts';
import { Proofs } from './operations/proofs.ts';
import { makeRuntimes } from './operations/runtimes.ts';
import { endStopsOfCopy, onlyOfTrial } from './operations/trial.ts';
import { versionsHere } from './operations/versions.ts';
import { codeCacheOf, warmUpAll } from './operations/warm_up.ts';
import { deliverWarnings } from './operations/warnings.ts';
import { Scheduler } from './scheduler/scheduler.ts';
import { Tasks } from './scheduler/tasks.ts';
import { agentPost } from './sessions/agent_post.ts';
import { Asks } from './sessions/asks.ts';
import { Egress } from './sessions/egress.ts';
import { limitsOfHost } from './sessions/host_limits.ts';
import { Planner } from './sessions/planner.ts';
import { Sessions } from './sessions/sessions.ts';
import { Workspaces } from './sessions/workspaces.ts';

/** What the host is made of, without the way in: storage, the gateway's link, sessions, delivery, and what goes wrong with them. */
export interface HostOptions {
  env: NodeJS.ProcessEnv;
  /** Channels besides `local` and those of `glass.yaml`. */
  channels: (log: Log) => Channel[];
  /** What `glass.yaml` may name; absent: what this version has. */
  kinds?: readonly ChannelKind[];
  /** Everything has ended in order; the process may go. */
  onStopped: () => void;
}

export type Base = Awaited<ReturnType<typeof openBase>>;
export type Flow = ReturnType<typeof makeFlow>;

/** What everything else stands on: configuration, log, ledger, and the lists of what exists. */
export async function openBase(options: HostOptions, paths: Paths) {
  const clock = systemClock;
  const started = clock.monotonic();
  const hash = configHash(paths.config);
  const install = readInstall(paths.config);
  const aloud = (event: string): boolean => paths.isService && event === ANCHORED;
  const log = openLog('host', join(paths.logs, 'host.log'), true, aloud);
  const faults = faultsFrom(options.env, paths.run, 'host');
  const trial = options.env['GLASS_TRIAL'] === '1';
  const safe = trial || options.env['GLASS_SAFE'] === '1';
  const ledger = await Ledger.open(paths.ledger, faults);
  const groups = groupNames(paths);
  const uids = uidRange(ledger.db, paths.install, install.uids);
  const operatorChat = await ledger.write('start', (db) => {
    endLeftOver(db, clock);
    beginLife(db, clock.now());
    stopRestored(db, clock, paths);
    if (trial) endStopsOfCopy(db, clock, paths);
    return prepareLedger(db, clock.now(), groups, install.default_group, uids);
  });
  forgetRestore(paths);
  const local = new LocalChannel();
  const channels = new Map<string, Channel>(
    [local, ...options.channels(log)].map((channel) => [channel.name, channel]),
  );
  const runtimes = makeRuntimes(paths, options.env, install.image);
  const runtime = runtimes.get(install.runtime)!;
  return {
    ...{ env: options.env, paths, clock, started, install, uids, log, faults, ledger, operatorChat, safe, trial },
    only: onlyOfTrial({ trial, ledger }),
    ...{ local, channels, runtimes, runtime, kinds: options.kinds ?? KINDS },
    ...{ configHash: hash, versions: versionsHere(paths.root, install.runtime) },
  };
}

/**
 * A message's way from the ledger on: sessions → delivery, with the gateway beside it and alerts for what goes wrong. `asked`: an agent
 * has asked something that a person must decide.
 */
export function makeFlow(base: Base, asked: (question: number) => void) {
  const { paths, clock, install, log, faults, ledger, local, channels, runtimes } = base;
  const deliver = base.only.chats((chat, claimed?: OutboundRow | null) => delivery.wake(chat, claimed));
  const capabilities = (channel: string) => (channels.get(channel) ?? local).capabilities;
  const late = {
    ...{ sessions: () => sessions, approvals: () => approvals, drivers: () => drivers, egress: () => egress },
    gatewayLost: () => watch.gatewayLost(),
    gatewayBack: () => told.gatewayBack(),
  };
  const told = makeAlerts(base, deliver, late.egress);
  const { alert, clear } = told;
  watchTurns(ledger, { alert, clear });
  channels.set(AGENTS, new AgentsChannel(agentPost({ ledger, clock, wake: (session) => sessions.wake(session) })));
  deliverWarnings({ ledger, deliver }, base.operatorChat);
  const asks = new Asks({ ledger, clock, deliver });
  const rejected = asks.undelivered.bind(asks);
  const delivery = new Delivery(ledger, paths.blobs, clock, channels, faults, { alert, rejected });
  // One after the other: each looks first whether the one before it has done the work.
  let warming = Promise.resolve();
  const warm = (): void => {
    if (base.safe) return;
    warming = warming.then(() => warmUpAll(base, planner));
  };
  const anchors = new Anchors({ ledger, clock, log, egress: late.egress });
  const egress = new Egress(paths.gatewaySocket, log, gatewayNews(ledger, anchors, alert, { ...late, warm }));
  const drivers = new Channels({ ...base, deliver, alert, clear, release: egress.release.bind(egress) });
  const approvals = new Approvals({
    ...{ ledger, clock, log, channels, operatorChat: base.operatorChat, alert, deliver },
    decide: (decision) => egress.decide(decision),
    ...{ body: egress.body.bind(egress), marked: egress.marked.bind(egress) },
  });
  const workspaces = new Workspaces({ paths, alert, clear });
  const groups = makeGroups(base, workspaces, (group) => {
    sessions.renew('its authority changed', group);
    warm();
    return sessions.live().map(({ image }) => image);
  });
  const planner = new Planner({
    ...{ paths, ledger, egress, runtimes },
    places: (group) => groups.places(group),
    limitsOf: () => limitsOfHost(workspaces),
    node: process.execPath,
    codeCache: codeCacheOf(paths),
  });
  const proofs = new Proofs({
    ...{ paths, ledger, clock, log, planner, workspaces, alert, clear },
    ...{ attempt: inspectSandbox, code: boundaryCodeHash(paths.root) },
    groups: () => groups.names(),
  });
  const wake = base.only.sessions((session) => sessions.wake(session));
  const nudge = base.only.sessions((session) => sessions.nudge(session));
  const scheduler = new Scheduler({ ledger, clock, wake, nudge, deliver, alert });
  const zone = (): string => install.timezone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  const tasks = new Tasks({ ledger, clock, nudge, scheduler, zone });
  const wishes = new Wishes({
    ...{ ledger, clock, log, wake, deliver },
    foresee: groups.foresee.bind(groups),
    grant: groups.grant.bind(groups),
    asked,
  });
  const typing = new Typing(ledger, clock, channels);
  const sessions = new Sessions({
    ...{ ledger, clock, log, faults, paths, egress, workspaces, planner, deliver, alert, clear },
    prove: (plan) => proofs.require(plan),
    tools: {
      ...{ log, ledger, clock, capabilities, deliver, asks, asked },
      ...{ tasks: tasks.forAgents(), wish: wishes.ask.bind(wishes) },
    },
    claim: (db, chat) => delivery.claim(db, chat),
    ...{ typing, drafts: install.drafts ? delivery.drafts : null },
    takes: (chat: number) => capabilities(chatById(ledger.db, chat)?.channel ?? local.name),
  });
  const watch = makeWatch(base, { ...told, egress, workspaces, groups, planner });
  return {
    ...told,
    ...{ watch, warm, wake, nudge, deliver, drivers, anchors },
    ...{ delivery, egress, approvals, wishes, asks, groups, workspaces, planner, proofs, sessions, scheduler, tasks },
  };
}

/** `applied`: a group's authority changed; returns the images that sandboxes still run from. */
function makeGroups(base: Base, workspaces: Workspaces, applied: (group: string) => (string | null)[]): Groups {
  const { paths, install, uids, ledger, clock, runtimes, env } = base;
  // By group, what was made last: it may not be in force yet.
  const made = new Map<string, string | null>();
  return new Groups({
    ...{ paths, install, uids, ledger, clock, runtimes, env },
    limitsOf: () => limitsOfHost(workspaces),
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
