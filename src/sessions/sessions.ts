import { availableParallelism } from 'node:os';
import type { TwoPolicy } from '../authority/rule_of_two.ts';
import { parseId, showId } from '../base/ids.ts';
import { DRAIN_MS, INTERRUPT_GRACE_MS, SANDBOXES_MAX, START_HOLDS_UP_MS } from '../base/limits/messages.ts';
import { Slots } from '../base/slots.ts';
import { authorityInForce } from '../ledger/authorities.ts';
import { marksText, termsOf } from '../ledger/marks.ts';
import { type SessionRow, sessionById, sessionsWithWork } from '../ledger/sessions.ts';
import { runningTurns } from '../ledger/turns.ts';
import type { CutCall } from '../protocol/gateway.ts';
import type { Planner } from './planner.ts';
import type { SessionServices, StartPlan } from './services.ts';
import { Session } from './session.ts';
import { takeBack } from './turn_book.ts';

/** All sessions that are awake, and the bounds they share. */
export interface SessionsInput extends Omit<SessionServices, 'plan' | 'start' | 'idle' | 'released'> {
  planner: Pick<Planner, 'plan' | 'harnessOf'>;
  /** Rejects with `OperatingError` when the boundary of a start is not proven. */
  prove(plan: StartPlan): Promise<void>;
}

export interface LiveSession {
  session: string;
  group: string;
  state: string;
  harness: string | null;
  pid: number | null;
  /** What its system files come from; null: the host's own. */
  image: string | null;
  /** Whether it runs under what is in force, or under what was when it started. */
  authority: 'in force' | 'until its next start';
  /** What it has seen and done, and why: `A (m12), C (POST api.example.com/items)`. */
  marks: string;
  rule_of_two: TwoPolicy;
}

/** A sandbox that is being ended with its group. */
export interface Halted {
  session: string;
  /** What it had under way; null: the gateway has not said. */
  cut: Promise<CutCall[] | null>;
  gone: Promise<void>;
}

export class Sessions {
  readonly #input: SessionsInput;
  readonly #services: SessionServices;
  readonly #awake = new Map<number, Session>();
  readonly #starts = new Slots(STARTS_PER_PROCESSOR * availableParallelism());
  readonly #places = new Slots(SANDBOXES_MAX);
  #draining = false;

  constructor(input: SessionsInput) {
    this.#input = input;
    this.#services = {
      ...input,
      plan: (session) => this.#plan(session),
      start: (act) => this.#start(act),
      idle: (session) => this.#idle(session),
      released: () => this.#places.free(),
    };
  }

  /** Takes back the turns that an earlier host left running, then wakes every session in which something waits. */
  async recover(): Promise<number> {
    const { ledger, clock } = this.#services;
    const left = runningTurns(ledger.db);
    if (left.length > 0) {
      await ledger.insist('recover', (db) => {
        for (const turn of left) takeBack(db, clock, turn.session_id, turn.id, turn.attempt, 'the host ended');
      });
    }
    for (const id of sessionsWithWork(ledger.db)) this.wake(id);
    return left.length;
  }

  wake(sessionId: number): void {
    if (this.#draining) return;
    let session = this.#awake.get(sessionId);
    if (session === undefined) {
      session = new Session(sessionId, this.#services);
      this.#awake.set(sessionId, session);
    }
    session.wake();
  }

  /** As `wake`, for a message whose transaction still runs: only a session that has a sandbox takes it up already. */
  nudge(sessionId: number): void {
    const session = this.#awake.get(sessionId);
    if (session !== undefined && session.state !== 'cold') session.wake();
  }

  /** Sessions with waiting messages that nobody has woken; the sweep counts them. */
  forgotten(): number[] {
    return sessionsWithWork(this.#services.ledger.db).filter((id) => {
      const state = this.#awake.get(id)?.state ?? 'cold';
      return state === 'cold' || state === 'idle';
    });
  }

  live(): LiveSession[] {
    return [...this.#awake.values()]
      .filter((session) => session.state !== 'cold')
      .map((session) => this.#describe(session));
  }

  #describe(session: Session): LiveSession {
    const { db } = this.#services.ledger;
    const { plan } = session;
    const group = this.#groupOf(session);
    const current = plan === null || plan.egress.policy === authorityInForce(db, group)?.hash;
    return {
      session: showId('s', session.id),
      group,
      state: session.state,
      harness: plan?.harness ?? null,
      pid: session.pid,
      image: plan?.spec.userland.kind === 'image' ? plan.spec.userland.ref : null,
      authority: current ? 'in force' : 'until its next start',
      marks: marksText(db, session.id),
      rule_of_two: termsOf(db, group).policy,
    };
  }

  /** No turn begins any more in a sandbox of a group whose authority is another one now. */
  renew(reason: string, group: string): void {
    for (const session of this.#awake.values()) if (this.#groupOf(session) === group) session.renew(reason);
  }

  /** The set of secrets is another one: a sandbox whose group runs another harness with it has no turn any more. */
  secretsChanged(): void {
    for (const session of this.#awake.values())
      if (session.plan !== null && !this.#holds(session.plan)) session.renew('the set of secrets changed');
  }

  #holds({ authority, harness }: StartPlan): boolean {
    return this.#input.planner.harnessOf(authority.group)?.harness === harness;
  }

  #groupOf({ id }: Session): string {
    return sessionById(this.#services.ledger.db, id)!.group_name;
  }

  /** Planned stop: no new turns; running ones get their time, then an interrupt, then their end. */
  async drain(): Promise<void> {
    this.#draining = true;
    const all = [...this.#awake.values()];
    for (const session of all) session.drain(false);
    if (!(await this.#quiet(all, DRAIN_MS))) {
      for (const session of all) session.drain(true);
      await this.#quiet(all, INTERRUPT_GRACE_MS);
    }
    await Promise.all(all.map((session) => session.abandon()));
    await until(INTERRUPT_GRACE_MS, () => all.every((session) => session.pid === null));
  }

  async #quiet(all: Session[], ms: number): Promise<boolean> {
    return until(ms, () => all.every((session) => session.state !== 'running' && session.state !== 'settling'));
  }

  /** What is in force, as a sandbox; nothing starts whose boundary was not proven. */
  async #plan(session: SessionRow): Promise<StartPlan> {
    const plan = await this.#input.planner.plan(session.group_name, showId('s', session.id));
    await this.#input.prove(plan);
    // The set of secrets may have become known, or another one, meanwhile.
    return this.#holds(plan) ? plan : this.#plan(session);
  }

  /** Inbound keys that have joined a session's turn and that its agent has not seen. */
  untaken(session: number): number[] {
    return this.#awake.get(session)?.untaken ?? [];
  }

  /** A turn that was cancelled in the ledger ends now. What waits behind it is woken. */
  stop(session: number, turn: number, reason: string): void {
    this.#awake.get(session)?.stop(turn, reason);
    this.wake(session);
  }

  /** A group (`''`: every one) is stopped in the ledger: each way out of its sandboxes closes, and they end. */
  halt(group: string, reason: string): Halted[] {
    return [...this.#awake.values()]
      .filter((session) => session.state !== 'cold' && (group === '' || this.#groupOf(session) === group))
      .map((session) => {
        const shown = showId('s', session.id);
        return { session: shown, cut: this.#services.egress.cut(shown), gone: session.halt(reason) };
      });
  }

  /** Ends a session's sandbox if it is idle. */
  rest(session: number, reason: string): void {
    this.#awake.get(session)?.rest(reason);
  }

  /** Ends a session's sandbox, whatever it does. */
  end(shown: string, reason: string): void {
    const id = parseId('s', shown);
    if (id !== undefined) this.#awake.get(id)?.end(reason);
  }

  /** A session has nothing to do: if another one waits for a place, it gets this one's. */
  #idle(id: number | undefined): void {
    if (id !== undefined && this.#places.waiting > 0) this.#awake.get(id)?.rest('its place was needed');
  }

  /**
   * When it has a place, for which the sandbox that has been idle for longest may be ended; beside others, as many as keep the
   * processors busy: of all at once, as after a restart, the first would be ready as late as the last. One that takes long keeps
   * nobody from beginning.
   */
  async #start(act: () => Promise<void>): Promise<void> {
    const place = this.#places.take();
    const idle = [...this.#awake.values()].filter((session) => session.state === 'idle');
    this.#idle(idle.toSorted((a, b) => a.lastUsed - b.lastUsed)[0]?.id);
    await place;
    await this.#starts.run(act, START_HOLDS_UP_MS);
  }
}

const STARTS_PER_PROCESSOR = 2;

async function until(ms: number, done: () => boolean): Promise<boolean> {
  const end = performance.now() + ms;
  while (!done()) {
    if (performance.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return true;
}
