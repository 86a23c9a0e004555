import { showId } from '../base/ids.ts';
import { passedOn } from '../ledger/agents.ts';
import type { Db } from '../ledger/db.ts';
import type { EventRow } from '../ledger/events.ts';
import { type InboundRow, inboundOf } from '../ledger/messages.ts';
import { textOfEntry } from '../ledger/transcript.ts';
import type { AuditRow } from '../protocol/gateway.ts';

export interface TraceStep {
  /** `e12`, a hop, as `glass events` counts them; `r…`, a request that the gateway saw. */
  id: string;
  /** Microseconds since the epoch. */
  at_us: number;
  /** Since the step before, and since the first. */
  after_us: number;
  since_us: number;
  /** `host`, `sandbox` (as it reported), or `gateway`. */
  where: 'host' | 'sandbox' | 'gateway';
  kind: string;
  /** The message of another agent's turn that it belongs to; null: the one that is traced. */
  message: string | null;
  session: string | null;
  turn: string | null;
  outbound: string | null;
  data: Record<string, unknown>;
}

/** Messages in one trace: what a few questions between agents come to. */
const FAMILY_MAX = 50;
/** Hops after the message's first among which a restart of the host is looked for: what a busy host records in some seconds. */
const RESTARTS_WITHIN = 20_000;

export type AskAudit = (session: string, from_ms: number, to_ms: number) => Promise<AuditRow[]>;

/** Which side says so: a sandbox can only report, and may lie about its own turn. */
const REPORTED = new Set(['turn.taken', 'tool.called', 'session.compacted']);

type Step = Omit<TraceStep, 'after_us' | 'since_us'>;

/** In their order; `turns` are those that had the message, or what became of it in other groups. */
export async function stepsOf(
  db: Db,
  messageId: number,
  askAudit: AskAudit,
): Promise<{ steps: TraceStep[]; turns: number[] }> {
  const members = family(db, messageId);
  const paths = await Promise.all(members.map((member) => pathOf(db, member, messageId, askAudit)));
  const seen = new Set<string>();
  const steps = paths
    .flat()
    .concat(restarts(db, messageId))
    // A decision belongs to the message that said it and to the turn that waited for it.
    .filter(({ id }) => !seen.has(id) && seen.add(id))
    .sort((a, b) => a.at_us - b.at_us);
  const first = steps[0]?.at_us ?? 0;
  const timed = steps.map((step, at) => {
    return { ...step, after_us: step.at_us - (steps[at - 1]?.at_us ?? first), since_us: step.at_us - first };
  });
  return { steps: timed, turns: members.flatMap(({ turns }) => turns.map(({ id }) => id)) };
}

export interface Member {
  /** Of the message. */
  id: number;
  /** Without those of the members before it: an answer may join the turn that asked. */
  turns: TurnSpan[];
}

/** The message, and those that its turns' texts have become in sessions of other agents, and so on. */
export function family(db: Db, messageId: number): Member[] {
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

async function pathOf(db: Db, { id, turns }: Member, traced: number, askAudit: AskAudit): Promise<Step[]> {
  const hops = [...messageHops(db, id), ...turns.flatMap((turn) => turnHops(db, turn, id))];
  const requests = await Promise.all(turns.map((turn) => requestsOf(turn, askAudit)));
  const message = id === traced ? null : showId('m', id);
  return [...hops.map((hop) => withSummary(db, stepOf(hop))), ...requests.flat()].map((step) => ({ ...step, message }));
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

function messageHops(db: Db, message: number): EventRow[] {
  return db.all<EventRow>('SELECT * FROM events WHERE message_id = ? ORDER BY id', message);
}

/** Hops of the turn and of its replies, and what its session's sandbox did between the message's arrival and the turn's end. */
function turnHops(db: Db, turn: TurnSpan, message: number): EventRow[] {
  const own = db.all<EventRow>('SELECT * FROM events WHERE turn_id = ? ORDER BY id', turn.id);
  const last = turn.ended_ms === null ? undefined : own.findLast((event) => event.outbound_id === null)?.id;
  const sandbox = db.all<EventRow>(
    "SELECT * FROM events WHERE session_id = ? AND turn_id IS NULL AND message_id IS NULL AND id BETWEEN ? AND ? AND kind GLOB '[sh]*' ORDER BY id",
    ...[turn.session_id, firstHop(db, message) ?? 0, last ?? Number.MAX_SAFE_INTEGER],
  );
  return [...own, ...sandbox];
}

function firstHop(db: Db, message: number): number | undefined {
  return (
    db.get<{ id: number | null }>('SELECT min(id) AS id FROM events WHERE message_id = ?', message)?.id ?? undefined
  );
}

/** Why a turn was begun again. */
function restarts(db: Db, message: number): Step[] {
  const first = firstHop(db, message);
  if (first === undefined) return [];
  const taken = db.get<{ last: number }>(
    `SELECT max(e.id) AS last FROM inbound i JOIN turn_inbound x ON x.inbound_id = i.id JOIN events e ON e.turn_id = x.turn_id
      WHERE i.message_id = ? AND e.outbound_id IS NULL`,
    message,
  )?.last;
  const rows = db.all<EventRow>(
    "SELECT * FROM events WHERE id BETWEEN ? AND ? AND kind IN ('host.started', 'host.stopped') ORDER BY id",
    ...[first, Math.min(taken ?? first, first + RESTARTS_WITHIN)],
  );
  return rows.map((row) => ({ ...stepOf(row), message: null }));
}

async function requestsOf(turn: TurnSpan, askAudit: AskAudit): Promise<Omit<Step, 'message'>[]> {
  const session = showId('s', turn.session_id);
  const rows = await askAudit(session, turn.started_ms, turn.ended_ms ?? Date.now());
  return rows.map((row) => ({
    id: `r${row.id}`,
    at_us: row.at_ms * 1000,
    where: 'gateway',
    kind: row.service === null && row.method !== 'CONNECT' ? 'model.request' : 'egress.request',
    session,
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
function withSummary<Hop extends Pick<TraceStep, 'kind' | 'data'>>(db: Db, step: Hop): Hop {
  if (step.kind !== 'session.compacted') return step;
  const { entry, ...data } = step.data;
  return { ...step, data: { ...data, summary: textOfEntry(db, Number(entry)) } };
}

function stepOf(event: EventRow): Omit<Step, 'message'> {
  return {
    id: `e${event.id}`,
    at_us: event.at_us,
    where: REPORTED.has(event.kind) ? 'sandbox' : 'host',
    kind: event.kind,
    session: event.session_id === null ? null : showId('s', event.session_id),
    turn: event.turn_id === null ? null : showId('t', event.turn_id),
    outbound: event.outbound_id === null ? null : showId('o', event.outbound_id),
    data: JSON.parse(event.data),
  };
}
