import type { Clock } from '../base/clock.ts';
import { EVENTS_AT_ONCE } from '../base/limits/messages.ts';
import { linkHash } from '../protocol/chain.ts';
import type { Db } from './db.ts';
import type { FileFacts } from './files.ts';

/**
 * The hops: what trace, status, console and tests read. One table of kinds with the shape of their data; a kind that is
 * not here cannot be recorded. Data never holds a message's text nor a secret.
 */
export interface EventData {
  'boundary.inspected': { group: string; depth: string; ok: boolean; ms: number; failed: string[] };
  'authority.asked': { approval: string; group: string; changes: string[] };
  'authority.refused': { group: string; reason: string };
  'authority.applied': { group: string; hash: string; by: string; changes: string[] };
  'message.received': { channel: string; chat: string; sender: string; bytes: number; files?: FileFacts[] };
  'message.repeated': { dedupe_key: string };
  'message.admitted': { rule: string };
  'message.ignored': { rule: string };
  'message.answered': { reason: string };
  'message.held': { approval: string; kind: string };
  'message.released': { approval: string };
  'agent.said': { from: string; hops: number; outbound: string };
  'message.kept': { group: string };
  'message.edited': { bytes: number };
  'message.deleted': { cancelled: number };
  'message.reacted': { emoji: string; by: string; removed: boolean };
  /** It came when an agent had the message already, or it had been answered. */
  'message.change_late': { change: string };
  'message.change_refused': { change: string; rule: string };
  /** `group`: '' is every one. `turns` were stopped by it, `held` and `sending` are texts, `waiting` messages. */
  'group.stopped': { group: string; by: string; turns: number; held: number; sending: number; waiting: number };
  /** What came of it: nothing could leave any more after `ms`. */
  'group.stop_receipt': { group: string; ms: number; sandboxes: number; cut: number; egress: string };
  'group.resumed': { group: string; by: string; released: number; dropped: number; waiting: number };
  /** Nothing was changed by it. */
  'stop.refused': { group: string; person: string; what: string };
  'session.closed': { by: string };
  /** `entry`: of the transcript, the summary. */
  'session.compacted': { before: number; after: number; unit: string; summary_bytes: number; entry: number };
  /** Causes are ours: an id, a place, a name of `group.yaml`. */
  'session.marked': { mark: string; cause: string };
  'session.rule_of_two': { policy: string; marks: string };
  'turn.stopped': { by: string; cancelled: number };
  'message.routed': { group: string; new_session: boolean };
  'message.queued': { ahead: number };
  'message.failed': { reason: string };
  /** `authority`: the hash that is in force for it. `image`: null: the host's own files. */
  'sandbox.starting': { runtime: string; harness: string; authority: string; image: string | null };
  'sandbox.ready': { ms: number; resumed: boolean; pid: number | null };
  'sandbox.ended': { reason: string };
  'hatch.refused': { reason: string };
  'turn.started': { attempt: number; messages: number; warm: boolean; harness: string };
  'turn.context': { messages: number };
  'turn.steered': { messages: number };
  'turn.taken': { messages: number };
  'turn.interrupted': { reason: string };
  /** What its sandbox's limits have stopped, while that went on. */
  'turn.limited': { oom_kills: number; forks_refused: number };
  'turn.settled': { outcome: string; taken: number; returned: number };
  'turn.attempt_failed': { attempt: number; reason: string; next: 'retry' | 'split' | 'failed' };
  'tool.called': { tool: string; ok: boolean; ms: number; summary: string };
  'send.committed': { ordinal: number; chunks: number; file?: FileFacts };
  'send.repeated': { ordinal: number; same_body: boolean };
  'file.received': FileFacts;
  'reply.queued': { chunks: number };
  /** The beginning of an answer that is not there yet: it is about to be shown, is shown, is not, or may be. */
  'draft.sending': { chars: number };
  'draft.shown': { receipt: string };
  'draft.refused': { class: string; reason: string };
  'draft.uncertain': { reason: string };
  'delivery.sending': { attempt: number };
  'delivery.waiting': { reason: string };
  /** `edited`: in the place of what was shown of it before. */
  'delivery.sent': { receipt: string; edited?: true };
  'delivery.retry': { class: string; reason: string; after_ms: number };
  'delivery.rejected': { class: string; reason: string };
  'delivery.uncertain': { reason: string };
  /** What the platform says of a text after it had taken it. `said_ms`: its time of that. */
  'receipt.delivered': { said_ms: number };
  'receipt.read': { said_ms: number };
  'receipt.failed': { said_ms: number; reason?: string };
  'approval.held': { approval: string; service: string; to: string; bytes: number; sha256: string };
  'approval.done': { approval: string };
  'approval.decided': {
    approval: string;
    allowed: boolean;
    person: string;
    by: string;
    /** The roles that let them: `owner`, `admin of assistant`. */
    as: string;
    reason: string;
    /** Of a held request: the chat. */
    where?: string;
  };
  'approval.told': { approval: string; person: string; chat: string };
  'approval.refused': { approval: string | null; person: string | null; reason: string };
  'approval.sent': { approval: string };
  'approval.ended': { approval: string; reason: string };
  'ask.asked': { ask: string; chat: string; options: number; minutes: number };
  'ask.answered': { ask: string; by: string; how: string; ms: number };
  /** Nothing was changed by it. */
  'ask.refused': { ask: string | null; person: string | null; reason: string };
  'ask.ended': { ask: string; state: 'expired' | 'cancelled'; reason: string };
  /** A later attempt asks the same: it gets what there is. */
  'ask.repeated': { ask: string; state: string };
  'person.changed': { person: string; change: string; by: string };
  'pairing.made': { channel: string; role: string; by: string };
  'pairing.failed': { reason: string };
  'wiring.changed': { chat: string; group: string; change: string; by: string };
  'alert.raised': { kind: string; subject: string };
  'alert.cleared': { kind: string; subject: string };
  'egress.anchored': { seq: number; hash: string };
  /** A key of the gateway's, which signs cuts, was seen for the first time. */
  'signer.seen': { key: string };
  /** Hops up to this one were removed, as too old; `count`: over all cuts. */
  'events.cut': { day: string; through: number; count: number };
  'task.due': { task: string; late_ms: number };
  'task.paused': { task: string; reason: string };
  'task.changed': { task: string; what: string; by: string };
  /** Their rows say so too. */
  'files.pruned': { files: number; bytes: number };
  'channel.added': { channel: string; kind: string; file: string };
  'channel.removed': { channel: string };
  'host.started': { version: string; runtime: string; pid: number; safe?: true };
  'host.stopped': { reason: string };
}
export type EventKind = keyof EventData;

/** What a hop belongs to, by row key. */
export interface EventLinks {
  message?: number;
  session?: number;
  turn?: number;
  outbound?: number;
}

export interface EventRow {
  id: number;
  /** Microseconds since the epoch. */
  at_us: number;
  kind: EventKind;
  message_id: number | null;
  session_id: number | null;
  turn_id: number | null;
  outbound_id: number | null;
  /** JSON object of `EventData[kind]`. */
  data: string;
}

/** The newest hop, or what it was before there was any. */
export interface EventHead {
  id: number;
  /** SHA-256, hex; '' where there is no hop. */
  hash: string;
}

const COLUMNS = 'id, at_us, kind, message_id, session_id, turn_id, outbound_id, data';
/** As bytes it takes half the room, and to read bytes takes twice the time. */
const HASH = "nullif(lower(hex(hash)), '') AS hash";

/** Hash of a hop, which covers all of its columns and the hash of the hop before it. */
export function eventHash(before: string, row: EventRow): string {
  const { id, at_us, kind, message_id, session_id, turn_id, outbound_id, data } = row;
  return linkHash(before, id, [at_us, kind, message_id, session_id, turn_id, outbound_id, data]);
}

/** What stands before the first hop of the chain: those from before there was one, `last` of them, by their own hashes in turn. */
export function beforeChain(last: number, hash: string): string {
  return linkHash(hash, last, ['before the chain']);
}

/** Appends a hop, inside the caller's transaction. `at_us` is given when it happened before that. */
export function recordEvent<K extends EventKind>(
  db: Db,
  clock: Clock,
  kind: K,
  links: EventLinks,
  data: EventData[K],
  at_us = clock.micros(),
): void {
  const head = db.head ?? eventHead(db);
  const row: EventRow = {
    id: head.id + 1,
    at_us,
    kind,
    message_id: links.message ?? null,
    session_id: links.session ?? null,
    turn_id: links.turn ?? null,
    outbound_id: links.outbound ?? null,
    data: JSON.stringify(data),
  };
  const hash = eventHash(head.hash, row);
  db.run(
    `INSERT INTO events (${COLUMNS}, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, unhex(?))`,
    ...[row.id, at_us, kind, row.message_id, row.session_id, row.turn_id, row.outbound_id, row.data],
    hash,
  );
  db.head = { id: row.id, hash };
}

/** What the next hop follows, as the database says. */
export function eventHead(db: Db): EventHead {
  const last = db.get<HashedRow>(`SELECT id, ${HASH} FROM events WHERE id = (SELECT max(id) FROM events)`);
  return last === undefined ? { id: 0, hash: beforeChain(0, '') } : headOf(db, last);
}

/** As it was when that hop was the newest one; undefined: there is none of that key. */
export function eventHeadAt(db: Db, id: number): EventHead | undefined {
  const row = db.get<HashedRow>(`SELECT id, ${HASH} FROM events WHERE id = ?`, id);
  return row === undefined ? undefined : headOf(db, row);
}

type HashedRow = { id: number; hash: string | null };

function headOf(db: Db, { id, hash }: HashedRow): EventHead {
  return { id, hash: hash ?? unchained(db, id) };
}

/** Once in the life of a ledger that is older than its chain: some four microseconds for each of its hops. */
function unchained(db: Db, last: number): string {
  let head: EventHead = { id: 0, hash: '' };
  while (head.id < last)
    for (const row of chainedAfter(db, head.id, Math.min(EVENTS_AT_ONCE, last - head.id)))
      head = { id: row.id, hash: eventHash(head.hash, row) };
  return beforeChain(last, head.hash);
}

export interface ChainedEvent extends EventRow {
  /** SHA-256, hex. Null: from before there was a chain. */
  hash: string | null;
}

/** As `eventsAfter`, with the links of the chain. */
export function chainedAfter(db: Db, cursor: number, limit: number): ChainedEvent[] {
  return db.all<ChainedEvent>(`SELECT ${COLUMNS}, ${HASH} FROM events WHERE id > ? ORDER BY id LIMIT ?`, cursor, limit);
}

/** Hops after a cursor, oldest first. */
export function eventsAfter(db: Db, cursor: number, limit: number): EventRow[] {
  return db.all<EventRow>(`SELECT ${COLUMNS} FROM events WHERE id > ? ORDER BY id LIMIT ?`, cursor, limit);
}

/** When the newest hop was recorded, in milliseconds; 0: none was. */
export function lastEventAt(db: Db): number {
  return (db.get<{ at_us: number }>('SELECT at_us FROM events ORDER BY id DESC LIMIT 1')?.at_us ?? 0) / 1000;
}

export function lastEventId(db: Db): number {
  return db.get<{ id: number | null }>('SELECT max(id) AS id FROM events')?.id ?? 0;
}
