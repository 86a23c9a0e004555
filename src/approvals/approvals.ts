import type { Clock } from '../base/clock.ts';
import { messageOf, OperatingError } from '../base/errors.ts';
import { showId } from '../base/ids.ts';
import { APPROVAL_PLACE_CHARS_MAX, APPROVALS_SHOWN_MAX } from '../base/limits/gateway.ts';
import type { Log } from '../base/log.ts';
import {
  APPROVAL_ALERT,
  type ApprovalRow,
  approvalOf,
  approvalSent,
  decideApproval,
  endApproval,
  endApprovalOfHold,
  endPending,
  insertApproval,
  recentApprovals,
} from '../ledger/approvals.ts';
import { authorityInForce } from '../ledger/authorities.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { nameOfPerson } from '../ledger/people.ts';
import type { Decision, HoldEvent } from '../protocol/gateway.ts';

/**
 * The host's side of held requests: each becomes a row and a word to the owner; a person's decision is on disk before the
 * gateway hears of it, so that it is made once, and then the gateway says whether anything left. The bytes are never here.
 */
export interface ApprovalsInput {
  ledger: Ledger;
  clock: Clock;
  log: Log;
  alert(kind: string, subject: string, text: string): void;
  trouble(error: Error): void;
  /** Asks the gateway. Returns why nothing has left; null: it has, or was denied as asked. Rejects with `OperatingError`. */
  decide(decision: Decision): Promise<string | null>;
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
      .write('approval', (db) => insertApproval(db, clock, event))
      .then((id) => this.#tellOwner(showId('h', id), event))
      .catch((error) => {
        log.error('approval.lost', { session: event.session, reason: messageOf(error) });
        return this.#input.decide(decisionOf(event, event.policy, false, 'it could not be recorded'));
      })
      .catch((error) => log.warn('approval.undecided', { session: event.session, reason: messageOf(error) }));
  }

  /** The gateway has refused it by itself. */
  ended(hold: string, reason: string): void {
    const { ledger, clock, trouble } = this.#input;
    void ledger.insist('approval', (db) => endApprovalOfHold(db, clock, hold, reason), trouble).catch(() => {});
  }

  /** The connection to the gateway is gone, and with it everything that it held. */
  lost(): void {
    const { ledger, clock, trouble } = this.#input;
    const reason = 'the connection to the gateway was lost';
    void ledger.insist('approval', (db) => endPending(db, clock, reason), trouble).catch(() => {});
  }

  list(): ApprovalShown[] {
    return recentApprovals(this.#input.ledger.db, APPROVALS_SHOWN_MAX).map((row) => this.#shown(row));
  }

  /** Throws `OperatingError('not_found')`. */
  show(id: string): ApprovalShown {
    return this.#shown(approvalOf(this.#input.ledger.db, id));
  }

  /**
   * Resolves when it was sent, or denied. Rejects with `OperatingError`: `not_found`; `refused` for a person who may not;
   * `conflict` for what does not wait any more, and for what was approved and is not sent all the same.
   */
  async decide(id: string, by: { person: number; allow: boolean; reason: string }): Promise<ApprovalShown> {
    const { ledger, clock, trouble } = this.#input;
    const row = await ledger.write('approval', (db) => {
      const found = approvalOf(db, id);
      decideApproval(db, clock, found, by);
      return found;
    });
    const refused = await this.#carryOut(row, by.allow, by.reason);
    if (!by.allow) return this.show(id);
    await ledger.insist(
      'approval',
      (db) => (refused === null ? approvalSent(db, clock, row) : endApproval(db, clock, row, 'approved', refused)),
      trouble,
    );
    if (refused !== null) throw new OperatingError('conflict', `${id} was approved, but nothing was sent: ${refused}`);
    return this.show(id);
  }

  /** With the rules that are in force now: those that it was held under may be others. */
  async #carryOut(row: ApprovalRow, allow: boolean, reason: string): Promise<string | null> {
    const event = JSON.parse(row.object) as HoldEvent;
    const policy = authorityInForce(this.#input.ledger.db, event.group)?.hash ?? event.policy;
    try {
      return await this.#input.decide(decisionOf(event, policy, allow, reason));
    } catch (error) {
      return `${messageOf(error)}; the audit says whether it was`;
    }
  }

  #tellOwner(id: string, { group, method, host, path, body_bytes: bytes }: HoldEvent): void {
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
): Decision {
  return { hold, session, policy, body_sha256, allow, reason };
}
