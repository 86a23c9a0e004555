import { guard, type Verdict } from '../authority/guard.ts';
import { messageMarks } from '../authority/rule_of_two.ts';
import type { Clock } from '../base/clock.ts';
import { unreachable } from '../base/errors.ts';
import { showId } from '../base/ids.ts';
import { SESSION_QUEUE_MAX } from '../base/limits/messages.ts';
import { PUBLIC_PER_HOUR_MAX } from '../base/limits/talk.ts';
import type { IncomingMessage } from '../channels/channel.ts';
import { chatByPlatformId, type KnownChat, type WiringRow, wiringsOf } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import { recordEvent } from '../ledger/events.ts';
import { addMarks, mustHold, termsOf } from '../ledger/marks.ts';
import { insertInbound, queuedIn } from '../ledger/messages.ts';
import { insertNotice } from '../ledger/outbound.ts';
import { administers, identityOf, mayUse } from '../ledger/people.ts';
import { type Action, askedBefore, countQuestions, insertQuestion } from '../ledger/questions.ts';
import { ensureSession, openSessions } from '../ledger/sessions.ts';
import { stoppedText, tellOfStop } from '../ledger/stops.ts';
import { countTry, triesOf } from '../ledger/tries.ts';
import { keepContext, stick, sticks } from '../ledger/wirings.ts';
import type { Mark } from '../protocol/gateway.ts';
import { type Admission, type AdmitFacts, type Asked, admit } from './admit.ts';

/**
 * From a message that is in the ledger to the sessions that are to handle it, or to the one row that says why nobody does.
 * Called when it comes, and once more when a decision has let it in; always inside one transaction.
 */
export interface AdmissionServices {
  clock: Clock;
  /** Somebody who may has spoken to the group: the gateway is to know before the turn's first request. */
  spoken(group: string): void;
  /** A message waits in the session: if its sandbox is there, the turn begins in the same transaction. */
  nudge(session: number): void;
  /** The groups that a new chat may be given to. */
  groups(): string[];
}

/** A message as it is judged. */
export interface Said {
  message: number;
  chat: KnownChat;
  channel: string;
  /** What the chat is called. */
  title: string;
  thread: string;
  text: string;
  files: number;
  /** It passes on what others wrote. */
  forwarded: boolean;
  addressed: boolean;
  by: AdmitFacts['by'];
  person: number | null;
  handle: string;
  /** What the sender is called. */
  name: string;
}

export interface Admitted {
  /** The rule that ignored it. */
  ignored: string | null;
  /** Sessions to wake. */
  sessions: number[];
  /** Whether something was written for the chat itself. */
  notices: boolean;
  /** Questions that somebody must be asked. */
  asked: number[];
}

/** The facts of a message, as they are now; reads only. */
export function factsOf(db: Db, services: AdmissionServices, said: Said): AdmitFacts {
  const { person, chat, thread, channel, handle } = said;
  const now = services.clock.now();
  return {
    ...{ text: said.text, files: said.files, addressed: said.addressed, by: said.by, person, policy: chat.policy },
    wirings: wiringsOf(db, chat.id),
    mayUse: (group) => person !== null && mayUse(db, person, group),
    administers: (group) => person !== null && administers(db, person, group),
    sticks: (wiring) => sticks(db, now, wiring.id, thread),
    floods: () => triesOf(db, now, 'public', channel, handle) >= PUBLIC_PER_HOUR_MAX,
    guard: (kind, refusal) => judge(db, services, said, kind, refusal),
  };
}

/** Whether a sender has a role in any group of a chat, as things are before their message. */
export function mayCommand(db: Db, channel: string, { chat, sender }: IncomingMessage): boolean {
  const known = chatByPlatformId(db, channel, chat.platform_id);
  const person = identityOf(db, channel, sender.handle)?.person_id;
  if (known === undefined || person === undefined) return false;
  return wiringsOf(db, known.id).some((wiring) => mayUse(db, person, wiring.group_name));
}

/** The groups of its chat that the sender has a role in. */
export function groupsFor(db: Db, { person, chat }: Said): string[] {
  const groups = wiringsOf(db, chat.id).map((wiring) => wiring.group_name);
  return person === null ? [] : groups.filter((group) => mayUse(db, person, group));
}

function judge(db: Db, services: AdmissionServices, said: Said, kind: Asked, refusal: string): Verdict {
  const before = askedBefore(db, actionOf(db, services, said, kind));
  const standing = standingOf(services, said, kind);
  return guard(kind, { ...before, standing, refusal, pending: countQuestions(db), now: services.clock.now() });
}

/** Whoever has a role may ask for a chat; of a stranger the chat itself must say so. */
function standingOf(services: AdmissionServices, said: Said, kind: Asked): 'ask' | 'deny' {
  switch (kind) {
    case 'sender':
      return said.chat.policy === 'ask' ? 'ask' : 'deny';
    case 'chat':
      if (services.groups().length === 0) return 'deny';
      return said.person !== null || said.chat.policy !== 'strict' ? 'ask' : 'deny';
    default:
      return unreachable(kind);
  }
}

/** What is done when somebody says yes, as things are now. */
export function actionOf(db: Db, services: AdmissionServices, said: Said, kind: Asked): Action {
  const { channel, handle, name, person, title } = said;
  const chat = said.chat.id;
  switch (kind) {
    case 'sender': {
      const open = wiringsOf(db, chat).filter((wiring) => wiring.senders === 'anyone');
      return { kind, chat, channel, handle, name, person, groups: open.map((wiring) => wiring.group_name) };
    }
    case 'chat':
      return { kind, chat, channel, name: title, choices: services.groups() };
    default:
      return unreachable(kind);
  }
}

export function admitMessage(db: Db, services: AdmissionServices, said: Said): Admitted {
  const admission = admit(factsOf(db, services, said));
  switch (admission.kind) {
    case 'ignore':
      return ignored(db, services, said, admission);
    case 'hold':
      return held(db, services, said, actionOf(db, services, said, admission.what), admission.expires_ms);
    case 'deliver':
      return askedFirst(db, services, said, admission.wirings) ?? delivered(db, services, said, admission);
    default:
      return unreachable(admission);
  }
}

function ignored(
  db: Db,
  services: AdmissionServices,
  said: Said,
  { rule, tell, keep }: Extract<Admission, { kind: 'ignore' }>,
): Admitted {
  const { message } = said;
  const kept = keep.filter((wiring) => keepFor(db, services, said, wiring, `${rule}; kept`));
  if (kept.length === 0) insertInbound(db, services.clock.now(), message, null, 'ignored', rule);
  recordEvent(db, services.clock, 'message.ignored', { message }, { rule });
  if (tell !== null) insertNotice(db, services.clock.now(), said.chat.id, said.thread, message, tell);
  return { ignored: rule, sessions: [], notices: tell !== null, asked: [] };
}

/** False: it is not kept. Nobody is asked about what was not said to an agent. */
function keepFor(db: Db, { clock }: AdmissionServices, said: Said, wiring: WiringRow, reason: string): boolean {
  const session = ensureSession(db, clock.now(), wiring.group_name, said.chat.id, said.thread, wiring.cut);
  const marked = { id: session.id, group_name: wiring.group_name };
  const marks = marksFor(db, said, wiring.group_name);
  if (mustHold(db, marked, marks)) return false;
  addMarks(db, clock, marked, marks, showId('m', said.message), { message: said.message });
  keepContext(db, clock.now(), said.message, session.id, reason);
  recordEvent(db, clock, 'message.kept', { message: said.message, session: session.id }, { group: wiring.group_name });
  return true;
}

/** What its writing makes of the conversation that it is for. */
export function marksFor(db: Db, { person, files, forwarded }: Said, group: string): Mark[] {
  const role = person !== null && mayUse(db, person, group) ? 'member' : 'stranger';
  const sender = person !== null && administers(db, person, group) ? 'admin' : role;
  const { members } = sender === 'member' ? termsOf(db, group) : { members: 'trusted' as const };
  return messageMarks({ sender, members, foreign: files > 0 || forwarded });
}

/**
 * The first of these groups whose conversation reads what is private, and acts, and so takes in what anybody may have written only after
 * a person was asked, and whether one is. Reads only. Null: none is there.
 */
export function entryFirst(
  db: Db,
  { clock }: Pick<AdmissionServices, 'clock'>,
  said: Said,
  wirings: WiringRow[],
): { wiring: WiringRow; verdict: Verdict } | null {
  for (const wiring of wirings) {
    const { group_name } = wiring;
    const id = openSessions(db, said.chat.id, said.thread, [group_name])[0]?.id ?? 0;
    if (!mustHold(db, { id, group_name }, marksFor(db, said, group_name))) continue;
    const facts = { ...askedBefore(db, entryOf(said, group_name, id)), pending: countQuestions(db), now: clock.now() };
    return { wiring, verdict: guard('entry', { ...facts, standing: 'ask', refusal: '' }) };
  }
  return null;
}

function entryOf({ chat, channel, message }: Said, group: string, session: number): Action {
  return { kind: 'entry', chat: chat.id, channel, group, session, message };
}

/** Null: nobody has to be. */
function askedFirst(db: Db, services: AdmissionServices, said: Said, wirings: WiringRow[]): Admitted | null {
  const first = entryFirst(db, services, said, wirings);
  if (first === null) return null;
  const { wiring, verdict } = first;
  const { group_name: group, cut } = wiring;
  const session = ensureSession(db, services.clock.now(), group, said.chat.id, said.thread, cut).id;
  if (verdict.verdict === 'hold') return held(db, services, said, entryOf(said, group, session), verdict.expires_ms);
  const rule = verdict.verdict === 'deny' ? verdict.rule : 'rule of two';
  return ignored(db, services, said, {
    kind: 'ignore',
    rule,
    tell: said.person === null ? null : TAKES_NO_MORE,
    keep: [],
  });
}

const TAKES_NO_MORE =
  'By its rule of two this conversation takes no more of that without a person who says so; /new begins another one.';

function held(db: Db, { clock }: AdmissionServices, said: Said, action: Action, expires_ms: number): Admitted {
  const question = insertQuestion(db, clock.now(), action, said.message, expires_ms);
  const approval = showId('h', question.id);
  insertInbound(db, clock.now(), said.message, null, 'held', approval);
  recordEvent(db, clock, 'message.held', { message: said.message }, { approval, kind: action.kind });
  return { ignored: null, sessions: [], notices: false, asked: [question.id] };
}

function delivered(
  db: Db,
  services: AdmissionServices,
  said: Said,
  { rule, open, wirings, keep }: Extract<Admission, { kind: 'deliver' }>,
): Admitted {
  const { message } = said;
  const now = services.clock.now();
  recordEvent(db, services.clock, 'message.admitted', { message }, { rule });
  if (open) countTry(db, now, 'public', said.channel, said.handle, PUBLIC_PER_HOUR_MAX);
  for (const wiring of keep) keepFor(db, services, said, wiring, 'not addressed to this agent; kept');
  for (const wiring of wirings) {
    services.spoken(wiring.group_name);
    if (wiring.engage === 'mention-sticky' && said.addressed) stick(db, now, wiring.id, said.thread);
  }
  const sessions = wirings.flatMap((wiring) => queue(db, services, said, wiring));
  const told = wirings.filter(({ group_name }) => tellOfStop(db, group_name, said.chat.id));
  for (const { group_name } of told) insertNotice(db, now, said.chat.id, said.thread, message, stoppedText(group_name));
  return { ignored: null, sessions, notices: told.length > 0 || sessions.length < wirings.length, asked: [] };
}

/** Queues the message in one session; a full queue refuses it, and says so. */
function queue(db: Db, { clock, nudge }: AdmissionServices, said: Said, wiring: WiringRow): number[] {
  const { message, thread, chat } = said;
  const now = clock.now();
  const session = ensureSession(db, now, wiring.group_name, chat.id, thread, wiring.cut);
  const links = { message, session: session.id };
  recordEvent(db, clock, 'message.routed', links, { group: wiring.group_name, new_session: session.isNew });
  const ahead = queuedIn(db, session.id);
  if (ahead >= SESSION_QUEUE_MAX) {
    const reason = `${ahead} messages wait already`;
    insertInbound(db, now, message, session.id, 'failed', reason);
    recordEvent(db, clock, 'message.failed', links, { reason });
    const text = `I could not take that message: ${reason}. Please send it again later.`;
    insertNotice(db, now, chat.id, thread, message, text);
    return [];
  }
  const marked = { id: session.id, group_name: wiring.group_name };
  addMarks(db, clock, marked, marksFor(db, said, wiring.group_name), showId('m', message), links);
  insertInbound(db, now, message, session.id, 'queued', '');
  recordEvent(db, clock, 'message.queued', links, { ahead });
  nudge(session.id);
  return [session.id];
}
