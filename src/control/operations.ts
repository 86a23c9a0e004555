import { CHANNELS } from './operations/channels.ts';
import { CHECK } from './operations/check.ts';
import { CONVERSATION } from './operations/conversation.ts';
import { EGRESS } from './operations/egress.ts';
import { GROUPS } from './operations/groups.ts';
import { INSTALL } from './operations/install.ts';
import type { Operation } from './operations/operation.ts';
import { PEOPLE } from './operations/people.ts';
import { TASKS } from './operations/tasks.ts';
import { WIRINGS } from './operations/wirings.ts';

/**
 * Everything a client can ask of the host, in one table: name, what it is for, the schema of its input, and what does
 * it. Help, the socket and the CLI read this table. Who can open the socket is the operator.
 */
export const OPERATIONS: readonly Operation[] = [
  ...INSTALL,
  ...CHANNELS,
  ...CONVERSATION,
  ...GROUPS,
  ...EGRESS,
  ...TASKS,
  ...PEOPLE,
  ...WIRINGS,
  ...CHECK,
];
