import { OperatingError } from '../base/errors.ts';
import { parseId, showId } from '../base/ids.ts';
import { visible } from '../base/text.ts';
import { passedOn } from '../ledger/agents.ts';
import { cutOf } from '../ledger/cuts.ts';
import type { Db } from '../ledger/db.ts';
import type { EventRow } from '../ledger/events.ts';
import { type InboundRow, inboundOf, latestMessageId, type MessageRow, messageById } from '../ledger/messages.ts';
import { goneFilesOf } from '../ledger/retention.ts';
import { textOfEntry } from '../ledger/transcript.ts';
import { endOfDay } from '../protocol/chain.ts';
import type { AuditRow } from '../protocol/gateway.ts';

/** The whole path of one message on one time line, from the hops of the host and the requests that the gateway saw. */
export interface TraceStep {
  /** Microseconds since the epoch. */
  at_us: number;
  /** `host`, `sandbox` (as it reported), or `gateway`. */
  where: 'host' | 'sandbox' | 'gateway';
  kind: string;
  /** The message of another agent's turn that it belongs to; null: the one that is traced. */
  message: string | null;
  turn: string | null;
  outbound: string | null;
  data: Record<string, unknown>;
}

export interface Trace {
  message: { id: string; from: string; text: string; chat: number; received_ms: number };
  /** Files of it and of what its turns sent whose bytes are not kept any more. */
  gone: { name: string; gone_ms: number; outbound: string | null }[];
  /** Steps up to the end of this day were removed, as too old, and the message came before; null: none of it was. */
  cut: string | null;
  handled: { session: string | null; state: string; reason: string; turn: string | null }[];
  steps: TraceStep[];
}

/** Messages in one trace: what a few questions between agents come to. */
const FAMILY_MAX = 50;

export type AskAudit = (session: string, from_ms: number, to_ms: number) => Promise<AuditRow[]>;

/** Which side says so: a sandbox can only report, and may lie about its own turn. */
const REPORTED = new Set(['turn.taken', 'tool.called', 'session.compacted']);

/** A message by `m12`, `latest`, or the platform's id. Throws `OperatingError('not_found')`. */
export function findMessage(db: Db, what: string): number {
  const id = what === 'latest' ? latestMessageId(db) : (parseId('m', what) ?? platformMessage(db, what));
  if (id === undefined || messageById(db, id) === undefined) {
    throw new OperatingError(
      'not_found',
      what === 'latest' ? 'there is no message yet' : `there is no message "${what}"`,
    );
  }
  return id;
}

function platformMessage(db: Db, platformId: string): number | undefined {
  return db.get<{ id: number }>('SELECT id FROM messages WHERE platform_id = ? ORDER BY id DESC LIMIT 1', platformId)
    ?.id;
}

export async function traceOf(db: Db, messageId: number, askAudit: AskAudit): Promise<Trace> {
  const message = messageById(db, messageId)!;
  const inbound = inboundOf(db, messageId);
  const cut = cutOf(db);
  const paths = await Promise.all(family(db, messageId).map((member) => pathOf(db, member, messageId, askAudit)));
  const steps = paths.flat().sort((a, b) => a.at_us - b.at_us);
  return {
    message: {
      id: showId('m', message.id),
      from: visible(message.sender),
      text: message.text,
      chat: message.chat_id,
      received_ms: message.received_ms,
    },
    gone: goneFilesOf(db, messageId).map(({ name, gone_ms, outbound_id }) => {
      return { name: visible(name), gone_ms, outbound: outbound_id === null ? null : showId('o', outbound_id) };
    }),
    cut: cut !== null && message.received_ms < endOfDay(cut.day) ? cut.day : null,
    handled: inbound.map((row) => ({
      session: row.session_id === null ? null : showId('s', row.session_id),
      state: row.state,
      reason: row.reason,
      turn: row.turn_id === null ? null : showId('t', row.turn_id),
    })),
    steps,
  };
}

interface Member {
  id: number;
  /** Without those of the members before it: an answer may join the turn that asked. */
  turns: TurnSpan[];
}

/** The message, and those that its turns' texts have become in sessions of other agents, and so on. */
function family(db: Db, messageId: number): Member[] {
  const ids = [messageId];
  const members: Member[] = [];
  const seen = new Set<number>();
  for (const id of ids) {
    const turns = turnsOf(db, inboundOf(db, id)).filter((turn) => !seen.has(turn.id));
    for (const turn of turns) seen.add(turn.id);
    members.push({ id, turns });
    for (const next of turns.flatMap((turn) => passedOn(db, turn.id)))
      if (ids.length < FAMILY_MAX && !ids.includes(next)) ids.push(next);
  }
  return members;
}

async function pathOf(db: Db, { id, turns }: Member, traced: number, askAudit: AskAudit): Promise<TraceStep[]> {
  const message = messageById(db, id)!;
  const hops = [...messageHops(db, message), ...turns.flatMap((turn) => turnHops(db, turn, message))];
  const requests = await Promise.all(turns.map((turn) => requestsOf(turn, askAudit)));
  const shown = id === traced ? null : showId('m', id);
  return [...hops.map((hop) => withSummary(db, stepOf(hop))), ...requests.flat()].map((step) => ({
    ...step,
    message: shown,
  }));
}

interface TurnSpan {
  id: number;
  session_id: number;
  started_ms: number;
  ended_ms: number | null;
}

function turnsOf(db: Db, inbound: InboundRow[]): TurnSpan[] {
  return inbound.flatMap((row) =>
    db.all<TurnSpan>(
      'SELECT t.id, t.session_id, t.started_ms, t.ended_ms FROM turn_inbound x JOIN turns t ON t.id = x.turn_id WHERE x.inbound_id = ? ORDER BY t.id',
      row.id,
    ),
  );
}

function messageHops(db: Db, message: MessageRow): EventRow[] {
  return db.all<EventRow>('SELECT * FROM events WHERE message_id = ? ORDER BY id', message.id);
}

/** Hops of the turn and of its replies, and what its session's sandbox did between the message's arrival and the turn's end. */
function turnHops(db: Db, turn: TurnSpan, message: MessageRow): EventRow[] {
  const own = db.all<EventRow>('SELECT * FROM events WHERE turn_id = ? ORDER BY id', turn.id);
  const first = db.get<{ id: number }>('SELECT min(id) AS id FROM events WHERE message_id = ?', message.id)?.id ?? 0;
  const last = own.findLast((event) => event.outbound_id === null)?.id ?? Number.MAX_SAFE_INTEGER;
  const sandbox = db.all<EventRow>(
    "SELECT * FROM events WHERE session_id = ? AND turn_id IS NULL AND message_id IS NULL AND id BETWEEN ? AND ? AND kind GLOB '[sh]*' ORDER BY id",
    turn.session_id,
    first,
    last,
  );
  return [...own, ...sandbox];
}

async function requestsOf(turn: TurnSpan, askAudit: AskAudit): Promise<Omit<TraceStep, 'message'>[]> {
  const rows = await askAudit(showId('s', turn.session_id), turn.started_ms, turn.ended_ms ?? Date.now());
  return rows.map((row) => ({
    at_us: row.at_ms * 1000,
    where: 'gateway',
    kind: row.service === null && row.method !== 'CONNECT' ? 'model.request' : 'egress.request',
    turn: showId('t', turn.id),
    outbound: null,
    data: {
      to: `${row.method} ${row.host}${row.path}`,
      decision: row.decision,
      rule: row.rule,
      status: row.status,
      ms: row.ended_ms === null ? null : row.ended_ms - row.at_ms,
      secret: row.secret,
      service: row.service,
      model: row.model,
      input_tokens: row.input_tokens,
      output_tokens: row.output_tokens,
      usd: row.cost_micros / 1e6,
      request_bytes: row.request_bytes,
      response_bytes: row.response_bytes,
    },
  }));
}

/** What a conversation was shortened to: hops hold no texts, the transcript has it. */
function withSummary<Step extends Pick<TraceStep, 'kind' | 'data'>>(db: Db, step: Step): Step {
  if (step.kind !== 'session.compacted') return step;
  const { entry, ...data } = step.data;
  return { ...step, data: { ...data, summary: textOfEntry(db, Number(entry)) } };
}

function stepOf(event: EventRow): Omit<TraceStep, 'message'> {
  return {
    at_us: event.at_us,
    where: REPORTED.has(event.kind) ? 'sandbox' : 'host',
    kind: event.kind,
    turn: event.turn_id === null ? null : showId('t', event.turn_id),
    outbound: event.outbound_id === null ? null : showId('o', event.outbound_id),
    data: JSON.parse(event.data),
  };
}
