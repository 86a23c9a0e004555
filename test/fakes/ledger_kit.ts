import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { noFaults } from '../../src/base/faults.ts';
import { ensureChat, ensureGroup, wire } from '../../src/ledger/chats.ts';
import type { Db } from '../../src/ledger/db.ts';
import { Ledger } from '../../src/ledger/ledger.ts';
import { insertInbound, insertMessage } from '../../src/ledger/messages.ts';
import { insertOutbound, type OutboundKind } from '../../src/ledger/outbound.ts';
import { ensurePerson } from '../../src/ledger/people.ts';
import { ensureSession, type SessionRow, sessionById } from '../../src/ledger/sessions.ts';
import { Answers } from '../../src/router/answers.ts';
import type { Decider, RouterEffects } from '../../src/router/router.ts';

/** Real ledgers on disk for tests, with the few rows that nearly every test begins with. */

interface Cleaned {
  after(clean: () => void): void;
}

export function temporaryFolder(context: Cleaned): string {
  const folder = mkdtempSync(join(tmpdir(), 'gu-'));
  context.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
  return folder;
}

export async function freshLedger(context: Cleaned): Promise<Ledger> {
  const ledger = await Ledger.open(join(temporaryFolder(context), 'ledger.db'), noFaults);
  ledger.db.raw.exec('PRAGMA synchronous = OFF'); // these tests cut no power
  context.after(() => {
    if (ledger.db.raw.isOpen) ledger.close();
  });
  return ledger;
}

/** A channel that shows Markdown as it is. */
export const TAKES = { markup: 'markdown' as const, text_max: 1000 };

let keys = 0;

/** A chat of the group `assistant` with one member, `alice`, and its session. */
export function seedChat(db: Db, channel = 'local', platformId = 'main', group = 'assistant'): SessionRow {
  const now = systemClock.now();
  ensureGroup(db, now, group, null);
  ensurePerson(db, now, channel, 'alice', 'Alice', 'member', group);
  const chat = ensureChat(db, now, channel, platformId, platformId);
  wire(db, chat, group, 'always');
  return sessionById(db, ensureSession(db, now, group, chat, '').id)!;
}

/** Effects of a router that nobody listens to. */
export const ROUTER_EFFECTS: RouterEffects = { spoken: () => {}, nudge: () => {}, groups: () => [] };

/** Takes answers to what agents ask, and tells nobody. */
export const ANSWERS = new Answers({ clock: systemClock, ...ROUTER_EFFECTS }, () => {});

/** For tests in which nothing waits for a decision. */
export const NOBODY_DECIDES: Decider = {
  decideByCode: () => assert.fail('nobody is asked'),
  decideByToken: () => assert.fail('nobody is asked'),
  waiting: () => [],
};

/** Queues a message in a session, as the router does; returns its inbound key. */
export function queueMessage(db: Db, session: SessionRow, text: string): number {
  const now = systemClock.now();
  const message = insertMessage(db, {
    dedupe_key: `kit:${++keys}`,
    chat_id: session.chat_id,
    thread: '',
    person_id: null,
    sender: 'Alice',
    handle: 'alice',
    addressed: 1,
    platform_id: `p${keys}`,
    text,
    sent_ms: now,
    received_ms: now,
  })!;
  return insertInbound(db, now, message, session.id, 'queued', '');
}

/** Rows on their way out of a chat; `session` null: nobody's (a notice of the router, say). */
export function queueOutbound(
  db: Db,
  chat: number,
  chunks: string[],
  links: { session?: number; kind?: OutboundKind } = {},
): number[] {
  const out = {
    chat_id: chat,
    thread: '',
    kind: links.kind ?? 'notice',
    session_id: links.session ?? null,
    turn_id: null,
    attempt: 0,
    ordinal: 0,
    send_hash: '',
    reply_to: null,
  };
  return insertOutbound(
    db,
    systemClock.now(),
    out,
    chunks.map((body) => ({ body, source: body })),
  );
}

/** The state of each inbound row, in arrival order. */
export function inboundStates(db: Db): string[] {
  return db.all<{ state: string }>('SELECT state FROM inbound ORDER BY id').map((row) => row.state);
}
