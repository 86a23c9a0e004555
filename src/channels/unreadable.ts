import { createHash } from 'node:crypto';
import { UNREADABLE_BYTES_MAX } from '../base/limits/channels.ts';
import { cutBytes } from '../base/text.ts';
import type { Sink, UnreadableEvent } from './channel.ts';
import type { DriverParts } from './kind.ts';
import { Latest } from './latest.ts';

/** Some platforms list the same again and again: so many of the last are not handed over, and logged, each time. */
const KNOWN_MAX = 1000;
const KIND_CHARS_MAX = 60;

/** A driver's way to say that it could not read something: the ledger has it first, then the log says where it is. */
export class Unreadable {
  readonly #sink: Pick<Sink, 'unreadable'>;
  readonly #log: DriverParts['log'];
  readonly #event: string;
  readonly #known = new Latest<string, true>(KNOWN_MAX);

  /** `event`: of the line in the log. */
  constructor(sink: Pick<Sink, 'unreadable'>, log: DriverParts['log'], event: string) {
    this.#sink = sink;
    this.#log = log;
    this.#event = event;
  }

  /** `given`: as it came. Resolves when it is kept: only then may the platform be told that it has come. Rejects as `accept`. */
  async keep(kind: string, given: unknown, facts: Record<string, string | number> = {}): Promise<void> {
    const event = unreadable(kind, given);
    if (this.#known.get(event.dedupe_key) !== undefined) return;
    await this.#sink.unreadable(event);
    this.#known.put(event.dedupe_key, true);
    this.#log('warn', this.#event, { kind: event.kind, ...facts, kept: 'glass channel unreadable' });
  }
}

/** What has no name that could be trusted is known by its bytes. */
export function unreadable(kind: string, given: unknown): UnreadableEvent {
  const raw = typeof given === 'string' ? given : (JSON.stringify(given, shown) ?? String(given));
  return {
    dedupe_key: createHash('sha256').update(`${kind}\n${raw}`).digest('base64url'),
    kind: kind.slice(0, KIND_CHARS_MAX),
    raw: cutBytes(raw, UNREADABLE_BYTES_MAX),
  };
}

function shown(_name: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return `base64:${Buffer.from(value).toString('base64')}`;
  return typeof value === 'bigint' ? String(value) : value;
}
