import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { HEARTBEAT_FAILS_MAX, HEARTBEAT_MS } from '../base/limits/alerts.ts';
import { writeWhole } from '../base/whole_file.ts';
import type { WayShown } from './alert_way.ts';

/**
 * The sign of life for a dead man's switch: a file, and the address of `glass.yaml`, once a minute for as long as messages could be
 * answered. Whoever watches it hears of what no alert can tell: a host that hangs, a machine that is off.
 */
export interface HeartbeatParts {
  /** Of the run folder. */
  run: string;
  clock: Clock;
  /** Null: there is no address. Resolves with why it failed, or null. */
  ping: (() => Promise<string | null>) | null;
  works(name: string, failure: string | null): void;
}

export class Heartbeat {
  readonly ping: HeartbeatParts['ping'];
  readonly #parts: HeartbeatParts;
  #last = -Infinity;
  #fails = 0;
  #shown = { last_ok_ms: null as number | null, error: null as string | null };

  constructor(parts: HeartbeatParts) {
    this.#parts = parts;
    this.ping = parts.ping;
  }

  /** With each look. `ill`: why no message could be answered now; then there is no sign. */
  async beat(ill: string | null): Promise<void> {
    const { clock, run, works } = this.#parts;
    // A host that has just started has to connect first.
    if (ill !== null && this.#shown.last_ok_ms !== null) this.#shown.error = ill;
    if (ill !== null || clock.monotonic() - this.#last < HEARTBEAT_MS) return;
    this.#last = clock.monotonic();
    const failure = this.#touch(join(run, 'heartbeat')) ?? (await this.ping?.()) ?? null;
    this.#shown = { last_ok_ms: failure === null ? clock.now() : this.#shown.last_ok_ms, error: failure };
    this.#fails = failure === null ? 0 : this.#fails + 1;
    if (failure === null || this.#fails >= HEARTBEAT_FAILS_MAX) works('heartbeat', failure);
  }

  shown(): WayShown {
    return { way: 'heartbeat', waiting: 0, ...this.#shown };
  }

  #touch(file: string): string | null {
    try {
      writeWhole(file, Buffer.from(`${new Date(this.#parts.clock.now()).toISOString()}\n`), 0o644);
      return null;
    } catch (error) {
      return messageOf(error);
    }
  }
}
