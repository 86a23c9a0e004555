import type { InstallConfig } from './base/config.ts';
import { type Faults, guarded } from './base/faults.ts';
import { AGENTS } from './channels/agents/agents.ts';
import { runCommand } from './evidence/alert_command.ts';
import { Way } from './evidence/alert_way.ts';
import { type AlertParts, Alerts, LOCAL } from './evidence/alerts.ts';
import { Heartbeat } from './evidence/heartbeat.ts';
import { ChannelProofs } from './operations/channel_proofs.ts';
import type { Groups } from './operations/groups.ts';
import { Watch, type WatchParts } from './operations/watch.ts';
import type { Egress } from './sessions/egress.ts';
import type { Planner } from './sessions/planner.ts';
import type { Workspaces } from './sessions/workspaces.ts';

type AlertBase = Omit<AlertParts, 'ways' | 'deliver'> &
  Pick<WatchParts, 'paths' | 'log' | 'runtime'> & { install: InstallConfig; faults: Faults };

/** Whom alerts reach, by what besides chats, and what is looked at for them. */
export function makeAlerts(base: AlertBase, deliver: (chat: number) => void, egress: () => Egress) {
  const { ledger, clock, log, faults, channels, operatorChat, install, paths } = base;
  const { command, webhook, heartbeat: address } = install.alerts;
  const works = (name: string, failure: string | null): void => {
    if (failure === null) alerts.clear('alerts.way', name);
    else alerts.alert('alerts.way', name, `Alerts do not get out by the ${name}: ${failure}.`);
  };
  const way = { ledger, clock, works };
  const ways: Way[] = [];
  const run = (body: string) => guarded(faults, 'alert.command', () => runCommand(command!, body));
  const post = (body: string) => guarded(faults, 'alert.webhook', () => egress().post('webhook', body));
  const beat = () => guarded(faults, 'alert.heartbeat', () => egress().post('heartbeat', ''));
  if (command !== undefined) ways.push(new Way({ ...way, name: 'command', send: run }));
  if (webhook !== undefined) ways.push(new Way({ ...way, name: 'webhook', send: post }));
  const ping = address === undefined ? null : beat;
  const heartbeat = new Heartbeat({ run: paths.run, clock, ping, works });
  const alerts = new Alerts({ ledger, clock, log, channels, operatorChat, deliver, ways });
  const [alert, clear] = [alerts.alert.bind(alerts), alerts.clear.bind(alerts)];
  const apart = { install: paths.install, without: [LOCAL, AGENTS], daily: install.synthetic };
  const proven = new ChannelProofs({ ledger, clock, channels, alert, clear, ...apart });
  const gatewayBack = (): void => ways.find(({ name }) => name === 'webhook')?.again();
  return { alerts, ways, heartbeat, proven, alert, clear, gatewayBack };
}

interface Watched extends ReturnType<typeof makeAlerts> {
  egress: Egress;
  workspaces: Workspaces;
  groups: Groups;
  planner: Planner;
}

export function makeWatch(base: AlertBase, { groups, planner, proven, ...parts }: Watched): Watch {
  return new Watch({
    ...base,
    ...parts,
    groups: () => groups.names().map((name) => planner.describe(name)),
    prove: () => proven.look(),
  });
}
