import { setImmediate } from 'node:timers/promises';
import { OperatingError } from '../base/errors.ts';
import { AUDIT_ANCHORS_MAX } from '../base/limits/gateway.ts';
import { EVENTS_AT_ONCE } from '../base/limits/messages.ts';
import { cutOf, signersOf } from '../ledger/cuts.ts';
import type { Db } from '../ledger/db.ts';
import {
  beforeChain,
  type ChainedEvent,
  chainedAfter,
  type EventHead,
  eventHash,
  eventHeadAt,
  lastEventId,
} from '../ledger/events.ts';
import { endOfDay, isSigned, type SignedCut } from '../protocol/chain.ts';
import { type Anchor, anchorSchema, type ChainState, type EventAnchor } from '../protocol/gateway.ts';
import { dataOf, RowEvents } from './row_events.ts';

/**
 * Whether what is recorded is whole and unchanged: the host's events, whose chain is checked here; the gateway's requests, whose chain it
 * checks itself; the heads of each that the other has; heads that somebody has kept outside; and that no row lacks its events. In
 * portions, so that the host goes on meanwhile.
 */
export interface Verified {
  /** The newest event, and that of the gateway's chain. */
  events: number;
  links: number;
  /** The days up to which old ones were removed, by signed cuts; null: everything is there. */
  cut: string | null;
  egress_cut: string | null;
  /** Heads compared: of the gateway's chain, and of the events. */
  anchors: number;
  heads: number;
  /** The first thing that is wrong, in one sentence, and what to do; null: all of it holds. */
  broken: string | null;
  fix: string | null;
}

/** The gateway's side. */
export interface CheckEgress {
  check(anchors: readonly Anchor[], cut: EventAnchor | null): Promise<ChainState>;
}

/** Heads from outside: lines of a log, say. */
export interface VerifyQuery {
  head: EventAnchor | null;
  egress_head: Anchor | null;
}

/**
 * Rejects with `OperatingError` when the gateway cannot be asked, or nothing is left to compare a head with. What a cut has removed meanwhile is
 * no finding: it is read again.
 */
export async function verify(
  db: Db,
  gateway: CheckEgress,
  query: VerifyQuery,
  onProgress: (done: number, of: number) => void,
): Promise<Verified> {
  for (;;) {
    const through = cutOf(db)?.through;
    const found = await verifyOnce(db, gateway, query, onProgress);
    if (found.broken === null || cutOf(db)?.through === through) return found;
  }
}

async function verifyOnce(
  db: Db,
  gateway: CheckEgress,
  { head, egress_head }: VerifyQuery,
  onProgress: (done: number, of: number) => void,
): Promise<Verified> {
  const cut = cutOf(db);
  if (head !== null && head.event < (cut?.through ?? 0))
    throw new OperatingError(
      'not_found',
      `event ${head.event} was removed with the day ${cut!.day}`,
      'take a newer head',
    );
  const rows = await RowEvents.read(db, rowsSince(db, cut));
  const events = await checkEvents(db, { cut, rows, onProgress });
  const found = { events: events.last.id, links: 0, cut: cut?.day ?? null, egress_cut: null, anchors: 0, heads: 0 };
  const own = events.broken ?? rows.broken() ?? (head === null ? null : compared(db, head, 'the head that was given'));
  if (own !== null) return { ...found, broken: own, fix: whatToDo(events.last.at_us) };
  const anchors = egress_head === null ? events.anchors : [...events.anchors, egress_head];
  const state = await gateway.check(anchors, cut === null ? null : { event: cut.through, hash: cut.hash });
  if (egress_head !== null && egress_head.seq < state.from)
    throw new OperatingError(
      'not_found',
      `link ${egress_head.seq} was removed with the day ${state.cut}`,
      'take a newer head',
    );
  const broken = brokenOutside(db, cut, state);
  return {
    ...{ ...found, links: state.links, egress_cut: state.cut, anchors: anchors.length, heads: state.heads.length },
    ...{ broken, fix: broken === null ? null : whatToDo(null) },
  };
}

/** A row that began before this may have lost its events with a cut, or have had them before there was a chain. In milliseconds. */
function rowsSince(db: Db, cut: SignedCut | null): number {
  if (cut !== null) return endOfDay(cut.day);
  if (chainedAfter(db, 0, 1)[0]?.hash !== null) return 0;
  const last = db.get<{ at_us: number }>(
    'SELECT max(at_us) AS at_us FROM events WHERE id < (SELECT id FROM events WHERE hash IS NOT NULL ORDER BY id LIMIT 1)',
  );
  return Math.ceil((last?.at_us ?? 0) / 1000);
}

interface EventCheck {
  cut: SignedCut | null;
  rows: RowEvents;
  onProgress(done: number, of: number): void;
}

interface Checked {
  /** The last one that holds. */
  last: EventHead & { at_us: number | null };
  broken: string | null;
  /** The newest heads of the gateway's chain. */
  anchors: Anchor[];
}

async function checkEvents(db: Db, { cut, rows, onProgress }: EventCheck): Promise<Checked> {
  const begin = cut?.through ?? 0;
  const until = lastEventId(db);
  let last: Checked['last'] = { id: begin, hash: cut?.hash ?? '', at_us: null };
  let begun = cut !== null;
  let broken = beginning(db, cut);
  const anchors: Anchor[] = [];
  while (broken === null && last.id < until) {
    const portion = chainedAfter(db, last.id, Math.min(EVENTS_AT_ONCE, until - last.id));
    for (const row of portion) {
      broken =
        begun && row.hash === null ? `event ${row.id} is not in the chain: it was put in` : follow(last, row, begun);
      if (broken !== null) break;
      begun ||= row.hash !== null;
      last = { id: row.id, hash: row.hash ?? eventHash(last.hash, row), at_us: row.at_us };
      rows.see(row);
      if (row.kind !== 'egress.anchored') continue;
      const anchor = anchorSchema.safeParse(dataOf(row));
      if (anchor.success) anchors.push(anchor.data);
      else broken ??= `event ${row.id} is no head of the gateway's chain: it was changed`;
    }
    anchors.splice(0, anchors.length - AUDIT_ANCHORS_MAX);
    onProgress(last.id - begin, until - begin);
    await setImmediate();
  }
  if (!begun) broken ??= 'the events have no chain: they were removed, or put in by something else';
  return { last, broken, anchors };
}

function beginning(db: Db, cut: SignedCut | null): string | null {
  if (cut !== null && !signersOf(db).some((key) => isSigned('events', cut, key)))
    return `the events begin at a cut of ${cut.day} that the gateway has not signed`;
  const before = db.get<{ id: number }>('SELECT id FROM events WHERE id <= ? LIMIT 1', cut?.through ?? 0);
  return before === undefined ? null : `event ${before.id} lies before the beginning: it was put in`;
}

/** Null: `row` follows. */
function follow(last: EventHead, row: ChainedEvent, begun: boolean): string | null {
  if (row.id !== last.id + 1) return `event ${last.id + 1} is missing: it was removed`;
  if (row.hash === null) return null;
  const before = begun ? last.hash : beforeChain(last.id, last.hash);
  return eventHash(before, row) === row.hash ? null : `event ${row.id} does not fit: it or one before it was changed`;
}

function brokenOutside(db: Db, cut: SignedCut | null, state: ChainState): string | null {
  if (state.broken !== null) return `requests of the gateway: ${state.broken}`;
  if (!state.cut_known) return `the events begin at a cut of ${cut!.day} that the gateway knows nothing of`;
  for (const head of state.heads) {
    if (head.event < (cut?.through ?? 0)) continue;
    const wrong = compared(db, head, 'the head that the gateway has');
    if (wrong !== null) return wrong;
  }
  return null;
}

function compared(db: Db, { event, hash }: EventAnchor, whose: string): string | null {
  const cut = cutOf(db);
  const found = event === cut?.through ? cut.hash : eventHeadAt(db, event)?.hash;
  if (found === undefined) return `there is no event ${event}, and ${whose} is of it: the end was cut off`;
  return found === hash ? null : `event ${event} is not the one of ${whose}: the events were made anew`;
}

function whatToDo(until_us: number | null): string {
  const since = until_us === null ? '' : ` after ${new Date(until_us / 1000).toISOString()}`;
  return `keep ledger.db, audit.db and the logs as they are, compare them with a backup, and look who could write them${since}`;
}
