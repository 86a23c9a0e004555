/**
 * Every failure that somebody is told of: how bad it is, what it means, what to do, and when it is over. OPERATIONS.md prints this
 * table, and a test holds it against the kinds that the source raises.
 */
export interface AlertRule {
  /** `urgent`: somebody waits for an answer and gets none, or a promise of security does not hold. */
  severity: 'urgent' | 'warning';
  means: string;
  act: string;
  /** When it is over; where it does not `stand`, once somebody has seen it (`./glass alert ack`). */
  clears: string;
  /** It is a state: it is over when its cause is, and not before. */
  stands: boolean;
}

const SEEN = 'once you have seen it';
const rule =
  (severity: AlertRule['severity']) =>
  (means: string, act: string, clears = SEEN): AlertRule => ({ severity, means, act, clears, stands: clears !== SEEN });
const urgent = rule('urgent');
const warning = rule('warning');

export const ALERT_RULES: Readonly<Record<string, AlertRule>> = {
  'gateway.lost': urgent(
    'the gateway is away for 10 seconds, or went away three times in ten minutes: no sandbox starts and no model answers',
    'look into gateway.log; ./glass doctor says what this machine lacks',
    'when it is connected; of several times, when ten minutes have passed without another one',
  ),
  'host.crashing': urgent(
    'the host was cut short three times within ten minutes',
    'look into host.log and up.log (or journalctl -u glassclaw) and report the stack there',
    'after ten minutes without another one',
  ),
  'model.failing': urgent(
    'the last three requests of a group to its model failed',
    './glass egress log <group> shows how; look at the provider, and at the secret',
    'with the next answer',
  ),
  'runtime.missing': urgent(
    'sandboxes cannot start on this machine any more',
    './glass doctor says what is missing',
    'when they can',
  ),
  'group.broken': urgent(
    'nothing can run for a group: the text says why',
    'mend its group.yaml, then ./glass group apply <group>',
    'when it can',
  ),
  'sandbox.start': urgent(
    'a sandbox could not start. The reason is in the text: packages of a harness, bubblewrap, a refused group.yaml',
    './glass doctor, or what the text says',
    'when one has started in that conversation',
  ),
  'boundary.failed': urgent(
    'the self-check found a guard that does not hold, and the group does not start until it does; or the daily one could not be made',
    './glass inspect <group> names it; ./glass doctor says what this machine lacks',
    'when it holds',
  ),
  'turn.failed': urgent(
    'a message was given up after three deaths of its sandbox; its writer was told',
    './glass trace <message>, and the log of its session',
  ),
  'channel.start': urgent(
    'a channel could not start; the others go on',
    'see ./glass channel list',
    'when it has started',
  ),
  'channel.deaf': urgent(
    'a channel has heard nothing for fifteen seconds: its driver ended, the platform is away, its token was refused. It is tried again for ever; what is to be sent waits',
    'see ./glass channel list; a refused token: ./glass secret set <channel>-token --kind channel; an unlinked device: ./glass channel link <channel>',
    'when it is connected',
  ),
  'webhooks.deaf': urgent(
    'nothing can listen where platforms call us, so nothing comes in over HTTP: mostly another program holds the port. It is tried again for ever',
    'end that program, or change webhooks: {listen: …} in glass.yaml and start again; ./glass channel test <channel> tries at once',
    'when it listens',
  ),
  'channel.unproven': urgent(
    'the daily proof of a channel failed: it is connected, and a request to its platform is refused',
    './glass channel test <channel>',
    'with the next proof that holds, an hour later or by ./glass channel test <channel> --quiet',
  ),
  'backup.failed': urgent(
    'the last backup could not be made, or a restore of it did not answer: the text says which',
    './glass backup; a kept one: ./glass backup prove <name>',
    'with the next backup that is proven',
  ),
  'delivery.rejected': warning(
    'the platform refused a message for good (its agent is told), or took it and said later that it did not arrive; nothing is repeated',
    'look into its chat; ./glass trace <message> has the reason',
  ),
  'delivery.uncertain': warning(
    'the host died while sending and the platform cannot tell. It was not repeated',
    'look into the chat whether it is there',
  ),
  'delivery.unheard': urgent(
    'a person was answered, and nothing of the answer arrived, in the last day',
    './glass trace latest, and write to them another way',
    'when the last of them is a day old',
  ),
  'messages.overdue': urgent(
    'messages are in a state that passes, for more than 20 minutes',
    './glass status and ./glass trace <message> say where they are',
    'when none is',
  ),
  'ledger.violated': urgent(
    'a conservation law does not hold: a defect',
    'keep ledger.db and report it',
    'when the laws hold, looked at once an hour',
  ),
  'ledger.trouble': urgent(
    'the ledger cannot be written: new messages are refused, what was accepted waits',
    'free some space, or make the disk writable',
    'with the next write that goes through',
  ),
  storage: urgent(
    'the gateway cannot read or write its databases; until it can, it refuses',
    'free some space, or make the disk writable',
  ),
  'disk.full': urgent(
    'the disk of the home has less than 2 % left (at most 256 MiB), or no room for new files',
    'free some space; files: in glass.yaml says what is kept',
    'when there is more',
  ),
  'disk.low': warning(
    'the disk of the home has less than 10 % left (at most 2 GiB)',
    'free some space; files: in glass.yaml says what is kept',
    'when there is more',
  ),
  'workspace.full': warning(
    'a workspace is over its limit, or has less than 5 % left: its agent cannot write',
    'have the agent clean up, or raise limits.workspace and ./glass group apply <group>',
    'when it has room, or its sandbox may start again',
  ),
  'workspace.size': warning(
    'a workspace has not the size that limits.workspace asks for: it is in use, or too full to be smaller',
    'the text says which',
    'when it has',
  ),
  'log.failed': warning(
    'host or gateway cannot write its log file',
    'look at the disk, and at the modes of logs/',
    'when it can',
  ),
  'retention.failed': warning(
    'what is too old could not be removed; it is tried again at the next start, and once a day',
    'the text says why',
    'when it could',
  ),
  'clock.jump': warning(
    'the clock of this machine was set by more than five seconds: times in traces and of tasks may be wrong',
    'look whether a time service runs (timedatectl)',
    'after an hour',
  ),
  'wakeups.lost': warning('the sweep found work that nobody had woken for: a defect', 'keep host.log and report it'),
  budget: warning(
    'a group has used 50, 80 or 100 % of its budget of today (from 100 % on its requests are refused until midnight), or its usd_per_idle_hour while nobody spoke to it (it goes on when somebody does)',
    './glass egress log <group> says what it was at; more: budget in its group.yaml, then ./glass group apply',
    'at midnight',
  ),
  approval: warning(
    'an agent’s request waits, for ten minutes at most, and nobody who may decide could be shown its card',
    './glass approval show <id>, then approve or deny',
    'when it is decided, or over',
  ),
  'approval.waiting': warning(
    'something has waited for a decision for half of its time, or for an hour',
    './glass approval list',
    'when it is decided, or over',
  ),
  'task.failing': warning(
    'a task has failed three times in a row; after eight it is paused',
    './glass task log <task>',
    'with its next run that does not fail',
  ),
  'task.paused': warning(
    'a task does not run any more: it failed eight times in a row, or may not',
    './glass task log <task>, then task resume or remove',
    'when it runs again, or is removed',
  ),
  'turns.failing': urgent(
    'three turns of a group failed one after the other: its model is away, its workspace is full; the text has the reason',
    './glass trace latest --group <group>; look at what the reason names',
    'with its next turn that does not fail',
  ),
  telemetry: warning(
    'metrics or traces do not get out: packages are missing, the port is taken, or the collector has refused for ten minutes. Nothing else depends on them',
    './glass doctor --fix, or what the text says',
    'when they get out',
  ),
  pairing: urgent(
    'somebody tries pairing codes on a channel: sixty wrong ones in an hour. None works there until it is over',
    'nothing has to be done; make codes only while somebody waits for one',
    'when the hour is over',
  ),
  secret_echo: warning(
    'a service or a model endpoint sent a secret back. It was masked',
    'look whether its rules let an agent ask for that',
  ),
  refusals: warning(
    'a session is refused so often that the rest of the minute goes unrecorded: an agent in a loop, or at work against you',
    './glass egress log <group>',
  ),
  'alerts.way': warning(
    'alerts do not get out by their command, webhook or heartbeat; the chats have them all the same',
    './glass alert test says what is wrong with it',
    'when something got out by it',
  ),
  'upgrade.returned': urgent(
    'a newer version was tried on this home and did not hold; the one before is back, with everything it had',
    'the text says why; ./glass upgrade log has it, too',
  ),
  'upgrade.channel': urgent(
    'a channel that was connected before an upgrade is not since',
    'see ./glass channel list; ./glass upgrade back goes to the version before',
  ),
  test: warning('somebody tries the ways of alerts: ./glass alert test', 'nothing has to be done'),
};

/** Of a kind that is not in the table, which a test keeps from happening: told rather than lost. */
const UNKNOWN = urgent('something that this version has no words for', './glass status');

export function ruleOf(kind: string): AlertRule {
  return ALERT_RULES[kind] ?? UNKNOWN;
}

/** As OPERATIONS.md prints it. */
export function alertTable(): string {
  const rows = Object.entries(ALERT_RULES).map(
    ([kind, { severity, means, act, clears }]) => `| \`${kind}\` | ${severity} | ${means} | ${act} | ${clears} |`,
  );
  return ['| kind | | what it means | what to do | it is over |', '|---|---|---|---|---|', ...rows].join('\n');
}
