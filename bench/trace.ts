import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { systemClock } from '../src/base/clock.ts';
import { noFaults } from '../src/base/faults.ts';
import { traceOf } from '../src/evidence/trace.ts';
import { findMessage } from '../src/evidence/trace_find.ts';
import { searchMessages } from '../src/evidence/trace_search.ts';
import { Audit } from '../src/gateway/audit.ts';
import { Ledger } from '../src/ledger/ledger.ts';
import { type Spread, spreadOf } from './install.ts';

/**
 * How long a trace takes in a ledger of 100,000 messages with a million hops, and a request for each in the gateway's record: found
 * and put together as the host does it, without the way over its socket.
 */
export interface TraceFigures {
  /** By how it was asked for: all of them, in milliseconds. */
  traces: Spread;
  slowest: string;
  /** Words that no text holds, in all of them; in milliseconds. */
  search_ms: number;
  ledger_mb: number;
}

const MESSAGES = 100_000;
const HOPS = 10;
const SESSIONS = 500;
/** A message every so many milliseconds, for some days. */
const EVERY_MS = 4000;
const TRACED = 40;
const START_MS = Date.now() - MESSAGES * EVERY_MS;

export async function traceFigures(): Promise<TraceFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'gb-'));
  const ledger = await Ledger.open(join(folder, 'ledger.db'), noFaults);
  const audit = await filledAudit(join(folder, 'audit.db'));
  try {
    fill(ledger);
    const ask = async (session: string, from_ms: number, to_ms: number) => audit.rows(session, from_ms, to_ms);
    const times: { ms: number; what: string }[] = [];
    for (let i = 0; i < TRACED; i += 1) {
      const n = MESSAGES - Math.floor((i * MESSAGES) / TRACED);
      const scope = { chat: `telegram:-100${n % SESSIONS}` };
      for (const what of [
        'latest',
        `m${n}`,
        `o${n}`,
        `t${n}`,
        `-100${n % SESSIONS}:${n}`,
        `r${n}`,
        `https://t.me/c/${n % SESSIONS}/${n}`,
      ]) {
        const began = performance.now();
        const { steps } = await traceOf(
          ledger.db,
          findMessage(ledger.db, what, what === 'latest' && i % 2 === 1 ? scope : {}),
          ask,
        );
        times.push({ ms: performance.now() - began, what });
        if (steps.length !== HOPS + 1) throw new Error(`the trace of ${what} has ${steps.length} steps`);
      }
    }
    const began = performance.now();
    const { looked } = await searchMessages(
      ledger.db,
      { words: 'nobody says this', since_ms: 0 },
      () => {},
      async () => true,
    );
    if (looked !== MESSAGES) throw new Error(`the search looked at ${looked}`);
    const search_ms = Math.round(performance.now() - began);
    const { bytes } = ledger.db.get<{ bytes: number }>(
      'SELECT page_count * page_size AS bytes FROM pragma_page_count, pragma_page_size',
    )!;
    const slowest = times.reduce((a, b) => (b.ms > a.ms ? b : a)).what;
    return { traces: spreadOf(times.map(({ ms }) => ms)), slowest, search_ms, ledger_mb: Math.round(bytes / 1e6) };
  } finally {
    audit.close();
    ledger.close();
    rmSync(folder, { recursive: true });
  }
}

/** A request for each message, in the gateway's own table. */
async function filledAudit(file: string): Promise<Audit> {
  new Audit(file, systemClock, noFaults).close();
  const db = new DatabaseSync(file);
  db.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${MESSAGES})
    INSERT INTO requests (id, session, group_name, at_ms, ended_ms, method, host, path, decision, rule)
      SELECT at * 1000, 's' || (1 + i % ${SESSIONS}), 'bench', at, at + 400, 'POST', 'model.example.com', '/v1/messages', 'allow', 'model'
      FROM (SELECT i, ${START_MS} + 100 + i * ${EVERY_MS} AS at FROM n)`);
  db.close();
  return new Audit(file, systemClock, noFaults);
}

/** Rows as messages leave them, written by SQL alone: one message, one turn, one answer, ten hops. */
function fill({ db }: Ledger): void {
  const n = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${MESSAGES})`;
  const chat = `1 + i % ${SESSIONS}`;
  const at_ms = `${START_MS} + i * ${EVERY_MS}`;
  const kinds = [
    'message.received',
    'message.admitted',
    'message.routed',
    'message.queued',
    'turn.started',
    'turn.taken',
    'turn.settled',
    'reply.queued',
    'delivery.sending',
    'delivery.sent',
  ];
  const pick = (from: number, value: string): string => `CASE WHEN k >= ${from} THEN ${value} END`;
  db.raw.exec(`PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; BEGIN;
    INSERT INTO groups (name, created_ms) VALUES ('bench', 0);
    INSERT INTO chats (id, channel, platform_id, title, created_ms)
      SELECT 1 + i, 'telegram', '-100' || i, 'chat', 0 FROM (${n} SELECT i - 1 AS i FROM n LIMIT ${SESSIONS});
    INSERT INTO sessions (id, group_name, chat_id, created_ms) SELECT id, 'bench', id, 0 FROM chats;
    ${n} INSERT INTO messages (id, dedupe_key, chat_id, sender, platform_id, text, sent_ms, received_ms)
      SELECT i, 'tg:' || i, ${chat}, 'Ada', '-100' || (i % ${SESSIONS}) || ':' || i,
        'a message of some length, as people write them: number ' || i || ', about what stands in the calendar for the week after next', ${at_ms}, ${at_ms} FROM n;
    ${n} INSERT INTO turns (id, session_id, state, attempt, deaths, harness, started_ms, ended_ms) SELECT i, ${chat}, 'settled', 1, 0, 'native', ${at_ms}, ${at_ms} + 900 FROM n;
    ${n} INSERT INTO inbound (id, message_id, session_id, state, turn_id, updated_ms) SELECT i, i, ${chat}, 'answered', i, ${at_ms} FROM n;
    ${n} INSERT INTO turn_inbound (turn_id, inbound_id) SELECT i, i FROM n;
    ${n} INSERT INTO outbound (id, chat_id, kind, session_id, turn_id, attempt, reply_to, body, key, state, attempts, receipt, created_ms, updated_ms)
      SELECT i, ${chat}, 'reply', ${chat}, i, 1, i, 'an answer', 'k' || i, 'sent', 1, 'r' || i, ${at_ms}, ${at_ms} FROM n;
    ${n} INSERT INTO transcript (session_id, turn_id, role, text, at_ms) SELECT ${chat}, i, 'person', 'a message', ${at_ms} FROM n;
    ${n}, k(k) AS (VALUES ${kinds.map((_, k) => `(${k})`).join(',')}), named(k, kind) AS (VALUES ${kinds.map((kind, k) => `(${k}, '${kind}')`).join(',')})
      INSERT INTO events (at_us, kind, message_id, session_id, turn_id, outbound_id, data)
      SELECT (${at_ms}) * 1000 + k.k * 90000, named.kind, CASE WHEN k.k < 4 THEN i END, ${pick(2, chat).replaceAll('k >=', 'k.k >=')}, ${pick(4, 'i').replaceAll('k >=', 'k.k >=')},
        ${pick(8, 'i').replaceAll('k >=', 'k.k >=')}, '{"ms":1}' FROM n, k JOIN named ON named.k = k.k ORDER BY i, k.k;
    COMMIT; PRAGMA synchronous = FULL`);
}
