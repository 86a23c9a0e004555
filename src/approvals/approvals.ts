import type { Clock } from '../base/clock.ts';
import { assert, messageOf, OperatingError } from '../base/errors.ts';
import { parseId, showId } from '../base/ids.ts';
import { APPROVAL_PLACE_CHARS_MAX, APPROVALS_SHOWN_MAX } from '../base/limits/gateway.ts';
import type { Log } from '../base/log.ts';
import { visible } from '../base/text.ts';
import {
  APPROVAL_ALERT,
  type ApprovalRow,
  approvalById,
  approvalOf,
  approvalSent,
  decideApproval,
  endApproval,
  endApprovalOfHold,
  endPending,
  insertApproval,
  linksOf,
  recentApprovals,
  whyUndecidable,
} from '../ledger/approvals.ts';
import { authorityInForce } from '../ledger/authorities.ts';
import { chatById } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { addMarks, marksText, mustHold } from '../ledger/marks.ts';
import { approversOf, nameOfPerson } from '../ledger/people.ts';
import { sessionById } from '../ledger/sessions.ts';
import { isStopped } from '../ledger/stops.ts';
import { runningTurnOf } from '../ledger/turns.ts';
import type { BodyPart, HoldEvent, MarkEvent, Decision as ToGateway } from '../protocol/gateway.ts';
import type { Decided } from '../router/router.ts';
import { cut, yesOrNo } from './card.ts';
import { type DecidedQuestion, type Decision, refuse, stoppedAnswer, tellCard } from './decide.ts';
import { chatOfPlace, placeOf, putCard, type Reach, takesCard } from './places.ts';
import { requestCard } from './request_card.ts';

/**
 * The host's side of held requests: each becomes a row and a card to one who may decide; a person's decision is on disk before
 * the gateway hears of it, so that it is made once, and then the gateway says whether anything left. Of the bytes there
 * is never more here than what a person is shown of them.
 */
export interface ApprovalsInput extends Reach {
  ledger: Ledger;
  clock: Clock;
  log: Log;
  deliver(chat: number): void;
  alert(kind: string, subject: string, text: string): void;
  /** Asks the gateway. Returns why nothing has left; null: it has, or was denied as asked. Rejects with `OperatingError`. */
  decide(decision: ToGateway): Promise<string | null>;
  /** A part of what would leave. Rejects with `OperatingError`. */
  body(hold: string, from: number): Promise<BodyPart>;
  /** What is on record of a session is the gateway's to know. Rejects with `OperatingError`. */
  marked(session: string): Promise<void>;
}

/** A held request as the operator sees it. */
export interface ApprovalShown extends Omit<HoldEvent, 'event' | 'hold'> {
  id: string;
  state: ApprovalRow['state'];
  reason: string;
  decided_by: string | null;
  created_ms: number;
  decided_ms: number | null;
}

export class Approvals {
  readonly #input: ApprovalsInput;

  constructor(input: ApprovalsInput) {
    this.#input = input;
  }

  /** The gateway asks. Returns at once; what cannot be recorded is denied. */
  held(event: HoldEvent): void {
    const { ledger, clock, log } = this.#input;
    ledger
      .write('hold', (db) => insertApproval(db, clock, event))
      .then((row) => this.#tell(row, event))
      .catch((error) => {
        log.error('approval.lost', { session: event.session, reason: messageOf(error) });
        return this.#input.decide(decisionOf(event, event.policy, false, 'it could not be recorded'));
      })
      .catch((error) => log.warn('approval.undecided', { session: event.session, reason: messageOf(error) }));
  }

  /** A request waits until what it marks its session with is on record. Returns at once; what cannot be recorded is refused in time. */
  mark({ session, marks, cause }: MarkEvent): void {
    const { ledger, clock, log, marked } = this.#input;
    const row = sessionById(ledger.db, parseId('s', session) ?? 0);
    if (row === undefined) return;
    ledger
      .write('mark', (db) => {
        // What came meanwhile makes it the third: a person is asked first, and the gateway hears of it below.
        if (mustHold(db, row, marks)) return;
        const turn = runningTurnOf(db, row.id);
        addMarks(db, clock, row, marks, cause, turn === undefined ? {} : { turn: turn.id });
      })
      .then(() => marked(session))
      .catch((error) => log.error('mark.lost', { session, reason: messageOf(error) }));
  }

  /** The gateway has refused it by itself. */
  ended(hold: string, reason: string): void {
    const { clock } = this.#input;
    void this.#write('hold_ended', (db) => endApprovalOfHold(db, clock, hold, reason)).catch(() => {});
  }

  /** The connection to the gateway is gone, and with it everything that it held. */
  lost(): void {
    const { clock } = this.#input;
    const reason = 'the connection to the gateway was lost';
    void this.#write('holds_lost', (db) => endPending(db, clock, reason)).catch(() => {});
  }

  list(): ApprovalShown[] {
    return recentApprovals(this.#input.ledger.db, APPROVALS_SHOWN_MAX).map((row) => this.#shown(row));
  }

  /** What waits for this person's word, each in a few lines of words. */
  waiting(db: Db, person: number): string[] {
    const rows = recentApprovals(db, APPROVALS_SHOWN_MAX).filter(
      (row) => row.code !== null && whyUndecidable(db, this.#input.clock, row, person) === null,
    );
    return rows.map((row) => {
      const { group, method, host, path, body_bytes } = JSON.parse(row.object) as HoldEvent;
      const place = cut(visible(`${host}${path}`), APPROVAL_PLACE_CHARS_MAX);
      const head = `${showId('h', row.id)}: ${group} asks to send ${method} ${place}, ${body_bytes} bytes`;
      return [head, ...yesOrNo(row.code!).map(({ words }) => `  ${words}`)].join('\n');
    });
  }

  /** Throws `OperatingError('not_found')`. */
  show(id: string): ApprovalShown {
    return this.#shown(approvalOf(this.#input.ledger.db, id));
  }

  /** A part of its body. Rejects with `OperatingError`: `not_found` for what does not wait any more. */
  async body(id: string, from: number): Promise<BodyPart> {
    return this.#input.body((JSON.parse(approvalOf(this.#input.ledger.db, id).object) as HoldEvent).hold, from);
  }

  /**
   * Resolves when it was sent, or denied. Rejects with `OperatingError`: `not_found`; `refused` for a person who may not;
   * `conflict` for what does not wait any more, and for what was approved and is not sent all the same.
   */
  async decide(id: string, by: { person: number; allow: boolean; reason: string }): Promise<ApprovalShown> {
    const { person, allow, reason } = by;
    const decision = { person, message: null, chat: null, choice: allow ? 'approve' : 'deny', reason };
    const { row, decided } = await this.#input.ledger.write('hold_decide', (db) => {
      const found = approvalOf(db, id);
      return { row: found, decided: this.#judge(db, found, decision) };
    });
    for (const chat of decided.chats) this.#input.deliver(chat);
    if (decided.code !== null) throw new OperatingError(decided.code, decided.text.replace(/\.$/, ''));
    const refused = await this.#finish(row, decision);
    if (refused !== null) throw new OperatingError('conflict', `${id} was approved, but nothing was sent: ${refused}`);
    return this.show(id);
  }

  /** By words or a press, in their transaction; the gateway hears of it after the commit. */
  decideIn(db: Db, id: number, decision: Decision): Decided {
    const row = approvalById(db, id);
    assert(row !== undefined, 'what has a code or a token has a row');
    const decided = this.#judge(db, row, decision);
    if (!decided.ok) return decided;
    const lost = (error: unknown): void =>
      this.#input.log.error('approval.unfinished', { approval: showId('h', id), reason: messageOf(error) });
    return { ...decided, after: () => void this.#finish(row, decision).catch(lost) };
  }

  #judge(db: Db, row: ApprovalRow, decision: Decision): DecidedQuestion {
    const { clock } = this.#input;
    const { person, choice } = decision;
    const shown = showId('h', row.id);
    const why = whyUndecidable(db, clock, row, person);
    if (why !== null) return refuse(db, { clock }, decision, shown, why.code, why.text);
    assert(person !== null, 'nobody has no rights');
    if (choice !== 'approve' && choice !== 'deny')
      return refuse(db, { clock }, decision, shown, 'usage', `${shown} has no such choice: its card names them.`);
    const allow = choice === 'approve';
    const { group } = JSON.parse(row.object) as HoldEvent;
    if (allow && isStopped(db, group))
      return refuse(db, { clock }, decision, shown, 'conflict', stoppedAnswer(shown, group));
    decideApproval(db, clock, row, { ...decision, person, allow });
    const done = allow ? 'approved' : 'denied';
    const chats = tellCard(db, { clock }, row, decision, person, done);
    return { ok: true, code: null, text: `${shown}: ${done}.`, sessions: [], chats, asked: [] };
  }

  /** What is committed reaches the gateway. Returns why what was approved has not left; null: it has, or was denied. */
  async #finish(row: ApprovalRow, { choice, reason, chat }: Decision): Promise<string | null> {
    const { clock } = this.#input;
    const allow = choice === 'approve';
    const refused = await this.#carryOut(row, allow, reason);
    if (!allow) return null;
    await this.#write('hold_done', (db) => {
      if (refused !== null) return endApproval(db, clock, row, 'approved', refused, chat);
      approvalSent(db, clock, row);
      return [];
    });
    return refused;
  }

  /** Until it is on disk; then what was written to chats is delivered. */
  async #write(name: string, work: (db: Db) => number[]): Promise<void> {
    const { ledger, deliver } = this.#input;
    for (const chat of await ledger.insist(name, work)) deliver(chat);
  }

  /** With the rules that are in force now: those that it was held under may be others. */
  async #carryOut(row: ApprovalRow, allow: boolean, reason: string): Promise<string | null> {
    const event = JSON.parse(row.object) as HoldEvent;
    const { db } = this.#input.ledger;
    // It may have been stopped in the commit of the decision.
    if (allow && isStopped(db, event.group)) return `${event.group} is stopped`;
    const policy = authorityInForce(db, event.group)?.hash ?? event.policy;
    try {
      return await this.#input.decide(decisionOf(event, policy, allow, reason));
    } catch (error) {
      return `${messageOf(error)}; the audit says whether it was`;
    }
  }

  /** A card to one who may decide; where there is no way to any, a word to the operator. */
  async #tell(row: ApprovalRow, event: HoldEvent): Promise<void> {
    const told = await this.#showCard(row, event).catch((error) => {
      this.#input.log.error('approval.untold', { approval: showId('h', row.id), reason: messageOf(error) });
      return false;
    });
    if (!told) this.#tellOperator(showId('h', row.id), event);
  }

  /** False: nobody can be reached. */
  async #showCard(row: ApprovalRow, event: HoldEvent): Promise<boolean> {
    const { ledger, clock, channels } = this.#input;
    const session = sessionById(ledger.db, row.session_id)!;
    const { channel } = chatById(ledger.db, session.chat_id)!;
    const place = await placeOf(ledger.db, this.#input, approversOf(ledger.db, [event.group]), channel);
    if (place === null) return false;
    await this.#write('hold_show', (db) => {
      const chat = chatOfPlace(db, clock.now(), place);
      const textMax = channels.get(chatById(db, chat)!.channel)!.capabilities.text_max;
      const why = event.rule_of_two === true ? marksText(db, row.session_id) : '';
      const cut = (max: number): string => requestCard(row.id, row.code!, event, max, why);
      // Its characters count as the platform writes them.
      let max = textMax;
      while (max > 1 && !takesCard(db, this.#input, chat, cut(max))) max = Math.floor(max / 2);
      const text = cut(max);
      const card = { id: row.id, links: linksOf(row), chat, person: place.person, text, choices: yesOrNo(row.code!) };
      return putCard(db, clock, card) ? [chat] : [];
    });
    return true;
  }

  #tellOperator(id: string, { group, method, host, path, body_bytes: bytes }: HoldEvent): void {
    // It may have ended in the very commit that it began in.
    if (this.show(id).state !== 'pending') return;
    const place = `${host}${path}`;
    const to = place.length <= APPROVAL_PLACE_CHARS_MAX ? place : `${place.slice(0, APPROVAL_PLACE_CHARS_MAX)}…`;
    const text = `${id}: ${group} asks for approval of ${method} ${to}, ${bytes} bytes: ./glass approval show ${id}`;
    this.#input.alert(APPROVAL_ALERT, id, text);
  }

  #shown(row: ApprovalRow): ApprovalShown {
    const { event: _, hold: __, ...asked } = JSON.parse(row.object) as HoldEvent;
    const { state, reason, created_ms, decided_ms, decided_by } = row;
    const name = decided_by === null ? null : nameOfPerson(this.#input.ledger.db, decided_by);
    return { id: showId('h', row.id), state, reason, decided_by: name, created_ms, decided_ms, ...asked };
  }
}

function decisionOf(
  { hold, session, body_sha256 }: HoldEvent,
  policy: string,
  allow: boolean,
  reason: string,
): ToGateway {
  return { hold, session, policy, body_sha256, allow, reason };
}
