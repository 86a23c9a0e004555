import type { Clock } from '../base/clock.ts';
import { showId } from '../base/ids.ts';
import {
  TASK_BACKOFF_MAX_MS,
  TASK_BACKOFF_MS,
  TASK_CATCH_UP_MAX,
  TASK_FAILURES_MAX,
  TASK_LATE_MS,
  TASK_RUNS_KEPT,
} from '../base/limits/messages.ts';
import { wiringsOf } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import { recordEvent } from '../ledger/events.ts';
import { insertInbound, insertMessage, messageByKey, queuedIn } from '../ledger/messages.ts';
import { insertNotice } from '../ledger/outbound.ts';
import { mayUse } from '../ledger/people.ts';
import { ensureSession, ensureTaskSession } from '../ledger/sessions.ts';
import {
  type endedRuns,
  endRun,
  insertRun,
  openRunOf,
  type RunState,
  setNext,
  setTaskState,
  type TaskRow,
} from '../ledger/tasks.ts';
import { nextTime, parseSchedule, type Schedule } from './times.ts';

/**
 * What happens at a task's time, and at the end of its run; each function inside one transaction. A run is a message to the
 * task's session, under a key of its task and time: whatever dies, it is said once.
 */
export interface RunServices {
  clock: Clock;
  /** A message waits in the session: if its sandbox is there, the turn begins in the same transaction. */
  nudge(session: number): void;
}

/** What is to be done once it is on disk. */
export interface RunEffects {
  /** Sessions to wake. */
  sessions: number[];
  /** Chats that something was written for. */
  chats: number[];
  /** For the operator: a task that was paused. */
  paused: { task: string; text: string }[];
}

export function noEffects(): RunEffects {
  return { sessions: [], chats: [], paused: [] };
}

/** The stored schedule of a task; it was judged when it was set. */
export function scheduleOf(task: Pick<TaskRow, 'schedule' | 'zone'>): Schedule {
  return parseSchedule(task.schedule, task.zone, 0, 'stored');
}

/** The time of an active task has come. */
export function taskDue(db: Db, services: RunServices, task: TaskRow, effects: RunEffects): void {
  const now = services.clock.now();
  const refusal = refusalOf(db, task);
  if (refusal !== null) return pause(db, services, task, refusal, effects);
  const due = task.next_ms!;
  const after = (from: number): number | null => nextTime(scheduleOf(task), task.zone, from, task.anchor_ms);
  const eachInTurn = task.catch_up === 'all' && missedAfter(due, now, after) < TASK_CATCH_UP_MAX;
  if (openRunOf(db, task.id) !== undefined) {
    if (eachInTurn) return; // the end of that run looks again
    skip(db, now, task, due, 'the run before it was not over');
  } else if (task.catch_up === 'skip' && now - due > TASK_LATE_MS) {
    skip(db, now, task, due, 'the host was not running, or its group was stopped');
  } else {
    startRun(db, services, task, due, effects);
  }
  const next = after(eachInTurn ? due : now);
  if (next === null) setTaskState(db, task.id, 'done', '', null);
  else setNext(db, task.id, next, task.failures);
}

/** Times that have come since `due`, counted up to what is made up for. */
function missedAfter(due: number, now: number, after: (from: number) => number | null): number {
  let count = 0;
  for (let at = after(due); at !== null && at <= now && count < TASK_CATCH_UP_MAX; at = after(at)) count += 1;
  return count;
}

/** Says the task's text in its session. Returns the message, or null when this very time was said before. */
export function startRun(
  db: Db,
  services: RunServices,
  task: TaskRow,
  due: number,
  effects: RunEffects,
): number | null {
  const { clock } = services;
  const now = clock.now();
  const shown = showId('k', task.id);
  const dedupe_key = `task:${task.id}:${due}`;
  if (messageByKey(db, dedupe_key) !== undefined) return null;
  const message = insertMessage(db, {
    ...{ dedupe_key, chat_id: task.chat_id, thread: task.thread, person_id: task.person_id },
    ...{ sender: `task ${shown}`, handle: '', addressed: 1, platform_id: `${shown}-${due}`, text: task.text },
    ...{ sent_ms: due, received_ms: now, origin: 'task', task_id: task.id },
  })!;
  recordEvent(db, clock, 'task.due', { message }, { task: shown, late_ms: Math.max(0, now - due) });
  const session = sessionOf(db, now, task);
  const links = { message, session: session.id };
  recordEvent(db, clock, 'message.routed', links, { group: task.group_name, new_session: session.isNew });
  recordEvent(db, clock, 'message.queued', links, { ahead: queuedIn(db, session.id) });
  // A gate decides about its own message alone.
  insertInbound(db, now, message, session.id, 'queued', '', task.gate !== '');
  insertRun(
    db,
    {
      ...{ task_id: task.id, due_ms: due, message_id: message, state: 'running', reason: '' },
      started_ms: now,
      ended_ms: null,
    },
    TASK_RUNS_KEPT,
  );
  services.nudge(session.id);
  effects.sessions.push(session.id);
  return message;
}

function sessionOf(db: Db, now: number, task: TaskRow): { id: number; isNew: boolean } {
  if (task.own === 1) return ensureTaskSession(db, now, task);
  const cut = wiringsOf(db, task.chat_id).find((wiring) => wiring.group_name === task.group_name)?.cut;
  return ensureSession(db, now, task.group_name, task.chat_id, task.thread, cut);
}

function skip(db: Db, now: number, task: TaskRow, due: number, reason: string): void {
  const run = { task_id: task.id, due_ms: due, message_id: null, state: 'skipped' as const, reason };
  insertRun(db, { ...run, started_ms: now, ended_ms: now }, TASK_RUNS_KEPT);
}

/** Why a task may not run any more; null: it may. */
export function refusalOf(db: Db, task: TaskRow): string | null {
  if (!mayUse(db, task.person_id, task.group_name))
    return 'the person that it runs for has no role in its group any more';
  const wired = wiringsOf(db, task.chat_id).some((wiring) => wiring.group_name === task.group_name);
  return wired ? null : 'its group does not answer in its chat any more';
}

/** A run has reached its end. */
export function runEnded(
  db: Db,
  services: RunServices,
  task: TaskRow | undefined,
  run: ReturnType<typeof endedRuns>[number],
  effects: RunEffects,
): void {
  const now = services.clock.now();
  const end = ENDS.has(run.end) ? run.end : 'failed';
  endRun(db, now, run.id, end, run.why);
  if (task === undefined) return;
  if (end !== 'failed') {
    if (task.failures > 0) db.run('UPDATE tasks SET failures = 0 WHERE id = ?', task.id);
    return;
  }
  const failures = task.failures + 1;
  if (failures >= TASK_FAILURES_MAX)
    return pause(db, services, task, `it failed ${failures} times: ${run.why}`, effects);
  const again = now + Math.min(TASK_BACKOFF_MS * 2 ** (failures - 1), TASK_BACKOFF_MAX_MS);
  // What ran once and failed is tried again; what runs again anyway waits at least so long.
  if (task.state === 'done') setTaskState(db, task.id, 'active', '', again);
  db.run('UPDATE tasks SET failures = ?, next_ms = max(next_ms, ?) WHERE id = ?', failures, again, task.id);
}

const ENDS: ReadonlySet<RunState> = new Set(['answered', 'silent', 'failed', 'cancelled']);

function pause(db: Db, { clock }: RunServices, task: TaskRow, reason: string, effects: RunEffects): void {
  const shown = showId('k', task.id);
  setTaskState(db, task.id, 'paused', reason, null);
  recordEvent(db, clock, 'task.paused', {}, { task: shown, reason });
  const text = `Task ${shown} is paused: ${reason}. ./glass task resume ${shown} lets it go on.`;
  insertNotice(db, clock.now(), task.chat_id, task.thread, null, text);
  effects.chats.push(task.chat_id);
  effects.paused.push({ task: shown, text });
}
