import { systemClock } from '../../src/base/clock.ts';
import { OperatingError } from '../../src/base/errors.ts';
import { silentLog } from '../../src/base/log.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { type ChatCommandParts, ChatCommands } from '../../src/operations/chat_commands.ts';
import { Emergency, type EmergencyInput } from '../../src/operations/emergency.ts';
import type { AuditRow } from '../../src/protocol/gateway.ts';
import type { TaskShown } from '../../src/scheduler/tasks.ts';

/** The commands over a real ledger; what would reach sandboxes, chats and the gateway is written to `done` and answered from `facts`. */
export function chatCommands(
  ledger: Ledger,
  done: string[],
  facts: {
    audit?: AuditRow[] | 'silent';
    usage?: 'lost';
    untaken?: number[];
    tasks?: string[];
    waiting?: ChatCommandParts['waiting'];
    taskProblem?: string;
  } = {},
): ChatCommands {
  return new ChatCommands({
    emergency: emergencyOf(ledger, done),
    ledger,
    clock: systemClock,
    audit: () => (facts.audit === 'silent' ? new Promise(() => {}) : Promise.resolve(facts.audit ?? [])),
    usage: async () => {
      if (facts.usage === 'lost') throw new Error('the gateway is gone');
      return [{ group: 'assistant', requests: 3, input_tokens: 1200, output_tokens: 50, cost_micros: 4200 }];
    },
    describe: () => ({ harness: 'probe', model: 'none', problem: null }),
    live: () => [],
    tasks: () => (facts.tasks ?? []).map((to, index) => ({ ...TASK, task: `k${index + 1}`, to })),
    changeTask: (_db, task, what, who) => {
      if (facts.taskProblem !== undefined) throw new OperatingError('conflict', facts.taskProblem);
      return () => void done.push(`${what} ${task} by ${who}`);
    },
    waiting: (db, person) => facts.waiting?.(db, person) ?? [],
    untaken: () => facts.untaken ?? [],
    stop: (session, turn, reason) => done.push(`stop ${session} ${turn}: ${reason}`),
    rest: (session, reason) => done.push(`rest ${session}: ${reason}`),
    deliver: (chat) => done.push(`deliver ${chat}`),
  });
}

/** The emergency stop over a real ledger, whose groups are those of the ledger; what it ends is written to `done`. */
export function emergencyOf(ledger: Ledger, done: string[], part: Partial<EmergencyInput> = {}): Emergency {
  return new Emergency({
    ...{ ledger, clock: systemClock, log: silentLog },
    groups: () => ledger.db.all<{ name: string }>('SELECT name FROM groups ORDER BY name').map(({ name }) => name),
    untaken: () => [],
    halt: (group, reason) => {
      done.push(`halt ${group || 'all'}: ${reason}`);
      return [];
    },
    requests: async () => [],
    wake: (session) => done.push(`wake ${session}`),
    deliver: (chat) => done.push(`deliver ${chat}`),
    goOn: () => done.push('go on'),
    ...part,
  });
}

const TASK: TaskShown = {
  ...{ task: 'k1', group: 'assistant', to: '', when: 'every 1h', zone: 'UTC', text: 'x'.repeat(200), gate: '' },
  ...{
    catch_up: 'once',
    here: false,
    state: 'active',
    reason: '',
    next: null,
    failures: 0,
    for: 'Alice',
    by: 'operator',
  },
};
