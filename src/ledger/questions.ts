import { randomBytes } from 'node:crypto';
import { hashOf } from '../authority/authority.ts';
import type { Guarded } from '../authority/guard.ts';
import type { Clock } from '../base/clock.ts';
import { assert } from '../base/errors.ts';
import { randomToken, showId } from '../base/ids.ts';
import { ASKS_PENDING_MAX } from '../base/limits/talk.ts';
import { chatById, nameOfChat } from './chats.ts';
import type { Db } from './db.ts';
import { type EventLinks, recordEvent } from './events.ts';
import { nameOfPerson, rolesToDecide } from './people.ts';

/**
 * Approvals of privileged actions (every kind but `egress`): pending → done, denied or expired, each in the transaction that
 * also does it. `object` is what is done, and its hash is what was asked.
 */
export type Action =
  | {
      kind: 'sender';
      chat: number;
      channel: string;
      handle: string;
      name: string;
      person: number | null;
      groups: string[];
    }
  | { kind: 'chat'; chat: number; channel: string; name: string; choices: string[] }
  | {
      kind: 'authority';
      chat: number;
      channel: string;
      group: string;
      /** JSON of the `Wish`, and the hash of the authority that it comes to. */
      wish: string;
      hash: string;
      /** Hash of what was in force when it was asked. */
      base: string;
      changes: string[];
      reason: string;
      /** It reaches out of the sandbox: only who administers every group may say yes. */
      outward: boolean;
    }
  | {
      kind: 'message';
      chat: number;
      channel: string;
      group: string;
      /** The group of the agent that it is for; with a colon: a chat, by its name. */
      to: string;
      text: string;
      /** JSON of its `FileFacts`; '': none. */
      file: string;
      /** The first of its texts. */
      outbound: number;
    }
  | { kind: 'entry'; chat: number; channel: string; group: string; session: number; message: number };

export interface Question {
  id: number;
  kind: Guarded;
  /** JSON of `Action`. */
  object: string;
  object_hash: string;
  /** `approved`: of what is done after the decision, and not done yet. */
  state: 'pending' | 'approved' | 'denied' | 'expired' | 'done';
  reason: string;
  /** What a person writes to decide about it. */
  code: string;
  /** The message that waits for it, or in whose turn an agent asked. */
  message_id: number;
  /** Of the agent that asked; null: nobody's agent. */
  session_id: number | null;
  turn_id: number | null;
  /** Where it is shown; null: not yet. */
  card_chat: number | null;
  decided_by: number | null;
  created_ms: number;
  expires_ms: number;
  decided_ms: number | null;
}

const QUESTIONS = `SELECT id, kind, object, object_hash, state, reason, code, message_id, session_id, turn_id, card_chat, decided_by,
  created_ms, expires_ms, decided_ms FROM approvals WHERE kind <> 'egress'`;

/** The same action has the same subject. */
export function subjectOf(action: Action): string {
  switch (action.kind) {
    case 'sender':
      return `${action.chat}:${action.handle}`;
    case 'chat':
      return `${action.chat}`;
    case 'authority':
      return `${action.group}:${hashOf(Buffer.from(action.changes.join('\n')))}`;
    case 'message':
      return `${action.group}:o${action.outbound}`;
    case 'entry':
      return `${action.group}:s${action.session}`;
    default:
      return action satisfies never;
  }
}

/** Keys in one order, whoever made it. */
export function bytesOfAction(action: Action): Buffer {
  return Buffer.from(JSON.stringify(action, Object.keys(action).sort()));
}

/** `asker`: the agent that asks. */
export function insertQuestion(
  db: Db,
  now: number,
  action: Action,
  message: number,
  expires_ms: number,
  asker: { session: number; turn: number } | null = null,
): Question {
  const object = bytesOfAction(action);
  const id = db.insert(
    `INSERT INTO approvals (kind, subject, object_hash, object, state, asked_by, created_ms, expires_ms, code, message_id, session_id, turn_id)
     VALUES (?, ?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?, ?)`,
    ...[action.kind, subjectOf(action), hashOf(object), object.toString(), showId('m', message), now, expires_ms],
    ...[freeCode(db), message, asker?.session ?? null, asker?.turn ?? null],
  );
  return questionById(db, id)!;
}

/** Short enough to type; means something only from somebody who may decide, and only while it waits. */
export function freeCode(db: Db): string {
  for (;;) {
    const code = randomBytes(2).toString('hex');
    if (db.get("SELECT 1 AS yes FROM approvals WHERE code = ? AND state = 'pending'", code) === undefined) return code;
  }
}

export function questionById(db: Db, id: number): Question | undefined {
  return db.get(`${QUESTIONS} AND id = ?`, id);
}

/** The key of what waits under this code, a question or a held request, else of the last that did. */
export function askedByCode(db: Db, code: string): number | undefined {
  const sql = "SELECT id FROM approvals WHERE code = ? ORDER BY state <> 'pending', id DESC LIMIT 1";
  return db.get<{ id: number }>(sql, code)?.id;
}

/** Those that wait first, then the newest. */
export function recentQuestions(db: Db, limit: number): Question[] {
  return db.all(`${QUESTIONS} ORDER BY state <> 'pending', id DESC LIMIT ?`, limit);
}

export function countQuestions(db: Db): number {
  return db.get<{ n: number }>("SELECT count(*) AS n FROM approvals WHERE state = 'pending' AND subject <> ''")!.n;
}

/** The same action, if it waits. */
export function waitingLike(db: Db, action: Action): Question | undefined {
  const sql = `${QUESTIONS} AND kind = ? AND subject = ? AND state = 'pending' AND subject <> ''`;
  return db.get(sql, action.kind, subjectOf(action));
}

/** What the agents of a group have asked, of one kind, and waits. */
export function countOfGroup(db: Db, kind: 'authority' | 'message', group: string): number {
  const sql =
    "SELECT count(*) AS n FROM approvals WHERE kind = ? AND state = 'pending' AND subject <> '' AND subject LIKE ? || ':%'";
  return db.get<{ n: number }>(sql, kind, group)!.n;
}

/** Decided, and not done yet: a host that died has to go on. */
export function approvedQuestions(db: Db): Question[] {
  return db.all(`${QUESTIONS} AND state IN ('pending', 'approved') AND state = 'approved' ORDER BY id`);
}

export function pendingQuestions(db: Db): Question[] {
  return db.all(
    `${QUESTIONS} AND state IN ('pending', 'approved') AND state = 'pending' ORDER BY id LIMIT ${ASKS_PENDING_MAX}`,
  );
}

/** What is known of earlier questions about the same. */
export function askedBefore(db: Db, action: Action): { waits: boolean; refused_ms: number | null } {
  const last = db.get<{ state: string; decided_ms: number }>(
    "SELECT state, decided_ms FROM approvals INDEXED BY approvals_subject WHERE kind = ? AND subject = ? AND subject <> '' ORDER BY id DESC LIMIT 1",
    ...[action.kind, subjectOf(action)],
  );
  return { waits: last?.state === 'pending', refused_ms: last?.state === 'denied' ? last.decided_ms : null };
}

/** What the buttons of a card carry, by the choice that each is: of an approval, or of what an agent asks. */
export function makeTokens(db: Db, of: { approval: number } | { ask: number }, choices: string[]): string[] {
  const [approval, ask] = 'ask' in of ? [null, of.ask] : [of.approval, null];
  return choices.map((choice) => {
    const token = randomToken(12);
    const sql = 'INSERT INTO button_tokens (token, approval_id, ask_id, choice) VALUES (?, ?, ?, ?)';
    db.run(sql, token, approval, ask, choice);
    return token;
  });
}

/** What a button of a card in this chat means; undefined: nothing there. */
export function tokenOf(db: Db, token: string, chat: number): { approval_id: number; choice: string } | undefined {
  return db.get(
    `SELECT t.approval_id, t.choice FROM button_tokens t JOIN approvals a ON a.id = t.approval_id
      WHERE t.token = ? AND a.card_chat = ?`,
    ...[token, chat],
  );
}

/** It is shown in this chat. False: it has been shown, or does not wait any more. */
export function cardTold(
  db: Db,
  clock: Clock,
  card: { id: number; chat: number; person: number; links: EventLinks },
): boolean {
  const told = "UPDATE approvals SET card_chat = ? WHERE id = ? AND state = 'pending' AND card_chat IS NULL";
  if (db.run(told, card.chat, card.id) === 0) return false;
  const chat = nameOfChat(chatById(db, card.chat)!);
  const data = { approval: showId('h', card.id), person: showId('p', card.person), chat };
  recordEvent(db, clock, 'approval.told', card.links, data);
  return true;
}

/** `pending` → `approved`, by a person, of what is done afterwards. */
export function approveQuestion(db: Db, clock: Clock, question: Question, person: number): void {
  const sql =
    "UPDATE approvals SET state = 'approved', decided_by = ?, decided_ms = ? WHERE id = ? AND state = 'pending'";
  assert(db.run(sql, person, clock.now(), question.id) === 1, 'a question is decided once');
  recordDecision(db, clock, question, person, true, '');
}

/** `approved` → `done`, or `expired` with the reason why it could not be done. False: it has ended before. */
export function finishQuestion(db: Db, clock: Clock, question: Question, failure: string | null): boolean {
  const [state, reason] = failure === null ? ['done', ''] : ['expired', failure];
  const sql = "UPDATE approvals SET state = ?, reason = ? WHERE id = ? AND state = 'approved'";
  if (db.run(sql, state, reason, question.id) === 0) return false;
  const data = { approval: showId('h', question.id), ...(failure !== null && { reason: failure }) };
  recordEvent(db, clock, failure === null ? 'approval.done' : 'approval.ended', linksOf(question), data);
  return true;
}

export interface QuestionEnd {
  state: 'done' | 'denied' | 'expired';
  /** Null: nobody. */
  person: number | null;
  reason: string;
}

/** `pending` → its end, once. False: it has ended before. */
export function endQuestion(db: Db, clock: Clock, question: Question, { state, person, reason }: QuestionEnd): boolean {
  const ended = db.run(
    "UPDATE approvals SET state = ?, reason = ?, decided_by = ?, decided_ms = ? WHERE id = ? AND state = 'pending'",
    ...[state, reason, person, clock.now(), question.id],
  );
  if (ended === 0) return false;
  const approval = showId('h', question.id);
  if (person === null || state === 'expired')
    recordEvent(db, clock, 'approval.ended', linksOf(question), { approval, reason });
  else recordDecision(db, clock, question, person, state === 'done', reason);
  return true;
}

function recordDecision(
  db: Db,
  clock: Clock,
  question: Question,
  person: number,
  allowed: boolean,
  reason: string,
): void {
  const who = { person: showId('p', person), by: nameOfPerson(db, person), as: rolesToDecide(db, person) };
  const data = { approval: showId('h', question.id), allowed, ...who, reason };
  recordEvent(db, clock, 'approval.decided', linksOf(question), data);
}

/** What its events belong to. */
export function linksOf({ message_id, session_id, turn_id }: Question): EventLinks {
  const asker = session_id === null || turn_id === null ? {} : { session: session_id, turn: turn_id };
  return { message: message_id, ...asker };
}
