import { hash } from 'node:crypto';

/**
 * The chain of `audit.db`: the hash of each transaction covers the one before it, so that a row which is changed, removed
 * or put in later breaks every hash after it. What no chain shows, that its end was cut off or that all of it was made
 * anew, is shown by its anchors: heads that the host has written down in the ledger, which the gateway cannot write.
 */
export interface Link {
  seq: number;
  /** SHA-256, hex. */
  hash: string;
}

export const FIRST_LINK: Link = { seq: 0, hash: '' };

/** What a request asked for, when it began; never changed afterwards. */
export interface Begun {
  id: number;
  session: string;
  group: string;
  at_ms: number;
  method: string;
  host: string;
  path: string;
  service: string | null;
  secret: string | null;
}

/** What became of it. */
export interface Ended {
  id: number;
  ended_ms: number;
  decision: string;
  rule: string;
  status: number | null;
  model: string | null;
  request_bytes: number;
  response_bytes: number;
  input_tokens: number | null;
  output_tokens: number | null;
  redacted: number;
  cost_micros: number;
  tokens: number;
}

export function begunLink(head: Link, row: Begun): Link {
  const { id, session, group, at_ms, method, host, path, service, secret } = row;
  return after(head, ['begun', id, session, group, at_ms, method, host, path, service, secret]);
}

export function endedLink(head: Link, row: Ended): Link {
  const { id, ended_ms, decision, rule, status, model, redacted, cost_micros, tokens } = row;
  const { request_bytes, response_bytes, input_tokens, output_tokens } = row;
  const amounts = [request_bytes, response_bytes, input_tokens, output_tokens, redacted, cost_micros, tokens];
  return after(head, ['ended', id, ended_ms, decision, rule, status, model, ...amounts]);
}

/** JSON, because it cannot be read in two ways. */
function after({ seq, hash: before }: Link, what: readonly (string | number | null)[]): Link {
  return { seq: seq + 1, hash: hash('sha256', JSON.stringify([before, seq + 1, ...what])) };
}

/** A row with its two places in the chain; without the second while its request runs. */
export interface Chained extends Begun, Omit<Ended, 'ended_ms'> {
  ended_ms: number | null;
  /** Null: it began before there was a chain. */
  begun_seq: number | null;
  begun_hash: string | null;
  ended_seq: number | null;
  ended_hash: string | null;
}

/**
 * Checks rows in the order of their ids, which is the order in which they began, and which may come in portions. The ends
 * of those that ran side by side wait for their turn.
 */
export class ChainCheck {
  readonly #anchors: Map<number, string>;
  readonly #waiting = new Map<number, Chained>();
  #head = FIRST_LINK;
  /** Rows from before there was a chain come first, and only there. */
  #begun = false;
  /** Why the chain is broken, in one sentence; null so far. */
  broken: string | null = null;

  constructor(anchors: readonly Link[]) {
    this.#anchors = new Map(anchors.map(({ seq, hash: value }) => [seq, value]));
  }

  get links(): number {
    return this.#head.seq;
  }

  push(row: Chained): void {
    const { begun_seq, ended_seq } = row;
    if (begun_seq !== null) this.#begun = true;
    const unlinked = this.#begun && (begun_seq === null || (ended_seq === null && row.ended_ms !== null));
    if (unlinked) this.#break(`row ${row.id} is not in the chain: it was put in`);
    for (const seq of [begun_seq, ended_seq]) if (seq !== null) this.#wait(seq, row);
    for (let next = this.#take(); next !== undefined && this.broken === null; next = this.#take()) this.#follow(next);
  }

  /** After the last row. */
  end(): void {
    if (this.#waiting.size > 0) this.#break(`link ${this.links + 1} is missing: a row was removed`);
    else if (this.#anchors.size > 0) this.#break(`the chain ends at link ${this.links}: its end was cut off`);
  }

  #wait(seq: number, row: Chained): void {
    if (seq <= this.links || this.#waiting.has(seq)) this.#break(`link ${seq} stands twice: row ${row.id} was put in`);
    this.#waiting.set(seq, row);
  }

  /** The first break is the one to look at. */
  #break(why: string): void {
    this.broken ??= why;
  }

  #take(): Chained | undefined {
    const seq = this.links + 1;
    const row = this.#waiting.get(seq);
    this.#waiting.delete(seq);
    return row;
  }

  #follow(row: Chained): void {
    const begins = row.begun_seq === this.links + 1;
    const link = begins
      ? begunLink(this.#head, row)
      : endedLink(this.#head, { ...row, ended_ms: row.ended_ms ?? Number.NaN });
    if (link.hash !== (begins ? row.begun_hash : row.ended_hash))
      return this.#break(`link ${link.seq} (row ${row.id}) does not fit: it or one before it was changed`);
    const anchor = this.#anchors.get(link.seq);
    this.#anchors.delete(link.seq);
    if (anchor !== undefined && anchor !== link.hash)
      return this.#break(`link ${link.seq} is not the one that the ledger knows: the chain was made anew`);
    this.#head = link;
  }
}
