import { Desk } from './approvals/desk.ts';
import { ControlServer } from './control/server.ts';
import { type AlertTestRow, testAlerts } from './evidence/alert_test.ts';
import { newestReport } from './evidence/check/newest.ts';
import { statusOf } from './evidence/status.ts';
import type { Base, Flow } from './host_parts.ts';
import { authorityInForce } from './ledger/authorities.ts';
import { channelProof } from './ledger/channel_proofs.ts';
import { ChatCommands } from './operations/chat_commands.ts';
import { Emergency } from './operations/emergency.ts';
import { accountName, Operator } from './operations/operator.ts';
import { People } from './operations/people.ts';
import { Retention } from './operations/retention.ts';
import { Sweep } from './operations/sweep.ts';
import { ThrowAways } from './operations/throw_aways.ts';
import { countUnreadable } from './operations/unreadable.ts';
import { Wirings } from './operations/wirings.ts';
import { Answers } from './router/answers.ts';
import { Intake } from './router/intake.ts';
import { Router } from './router/router.ts';
import { limitsOfHost } from './sessions/host_limits.ts';

/** What comes in: who may talk, to whom, who is asked about those that may not, and what a command does. */
export function makeIntake(base: Base, flow: Flow) {
  const { paths, clock, log, ledger, channels, operatorChat, install } = base;
  const { egress, sessions, planner, delivery, deliver, groups, wake, nudge, tasks, approvals, wishes, asks } = flow;
  const admission = {
    clock,
    spoken: (group: string) => egress.spoken(group, clock.now()),
    nudge,
    groups: () => groups.names().filter((name) => authorityInForce(ledger.db, name) !== undefined),
  };
  const emergency = new Emergency({
    ...{ ledger, clock, log, wake, deliver },
    groups: () => groups.names(),
    untaken: sessions.untaken.bind(sessions),
    halt: sessions.halt.bind(sessions),
    requests: egress.log.bind(egress),
    goOn: () => {
      flow.scheduler.look();
      if (!base.safe) wishes.start();
    },
  });
  const commands = new ChatCommands({
    ...{ ledger, clock, deliver, emergency },
    audit: egress.audit.bind(egress),
    usage: egress.usage.bind(egress),
    describe: planner.describe.bind(planner),
    live: sessions.live.bind(sessions),
    tasks: (groups) => tasks.list(groups),
    changeTask: tasks.command.bind(tasks),
    waiting: (db, person) => desk.waiting(db, person),
    untaken: sessions.untaken.bind(sessions),
    stop: sessions.stop.bind(sessions),
    rest: sessions.rest.bind(sessions),
  });
  const told = { services: admission, requests: approvals, wishes, wake, deliver };
  const desk = new Desk({ ledger, log, channels, operatorChat, ...told });
  const answers = new Answers(admission, asks.ended.bind(asks));
  const router = new Router(ledger, clock, paths.blobs, admission, desk, commands, answers);
  const intake = new Intake(ledger, router, { wake, deliver, asked: (question) => desk.asked(question) });
  const sweep = new Sweep([sessions, delivery], log, (lost) => flow.watch.look(lost));
  const { alert, clear } = flow;
  const kept = { paths, ledger, clock, log, egress, files: install.files, events: install.events, alert, clear };
  const retention = new Retention({ ...kept, live: sessions.live.bind(sessions) });
  const throwAways = new ThrowAways({ paths, ledger, clock, log, groups, drivers: flow.drivers, sessions, clear });
  return { admission, desk, intake, sweep, retention, emergency, throwAways };
}

/** What the operator's clients can ask. */
export function makeControl(base: Base, flow: Flow & ReturnType<typeof makeIntake>) {
  const { paths, clock, started, install, log, ledger, local, channels, runtime } = base;
  const { groups, tasks, planner, proofs, sessions, egress, approvals, admission, desk, workspaces } = flow;
  const { intake, sweep, retention, emergency } = flow;
  const operator = new Operator(ledger, clock, install.default_group, intake.sinkOf(local.name));
  const known = { ledger, clock, channels, groups: admission.groups, defaultGroup: install.default_group };
  const people = new People({ ...known, by: accountName(), operator: () => operator.person });
  const wirings = new Wirings({ ...known, by: accountName(), admission });
  const stopAsked = Promise.withResolvers<void>();
  const status = () =>
    statusOf({
      ...{ clock, started, runtime, safe: base.safe },
      stops: () => emergency.list(),
      ...{ paths, configHash: base.configHash, versions: base.versions },
      hostLimits: () => limitsOfHost(workspaces),
      db: ledger.db,
      channels: channels.values(),
      webhooks: flow.drivers.webhooks.deaf,
      sweepsNeeded: () => sweep.needed,
      gateway: egress,
      groups: () =>
        groups
          .names()
          .map((name) => ({ ...planner.describe(name), edited: groups.edited(name), proof: proofs.last(name) })),
      sessions: () => sessions.live(),
      usage: egress.usage.bind(egress),
      pruned: () => retention.last,
      proofOf: (name) => channelProof(ledger.db, name),
      unreadableOf: (name) => countUnreadable(ledger.db, name),
      checked: () => newestReport(paths.home),
      unwritten: () => flow.alerts.unwritten,
      ways: () => [...flow.ways.map((way) => way.shown()), flow.heartbeat.shown()],
    });
  const services = {
    ledger,
    local,
    groups,
    approvals,
    ...{ emergency, safe: base.safe, trial: base.trial },
    channels: flow.drivers,
    ...{ questions: desk, people, wirings },
    decide: (id: string, choice: string, reason: string) =>
      desk.show(id) === undefined
        ? approvals.decide(id, { person: operator.person, allow: choice !== 'deny', reason })
        : desk.decide(id, operator.person, choice, reason),
    inspect: proofs.inspect.bind(proofs),
    tasks,
    throwAways: flow.throwAways,
    person: () => operator.person,
    operator: accountName(),
    egress,
    say: operator.say.bind(operator),
    stop: stopAsked.resolve,
    onEvents: ledger.onCommit.bind(ledger),
    ...{ alerts: flow.alerts, prove: flow.proven.prove.bind(flow.proven) },
    testAlerts: (tell: (row: AlertTestRow) => void, gone: Promise<void>) =>
      testAlerts({ ...known, ...flow, operatorChat: base.operatorChat }, tell, gone),
    blobs: paths.blobs,
    status,
  };
  return {
    control: new ControlServer(paths.controlSocket, paths.socketMode, services, log),
    ...{ stopAsked: stopAsked.promise, status },
  };
}
