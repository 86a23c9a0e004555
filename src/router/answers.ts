import { assert, unreachable } from '../base/errors.ts';
import { showId } from '../base/ids.ts';
import { ASK_ANSWER_BYTES_MAX } from '../base/limits/talk.ts';
import { visible } from '../base/text.ts';
import {
  type Answer,
  type AskRow,
  answerAsk,
  askByCode,
  askOfReceipt,
  askOfToken,
  asksWaitingIn,
  endAsk,
  wroteTurn,
} from '../ledger/asks.ts';
import type { Db } from '../ledger/db.ts';
import { recordEvent } from '../ledger/events.ts';
import { addMarks, mustHold } from '../ledger/marks.ts';
import { mayUse, nameOfPerson } from '../ledger/people.ts';
import { type AdmissionServices, factsOf, marksFor, type Said } from './admission.ts';
import { judgeWiring } from './admit.ts';
import { choiceOf, mayAnswer } from './answer.ts';

/**
 * Answers to what agents ask, in the transaction of the message that gives one: by a button, by `answer <code> …`, by a
 * reply to the question, or by the next message of somebody who was asked. The first one counts; what is refused changes
 * nothing and is recorded.
 */
export interface Heard {
  ok: boolean;
  /** Of the message's row. */
  reason: string;
  /** A sentence for who said it; null: the agent's going on says it. */
  tell: string | null;
  /** What is to follow the commit. */
  after?: () => void;
}

export const ASK_LATE = 'nobody answered in time';

export class Answers {
  readonly #services: AdmissionServices;
  readonly #ended: (ask: number) => void;

  /** `ended`: told after the commit that a question has its answer, or its end. */
  constructor(services: AdmissionServices, ended: (ask: number) => void) {
    this.#services = services;
    this.#ended = ended;
  }

  /** Null: of somebody nobody knows, and nothing that they may answer. */
  byCode(db: Db, said: Said, code: string, text: string): Heard | null {
    const ask = askByCode(db, code);
    if (ask === undefined || ask.chat_id !== said.chat.id)
      return said.person === null ? null : this.#refuse(db, said, null, `There is no question ${code} in this chat.`);
    const heard = this.#judge(db, said, ask, text, 'words');
    return heard.ok || said.person !== null ? heard : null;
  }

  /** Null: the button is no question's. */
  byToken(db: Db, said: Said, token: string): Heard | null {
    const found = askOfToken(db, token, said.chat.id);
    return found === undefined ? null : this.#judge(db, said, found.ask, found.choice, 'press');
  }

  /** A message without any word for us. Null: it answers nothing. */
  byMessage(db: Db, said: Said, replyTo: string | undefined): Heard | null {
    const { text, chat } = said;
    if (said.files > 0 || text.trim() === '' || Buffer.byteLength(text) > ASK_ANSWER_BYTES_MAX) return null;
    if (replyTo !== undefined) {
      const ask = askOfReceipt(db, chat.id, replyTo);
      if (ask === undefined || !this.#fits(ask, text) || !this.#may(db, said, ask)) return null;
      // To free words that come too late the agent can still listen.
      if (ask.options === NONE && !this.#isOpen(ask)) return null;
      return this.#judge(db, said, ask, text, 'reply');
    }
    const ask = asksWaitingIn(db, chat.id).find(
      (each) =>
        each.thread === said.thread &&
        this.#isOpen(each) &&
        this.#fits(each, text) &&
        (chat.direct === 1 || wroteTurn(db, each.turn_id, said)) &&
        this.#may(db, said, each),
    );
    return ask === undefined ? null : this.#judge(db, said, ask, text, 'message');
  }

  #judge(db: Db, said: Said, ask: AskRow, text: string, how: Answer['how']): Heard {
    const { clock } = this.#services;
    const shown = showId('q', ask.id);
    if (!this.#may(db, said, ask))
      return this.#refuse(db, said, ask, `Only people of ${ask.group_name} in this chat answer ${shown}.`);
    if (ask.state !== 'pending') return this.#refuse(db, said, ask, `${shown} does not wait any more: ${endOf(ask)}.`);
    if (!this.#isOpen(ask)) {
      endAsk(db, clock, ask, 'expired', ASK_LATE);
      const refused = this.#refuse(db, said, ask, `${shown} does not wait any more: ${ASK_LATE}.`);
      return { ...refused, after: () => this.#ended(ask.id) };
    }
    const options = optionsOf(ask);
    const choice = Buffer.byteLength(text) > ASK_ANSWER_BYTES_MAX ? null : choiceOf(options, text);
    if (choice === null) return this.#refuse(db, said, ask, `${shown} takes ${takes(options)}.`);
    const { person, message } = said;
    const asker = { id: ask.session_id, group_name: ask.group_name };
    const marks = marksFor(db, said, ask.group_name);
    if (mustHold(db, asker, marks))
      return this.#refuse(db, said, ask, `By its rule of two ${shown} takes no answer of yours.`);
    addMarks(db, clock, asker, marks, shown, { message });
    const who = person === null ? visible(said.name) : nameOfPerson(db, person);
    assert(answerAsk(db, clock, ask, { ...choice, who, person, message, how }), 'a question is answered once');
    this.#services.spoken(ask.group_name);
    const tell = how === 'press' ? `${shown}: ${who} chose ${visible(choice.text)}.` : null;
    return { ok: true, reason: `answered question ${shown}`, tell, after: () => this.#ended(ask.id) };
  }

  #refuse(db: Db, { message, person }: Said, ask: AskRow | null, text: string): Heard {
    const data = {
      ask: ask === null ? null : showId('q', ask.id),
      person: person === null ? null : showId('p', person),
      reason: text,
    };
    recordEvent(db, this.#services.clock, 'ask.refused', { message }, data);
    return { ok: false, reason: 'an answer that was refused', tell: text };
  }

  /** By the roles and wirings of this moment. */
  #may(db: Db, said: Said, ask: AskRow): boolean {
    const facts = factsOf(db, this.#services, said);
    const wiring = facts.wirings.find(({ group_name }) => group_name === ask.group_name);
    return mayAnswer({
      by: said.by,
      heard: wiring !== undefined && judgeWiring(wiring, facts).heard,
      hasRole: said.person !== null && mayUse(db, said.person, ask.group_name),
      wroteTurn: wroteTurn(db, ask.turn_id, said),
    });
  }

  #fits(ask: AskRow, text: string): boolean {
    return choiceOf(optionsOf(ask), text) !== null;
  }

  #isOpen(ask: AskRow): boolean {
    return ask.state === 'pending' && ask.expires_ms > this.#services.clock.now();
  }
}

const NONE = '[]';

function optionsOf(ask: AskRow): string[] {
  return JSON.parse(ask.options) as string[];
}

function takes(options: string[]): string {
  if (options.length === 0) return `an answer of at most ${ASK_ANSWER_BYTES_MAX / 1024} KiB`;
  return options.length === 1 ? 'one answer only: write 1' : `one of its options: write 1 to ${options.length}`;
}

function endOf(ask: AskRow): string {
  switch (ask.state) {
    case 'answered':
      return `${ask.who} answered it`;
    case 'expired':
    case 'cancelled':
    case 'pending':
      return ask.reason;
    default:
      return unreachable(ask.state);
  }
}
