import { OperatingError } from '../base/errors.ts';
import { CHECK_CHAT, CHECK_GROUP } from '../evidence/check/names.ts';

/** What can be asked while nothing may happen: whatever only reads, the emergency stop, and the end of the host. */
const ALLOWED: ReadonlySet<string> = new Set([
  ...['status', 'trace', 'trace_follow', 'trace_find', 'events', 'alerts', 'outcome', 'chat', 'shown', 'file'],
  ...[
    'channels',
    'channel_show',
    'channel_unreadable',
    'groups',
    'group_show',
    'group_plan',
    'templates',
    'people',
    'person_show',
  ],
  ...['wirings', 'wiring_test', 'tasks', 'task_log', 'approvals', 'approval_show', 'approval_body'],
  ...['egress_explain', 'egress_log', 'events_verify', 'events_export'],
  ...['group_stop', 'group_resume', 'stop'],
]);

/** What a trial start needs, and nothing else: it is over in a minute, and leaves the home as it was. */
const IN_TRIAL: ReadonlySet<string> = new Set([
  ...['status', 'trace', 'events', 'events_verify', 'chat', 'shown', 'stop'],
  ...['check_group', 'check_clear', 'wiring_set', 'say'],
]);

export const SAFE_MODE = 'GlassClaw is in safe mode: nothing is changed, nothing runs and nothing is sent';

/** Throws `OperatingError('refused')` for what is not in the list. */
export function refuseInSafeMode(operation: string): void {
  if (!ALLOWED.has(operation)) throw new OperatingError('refused', SAFE_MODE, './glass down, then ./glass up');
}

/** Throws `OperatingError('refused')` for what is not about the throw-away of the trial. `input` has been checked for its shape. */
export function refuseInTrial(operation: string, { chat, group }: Record<string, unknown>): void {
  const isOwn =
    operation === 'say'
      ? String(chat).startsWith(CHECK_CHAT)
      : operation !== 'wiring_set' || (String(chat).startsWith(`local:${CHECK_CHAT}`) && group === CHECK_GROUP);
  if (IN_TRIAL.has(operation) && isOwn) return;
  throw new OperatingError('refused', 'this GlassClaw is tried out now, and does nothing else', 'wait for a minute');
}
