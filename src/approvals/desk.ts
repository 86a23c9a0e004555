import { messageOf, OperatingError, unreachable } from '../base/errors.ts';
import { parseId, showId } from '../base/ids.ts';
import { APPROVALS_SHOWN_MAX } from '../base/limits/gateway.ts';
import { DURATION_MAX_MS } from '../base/limits/messages.ts';
import type { Log } from '../base/log.ts';
import { chatById, nameOfChat } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import { type FileFacts, filesOf } from '../ledger/files.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { approversOf, nameOfPerson } from '../ledger/people.ts';
import {
  type Action,
  askedByCode,
  pendingQuestions,
  type Question,
  questionById,
  recentQuestions,
  tokenOf,
} from '../ledger/questions.ts';
import type { AdmissionServices } from '../router/admission.ts';
import type { Decided, DecidedBy, Decider } from '../router/router.ts';
import type { Approvals } from './approvals.ts';
import { cardText, choicesOf, summaryOf } from './card.ts';
import {
  type DecidedQuestion,
  type Decision,
  decideQuestion,
  expireQuestion,
  mayDecide,
  refuse,
  saidOf,
} from './decide.ts';
import { chatOfPlace, placeOf, putCard, type Reach, takesCard } from './places.ts';
import type { Wishes } from './wishes.ts';

/**
 * Questions about privileged actions: each is shown to one who may decide, in a chat of theirs, and waits there, over restarts
 * too, until somebody who may has decided or its time is over.
 */
export interface DeskInput extends Reach {
  ledger: Ledger;
  log: Log;
  services: AdmissionServices;
  /** Held requests, which have cards and codes of the same kind. */
  requests: Approvals;
  /** What agents ask for, done after it was approved. */
  wishes: Wishes;
  wake(session: number): void;
  deliver(chat: number): void;
}

/** A question as the operator sees it. */
export interface QuestionShown {
  id: string;
  kind: Question['kind'];
  state: Question['state'];
  reason: string;
  code: string;
  /** The message that waits. */
  message: string;
  summary: string;
  /** What can be chosen, besides `deny`. */
  choices: string[];
  decided_by: string | null;
  created_ms: number;
  expires_ms: number;
}

/** With all that a yes would let in, or pass on. */
export interface QuestionWhole extends QuestionShown {
  /** Who wrote the message that waits, or that an agent answers. */
  from: string;
  text: string;
  files: FileFacts[];
  /** What an agent wants to pass on; null: nothing. */
  passes: string | null;
}

export class Desk implements Decider {
  readonly #input: DeskInput;
  #timer: NodeJS.Timeout | null = null;

  constructor(input: DeskInput) {
    this.#input = input;
  }

  /** What an earlier host left: cards that were not shown yet, and questions whose time is over. */
  start(): void {
    for (const question of pendingQuestions(this.#db)) if (question.card_chat === null) this.asked(question.id);
    this.#arm();
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  /** Shows a question to somebody who may decide. Returns at once. */
  asked(id: number): void {
    this.#arm();
    void this.#tell(id).catch((error) =>
      this.#input.log.error('approval.untold', { approval: id, reason: messageOf(error) }),
    );
  }

  decideByCode(db: Db, code: string, choice: string, by: DecidedBy): Decided {
    const id = askedByCode(db, code);
    if (id === undefined) return this.#unknown(db, by, `There is no request ${code}.`);
    return this.#decide(db, id, { ...by, choice, reason: '' });
  }

  /** A token means something only in the chat that its card was shown in. */
  decideByToken(db: Db, token: string, by: DecidedBy): Decided {
    const found = tokenOf(db, token, by.chat);
    if (found === undefined) return this.#unknown(db, by, 'That button belongs to nothing that was asked here.');
    return this.#decide(db, found.approval_id, { ...by, choice: found.choice, reason: '' });
  }

  waiting(db: Db, person: number): string[] {
    const { services, requests } = this.#input;
    const lines = pendingQuestions(db).flatMap((question) => {
      const action = JSON.parse(question.object) as Action;
      if (question.expires_ms <= services.clock.now() || !mayDecide(db, person, action, 'deny')) return [];
      const { name, title } = saidOf(db, question);
      const words = choicesOf(action, question.code).map((choice) => `  ${choice.words}`);
      return [[`${showId('h', question.id)}: ${summaryOf(action, name, title)}`, ...words].join('\n')];
    });
    return [...lines, ...requests.waiting(db, person)];
  }

  /** From the command line. Rejects with `OperatingError`: then nothing has been done. */
  async decide(id: string, person: number, choice: string, reason: string): Promise<QuestionShown> {
    const { ledger, services } = this.#input;
    const decided = await ledger.write('question_decide', (db): DecidedQuestion => {
      const question = questionById(db, parseId('h', id) ?? 0);
      const decision: Decision = { person, message: null, chat: null, choice: this.#choice(question, choice), reason };
      return question === undefined
        ? refuse(db, services, decision, null, 'not_found', `there is no request "${id}"`)
        : this.#decideQuestion(db, question, decision);
    });
    this.#come(decided);
    decided.after?.();
    if (decided.code !== null) throw new OperatingError(decided.code, decided.text.replace(/\.$/, ''));
    return this.show(id)!;
  }

  list(): QuestionShown[] {
    return recentQuestions(this.#db, APPROVALS_SHOWN_MAX).map((row) => this.#shown(row));
  }

  /** Undefined: there is none. */
  show(id: string): QuestionWhole | undefined {
    const question = questionById(this.#db, parseId('h', id) ?? 0);
    if (question === undefined) return undefined;
    const action = JSON.parse(question.object) as Action;
    const { channel, handle, name, text } = saidOf(this.#db, question);
    const files = filesOf(this.#db, question.message_id);
    const passes = action.kind === 'message' ? action.text : null;
    return { ...this.#shown(question), from: `${name} (${channel}:${handle})`, text, files, passes };
  }

  get #db(): Db {
    return this.#input.ledger.db;
  }

  /** The command line names a group, not its number. */
  #choice(question: Question | undefined, given: string): string {
    const action = question === undefined ? null : (JSON.parse(question.object) as Action);
    const at = action?.kind === 'chat' ? action.choices.indexOf(given) : -1;
    return at === -1 ? given : `${at + 1}`;
  }

  #decide(db: Db, id: number, decision: Decision): Decided {
    const question = questionById(db, id);
    return question === undefined
      ? this.#input.requests.decideIn(db, id, decision)
      : this.#decideQuestion(db, question, decision);
  }

  #decideQuestion(db: Db, question: Question, decision: Decision): DecidedQuestion {
    const { services, wishes } = this.#input;
    const decided = decideQuestion(db, services, question, decision);
    const approved = decided.ok && questionById(db, question.id)!.state === 'approved';
    return approved ? { ...decided, after: () => wishes.approved(question.id) } : decided;
  }

  #unknown(db: Db, by: DecidedBy, text: string): Decided {
    return refuse(db, this.#input.services, by, null, 'not_found', text);
  }

  #come({ sessions, chats, asked }: Decided): void {
    for (const session of sessions) this.#input.wake(session);
    for (const chat of chats) this.#input.deliver(chat);
    for (const id of asked) this.asked(id);
  }

  async #tell(id: number): Promise<void> {
    const question = questionById(this.#db, id);
    if (question?.state !== 'pending') return;
    const action = JSON.parse(question.object) as Action;
    const approvers = approversOf(this.#db, groupsOf(action));
    const place = await placeOf(this.#db, this.#input, approvers, action.channel);
    const { ledger, services, operatorChat } = this.#input;
    const chat = await ledger.insist('question_show', (db) => {
      const to = place === null ? operatorChat : chatOfPlace(db, services.clock.now(), place);
      return this.#show(db, question, action, to, place?.person ?? approvers[0]!);
    });
    if (chat !== null) this.#input.deliver(chat);
  }

  /** In `to`, or to the operator where that chat does not take it whole. Returns the chat; null: it has been shown, or waits no more. */
  #show(db: Db, question: Question, action: Action, to: number, person: number): number | null {
    const { clock } = this.#input.services;
    const said = saidOf(db, question);
    const where = nameOfChat({ channel: said.channel, platform_id: chatById(db, said.chat.id)!.platform_id });
    const text = cardText({
      ...{ question, action, name: said.name, handle: `${said.channel}:${said.handle}`, title: said.title || where },
      ...{ chat: where, text: said.text, files: filesOf(db, said.message) },
    });
    const choices = choicesOf(action, question.code);
    const links = { message: question.message_id };
    const chat = takesCard(db, this.#input, to, text) ? to : this.#input.operatorChat;
    return putCard(db, clock, { id: question.id, links, chat, person, text, choices }) ? chat : null;
  }

  /** At the end of the one that ends first. */
  #arm(): void {
    const first = pendingQuestions(this.#db).reduce((min, { expires_ms }) => Math.min(min, expires_ms), Infinity);
    this.stop();
    if (first === Infinity) return;
    const wait = Math.max(0, first - this.#input.services.clock.now());
    this.#timer = setTimeout(() => void this.#expire().catch(() => {}), Math.min(wait, DURATION_MAX_MS));
  }

  async #expire(): Promise<void> {
    const { ledger, services } = this.#input;
    const chats = await ledger.insist('question_expire', (db) => {
      const late = pendingQuestions(db).filter(({ expires_ms }) => expires_ms <= services.clock.now());
      return late.flatMap((question) => expireQuestion(db, services, question));
    });
    for (const chat of chats) this.#input.deliver(chat);
    this.#arm();
  }

  #shown(row: Question): QuestionShown {
    const action = JSON.parse(row.object) as Action;
    const said = saidOf(this.#db, row);
    return {
      ...{ id: showId('h', row.id), kind: row.kind, state: row.state, reason: row.reason, code: row.code },
      message: showId('m', row.message_id),
      summary: summaryOf(action, said.name, said.title),
      choices: action.kind === 'chat' ? action.choices : ['approve'],
      decided_by: row.decided_by === null ? null : nameOfPerson(this.#db, row.decided_by),
      ...{ created_ms: row.created_ms, expires_ms: row.expires_ms },
    };
  }
}

/** Whose admins come before everybody's. */
function groupsOf(action: Action): string[] {
  switch (action.kind) {
    case 'sender':
      return action.groups;
    case 'chat':
      return [];
    case 'authority':
      return action.outward ? [] : [action.group];
    case 'message':
    case 'entry':
      return [action.group];
    default:
      return unreachable(action);
  }
}
