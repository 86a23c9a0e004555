import { createHash } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { randomToken } from '../base/ids.ts';
import {
  APPROVAL_BODY_PART_CHARS,
  APPROVAL_HEADER_CHARS_MAX,
  APPROVAL_MS,
  APPROVAL_PREVIEW_BYTES_MAX,
  APPROVALS_PENDING_MAX,
  APPROVALS_PER_HOUR_MAX,
  MARK_CAUSE_CHARS_MAX,
} from '../base/limits/gateway.ts';
import { redact } from '../base/log.ts';
import { cutBytes, visible } from '../base/text.ts';
import type { BodyPart, Decision, GatewayEvent, HoldEvent, Mark } from '../protocol/gateway.ts';
import type { Asked } from './audit.ts';
import { refusal } from './refuse.ts';
import type { Refusal } from './route.ts';

/**
 * Requests that wait for a person. They wait in memory, with their bytes: what ends this process, its host or their session
 * refuses them. Each ends once, by a decision about exactly it or by an end of its own; whatever comes later does nothing.
 */

/** What is held, with the bytes that would leave. */
export interface ToHold extends Asked {
  service: string;
  /** Hash of the authority whose rule holds it. */
  policy: string;
  /** Of the agent, as they are sent: names and values in turn. */
  headers: readonly string[];
  body: Buffer | null;
  /** What its session is marked with if it leaves, and whether it waits for that. */
  marks: readonly Mark[];
  rule_of_two: boolean;
}

/** Sends it (null) or refuses it; returns why nothing has left. */
type Settle = (why: Refusal | null) => Refusal | null;

interface Pending {
  event: HoldEvent;
  /** The whole of what would leave; nobody else has it. */
  body: Buffer | null;
  /** As a person is shown it, once somebody looks. */
  shown?: string;
  rule: string;
  /** Monotonic milliseconds. */
  until_ms: number;
  timer: NodeJS.Timeout;
  settle: Settle;
}

const HOUR_MS = 3_600_000;

/** Why nobody decided, as the ledger says it. */
const ENDS = {
  expired: 'nobody decided in time',
  'agent gone': 'the agent went away',
  'session ended': 'its session ended',
} as const;

export class Holds {
  readonly #clock: Clock;
  readonly #tell: (event: GatewayEvent) => void;
  readonly #expires_ms: number;
  readonly #pending = new Map<string, Pending>();
  /** When each group has asked in the last hour; monotonic milliseconds. */
  readonly #asked = new Map<string, number[]>();

  constructor(clock: Clock, tell: (event: GatewayEvent) => void, expires_ms = APPROVAL_MS) {
    this.#clock = clock;
    this.#tell = tell;
    this.#expires_ms = expires_ms;
  }

  /** Asks. Returns the hold's id, or why nobody is asked. `settle` is called at most once, and not before this returns. */
  hold(asked: ToHold, settle: Settle): string | Refusal {
    const waiting = [...this.#pending.values()].filter(({ event }) => event.group === asked.group).length;
    if (waiting >= APPROVALS_PENDING_MAX)
      return refusal(429, `${asked.rule}: ${waiting} wait`, `${waiting} of this group wait for approval`, 'wait');
    const now_ms = this.#clock.monotonic();
    const times = (this.#asked.get(asked.group) ?? []).filter((at_ms) => at_ms > now_ms - HOUR_MS);
    if (times.length >= APPROVALS_PER_HOUR_MAX)
      return refusal(429, `${asked.rule}: ${times.length} an hour`, 'this group asks too often', 'wait an hour');
    this.#asked.set(asked.group, [...times, now_ms]);
    const hold = randomToken(16);
    const event = eventOf(hold, asked, this.#clock.now() + this.#expires_ms);
    const timer = setTimeout(() => this.end(hold, 'expired'), this.#expires_ms);
    const until_ms = now_ms + this.#expires_ms;
    this.#pending.set(hold, { event, body: asked.body, rule: asked.rule, until_ms, timer, settle });
    this.#tell(event);
    return hold;
  }

  /** A request waits until the host has these on record. */
  mark(session: string, marks: Mark[], cause: string): void {
    this.#tell({ event: 'mark', session, marks, cause: visible(redact(cause)).slice(0, MARK_CAUSE_CHARS_MAX) });
  }

  /** Nobody decides it any more. Does nothing when it has ended. */
  end(hold: string, why: keyof typeof ENDS): void {
    const found = this.#take(hold);
    if (found === undefined) return;
    this.#tell({ event: 'hold_ended', hold, reason: ENDS[why] });
    found.settle(withheld(found.rule, why, ENDS[why]));
  }

  /** Carries out a decision, once. Returns why nothing has left; null: it has, or was denied as asked. */
  decide({ hold, session, policy, body_sha256, allow, reason }: Decision): string | null {
    const found = this.#pending.get(hold);
    if (found === undefined) return 'it does not wait any more';
    const { event, rule, settle } = found;
    if (event.session !== session || event.body_sha256 !== body_sha256) return 'the decision is about another request';
    this.#take(hold);
    if (!allow) {
      settle(withheld(rule, 'denied', reason === '' ? 'a person denied it' : `a person denied it: ${reason}`));
      return null;
    }
    if (this.#clock.monotonic() >= found.until_ms) return settle(withheld(rule, 'expired', ENDS.expired))!.reason;
    if (event.policy !== policy)
      return settle(withheld(rule, 'authority changed', 'what the group may do changed'))!.reason;
    return settle(null)?.reason ?? null;
  }

  /** What is held, as a person is shown it, in parts. Null: it does not wait any more. */
  body(hold: string, from: number): BodyPart | null {
    const found = this.#pending.get(hold);
    if (found === undefined) return null;
    // Masked as a whole: in parts, half a credential would not be known as one.
    found.shown ??= visible(redact((found.body ?? Buffer.alloc(0)).toString('utf8')));
    const text = found.shown;
    const next = from + APPROVAL_BODY_PART_CHARS;
    return { text: text.slice(from, next), next: next < text.length ? next : null };
  }

  #take(hold: string): Pending | undefined {
    const found = this.#pending.get(hold);
    clearTimeout(found?.timer);
    this.#pending.delete(hold);
    return found;
  }
}

/** A held request that does not leave; the rule of its row says how it ended. */
export function withheld(rule: string, end: string, reason: string): Refusal {
  return refusal(
    403,
    `${rule}: ${end}`,
    `while it waited for approval, ${reason}`,
    'ask your operator before you try again',
  );
}

function eventOf(hold: string, asked: ToHold, expires_ms: number): HoldEvent {
  const { session, group, service, method, host, path, policy } = asked;
  const body = asked.body ?? Buffer.alloc(0);
  return {
    ...{ event: 'hold', hold, session, group, service, method, host, path: redact(path), policy, expires_ms },
    body_sha256: createHash('sha256').update(body).digest('hex'),
    body_bytes: body.length,
    headers: shownHeaders(asked.headers),
    preview: previewOf(body),
    marks: [...asked.marks],
    ...(asked.rule_of_two && { rule_of_two: true as const }),
  };
}

/** Some services read from a header what is to be done. */
function shownHeaders(headers: readonly string[]): string[] {
  const lines = headers.flatMap((name, at) => (at % 2 === 0 ? [`${name}: ${headers[at + 1]}`] : []));
  return lines.map((line) => visible(redact(line).slice(0, APPROVAL_HEADER_CHARS_MAX)));
}

/** Masked before it is cut: half a credential would not be known as one. */
function previewOf(body: Buffer): string {
  const text = redact(body.subarray(0, 2 * APPROVAL_PREVIEW_BYTES_MAX).toString('utf8'));
  return visible(cutBytes(text, APPROVAL_PREVIEW_BYTES_MAX));
}
