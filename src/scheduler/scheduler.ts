import type { Clock } from '../base/clock.ts';
import { TASK_CLOCK_MS } from '../base/limits/messages.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { dueTasks, endedRuns, hasOpenRuns, nextDue, setNext, taskById, tasksOf } from '../ledger/tasks.ts';
import { noEffects, type RunEffects, type RunServices, runEnded, scheduleOf, taskDue } from './runs.ts';
import { nextTime } from './times.ts';

/**
 * One timer for the next time of all tasks. What it decides stands in rows: a host that dies in between finds the times that
 * came meanwhile, and each task says what is to become of them.
 */
export interface SchedulerParts extends Omit<RunServices, 'clock'> {
  ledger: Ledger;
  clock: Clock;
  wake(session: number): void;
  deliver(chat: number): void;
  alert(kind: string, subject: string, text: string): void;
}

export class Scheduler {
  readonly #parts: SchedulerParts;
  #timer: NodeJS.Timeout | null = null;
  #stopped = true;
  /** Whether a run is under way whose end has to be noticed. */
  #runs = false;
  #looking = false;
  #again = false;
  /** Wall clock less the clock that nobody sets, at the last look. */
  #offset = 0;
  #unsubscribe: () => void = () => {};

  constructor(parts: SchedulerParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#stopped = false;
    this.#offset = this.#drift();
    this.#runs = hasOpenRuns(this.#parts.ledger.db);
    this.#unsubscribe = this.#parts.ledger.onCommit(() => {
      if (this.#runs) this.look();
    });
    this.look();
  }

  stop(): void {
    this.#stopped = true;
    this.#unsubscribe();
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  /** Tasks or runs have changed, or a time has come. Returns at once. */
  look(): void {
    this.#again = true;
    if (this.#looking || this.#stopped) return;
    this.#looking = true;
    void this.#work();
  }

  async #work(): Promise<void> {
    while (this.#again && !this.#stopped) {
      this.#again = false;
      await this.#ends();
      await this.#dues();
    }
    // At once, not in a promise's turn: who asks for a look meanwhile would not be heard.
    this.#looking = false;
    this.#arm();
  }

  async #ends(): Promise<void> {
    const { ledger } = this.#parts;
    if (!this.#runs || endedRuns(ledger.db).length === 0) return;
    await this.#insist('task_end', (db, effects) => {
      for (const run of endedRuns(db)) runEnded(db, this.#parts, taskById(db, run.task_id), run, effects);
    });
    this.#runs = hasOpenRuns(ledger.db);
  }

  async #dues(): Promise<void> {
    const { ledger, clock } = this.#parts;
    const jumped = Math.abs(this.#drift() - this.#offset) > JUMP_MS;
    this.#offset = this.#drift();
    if (!jumped && dueTasks(ledger.db, clock.now()).length === 0) return;
    await this.#insist('task_due', (db, effects) => {
      if (jumped) replan(db, clock.now());
      for (const task of dueTasks(db, clock.now())) taskDue(db, this.#parts, task, effects);
    });
    this.#runs = hasOpenRuns(ledger.db);
  }

  /** Waits for the next time; not longer than a minute, because the clock may be set meanwhile. */
  #arm(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const { ledger, clock } = this.#parts;
    const next = this.#stopped ? null : nextDue(ledger.db);
    if (next === null) return;
    // A due time that stays due waits for the end of a run, which looks again.
    const wait = next <= clock.now() ? TASK_CLOCK_MS : Math.min(next - clock.now(), TASK_CLOCK_MS);
    this.#timer = setTimeout(() => this.look(), wait);
  }

  async #insist(name: string, job: (db: Ledger['db'], effects: RunEffects) => void): Promise<void> {
    const { ledger } = this.#parts;
    const effects = await ledger.insist(name, (db) => {
      const made = noEffects();
      job(db, made);
      return made;
    });
    this.settle(effects);
  }

  /** What was committed for tasks is on its way. */
  settle({ sessions, chats, paused }: RunEffects): void {
    const { wake, deliver, alert } = this.#parts;
    if (sessions.length > 0) this.#runs = true;
    for (const session of sessions) wake(session);
    for (const chat of chats) deliver(chat);
    for (const { task, text } of paused) alert('task.paused', task, text);
  }

  #drift(): number {
    return this.#parts.clock.now() - this.#parts.clock.monotonic();
  }
}

/** A clock that a time service trims moves by less between two looks. */
const JUMP_MS = 5000;

/** The clock was set: a time that was reckoned by the old one may be too far away. None comes twice: each has a key. */
function replan(db: Ledger['db'], now: number): void {
  for (const task of tasksOf(db, null)) {
    const next = task.state === 'active' ? nextTime(scheduleOf(task), task.zone, now, task.anchor_ms) : null;
    if (next !== null && task.failures === 0 && next < task.next_ms!) setNext(db, task.id, next, 0);
  }
}
