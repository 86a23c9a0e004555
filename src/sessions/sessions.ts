import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type GroupConfig, type HarnessName, type InstallConfig, type RuntimeName, readGroup } from '../base/config.ts';
import { messageOf, OperatingError } from '../base/errors.ts';
import { parseId, showId } from '../base/ids.ts';
import { DRAIN_MS, INTERRUPT_GRACE_MS, SANDBOXES_MAX } from '../base/limits.ts';
import { groupUid } from '../ledger/chats.ts';
import { type SessionRow, sessionById, sessionsWithWork } from '../ledger/sessions.ts';
import { runningTurns } from '../ledger/turns.ts';
import type { Runtime } from '../runtimes/runtime.ts';
import { effectiveHarness, isInstalled, requireInstalled } from './harnesses.ts';
import type { SessionServices, StartPlan } from './services.ts';
import { Session } from './session.ts';
import { sessionSpec } from './spec.ts';
import { takeBack } from './turn_book.ts';

/** All sessions that are awake, and the bounds they share. */
export interface SessionsInput extends Omit<SessionServices, 'plan' | 'slot' | 'idle' | 'released'> {
  install: InstallConfig;
  runtimes: ReadonlyMap<RuntimeName, Runtime>;
  node: string;
  codeCache: string;
}

export interface LiveSession {
  session: string;
  group: string;
  state: string;
  harness: string | null;
  pid: number | null;
}

export class Sessions {
  readonly #input: SessionsInput;
  readonly #services: SessionServices;
  readonly #awake = new Map<number, Session>();
  #slotWaiters: (() => void)[] = [];
  #slots = 0;
  #draining = false;

  constructor(input: SessionsInput) {
    this.#input = input;
    this.#services = {
      ...input,
      plan: (session) => this.#plan(session),
      slot: () => this.#slot(),
      idle: (session) => this.#idle(session),
      released: () => this.#release(),
    };
  }

  /** Takes back the turns that an earlier host left running, then wakes every session in which something waits. */
  async recover(): Promise<number> {
    const { ledger, clock, trouble } = this.#services;
    const left = runningTurns(ledger.db);
    if (left.length > 0) {
      await ledger.insist(
        'recover',
        (db) => {
          for (const turn of left) takeBack(db, clock, turn.session_id, turn.id, turn.attempt, 'the host ended');
        },
        trouble,
      );
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
      .map((session) => ({
        session: showId('s', session.id),
        group: sessionById(this.#services.ledger.db, session.id)!.group_name,
        state: session.state,
        harness: session.harness,
        pid: session.pid,
      }));
  }

  /** Ends idle sandboxes, so that their next start sees what has changed (a secret, say). */
  restIdle(reason: string): void {
    for (const session of this.#awake.values()) session.rest(reason);
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
    await this.#gone(all);
  }

  async #quiet(all: Session[], ms: number): Promise<boolean> {
    return until(ms, () => all.every((session) => session.state !== 'running' && session.state !== 'settling'));
  }

  async #gone(all: Session[]): Promise<boolean> {
    return until(INTERRUPT_GRACE_MS, () => all.every((session) => session.pid === null));
  }

  async #plan(session: SessionRow): Promise<StartPlan> {
    const { paths, install, runtimes, egress, ledger } = this.#input;
    const { group, policy } = this.readAuthority(session.group_name);
    const harness = effectiveHarness(group, egress.names);
    requireInstalled(paths.root, harness);
    const runtime = runtimes.get(group.runtime ?? install.runtime);
    if (runtime === undefined)
      throw new OperatingError('unavailable', `the runtime ${group.runtime ?? install.runtime} does not exist here`);
    const shown = showId('s', session.id);
    mkdirSync(join(this.#input.codeCache, harness), { recursive: true });
    return {
      group,
      harness,
      runtime,
      spec: sessionSpec({
        paths,
        group,
        session: shown,
        harness,
        uid: groupUid(ledger.db, group.name),
        node: this.#input.node,
        codeCache: join(this.#input.codeCache, harness),
      }),
      egress: { session: shown, group: group.name, policy, socket: paths.session(shown).egress },
    };
  }

  /** The group's file as it stands, and the hash of the bytes that were read. Throws `OperatingError('config')`. */
  readAuthority(name: string): { group: GroupConfig; policy: string } {
    const file = this.#input.paths.group(name).yaml;
    const group = readGroup(name, file);
    return { group, policy: createHash('sha256').update(readFileSync(file)).digest('hex') };
  }

  /** The harness that a group would run now; null when its file is refused or the harness is not installed. */
  harnessOf(name: string): { group: GroupConfig; harness: HarnessName } | null {
    try {
      const { group } = this.readAuthority(name);
      const harness = effectiveHarness(group, this.#input.egress.names);
      return isInstalled(this.#input.paths.root, harness) ? { group, harness } : null;
    } catch {
      return null; // describeGroup says why
    }
  }

  /** Ends a session's sandbox, whatever it does. */
  end(shown: string, reason: string): void {
    const id = parseId('s', shown);
    if (id !== undefined) this.#awake.get(id)?.end(reason);
  }

  /** What runs for a group now, or why nothing can. */
  describeGroup(name: string): { name: string; harness: string; model: string; problem: string | null } {
    try {
      const { group } = this.readAuthority(name);
      const harness = effectiveHarness(group, this.#input.egress.names);
      return {
        name,
        harness,
        model: harness === 'probe' ? 'none' : `${group.model.provider} ${group.model.name}`,
        problem: null,
      };
    } catch (error) {
      return { name, harness: 'none', model: 'none', problem: messageOf(error) };
    }
  }

  /** Resolves when a place is the asker's. At the limit the sandbox that has been idle for longest makes room. */
  async #slot(): Promise<void> {
    if (this.#slots < SANDBOXES_MAX) {
      this.#slots += 1;
      return;
    }
    const handed = new Promise<void>((resolve) => this.#slotWaiters.push(resolve));
    const idle = [...this.#awake.values()].filter((session) => session.state === 'idle');
    idle.toSorted((a, b) => a.lastUsed - b.lastUsed)[0]?.rest(PLACE_NEEDED);
    await handed;
  }

  /** A session has nothing to do: if another one waits for a place, it gets this one's. */
  #idle(sessionId: number): void {
    if (this.#slotWaiters.length > 0) this.#awake.get(sessionId)?.rest(PLACE_NEEDED);
  }

  /** A place is handed on to who has waited for longest, so that nobody else can take it meanwhile. */
  #release(): void {
    const next = this.#slotWaiters.shift();
    if (next === undefined) this.#slots -= 1;
    else next();
  }
}

const PLACE_NEEDED = 'its place was needed';

async function until(ms: number, done: () => boolean): Promise<boolean> {
  const end = performance.now() + ms;
  while (!done()) {
    if (performance.now() > end) return false;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return true;
}
