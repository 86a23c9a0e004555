import { describeError, messageOf, OperatingError } from '../base/errors.ts';
import { showId } from '../base/ids.ts';
import { INTERRUPT_GRACE_MS } from '../base/limits/messages.ts';
import { ASK_MINUTES_MAX } from '../base/limits/talk.ts';
import { MINUTE_MS } from '../base/limits/units.ts';
import type { Db } from '../ledger/db.ts';
import { queuedIn } from '../ledger/messages.ts';
import { type SessionRow, sessionById } from '../ledger/sessions.ts';
import { isSessionStopped } from '../ledger/stops.ts';
import type { RunnerFrame } from '../protocol/frames.ts';
import { afterDeath } from './aftermath.ts';
import { type HopRecorder, hopRecorder } from './hops.ts';
import { inboxOf, type PlaceFiles } from './inbox.ts';
import { LiveSandbox } from './live_sandbox.ts';
import { deadlineText, frameMessage, Run, turnFrame } from './run.ts';
import type { SessionServices, StartPlan } from './services.ts';
import { Timer } from './timer.ts';
import { closeTurn, joinTurn, openTurn, type Place, recordDeath, recordFailedStart, takeBack } from './turn_book.ts';
import { TurnClock } from './turn_clock.ts';
import { TurnFrames } from './turn_frames.ts';
import { welcomeFrame } from './welcome.ts';

/**
 * One session as an actor: it is woken by a call, runs one turn at a time, and survives the death of its sandbox.
 *
 *   cold ──wake──► starting ──ready──► idle ◄─── settle, nothing waits ──┐
 *     ▲                                 │ begin                          │
 *     └── ending ◄── rest ──────────────┴──► running ──► settling ───────┘      a death leads back to cold
 *
 * What is true stands in the ledger; the fields here are what a new host would build again.
 */
type State = 'cold' | 'starting' | 'idle' | 'ending' | 'running' | 'settling';

/** Waits between starts that failed: at once, then slower. In memory only: a new host may try again at once. */
const START_WAITS_MS = [0, 500, 2000];
const STOPPING = 'the host is stopping';
const STOPPED = 'its group is stopped';

export class Session {
  readonly id: number;
  readonly #services: SessionServices;
  readonly #frames: TurnFrames;
  readonly #hop: HopRecorder;
  readonly #inbox: PlaceFiles;
  #state: State = 'cold';
  #live: LiveSandbox | null = null;
  #plan: StartPlan | null = null;
  #startedAt = 0;
  #warm = false;
  #steerable = false;
  #reseed = false;
  #joining = false;
  #run: Run | null = null;
  #endReason = '';
  /** Why its sandbox ends before its next turn; null: it goes on. */
  #renewal: string | null = null;
  readonly #idle = new Timer();
  #failedStarts = 0;
  #draining = false;

  constructor(id: number, services: SessionServices) {
    this.id = id;
    this.#services = services;
    this.#hop = hopRecorder(services, id);
    this.#inbox = inboxOf(services, id);
    this.#frames = new TurnFrames(services, id, this.#hop, () => this.#live);
  }

  get state(): State {
    return this.#state;
  }

  /** What its sandbox starts or has started with; null before that is decided. */
  get plan(): StartPlan | null {
    return this.#state === 'cold' ? null : this.#plan;
  }

  get pid(): number | null {
    return this.#live?.pid ?? null;
  }

  get untaken(): number[] {
    return this.#run?.untaken ?? [];
  }

  get lastUsed(): number {
    return this.#startedAt;
  }

  /** Something waits in the queue. Returns at once. */
  wake(): void {
    if (this.#draining || this.#stopped) return;
    if (this.#state === 'cold') void this.#start();
    else if (this.#state === 'idle') void this.#begin();
    else if (this.#state === 'running') void this.#join();
    // Each other state looks at the queue when it is through.
  }

  /** Ends an idle sandbox; the next message starts it cold. */
  rest(reason: string): void {
    if (this.#state !== 'idle') return;
    this.#state = 'ending';
    this.#idle.stop();
    this.#live?.end(reason);
  }

  /** No turn begins any more in this sandbox: what it was started with has changed. */
  renew(reason: string): void {
    if (this.#state === 'cold') return;
    this.#renewal = reason;
    this.rest(reason);
  }

  /** Ends the sandbox whatever it does; a running turn is tried again with a new one. */
  end(reason: string): void {
    if (this.#state === 'idle') this.rest(reason);
    else this.#live?.end(reason);
  }

  /** A person has cancelled this turn in the ledger: nothing of it counts, its sandbox ends with all that it started. */
  stop(turn: number, reason: string): void {
    if (this.#run?.id === turn) void this.halt(reason);
  }

  /** Its group is stopped, on disk: nothing of it counts, its sandbox ends whatever it does. Resolves when that is gone. */
  halt(reason: string): Promise<void> {
    if (this.#run !== null) this.#run.interrupted = 'stop';
    const gone = this.#live?.gone ?? Promise.resolve();
    this.end(reason);
    return gone;
  }

  /** No new turn from here on. Interrupts the running one when `interruptNow`, or when it waits for a person: the next host asks on. */
  drain(interruptNow: boolean): void {
    this.#draining = true;
    this.rest(STOPPING);
    if ((interruptNow || this.#run?.asks) && this.#state === 'running') this.#interrupt('drain');
  }

  /** Ends everything now: the turn waits for the next host. */
  async abandon(): Promise<void> {
    this.#draining = true;
    const run = this.#run;
    if (run?.running) {
      this.#endRun(run);
      const { ledger, clock } = this.#services;
      await ledger.write('quit', (db) => takeBack(db, clock, this.id, run.id, run.attempt, STOPPING)).catch(() => {});
      this.#run = null;
    }
    this.#live?.end(STOPPING);
  }

  async #start(): Promise<void> {
    this.#state = 'starting';
    this.#warm = false;
    this.#plan = null;
    this.#startedAt = this.#services.clock.now();
    const began = this.#services.clock.monotonic();
    try {
      await this.#services.start(() => this.#launch(began));
    } catch (error) {
      await this.#startFailed(error instanceof OperatingError ? describeError(error) : messageOf(error));
    }
  }

  /** Resolves when it is ready, or gone again. Rejects when nothing of it has started. */
  async #launch(began: number): Promise<void> {
    if (this.#draining) throw new OperatingError('unavailable', STOPPING);
    this.#renewal = null;
    const session = this.#row();
    const plan = await this.#services.plan(session);
    this.#plan = plan;
    this.#hop('sandbox.starting', {
      ...{ runtime: plan.runtime.name, harness: plan.harness, authority: plan.egress.policy },
      image: plan.spec.userland.kind === 'image' ? plan.spec.userland.ref : null,
    });
    const { paths, egress, workspaces, faults, drafts } = this.#services;
    const shows = drafts?.wanted(session.shared === 1 ? null : session.chat_id) ?? false;
    const input = { ...plan, paths, session: this.#shown(), welcome: welcomeFrame(session, plan, paths, shows) };
    this.#live = new LiveSandbox(input, egress, workspaces, {
      onFrame: (frame) => this.#frame(frame, began),
      onRefused: (reason) => this.#hop('hatch.refused', { reason }),
      onEnd: (reason) => void this.#ended(reason),
    });
    await this.#live.start(plan.runtime, faults);
  }

  #ready(frame: Extract<RunnerFrame, { t: 'ready' }>, began: number): string | null {
    if (this.#state !== 'starting') return 'a second ready';
    this.#steerable = frame.steer;
    this.#reseed = !frame.resumed;
    this.#failedStarts = 0;
    this.#services.clear('sandbox.start', this.#shown());
    this.#state = 'idle';
    const ms = Math.round(this.#services.clock.monotonic() - began);
    this.#hop('sandbox.ready', { ms, resumed: frame.resumed, pid: this.#live?.pid ?? null });
    void this.#begin();
    return null;
  }

  /** The sandbox could not even start: that counts like a death, so that the person hears of it in the end. */
  async #startFailed(reason: string): Promise<void> {
    const { clock, log } = this.#services;
    this.#live = null;
    log.error('sandbox.start_failed', { session: this.#shown(), reason });
    if (!this.#draining && !this.#stopped) {
      this.#services.alert('sandbox.start', this.#shown(), `A sandbox could not start: ${reason}`);
      const place = this.#place();
      const harness = this.#plan?.harness ?? 'none';
      const recorded = await this.#insist('start_failed', (db) => recordFailedStart(db, clock, place, harness, reason));
      await afterDeath(this.#services, this.#row(), recorded, true);
    }
    const wait = START_WAITS_MS[Math.min(this.#failedStarts++, START_WAITS_MS.length - 1)]!;
    setTimeout(() => this.#cold(), wait);
  }

  async #begin(): Promise<void> {
    if (this.#state !== 'idle') return;
    if (this.#draining || this.#stopped) return this.rest(this.#draining ? STOPPING : STOPPED);
    if (this.#renewal !== null) return this.rest(this.#renewal);
    if (this.#live?.ending) {
      this.#state = 'ending';
      return;
    }
    if (queuedIn(this.#services.ledger.db, this.id) === 0) return this.#goIdle();
    this.#state = 'running';
    this.#idle.stop();
    const live = this.#live;
    const start = { session: this.#row(), harness: this.#plan!.harness, warm: this.#warm, reseed: this.#reseed };
    const { authority } = this.#plan!;
    const turn = await this.#insist('turn', (db) => openTurn(db, this.#services.clock, { ...start, authority }));
    if (turn === undefined) {
      this.#services.deliver(start.session.chat_id); // of a turn that nobody waits for any more, what was shown is taken back
      return this.#next();
    }
    const run = new Run(turn);
    this.#run = run;
    if (live === null || this.#live !== live) return this.#died(run, this.#endReason);
    if (!(await live.marked()) || !run.running || run.interrupted !== null) return; // its end takes the turn along
    this.#warm = true;
    const { turn: ms } = this.#plan!.authority.limits;
    run.deadline = new TurnClock(ms, ASK_MINUTES_MAX * MINUTE_MS, () => this.#interrupt('deadline'));
    live.send(turnFrame(run, this.#inbox));
    this.#services.typing.begin(run.place);
    run.shown = true;
    if (this.#draining) return this.#interrupt('drain');
    void this.#join();
  }

  /** Hands waiting messages to the running turn, where the harness can report what it takes. */
  async #join(): Promise<void> {
    const run = this.#run;
    const { clock, ledger } = this.#services;
    if (!this.#steerable || this.#joining || !run?.shown || !run.open || queuedIn(ledger.db, this.id) === 0) return;
    this.#joining = true;
    const joined = await this.#insist('join', (db) => (run.running ? joinTurn(db, clock, this.id, run.id) : []));
    this.#joining = false;
    if (joined.length === 0) return;
    run.join(joined);
    if (!(await this.#live?.marked())) return;
    const messages = joined.map((message) => frameMessage(message, this.#inbox));
    if (run.running) this.#live?.send({ t: 'steer', turn: run.id, messages });
    void this.#join();
  }

  #frame(frame: RunnerFrame, began: number): string | null {
    if (frame.t === 'ready') return this.#ready(frame, began);
    if (frame.t === 'hello') return 'a second hello';
    const run = this.#run;
    if (frame.t === 'chunk') return this.#frames.chunk(frame, run);
    if (run?.interrupted === 'stop') return null;
    if (!run?.running || frame.turn !== run.id) return `a frame "${frame.t}" of a turn that does not run`;
    if (frame.t === 'done') return run.judgeDone(frame.outcome) ?? this.#done(run, frame);
    return this.#frames.take(run, frame, this.#plan!.authority.tools);
  }

  #done(run: Run, frame: Extract<RunnerFrame, { t: 'done' }>): null {
    this.#endRun(run);
    if (frame.outcome !== 'interrupted') void this.#settle(run, frame.outcome, frame.text, frame.resume);
    else if (run.interrupted === 'deadline')
      void this.#settle(run, 'failed', deadlineText(this.#plan!.authority.limits.turn), null);
    else void this.#takeBack(run);
    return null;
  }

  async #settle(
    run: Run,
    outcome: 'answered' | 'silent' | 'failed',
    text: string,
    resume: string | null,
  ): Promise<void> {
    const [{ clock }, { harness }] = [this.#services, this.#plan!];
    const end = { ...run.end(outcome, text, clock.micros()), ...this.#place(), turn: run.opened, harness, resume };
    const claimed = await this.#insist('settle', (db) =>
      closeTurn(db, clock, end).length > 0 ? this.#services.claim(db, run.place.chat_id) : null,
    );
    if (outcome !== 'failed') this.#reseed = false;
    this.#services.deliver(run.place.chat_id, claimed);
    this.#next();
  }

  /** A planned restart: the turn waits for the next host. */
  async #takeBack(run: Run): Promise<void> {
    await this.#insist('return', (db) => takeBack(db, this.#services.clock, this.id, run.id, run.attempt, STOPPING));
    this.#next();
  }

  #interrupt(why: 'deadline' | 'drain'): void {
    const run = this.#run;
    if (!run?.running || run.interrupted !== null) return;
    run.interrupted = why;
    this.#hop('turn.interrupted', { reason: why }, run.id);
    this.#live?.send({ t: 'interrupt', turn: run.id });
    run.deadline?.stop();
    run.grace = setTimeout(() => this.#live?.end(`${why}, and the harness did not stop`), INTERRUPT_GRACE_MS);
  }

  #endRun(run: Run): void {
    run.close();
    const limited = this.#live?.limited();
    if (limited) this.#hop('turn.limited', limited, run.id);
    if (run.shown) this.#services.typing.end(run.place);
    this.#services.drafts?.end(run.id);
    this.#state = 'settling';
  }

  /** After a turn: the next one, or rest. */
  #next(): void {
    this.#run = null;
    if (this.#live === null) return this.#cold();
    this.#state = 'idle';
    void this.#begin();
  }

  #goIdle(): void {
    const { idle } = this.#plan!.authority.limits;
    this.#idle.start(idle, () => this.rest(`idle for ${Math.round(idle / 1000)} s`));
    this.#services.idle(this.id);
  }

  async #ended(reason: string): Promise<void> {
    this.#live = null;
    this.#endReason = reason;
    this.#idle.stop();
    this.#frames.close();
    this.#hop('sandbox.ended', { reason });
    if (this.#state === 'starting') return this.#startFailed(reason);
    if (this.#run?.running) return this.#died(this.#run, reason);
    // While a turn is being begun or settled, those steps see that the sandbox is gone.
    if (this.#state === 'idle' || this.#state === 'ending') this.#cold();
  }

  async #died(run: Run, reason: string): Promise<void> {
    this.#endRun(run);
    if (run.interrupted === 'deadline')
      return this.#settle(run, 'failed', deadlineText(this.#plan!.authority.limits.turn), null);
    if (run.interrupted === 'drain') return this.#takeBack(run);
    if (run.interrupted === 'stop') return this.#next();
    const services = this.#services;
    const recorded = await this.#insist('death', (db) => recordDeath(db, services.clock, this.#place(), run, reason));
    await afterDeath(services, this.#row(), recorded, false);
    this.#services.deliver(run.place.chat_id);
    this.#next();
  }

  #cold(): void {
    this.#state = 'cold';
    this.#services.released();
    if (!this.#draining && queuedIn(this.#services.ledger.db, this.id) > 0) this.wake();
  }

  get #stopped(): boolean {
    return isSessionStopped(this.#services.ledger.db, this.id);
  }

  #place(): Place {
    return { session: this.#row(), takes: (chatId) => this.#services.takes(chatId) };
  }

  #row(): SessionRow {
    return sessionById(this.#services.ledger.db, this.id)!;
  }

  #shown(): string {
    return showId('s', this.id);
  }

  #insist<T>(name: string, job: (db: Db) => T): Promise<T> {
    return this.#services.ledger.insist(name, job);
  }
}
