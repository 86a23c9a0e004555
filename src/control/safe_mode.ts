import { OperatingError } from '../base/errors.ts';

/** What can be asked while nothing may happen: whatever only reads, the emergency stop, and the end of the host. */
const ALLOWED: ReadonlySet<string> = new Set([
  ...['status', 'trace', 'trace_follow', 'trace_find', 'events', 'alerts', 'outcome', 'chat', 'shown', 'file'],
  ...['channels', 'channel_show', 'groups', 'group_show', 'group_plan', 'templates', 'people', 'person_show'],
  ...['wirings', 'wiring_test', 'tasks', 'task_log', 'approvals', 'approval_show', 'approval_body'],
  ...['egress_explain', 'egress_log', 'events_verify', 'events_export'],
  ...['group_stop', 'group_resume', 'stop'],
]);

export const SAFE_MODE = 'GlassClaw is in safe mode: nothing is changed, nothing runs and nothing is sent';

/** Throws `OperatingError('refused')` for what is not in the list. */
export function refuseInSafeMode(operation: string): void {
  if (!ALLOWED.has(operation)) throw new OperatingError('refused', SAFE_MODE, './glass down, then ./glass up');
}
