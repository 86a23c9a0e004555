import { guard } from '../authority/guard.ts';
import type { Clock } from '../base/clock.ts';
import { OperatingError } from '../base/errors.ts';
import { parseId, showId } from '../base/ids.ts';
import {
  AGENT_HOPS_MAX,
  AGENT_MESSAGES_PER_HOUR_MAX,
  WISH_CARD_CHARS_MAX,
  WISHES_PENDING_MAX,
} from '../base/limits/talk.ts';
import { visible } from '../base/text.ts';
import type { AgentPost } from '../channels/agents/agents.ts';
import { hopsOfTurn, lastAskedIn, messageOfText, outboundByKey, placeOfTurn } from '../ledger/agents.ts';
import { authorityInForce } from '../ledger/authorities.ts';
import { chatById } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import { recordEvent } from '../ledger/events.ts';
import { type FileFacts, insertFiles } from '../ledger/files.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { addMarks, hasMarks, mustHold } from '../ledger/marks.ts';
import { insertInbound, insertMessage, queuedIn } from '../ledger/messages.ts';
import { fileOfOutbound, holdForApproval, type OutboundRow, rejectTexts } from '../ledger/outbound.ts';
import { type Action, countOfGroup, countQuestions, insertQuestion } from '../ledger/questions.ts';
import { ensureSession, type SessionRow, sessionById } from '../ledger/sessions.ts';
import { isStopped } from '../ledger/stops.ts';
import { countTry, triesOf } from '../ledger/tries.ts';
import { isCancelled, peopleOfTurn } from '../ledger/turns.ts';
import { agentsOf } from './destinations.ts';

/**
 * From a text that an agent sent to the session of the agent that it is for. In a chat `asker>asked`, what the asker's session sends goes
 * to a session of the asked one that is that session's alone; what that one sends there goes back to where it was last asked from.
 * No person has said it: whatever needs a person's word is not to be had by it.
 */
export interface AgentPostInput {
  ledger: Ledger;
  clock: Clock;
  wake(session: number): void;
}

/** Where a text goes. */
interface Address {
  session: number;
  chat_id: number;
  thread: string;
}

export function agentPost({ ledger, clock, wake }: AgentPostInput): AgentPost {
  return {
    async pass(key) {
      const passed = await ledger.write('pass', (db) => passOn(db, clock, outboundByKey(db, key)!));
      if ('session' in passed) wake(passed.session);
      return passed;
    },
    passed(key) {
      const row = outboundByKey(ledger.db, key);
      const message = row === undefined ? undefined : messageOfText(ledger.db, row.id);
      return message === undefined ? null : showId('m', message);
    },
  };
}

function passOn(db: Db, clock: Clock, row: OutboundRow): { message: string; session: number } | { refused: string } {
  const now = clock.now();
  const before = messageOfText(db, row.id);
  const address = addressOf(db, now, row);
  if (typeof address === 'string') return { refused: address };
  const { session, chat_id, thread } = address;
  if (before !== undefined) return { message: showId('m', before), session };
  const sender = sessionById(db, row.session_id!)!.group_name;
  // Nothing of it is kept then: the text waits like any other of its group.
  if (isStopped(db, sender)) throw new OperatingError('refused', `${sender} is stopped`);
  // What the other one has seen and read comes along.
  const marks = hasMarks(db, row.session_id!).filter((mark) => mark !== 'C');
  const receiver = sessionById(db, session)!;
  if (mustHold(db, receiver, marks))
    return { refused: `the rule of two of ${receiver.group_name}: a person must begin a new conversation there` };
  const hops = (row.turn_id === null ? 0 : hopsOfTurn(db, row.turn_id)) + 1;
  if (hops > AGENT_HOPS_MAX) return { refused: `it has come through ${AGENT_HOPS_MAX} agents already` };
  const message = insertMessage(db, {
    ...{ dedupe_key: `agent:${row.key}`, chat_id, thread, person_id: null, sender: `agent ${sender}`, handle: '' },
    ...{ addressed: 1, platform_id: showId('o', row.id), text: row.body, sent_ms: row.created_ms, received_ms: now },
    ...{ origin: 'agent', outbound_id: row.id, hops },
  })!;
  const file = fileOfOutbound(db, row.id);
  if (file !== undefined) insertFiles(db, message, [file]);
  const links = { message, session };
  addMarks(db, clock, receiver, marks, `${showId('m', message)} of the agent ${sender}`, links);
  recordEvent(db, clock, 'agent.said', links, { from: sender, hops, outbound: showId('o', row.id) });
  recordEvent(db, clock, 'message.queued', links, { ahead: queuedIn(db, session) });
  insertInbound(db, now, message, session, 'queued', '');
  return { message: showId('m', message), session };
}

/** Why it goes nowhere, as a string. */
function addressOf(db: Db, now: number, row: OutboundRow): Address | string {
  const [asker, asked] = chatById(db, row.chat_id)!.platform_id.split('>') as [string, string];
  const from = row.session_id === null ? undefined : sessionById(db, row.session_id);
  if (from === undefined) return 'no agent has said it';
  if (from.group_name === asker && showId('s', from.id) === row.thread) {
    if (authorityInForce(db, asked) === undefined) return `there is no agent ${asked}`;
    if (agentsOf(db, asker)[asked] === undefined) return `${asker} may not write to ${asked} any more`;
    const { id } = ensureSession(db, now, asked, row.chat_id, row.thread);
    return { session: id, chat_id: row.chat_id, thread: row.thread };
  }
  const back = sessionById(db, parseId('s', row.thread) ?? 0);
  const turn = back === undefined ? undefined : lastAskedIn(db, row.chat_id, row.thread);
  const place = turn === undefined ? undefined : placeOfTurn(db, turn);
  if (from.group_name !== asked || back?.group_name !== asker || place === undefined) return 'nobody has asked for it';
  if (back.closed_ms !== null) return 'the conversation that asked for it is over';
  if (isCancelled(db, turn!)) return 'what asked for it was stopped';
  return { session: back.id, ...place };
}

/** What an agent may say to others in an hour, and through how many it may have come. Counts it; returns why not. */
export function countPost(db: Db, now: number, { session, turn }: Poster, agent: string): string | null {
  const group = session.group_name;
  if (authorityInForce(db, agent) === undefined) return `there is no agent ${agent}`;
  if (hopsOfTurn(db, turn.id) >= AGENT_HOPS_MAX) return `it has come through ${AGENT_HOPS_MAX} agents already`;
  if (triesOf(db, now, 'agent', '', group) >= AGENT_MESSAGES_PER_HOUR_MAX)
    return `agents of this group write ${AGENT_MESSAGES_PER_HOUR_MAX} messages an hour at most`;
  countTry(db, now, 'agent', '', group, AGENT_MESSAGES_PER_HOUR_MAX);
  return null;
}

/** The texts wait until a person has seen them whole. Returns the question, or why there is none; then they are rejected. */
export function askForPost(
  db: Db,
  clock: Clock,
  { session, turn, place }: Poster & { place: { chat_id: number } },
  to: string,
  { text, file }: { text: string; file?: FileFacts | undefined },
  ids: number[],
): number | string {
  const { channel } = chatById(db, place.chat_id)!;
  const facts = file === undefined ? '' : JSON.stringify(file);
  const group = session.group_name;
  const action: Action = {
    ...{ kind: 'message', chat: place.chat_id, channel, group, to, text, file: facts, outbound: ids[0]! },
  };
  const fits = visible(text).length + facts.length <= WISH_CARD_CHARS_MAX;
  const full = countOfGroup(db, 'message', group) >= WISHES_PENDING_MAX;
  const refusal = full
    ? `${WISHES_PENDING_MAX} messages wait already`
    : 'that is more than a person reads at once: write less';
  const verdict = guard('message', {
    ...{ standing: fits && !full ? 'ask' : 'deny', refusal, waits: false, refused_ms: null },
    ...{ pending: countQuestions(db), now: clock.now() },
  });
  if (verdict.verdict !== 'hold') {
    const rule = verdict.verdict === 'deny' ? verdict.rule : 'it needs no approval';
    rejectTexts(db, clock.now(), ids, rule);
    return rule;
  }
  const message = peopleOfTurn(db, turn.id)[0]!.message_id;
  const by = { session: session.id, turn: turn.id };
  const question = insertQuestion(db, clock.now(), action, message, verdict.expires_ms, by);
  holdForApproval(db, ids, question.id);
  recordEvent(db, clock, 'message.held', { message, ...by }, { approval: showId('h', question.id), kind: 'message' });
  return question.id;
}

interface Poster {
  session: SessionRow;
  turn: { id: number };
}
