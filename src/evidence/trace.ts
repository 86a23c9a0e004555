import { parseId, showId } from '../base/ids.ts';
import { TRACE_TEXT_CHARS_MAX } from '../base/limits/messages.ts';
import { visible } from '../base/text.ts';
import { chatById, nameOfChat } from '../ledger/chats.ts';
import { cutOf } from '../ledger/cuts.ts';
import type { Db } from '../ledger/db.ts';
import { inboundOf, type MessageRow, messageById } from '../ledger/messages.ts';
import { SAID } from '../ledger/outbound.ts';
import { goneFilesOf } from '../ledger/retention.ts';
import { endOfDay } from '../protocol/chain.ts';
import { spansOf, sumsOf, type TraceSpan, type TraceSums } from './trace_spans.ts';
import { type AskAudit, stepsOf, type TraceStep } from './trace_steps.ts';

/**
 * The whole path of one message on one time line, from the hops of the host and the requests that the gateway saw. This is what
 * `glass trace --json` prints, field by field (docs/trace.md): what is here stays as it is, more may come.
 */
export interface Trace {
  message: {
    id: string;
    from: string;
    text: string;
    /** Key of the chat. */
    chat: number;
    /** `telegram:-100123`. */
    place: string;
    thread: string;
    /** The platform's name of it. */
    platform_id: string;
    origin: MessageRow['origin'];
    received_ms: number;
  };
  /** The task that it is a run of; null: it is none. */
  task: { id: string; schedule: string; zone: string; due_ms: number; by: string; state: string } | null;
  /** Files of it and of what its turns sent whose bytes are not kept any more. */
  gone: { name: string; gone_ms: number; outbound: string | null }[];
  /** Steps up to the end of this day were removed, as too old, and the message came before; null: none of it was. */
  cut: string | null;
  handled: { session: string | null; group: string | null; state: string; reason: string; turn: string | null }[];
  steps: TraceStep[];
  /** What was sent on account of it, in order. */
  sent: TraceSent[];
  /** Where its turns ran. */
  sandboxes: TraceSandbox[];
  credentials: TraceCredential[];
  spans: TraceSpan[];
  sums: TraceSums;
}

export interface TraceSent {
  id: string;
  /** `telegram:-100123`. */
  place: string;
  kind: string;
  /** The beginning of it. */
  text: string;
  state: string;
  attempts: number;
  /** The platform's name of it. */
  receipt: string | null;
  error: string | null;
}

export interface TraceSandbox {
  session: string;
  /** Process of the host's machine; null: it never came up, or is from before this was recorded. */
  pid: number | null;
  started_us: number;
  runtime: string;
  harness: string;
  /** Hash of the authority that it ran under. */
  authority: string | null;
  image: string | null;
  /** False: it ran before the message came. */
  fresh: boolean;
}

/** Which process used a secret for it; never a value. */
export interface TraceCredential {
  secret: string;
  /** A sandbox never does. */
  process: 'gateway' | 'host';
  for: string;
  times: number;
}

/** Texts that are listed of what was sent. */
const SENT_MAX = 200;

export async function traceOf(db: Db, messageId: number, askAudit: AskAudit): Promise<Trace> {
  const message = messageById(db, messageId)!;
  const cut = cutOf(db);
  const { steps, turns } = await stepsOf(db, messageId, askAudit);
  const spans = spansOf(steps);
  return {
    message: {
      id: showId('m', message.id),
      from: visible(message.sender),
      text: message.text,
      chat: message.chat_id,
      place: visible(nameOfChat(chatById(db, message.chat_id)!)),
      thread: visible(message.thread),
      platform_id: visible(message.platform_id),
      origin: message.origin,
      received_ms: message.received_ms,
    },
    task: taskOf(db, message),
    gone: goneFilesOf(db, messageId).map(({ name, gone_ms, outbound_id }) => {
      return { name: visible(name), gone_ms, outbound: outbound_id === null ? null : showId('o', outbound_id) };
    }),
    cut: cut !== null && message.received_ms < endOfDay(cut.day) ? cut.day : null,
    handled: inboundOf(db, messageId).map((row) => ({
      session: row.session_id === null ? null : showId('s', row.session_id),
      group: row.session_id === null ? null : groupOf(db, row.session_id),
      state: row.state,
      reason: row.reason,
      turn: row.turn_id === null ? null : showId('t', row.turn_id),
    })),
    steps,
    sent: sentOf(db, turns, steps),
    sandboxes: sandboxesOf(db, steps),
    credentials: credentialsOf(steps),
    spans,
    sums: sumsOf(steps, spans),
  };
}

function groupOf(db: Db, session: number): string {
  return db.get<{ name: string }>('SELECT group_name AS name FROM sessions WHERE id = ?', session)!.name;
}

function taskOf(db: Db, message: MessageRow): Trace['task'] {
  if (message.task_id === null) return null;
  const row = db.get<{ schedule: string; zone: string; by: string; state: string }>(
    'SELECT schedule, zone, by, state FROM tasks WHERE id = ?',
    message.task_id,
  );
  return row === undefined ? null : { id: showId('k', message.task_id), ...row, due_ms: message.sent_ms };
}

type SentRow = Omit<TraceSent, 'id' | 'place'> & { id: number; channel: string; platform_id: string };

/** What its turns wrote, and notices of the host that steps name: a command's answer, say. */
function sentOf(db: Db, turns: number[], steps: TraceStep[]): TraceSent[] {
  const named = steps.map(({ outbound }) => parseId('o', outbound ?? '') ?? 0);
  const rows = db.all<SentRow>(
    `SELECT o.id, c.channel, c.platform_id, o.kind, ${SAID} AS text, o.state, o.attempts, o.receipt, o.error
       FROM outbound o JOIN chats c ON c.id = o.chat_id LEFT JOIN outbound_files f ON f.outbound_id = o.id
      WHERE o.id IN (SELECT id FROM outbound WHERE turn_id IN (SELECT value FROM json_each(?1))
                      UNION SELECT value FROM json_each(?2)) ORDER BY o.id LIMIT ${SENT_MAX}`,
    ...[JSON.stringify(turns), JSON.stringify(named)],
  );
  return rows.map(({ id, channel, platform_id, text, ...row }) => ({
    id: showId('o', id),
    place: visible(nameOfChat({ channel, platform_id })),
    ...row,
    text: text.slice(0, TRACE_TEXT_CHARS_MAX),
  }));
}

/** Of each session the last sandbox that ran before, if it was used, and those that began meanwhile. */
function sandboxesOf(db: Db, steps: TraceStep[]): TraceSandbox[] {
  const first = Number(steps.find(({ id }) => id.startsWith('e'))?.id.slice(1) ?? 0);
  const sessions = new Set(steps.filter(({ kind }) => kind === 'turn.started').map(({ session }) => session!));
  return [...sessions].flatMap((session) => {
    const own: Hop[] = steps.filter((step) => step.session === session);
    const [began] = own.filter(({ kind }) => kind === 'turn.started' || kind === 'sandbox.starting');
    const before = began?.kind === 'turn.started' ? lastSandbox(db, parseId('s', session)!, first) : [];
    const fresh = (start: Hop): boolean => start !== before[0];
    return startsIn([...before, ...own]).map((hops) => sandboxIn(hops, session, fresh(hops[0]!)));
  });
}

type Hop = Pick<TraceStep, 'at_us' | 'kind' | 'data'>;

/** Few hops of a session belong to nothing else: those of its sandboxes. */
function lastSandbox(db: Db, session: number, before: number): Hop[] {
  const rows = db.all<{ at_us: number; kind: string; data: string }>(
    'SELECT at_us, kind, data FROM events WHERE session_id = ? AND turn_id IS NULL AND message_id IS NULL AND id < ? ORDER BY id DESC LIMIT 50',
    ...[session, before],
  );
  const last = rows.findIndex(({ kind }) => kind === 'sandbox.starting');
  return rows
    .slice(0, last + 1)
    .map((row) => ({ ...row, data: JSON.parse(row.data) }))
    .reverse();
}

function startsIn(steps: Hop[]): Hop[][] {
  const starts = steps.flatMap(({ kind }, at) => (kind === 'sandbox.starting' ? [at] : []));
  return starts.map((from, n) => steps.slice(from, starts[n + 1]));
}

function sandboxIn([start, ...hops]: Hop[], session: string, fresh: boolean): TraceSandbox {
  const { runtime, harness, authority, image } = start!.data;
  const pid = hops.find(({ kind }) => kind === 'sandbox.ready')?.data['pid'];
  return {
    session,
    pid: (pid as number | undefined) ?? null,
    started_us: start!.at_us,
    runtime: String(runtime),
    harness: String(harness),
    authority: (authority as string | undefined) ?? null,
    image: (image as string | undefined) ?? null,
    fresh,
  };
}

function credentialsOf(steps: TraceStep[]): TraceCredential[] {
  const used = new Map<string, TraceCredential>();
  for (const { where, data } of steps) {
    if (where !== 'gateway' || typeof data['secret'] !== 'string') continue;
    const host = String(data['to']).split(' ')[1]?.split('/')[0] ?? '';
    const key = `${data['secret']} ${host}`;
    const found = used.get(key) ?? { secret: data['secret'], process: 'gateway' as const, for: host, times: 0 };
    used.set(key, { ...found, times: found.times + 1 });
  }
  return [...used.values()];
}
