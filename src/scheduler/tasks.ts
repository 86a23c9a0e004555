import type { Clock } from '../base/clock.ts';
import { OperatingError } from '../base/errors.ts';
import { parseId, showId } from '../base/ids.ts';
import { TASK_TEXT_BYTES_MAX, TASKS_MAX } from '../base/limits/messages.ts';
import { visible } from '../base/text.ts';
import { type ChatRow, chatById, destinationsOf, nameOfChat } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import { recordEvent } from '../ledger/events.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { addMarks, hasMarks, mustHold } from '../ledger/marks.ts';
import { mayUse, nameOfPerson } from '../ledger/people.ts';
import { ensureTaskSession, type SessionRow } from '../ledger/sessions.ts';
import { isStopped } from '../ledger/stops.ts';
import {
  type CatchUp,
  endTask,
  insertTask,
  openRunOf,
  type RunState,
  runsOf,
  setTaskState,
  type TaskRow,
  type TaskState,
  taskById,
  tasksOf,
} from '../ledger/tasks.ts';
import type { AgentTasks } from '../sessions/tool_call.ts';
import { noEffects, type RunEffects, type RunServices, refusalOf, scheduleOf, startRun } from './runs.ts';
import type { Scheduler } from './scheduler.ts';
import { nextTime, parseSchedule, showSchedule } from './times.ts';

/** Tasks as the operator and agents set them. Each change is an event with who; nothing here runs before it is on disk. */
export interface TaskAsked {
  group: string;
  /** Where its results go: `channel:chat`, one of the group's destinations. */
  to: string;
  thread?: string;
  /** As `times.ts` reads it. */
  when: string;
  /** A name such as Europe/Berlin; absent: the install's. */
  zone?: string | undefined;
  text: string;
  gate?: string | undefined;
  catch_up?: CatchUp | undefined;
  /** Said in the chat's own conversation, instead of in a session of the task's own. */
  here?: boolean | undefined;
}

export interface TaskShown {
  task: string;
  group: string;
  to: string;
  when: string;
  zone: string;
  text: string;
  gate: string;
  catch_up: CatchUp;
  here: boolean;
  state: TaskState;
  reason: string;
  /** ISO time; null: none. */
  next: string | null;
  failures: number;
  /** Whose role it needs. */
  for: string;
  by: string;
}

export interface RunShown {
  due: string;
  state: RunState;
  reason: string;
  /** To trace it; null: it was skipped. */
  message: string | null;
  ms: number | null;
}

export type TaskWord = 'pause' | 'resume' | 'run' | 'remove';

export interface SetBy {
  person: number;
  by: 'operator' | 'agent';
}

export interface TasksInput extends RunServices {
  ledger: Ledger;
  scheduler: Pick<Scheduler, 'look' | 'settle'>;
  /** Where a task says no zone. */
  zone(): string;
}

export class Tasks {
  readonly #input: TasksInput;

  constructor(input: TasksInput) {
    this.#input = input;
  }

  /** Rejects with `OperatingError('usage')` and one sentence for what cannot be kept. */
  async add(asked: TaskAsked & { session?: SessionRow; acts?: boolean }, by: SetBy): Promise<TaskShown> {
    const { ledger, clock } = this.#input;
    const now = clock.now();
    const zone = asked.zone ?? this.#input.zone();
    const schedule = parseSchedule(asked.when, zone, now);
    for (const text of [asked.text, asked.gate ?? '']) checkText(text);
    if (asked.text.trim() === '') throw new OperatingError('usage', 'a task needs a text: what is asked each time');
    const id = await ledger.write('task_add', (db) => {
      const chat = chatFor(db, asked, by.person);
      const id = insertTask(db, now, {
        ...{ group_name: asked.group, chat_id: chat.id, thread: asked.thread ?? '', own: asked.here ? 0 : 1 },
        ...{ schedule: showSchedule(schedule), zone, text: asked.text, gate: asked.gate ?? '' },
        ...{ catch_up: asked.catch_up ?? 'once', person_id: by.person, by: by.by },
        next_ms: nextTime(schedule, zone, now, now)!,
      });
      this.#record(db, id, 'set', by.by);
      if (asked.session !== undefined) carryMarks(db, clock, taskById(db, id)!, asked.session, asked.acts === true);
      return id;
    });
    this.#input.scheduler.look();
    return this.#shown(id);
  }

  list(groups: string[] | null): TaskShown[] {
    const { db } = this.#input.ledger;
    return tasksOf(db, groups).map((task) => show(db, task));
  }

  /** Throws `not_found`. `group`: only of this one. */
  log(shown: string, limit: number): { task: TaskShown; runs: RunShown[] } {
    const { db } = this.#input.ledger;
    const task = this.#find(db, shown);
    const runs = runsOf(db, task.id, limit).map((run) => ({
      ...{ due: new Date(run.due_ms).toISOString(), state: run.state, reason: run.reason },
      message: run.message_id === null ? null : showId('m', run.message_id),
      ms: run.ended_ms === null ? null : run.ended_ms - run.started_ms,
    }));
    return { task: show(db, task), runs };
  }

  /** Pauses, resumes or removes. Rejects with `OperatingError`. */
  async change(
    shown: string,
    what: 'pause' | 'resume' | 'remove',
    by: SetBy['by'],
    group?: string,
  ): Promise<TaskShown> {
    const { ledger } = this.#input;
    const id = await ledger.write('task_change', (db) => {
      const task = this.#find(db, shown, group);
      this.#change(db, task, what, `the ${by}`, by);
      return task.id;
    });
    this.#input.scheduler.look();
    return this.#shown(id);
  }

  /**
   * What somebody says in a chat, in that transaction; returns what is to follow its commit. Throws `OperatingError`: then nothing has
   * been written.
   */
  command(db: Db, shown: string, what: TaskWord, who: string): () => void {
    const { scheduler } = this.#input;
    const task = this.#find(db, shown);
    if (what !== 'run') {
      this.#change(db, task, what, who, who);
      return () => scheduler.look();
    }
    const effects = noEffects();
    this.#run(db, task, effects);
    this.#record(db, task.id, what, who);
    return () => scheduler.settle(effects);
  }

  /** Runs it now, whatever its time; its next time stays. Rejects with `conflict` while a run is under way. */
  async run(shown: string): Promise<{ task: string; message: string }> {
    const { ledger, scheduler } = this.#input;
    const effects = noEffects();
    const message = await ledger.write('task_run', (db) => this.#run(db, this.#find(db, shown), effects));
    scheduler.settle(effects);
    return { task: shown, message: showId('m', message) };
  }

  /** As agents use it: each for its group. */
  forAgents(): AgentTasks {
    return {
      add: (asked, person) => this.add(asked, { person, by: 'agent' }),
      list: (group) => this.list([group]),
      cancel: (group, shown) => this.change(shown, 'remove', 'agent', group),
    };
  }

  #change(db: Db, task: TaskRow, what: Exclude<TaskWord, 'run'>, who: string, by: string): void {
    const now = this.#input.clock.now();
    switch (what) {
      case 'pause':
        setTaskState(db, task.id, 'paused', `by ${who}`, null);
        break;
      case 'resume':
        resume(db, task, now);
        break;
      case 'remove':
        setTaskState(db, task.id, 'removed', '', null);
        endTask(db, now, task.id);
        break;
      default:
        what satisfies never;
    }
    this.#record(db, task.id, what, by);
  }

  /** Returns the message that it begins with. */
  #run(db: Db, task: TaskRow, effects: RunEffects): number {
    const shown = showId('k', task.id);
    if (isStopped(db, task.group_name))
      throw new OperatingError('refused', `${task.group_name} is stopped`, `./glass resume ${task.group_name}`);
    const refusal = refusalOf(db, task);
    if (refusal !== null) throw new OperatingError('refused', `task ${shown} may not run: ${refusal}`);
    const running = openRunOf(db, task.id) !== undefined;
    const started = running ? null : startRun(db, this.#input, task, this.#input.clock.now(), effects);
    if (started === null) throw new OperatingError('conflict', `task ${shown} is running`, './glass task log shows it');
    return started;
  }

  #find(db: Db, shown: string, group?: string): TaskRow {
    const task = taskById(db, parseId('k', shown) ?? 0);
    if (task === undefined || (group !== undefined && task.group_name !== group))
      throw new OperatingError('not_found', `there is no task "${shown.slice(0, 40)}"`, './glass task list');
    return task;
  }

  #shown(id: number): TaskShown {
    const { db } = this.#input.ledger;
    return show(db, db.get<TaskRow>('SELECT * FROM tasks WHERE id = ?', id)!);
  }

  #record(db: Db, id: number, what: string, by: string): void {
    recordEvent(db, this.#input.clock, 'task.changed', {}, { task: showId('k', id), what, by });
  }
}

const HELD_BY_TWO = 'by the rule of two this conversation sets no task in another chat';

/** What the conversation that sets a task has seen and read, the task's own one begins with. */
function carryMarks(db: Db, clock: Clock, task: TaskRow, session: SessionRow, acts: boolean): void {
  const shown = showId('k', task.id);
  if (acts && mustHold(db, session, ['C'])) throw new OperatingError('refused', HELD_BY_TWO);
  const marks = hasMarks(db, session.id).filter((mark) => mark !== 'C');
  if (acts) addMarks(db, clock, session, ['C'], `task ${shown} in another chat`);
  if (task.own === 0 || marks.length === 0) return;
  const { id } = ensureTaskSession(db, clock.now(), task);
  addMarks(db, clock, { id, group_name: task.group_name }, marks, `${shown}, set in ${showId('s', session.id)}`);
}

function checkText(text: string): void {
  if (Buffer.byteLength(text) > TASK_TEXT_BYTES_MAX)
    throw new OperatingError('usage', `a task's text and its gate have at most ${TASK_TEXT_BYTES_MAX / 1024} KiB each`);
}

function chatFor(db: Db, { group, to }: TaskAsked, person: number): ChatRow {
  const chat = destinationsOf(db, group).find((each) => nameOfChat(each) === to);
  if (chat === undefined)
    throw new OperatingError(
      'usage',
      `${group} does not answer in "${to.slice(0, 100)}"`,
      './glass wiring list shows where it does',
    );
  if (!mayUse(db, person, group)) throw new OperatingError('refused', `that person has no role in ${group}`);
  const many = tasksOf(db, [group]).filter(({ state }) => state !== 'done').length;
  if (many >= TASKS_MAX) throw new OperatingError('usage', `${group} has ${many} tasks already`, 'remove some');
  return chat;
}

function resume(db: Db, task: TaskRow, now: number): void {
  const next = nextTime(scheduleOf(task), task.zone, now, task.anchor_ms);
  if (next === null) throw new OperatingError('conflict', 'its time is over', 'set a new task, or ./glass task run');
  setTaskState(db, task.id, 'active', '', next);
  db.run('UPDATE tasks SET failures = 0 WHERE id = ?', task.id);
}

function show(db: Db, task: TaskRow): TaskShown {
  const chat = chatById(db, task.chat_id)!;
  return {
    ...{
      task: showId('k', task.id),
      group: task.group_name,
      to: nameOfChat(chat),
      when: task.schedule,
      zone: task.zone,
    },
    ...{ text: task.text, gate: task.gate, catch_up: task.catch_up, here: task.own === 0 },
    ...{ state: task.state, reason: task.reason, failures: task.failures, by: task.by },
    next: task.next_ms === null ? null : new Date(task.next_ms).toISOString(),
    for: visible(nameOfPerson(db, task.person_id)),
  };
}
