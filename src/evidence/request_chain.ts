import type { DatabaseSync } from 'node:sqlite';
import { setImmediate } from 'node:timers/promises';
import { AUDIT_ANCHORS_MAX } from '../base/limits/gateway.ts';
import { EVENTS_AT_ONCE } from '../base/limits/messages.ts';
import type { Audit } from '../gateway/audit.ts';
import {
  begunLink,
  type Chained,
  type ChainedHead,
  endedLink,
  FIRST_LINK,
  headLink,
  type Link,
} from '../gateway/chain.ts';
import { cutOf } from '../gateway/record.ts';
import { type Cut, isSigned } from '../protocol/chain.ts';
import type { ChainState, EventAnchor } from '../protocol/gateway.ts';

/** The check of the gateway's record, which runs in the gateway: nobody else opens the file. */
/** What is asked of a check: heads that the ledger has, and a cut of the host's events. */
export interface Asked {
  anchors: readonly Link[];
  cut: EventAnchor | null;
}

/**
 * Whether all requests are those that were written, and agree with the heads; whether the gateway has signed the cut. `signer`: its public key.
 * Others get their turn between portions.
 */
export function checkAudit(audit: Audit, signer: string, asked: Asked): Promise<ChainState> {
  return audit.read((db, now) => checkRecord(db, now, signer, asked));
}

async function checkRecord(
  db: DatabaseSync,
  { until, last }: { until: number; last: number },
  signer: string,
  { anchors, cut }: Asked,
): Promise<ChainState> {
  const own = cutOf(db);
  const heads = db.prepare(
    `SELECT seq, hash, at_ms, event, event_hash, cut FROM heads WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ${EVENTS_AT_ONCE}`,
  );
  const headsAfter = (seq: number): ChainedHead[] => heads.all(seq, last) as unknown as ChainedHead[];
  const { through: unchained } = db.prepare('SELECT through FROM unchained').get() as { through: number };
  const check = new ChainCheck({ anchors, last, cut: own, unchained, headsAfter });
  if (own !== null && !isSigned('requests', own, signer))
    check.broken = 'the record begins at a cut that is not signed by its gateway';
  const before = db.prepare(
    'SELECT 1 FROM requests WHERE id <= ?1 UNION ALL SELECT 1 FROM heads WHERE seq <= ?2 LIMIT 1',
  );
  if (before.get(own?.through ?? 0, own?.seq ?? 0) !== undefined)
    check.broken ??= 'something was put in before its beginning';
  const page = db.prepare(
    `SELECT id, session, group_name AS "group", at_ms, method, host, path, service, secret, ended_ms, decision, rule, status,
       model, request_bytes, response_bytes, input_tokens, output_tokens, redacted, cost_micros, tokens,
       begun_seq, begun_hash, ended_seq, ended_hash
     FROM requests WHERE id > ? AND id <= ? ORDER BY id LIMIT ${EVENTS_AT_ONCE}`,
  );
  for (let after = own?.through ?? 0; check.broken === null; ) {
    const rows = page.all(after, until) as unknown as Chained[];
    for (const row of rows) check.push(row);
    if (rows.length < EVENTS_AT_ONCE) break;
    after = rows.at(-1)!.id;
    await setImmediate();
  }
  check.end();
  const newest = db.prepare('SELECT event, event_hash AS hash FROM heads WHERE seq <= ? ORDER BY seq DESC LIMIT ?');
  const known = db.prepare('SELECT 1 FROM heads WHERE cut IS NOT NULL AND event = ? AND event_hash = ?');
  return {
    links: check.links,
    broken: check.broken,
    cut: own?.day ?? null,
    from: own?.seq ?? 0,
    heads: newest.all(last, AUDIT_ANCHORS_MAX) as unknown as EventAnchor[],
    cut_known: cut === null || known.get(cut.event, cut.hash) !== undefined,
  };
}

/** What a check is against. */
interface Expected {
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
class ChainCheck {
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
