import { hashOf } from '../authority/authority.ts';
import { assert, type ErrorCode, unreachable } from '../base/errors.ts';
import { showId } from '../base/ids.ts';
import { chatById, destinationsOf, type KnownChat, nameOfChat, wire, wiringsOf } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import { recordEvent } from '../ledger/events.ts';
import { filesOf } from '../ledger/files.ts';
import { addMarks } from '../ledger/marks.ts';
import { insertInbound, messageById, releaseHeld } from '../ledger/messages.ts';
import { endHeld, insertNotice } from '../ledger/outbound.ts';
import { addPerson, addRole, administers, link, nameOfPerson, personOf } from '../ledger/people.ts';
import {
  type Action,
  approveQuestion,
  bytesOfAction,
  endQuestion,
  linksOf,
  type Question,
  type QuestionEnd,
} from '../ledger/questions.ts';
import { sessionById } from '../ledger/sessions.ts';
import { isStopped } from '../ledger/stops.ts';
import { addEntry } from '../ledger/transcript.ts';
import { isCancelled } from '../ledger/turns.ts';
import { type AdmissionServices, type Admitted, actionOf, admitMessage, type Said } from '../router/admission.ts';
import type { Decided, DecidedBy } from '../router/router.ts';
import { agentsOf } from '../sessions/destinations.ts';
import { toWords } from './card.ts';

/**
 * A decision about a question, and what it does, in one transaction: who decides is checked now, what is done is what was
 * asked, and only if it still can be. Whatever is refused changes nothing and is recorded.
 */
export interface Decision extends Omit<DecidedBy, 'message' | 'chat'> {
  /** The message that says so, and its chat; null: the command line. */
  message: number | null;
  chat: number | null;
  choice: string;
  reason: string;
}

export interface DecidedQuestion extends Decided {
  /** Null: it was decided. */
  code: ErrorCode | null;
}

export function decideQuestion(
  db: Db,
  services: AdmissionServices,
  question: Question,
  decision: Decision,
): DecidedQuestion {
  const { person, choice } = decision;
  const shown = showId('h', question.id);
  const action = JSON.parse(question.object) as Action;
  if (person === null || !mayDecide(db, person, action, choice))
    return refuse(db, services, decision, shown, 'refused', `Only an admin or an owner decides about ${shown}.`);
  if (question.state !== 'pending')
    return refuse(
      db,
      services,
      decision,
      shown,
      'conflict',
      `${shown} does not wait any more: ${endOf(db, question)}.`,
    );
  if (question.expires_ms <= services.clock.now()) {
    const chats = expireQuestion(db, services, question);
    return { ...refuse(db, services, decision, shown, 'conflict', `${shown} has expired: nothing was done.`), chats };
  }
  if (choice === 'deny') {
    close(db, services, question, { state: 'denied', person, reason: decision.reason });
    return decidedOnly(db, services, question, decision, person, 'denied');
  }
  const chosen = chosenOf(action, choice);
  if (chosen === null)
    return refuse(db, services, decision, shown, 'usage', `${shown} has no such choice: its card names them.`);
  if ((action.kind === 'authority' || action.kind === 'message') && isStopped(db, action.group))
    return refuse(db, services, decision, shown, 'conflict', stoppedAnswer(shown, action.group));
  const changed = whatChanged(db, services, question, action, chosen);
  if (changed !== null) {
    close(db, services, question, { state: 'expired', person, reason: changed });
    return refuse(db, services, decision, shown, 'conflict', `Nothing was done about ${shown}: ${changed}.`);
  }
  if (action.kind === 'authority') {
    // It is done after the commit (`wishes.ts`), because an image may have to be made for it first.
    approveQuestion(db, services.clock, question, person);
    return decidedOnly(db, services, question, decision, person, 'approved, and being put in force');
  }
  const { done, passed } = perform(db, services, question, action, chosen);
  assert(endQuestion(db, services.clock, question, { state: 'done', person, reason: done }), 'a question ends once');
  const admitted = release(db, services, question);
  const chats = [
    ...(admitted.notices ? [action.chat] : []),
    ...passed,
    ...tellCard(db, services, question, decision, person, done),
  ];
  return { ...admitted, chats, ok: true, code: null, text: `${shown}: ${done}.` };
}

/** Nobody has decided in time. Returns the chats to deliver to. */
export function expireQuestion(db: Db, services: AdmissionServices, question: Question): number[] {
  const reason = 'nobody decided in time';
  if (!close(db, services, question, { state: 'expired', person: null, reason }) || question.card_chat === null)
    return [];
  insertNotice(
    db,
    services.clock.now(),
    question.card_chat,
    '',
    null,
    `${showId('h', question.id)} has expired: ${reason}.`,
  );
  return [question.card_chat];
}

/** To who would let something out of a group that is stopped; to deny it is free. */
export function stoppedAnswer(shown: string, group: string): string {
  return `Nothing was done about ${shown}: ${group} is stopped. It can be approved when ${group} goes on.`;
}

/** Refused, and recorded where the one who tried can be found. */
export function refuse(
  db: Db,
  { clock }: Pick<AdmissionServices, 'clock'>,
  { message, person }: Pick<Decision, 'message' | 'person'>,
  approval: string | null,
  code: ErrorCode,
  text: string,
): DecidedQuestion {
  const who = person === null ? null : showId('p', person);
  recordEvent(db, clock, 'approval.refused', message === null ? {} : { message }, {
    approval,
    person: who,
    reason: text,
  });
  return { ok: false, code, text, sessions: [], chats: [], asked: [] };
}

/** By the roles of this moment. Whoever says no needs no more than whoever could say yes. */
export function mayDecide(db: Db, person: number, action: Action, choice: string): boolean {
  switch (action.kind) {
    case 'sender':
      return action.groups.length > 0 && action.groups.every((group) => administers(db, person, group));
    case 'chat': {
      const chosen = chosenOf(action, choice);
      if (chosen !== null) return administers(db, person, chosen);
      return [...action.choices, ''].some((group) => administers(db, person, group));
    }
    case 'authority':
      // To let something out of the sandbox is more than one group's business: the secret, the folder are the install's.
      return administers(db, person, action.outward ? '' : action.group);
    case 'message':
    case 'entry':
      return administers(db, person, action.group);
    default:
      return unreachable(action);
  }
}

/** The group that a choice names; of a sender or a request, `''` for yes. Null: no such choice. */
function chosenOf(action: Action, choice: string): string | null {
  switch (action.kind) {
    case 'sender':
    case 'authority':
    case 'message':
    case 'entry':
      return choice === 'approve' ? '' : null;
    case 'chat':
      if (choice === 'approve' && action.choices.length === 1) return action.choices[0]!;
      return /^\d+$/.test(choice) ? (action.choices[Number(choice) - 1] ?? null) : null;
    default:
      return unreachable(action);
  }
}

/** Why what was asked can no longer be done as it was asked; null: it can. */
function whatChanged(
  db: Db,
  services: AdmissionServices,
  question: Question,
  action: Action,
  chosen: string,
): string | null {
  if (hashOf(bytesOfAction(action)) !== question.object_hash) return 'it is not what was asked';
  switch (action.kind) {
    case 'sender': {
      const said = saidOf(db, question);
      const now = actionOf(db, services, { ...said, name: action.name }, 'sender');
      return hashOf(bytesOfAction(now)) === question.object_hash
        ? null
        : 'who answers in that chat, or who the sender is, has changed meanwhile';
    }
    case 'chat':
      if (!services.groups().includes(chosen)) return `there is no group ${chosen} any more`;
      return wiringsOf(db, action.chat).length === 0 ? null : 'a group answers in that chat already';
    case 'authority':
      // Its file is looked at when it is done.
      return services.groups().includes(action.group) ? null : `there is no group ${action.group} any more`;
    case 'message':
      if (isCancelled(db, question.turn_id!)) return 'its turn was stopped';
      if (action.to.includes(':'))
        return destinationsOf(db, action.group).some((chat) => nameOfChat(chat) === action.to)
          ? null
          : `${action.group} does not answer in ${action.to} any more`;
      return agentsOf(db, action.group)[action.to] === undefined
        ? `${action.group} may not write to ${action.to} any more`
        : null;
    case 'entry':
      return null; // the message is judged again
    default:
      return unreachable(action);
  }
}

/** Does it. Returns what was done, in words, and the chats that something may leave for now. */
function perform(
  db: Db,
  { clock }: AdmissionServices,
  question: Question,
  action: Exclude<Action, { kind: 'authority' }>,
  chosen: string,
): { done: string; passed: number[] } {
  switch (action.kind) {
    case 'sender': {
      const { channel, handle, name, groups } = action;
      const person = action.person ?? addPerson(db, clock.now(), name);
      if (action.person === null) link(db, channel, handle, person);
      for (const group of groups) addRole(db, person, 'member', group);
      const change = `member of ${groups.join(', ')}`;
      recordEvent(db, clock, 'person.changed', {}, { person: showId('p', person), change, by: 'approval' });
      return { done: `${nameOfPerson(db, person)} is a ${change} now`, passed: [] };
    }
    case 'chat': {
      const chat = chatById(db, action.chat)!;
      const engage = chat.direct === 1 ? 'always' : 'mention';
      wire(db, chat.id, chosen, engage);
      const data = {
        chat: `${chat.channel}:${chat.platform_id}`,
        group: chosen,
        change: `engage ${engage}`,
        by: 'approval',
      };
      recordEvent(db, clock, 'wiring.changed', {}, data);
      return { done: `${chosen} answers there now${engage === 'mention' ? ', when it is addressed' : ''}`, passed: [] };
    }
    case 'message':
      addMarks(db, clock, sessionById(db, question.session_id!)!, ['C'], showId('h', question.id), linksOf(question));
      return { done: `passed on to ${toWords(action.to)}`, passed: endHeld(db, clock.now(), question.id, null) };
    case 'entry':
      addMarks(db, clock, sessionById(db, action.session)!, ['A'], showId('h', question.id), linksOf(question));
      return { done: `${action.group} reads it`, passed: [] };
    default:
      return unreachable(action);
  }
}

/** Nothing is done in this transaction but that it is decided; whoever was asked elsewhere hears of it. */
function decidedOnly(
  db: Db,
  services: AdmissionServices,
  question: Question,
  decision: Decision,
  person: number,
  end: string,
): DecidedQuestion {
  const chats = tellCard(db, services, question, decision, person, end);
  return { ok: true, code: null, text: `${showId('h', question.id)}: ${end}.`, sessions: [], chats, asked: [] };
}

/** It ends without being done: the message that waited is ignored. False: it had ended before. */
function close(db: Db, services: AdmissionServices, question: Question, end: QuestionEnd): boolean {
  const { clock } = services;
  if (!endQuestion(db, clock, question, end)) return false;
  const message = question.message_id;
  if (releaseHeld(db, message, showId('h', question.id))) {
    const rule = end.state === 'denied' ? 'approval denied' : 'approval expired';
    insertInbound(db, clock.now(), message, null, 'ignored', rule);
    recordEvent(db, clock, 'message.ignored', { message }, { rule });
  }
  const { session_id: session, turn_id: turn } = question;
  endHeld(db, clock.now(), question.id, end.state === 'denied' ? 'denied' : end.reason);
  if (session !== null) addEntry(db, clock.now(), session, turn, 'notice', '', noticeOf(question, end));
  return true;
}

/** What the agent that asked is told with its next turn. */
function noticeOf({ id }: Question, { state, reason }: QuestionEnd): string {
  const end = state === 'denied' ? 'was denied' : 'was not done';
  return `Your request ${showId('h', id)} ${end}${reason === '' ? '' : `: ${reason}`}.`;
}

/** The message that waited is judged again, as a new one would be: once, because it waits no more. */
function release(db: Db, services: AdmissionServices, question: Question): Admitted {
  const approval = showId('h', question.id);
  if (!releaseHeld(db, question.message_id, approval))
    return { ignored: null, sessions: [], notices: false, asked: [] };
  recordEvent(db, services.clock, 'message.released', { message: question.message_id }, { approval });
  return admitMessage(db, services, saidOf(db, question));
}

/** The message that waits, as its sender and its chat are now. */
export function saidOf(db: Db, question: Question): Said {
  const row = messageById(db, question.message_id)!;
  const chat = chatById(db, row.chat_id)!;
  const known: KnownChat = { id: chat.id, policy: chat.policy, direct: chat.direct };
  return {
    ...{ message: row.id, chat: known, channel: chat.channel, title: chat.title, thread: row.thread, text: row.text },
    ...{ files: filesOf(db, row.id).length, addressed: row.addressed === 1, by: 'person', name: row.sender },
    forwarded: row.forwarded === 1,
    ...{ person: personOf(db, chat.channel, row.handle) ?? null, handle: row.handle },
  };
}

/** Whoever was asked elsewhere than where it was decided hears of it. Returns the chats to deliver to. */
export function tellCard(
  db: Db,
  { clock }: Pick<AdmissionServices, 'clock'>,
  question: Pick<Question, 'id' | 'card_chat'>,
  decision: Pick<Decision, 'chat'>,
  person: number,
  done: string,
): number[] {
  const { card_chat } = question;
  if (card_chat === null || card_chat === decision.chat) return [];
  const text = `${showId('h', question.id)}: ${done} (${nameOfPerson(db, person)} decided).`;
  insertNotice(db, clock.now(), card_chat, '', null, text);
  return [card_chat];
}

function endOf(db: Db, { state, reason, decided_by }: Question): string {
  if (state === 'expired' || decided_by === null) return reason;
  return `${nameOfPerson(db, decided_by)} ${state === 'denied' ? 'denied' : 'approved'} it`;
}
