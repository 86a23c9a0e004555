import { type Cut, linkHash } from '../protocol/chain.ts';

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

/** A head of the host's events that was written down here, so that the host alone cannot make them anew. */
export interface HostHead {
  at_ms: number;
  /** Key of the event, and its hash. */
  event: number;
  event_hash: string;
  /** The day of the cut that was signed there; null: no cut. */
  cut: string | null;
}

/** With its place in the chain. */
export interface ChainedHead extends HostHead, Link {}

export function headLink(head: Link, { at_ms, event, event_hash, cut }: HostHead): Link {
  return after(head, ['head', at_ms, event, event_hash, cut]);
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

function after({ seq, hash: before }: Link, what: readonly (string | number | null)[]): Link {
  return { seq: seq + 1, hash: linkHash(before, seq + 1, what) };
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

/** What a check is against. */
export interface Expected {
  /** Heads that were written down elsewhere. */
  anchors: readonly Link[];
  /** The newest link when the check began: what comes later is not looked at. */
  last: number;
  /** What the chain begins with; null: its first link. */
  cut: Cut | null;
  /** Rows after this key are all in the chain. */
  unchained: number;
  /** The next heads of the host after a link, in their order. */
  headsAfter(seq: number): ChainedHead[];
}

/**
 * Checks rows in the order of their ids, which is the order in which they began, and which may come in portions. The ends
 * of those that ran side by side wait for their turn.
 */
export class ChainCheck {
  readonly #expected: Expected;
  readonly #anchors: Map<number, string>;
  readonly #waiting = new Map<number, Chained>();
  #heads: ChainedHead[];
  #head: Link;
  /** Rows from before there was a chain come first, and only there. */
  #begun: boolean;
  /** Why the chain is broken, in one sentence; null so far. */
  broken: string | null = null;

  constructor(expected: Expected) {
    const { anchors, cut, headsAfter } = expected;
    this.#expected = expected;
    this.#head = cut === null ? FIRST_LINK : { seq: cut.seq, hash: cut.hash };
    this.#begun = cut !== null;
    this.#heads = headsAfter(this.#head.seq);
    this.#anchors = new Map();
    for (const { seq, hash: value } of anchors.filter((anchor) => anchor.seq >= this.#head.seq)) {
      if ((this.#anchors.get(seq) ?? value) !== value) this.#break(`the ledger knows two links ${seq}: one was lost`);
      this.#anchors.set(seq, value);
    }
    this.#compare(this.#head);
  }

  get links(): number {
    return this.#head.seq;
  }

  push(row: Chained): void {
    const { begun_seq } = row;
    // An end that came while the check ran is none yet.
    const ended_seq = (row.ended_seq ?? 0) > this.#expected.last ? null : row.ended_seq;
    if (begun_seq !== null) this.#begun = true;
    const mayBeOlder = !this.#begun && row.id <= this.#expected.unchained;
    const unlinked = !mayBeOlder && (begun_seq === null || (row.ended_seq === null && row.ended_ms !== null));
    if (unlinked) this.#break(`row ${row.id} is not in the chain: it was put in`);
    for (const seq of [begun_seq, ended_seq]) if (seq !== null) this.#wait(seq, row);
    this.#goOn();
  }

  /** After the last row. */
  end(): void {
    this.#goOn();
    const next = this.links + 1;
    if (this.links < this.#expected.last || this.#waiting.size > 0)
      this.#break(`link ${next} is missing: a row was removed`);
    else if (this.#heads.length > 0) this.#break(`link ${this.#heads[0]!.seq} stands twice: a head was put in`);
    else if (this.#anchors.size > 0) this.#break(`the chain ends at link ${this.links}: its end was cut off`);
  }

  #goOn(): void {
    while (this.broken === null && this.links < this.#expected.last) {
      const [head] = this.#heads;
      const row = this.#take();
      if (row !== undefined) this.#followRow(row);
      else if (head?.seq === this.links + 1) this.#followHead(head);
      else return;
    }
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

  #followRow(row: Chained): void {
    const begins = row.begun_seq === this.links + 1;
    const link = begins
      ? begunLink(this.#head, row)
      : endedLink(this.#head, { ...row, ended_ms: row.ended_ms ?? Number.NaN });
    this.#follow(link, begins ? row.begun_hash : row.ended_hash, `row ${row.id}`);
  }

  #followHead(head: ChainedHead): void {
    this.#heads.shift();
    if (this.#heads.length === 0) this.#heads = this.#expected.headsAfter(head.seq);
    this.#follow(headLink(this.#head, head), head.hash, 'a head of the events');
  }

  #follow(link: Link, stored: string | null, what: string): void {
    if (link.hash !== stored)
      return this.#break(`link ${link.seq} (${what}) does not fit: it or one before it was changed`);
    this.#compare(link);
    this.#head = link;
  }

  #compare(link: Link): void {
    const anchor = this.#anchors.get(link.seq);
    this.#anchors.delete(link.seq);
    if (anchor !== undefined && anchor !== link.hash)
      this.#break(`link ${link.seq} is not the one that the ledger knows: the chain was made anew`);
  }
}
