import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../base/errors.ts';
import type { Paths } from '../../base/paths.ts';
import { seconds } from '../../evidence/check/document.ts';
import type { Claim } from '../../evidence/check/report.ts';
import type { Status } from '../../evidence/status.ts';
import type { Trace } from '../../evidence/trace.ts';
import { ControlClient } from '../control_client.ts';
import { type Io, printable } from '../io.ts';

/** What every experiment works with: the running install as a client sees it, and the record of what happens there. */
export interface EventShown {
  id: number;
  kind: string;
  message?: string;
  session?: string;
  turn?: string;
  outbound?: string;
  data: Record<string, unknown>;
}

/** The whole status is asked for: it costs a trial sandbox and counts of all rows. */
const LOOK_MS = 500;
const AGAIN_MS = 200;

/** A promise of this long is broken: ten times what a slow machine takes. */
export const WAIT_MS = 60_000;

export class Scene {
  readonly paths: Paths;
  readonly client: ControlClient;
  /** Every event since the beginning, in order, over deaths of the host. */
  readonly events: EventShown[] = [];
  /** Of this check's chats. */
  readonly tag: string;
  readonly #io: Io;
  readonly #ended = new AbortController();

  constructor(paths: Paths, io: Io, tag: string) {
    this.paths = paths;
    this.#io = io;
    this.tag = tag;
    this.client = new ControlClient(paths.controlSocket);
  }

  /** Rejects when the host cannot be asked. */
  async begin(): Promise<void> {
    let cursor = 0;
    await this.client.stream('events', { limit: 1 }, (row) => {
      cursor = (row as unknown as EventShown).id;
    });
    void this.#follow(cursor);
  }

  async #follow(from: number): Promise<void> {
    let cursor = from;
    const take = (row: object): void => {
      this.events.push(row as EventShown);
      cursor = (row as EventShown).id;
    };
    while (!this.#ended.signal.aborted) {
      const input = { follow: true, after: cursor, limit: 1000 };
      await this.client.stream('events', input, take, this.#ended.signal).catch(() => {});
      await sleep(AGAIN_MS);
    }
  }

  /** After it nothing waits any more: each wait rejects. */
  end(): void {
    this.#ended.abort();
    this.client.close();
  }

  /** Aborted at its end. */
  get ended(): AbortSignal {
    return this.#ended.signal;
  }

  status(): Promise<Status> {
    return this.client.call<Status>('status');
  }

  trace(message: string): Promise<Trace> {
    return this.client.call<Trace>('trace', { message });
  }

  /** Shows what goes on. */
  tell(text: string): void {
    if (!this.#io.json) this.#io.err(text);
  }

  /** Tries until it gives something; rejects with what was awaited. A host that is away meanwhile is tried again. */
  async until<T>(what: string, attempt: () => Promise<T | null> | T | null, within_ms = WAIT_MS): Promise<T> {
    const end = performance.now() + within_ms;
    for (let last = ''; ; await sleep(LOOK_MS)) {
      const found = await Promise.resolve()
        .then(attempt)
        .catch((error) => {
          last = ` (${messageOf(error)})`;
          return null;
        });
      if (found !== null) return found;
      if (this.#ended.signal.aborted) throw new Error('the check was ended');
      if (performance.now() > end) throw new Error(`not seen within ${within_ms / 1000} s: ${what}${last}`);
    }
  }

  event(what: string, match: (event: EventShown) => boolean, within_ms = WAIT_MS): Promise<EventShown> {
    return this.until(what, () => this.events.find(match) ?? null, within_ms);
  }

  /** One claim: what `see` resolves with holds, what it rejects with does not. Never rejects. */
  async claim(what: string, see: () => Promise<Partial<Claim>>): Promise<Claim> {
    const found = await see().catch((error): Partial<Claim> => ({ state: 'failed', seen: messageOf(error) }));
    const claim: Claim = { what, state: 'held', seen: '', ms: null, evidence: [], ...found };
    const sign = { held: '✓', failed: '✗', 'not tested': '–' }[claim.state];
    const took = claim.ms === null ? '' : ` (${seconds(claim.ms)})`;
    this.tell(printable(`  ${sign} ${what}${took}${claim.seen === '' ? '' : `: ${claim.seen}`}`));
    return claim;
  }
}
