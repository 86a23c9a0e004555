import type { Db } from './db.ts';
import { stoppedSql } from './stops.ts';

/** Scheduled work, and the log of its runs. A run is a message like any other: what becomes of it stands in `inbound`. */

export type TaskState = 'active' | 'paused' | 'done' | 'removed';
export type CatchUp = 'skip' | 'once' | 'all';

export interface NewTask {
  group_name: string;
  /** Where its results go. */
  chat_id: number;
  thread: string;
  /** 1: it has a session of its own; 0: it is said in the chat's conversation. */
  own: 0 | 1;
  /** As `showSchedule` writes it. */
  schedule: string;
  zone: string;
  /** What is asked each time. */
  text: string;
  /** A script that decides in the sandbox whether a model is woken; '': none. */
  gate: string;
  catch_up: CatchUp;
  /** For whom it runs: it needs their role in the group. */
  person_id: number;
  /** `operator`, `agent`: who set it. */
  by: string;
  next_ms: number;
}

export interface TaskRow extends Omit<NewTask, 'next_ms'> {
  id: number;
  state: TaskState;
  /** Why it is paused. */
  reason: string;
  /** What an interval counts from. */
  anchor_ms: number;
  /** Null: it is not active. */
  next_ms: number | null;
  /** Runs that failed in a row. */
  failures: number;
  created_ms: number;
}

export type RunState = 'running' | 'answered' | 'silent' | 'failed' | 'cancelled' | 'skipped';

export interface RunRow {
  id: number;
  task_id: number;
  due_ms: number;
  /** Null: it was skipped. */
  message_id: number | null;
  state: RunState;
  reason: string;
  started_ms: number;
  ended_ms: number | null;
}

export function insertTask(db: Db, now: number, task: NewTask): number {
  const { group_name, chat_id, thread, own, schedule, zone, text, gate, catch_up, person_id, by, next_ms } = task;
  return db.insert(
    `INSERT INTO tasks (group_name, chat_id, thread, own, schedule, zone, text, gate, catch_up, person_id, by, state, anchor_ms, next_ms, created_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'active', ?, ?, ?)`,
    ...[group_name, chat_id, thread, own, schedule, zone, text, gate, catch_up, person_id, by, now, next_ms, now],
  );
}

export function taskById(db: Db, id: number): TaskRow | undefined {
  return db.get<TaskRow>("SELECT * FROM tasks WHERE id = ? AND state <> 'removed'", id);
}

/** Tasks that are not removed, of these groups or of all; those that run next first. */
export function tasksOf(db: Db, groups: string[] | null): TaskRow[] {
  return db.all<TaskRow>(
    `SELECT * FROM tasks WHERE state <> 'removed' AND (?1 IS NULL OR group_name IN (SELECT value FROM json_each(?1)))
      ORDER BY next_ms IS NULL, next_ms, id`,
    groups === null ? null : JSON.stringify(groups),
  );
}

/** Active tasks whose time has come, of groups that are not stopped, oldest first; those that make up for each time, one by one, only between two runs. */
export function dueTasks(db: Db, now: number): TaskRow[] {
  return db.all<TaskRow>(
    `SELECT * FROM tasks t WHERE state = 'active' AND next_ms <= ? AND NOT (catch_up = 'all' AND EXISTS (
       SELECT 1 FROM task_runs r WHERE r.task_id = t.id AND r.state = 'running')) AND NOT ${stoppedSql('t.group_name')} ORDER BY next_ms, id`,
    now,
  );
}

/** The script of a task, also of one that was removed while a run of it waited. */
export function gateOf(db: Db, id: number): string {
  return db.get<{ gate: string }>('SELECT gate FROM tasks WHERE id = ?', id)!.gate;
}

/** A removed task says nothing any more: a run that has not begun is cancelled, its session ends. */
export function endTask(db: Db, now: number, id: number): void {
  db.run(
    `UPDATE inbound SET state = 'cancelled', reason = 'its task was removed', updated_ms = ?
      WHERE state = 'queued' AND message_id = (SELECT message_id FROM task_runs WHERE task_id = ? AND state = 'running')`,
    now,
    id,
  );
  db.run('UPDATE sessions SET closed_ms = ? WHERE task_id = ? AND closed_ms IS NULL', now, id);
}

/** The next time of all that may run; null: there is none. */
export function nextDue(db: Db): number | null {
  const sql = `SELECT min(next_ms) AS at FROM tasks t WHERE state = 'active' AND NOT ${stoppedSql('t.group_name')}`;
  return db.get<{ at: number | null }>(sql)?.at ?? null;
}

/** `reason`: why, for a person. Only an active task has a next time. */
export function setTaskState(db: Db, id: number, state: TaskState, reason: string, next_ms: number | null): void {
  db.run('UPDATE tasks SET state = ?, reason = ?, next_ms = ? WHERE id = ?', state, reason, next_ms, id);
}

export function setNext(db: Db, id: number, next_ms: number, failures: number): void {
  db.run('UPDATE tasks SET next_ms = ?, failures = ? WHERE id = ?', next_ms, failures, id);
}

/** Records a run, and forgets the oldest beyond `keep`. */
export function insertRun(db: Db, run: Omit<RunRow, 'id'>, keep: number): number {
  const { task_id, due_ms, message_id, state, reason, started_ms, ended_ms } = run;
  const id = db.insert(
    'INSERT INTO task_runs (task_id, due_ms, message_id, state, reason, started_ms, ended_ms) VALUES (?, ?, ?, ?, ?, ?, ?)',
    ...[task_id, due_ms, message_id, state, reason, started_ms, ended_ms],
  );
  db.run(
    `DELETE FROM task_runs WHERE task_id = ?1 AND state <> 'running'
        AND id <= (SELECT id FROM task_runs WHERE task_id = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)`,
    task_id,
    keep,
  );
  return id;
}

export function openRunOf(db: Db, taskId: number): RunRow | undefined {
  return db.get<RunRow>("SELECT * FROM task_runs WHERE task_id = ? AND state = 'running'", taskId);
}

/** Whether any run is under way. */
export function hasOpenRuns(db: Db): boolean {
  return db.get("SELECT 1 AS yes FROM task_runs WHERE state = 'running' LIMIT 1") !== undefined;
}

/** Runs whose message has reached its end since, with that end. */
export function endedRuns(db: Db): (RunRow & { end: RunState; why: string })[] {
  return db.all(
    `SELECT r.*, i.state AS end, i.reason AS why FROM task_runs r JOIN inbound i ON i.message_id = r.message_id
      WHERE r.state = 'running' AND i.state NOT IN ('queued', 'running')`,
  );
}

export function endRun(db: Db, now: number, id: number, state: RunState, reason: string): void {
  db.run('UPDATE task_runs SET state = ?, reason = ?, ended_ms = ? WHERE id = ?', state, reason, now, id);
}

/** Newest first. */
export function runsOf(db: Db, taskId: number, limit: number): RunRow[] {
  return db.all<RunRow>('SELECT * FROM task_runs WHERE task_id = ? ORDER BY id DESC LIMIT ?', taskId, limit);
}
