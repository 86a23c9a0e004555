import { ALERTS } from './operations/alerts.ts';
import { CHANNELS } from './operations/channels.ts';
import { CHECK } from './operations/check.ts';
import { CONVERSATION } from './operations/conversation.ts';
import { EGRESS } from './operations/egress.ts';
import { EVIDENCE } from './operations/evidence.ts';
import { GROUPS } from './operations/groups.ts';
import { INSTALL } from './operations/install.ts';
import type { Operation } from './operations/operation.ts';
import { PEOPLE } from './operations/people.ts';
import { STOPS } from './operations/stops.ts';
import { TASKS } from './operations/tasks.ts';
import { TRACE } from './operations/trace.ts';
import { WIRINGS } from './operations/wirings.ts';

/**
 * Everything a client can ask of the host, in one table: name, what it is for, the schema of its input, and what does
 * it. Help, the socket and the CLI read this table. Who can open the socket is the operator.
 */
export const OPERATIONS: readonly Operation[] = [
  ...INSTALL,
  ...STOPS,
  ...ALERTS,
  ...CHANNELS,
  ...CONVERSATION,
  ...TRACE,
  ...GROUPS,
  ...EGRESS,
  ...EVIDENCE,
  ...TASKS,
  ...PEOPLE,
  ...WIRINGS,
  ...CHECK,
];
