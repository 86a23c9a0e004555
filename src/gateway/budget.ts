import type { Authority } from '../authority/authority.ts';
import type { Clock } from '../base/clock.ts';
import { IdleHours } from './idle_hour.ts';
import type { Amount } from './prices.ts';
import { refusal } from './refuse.ts';
import type { Refusal } from './route.ts';

/**
 * `budget` of a group: dollars, tokens and requests of a day, and dollars of an hour in which nobody speaks to it, of all
 * its sessions together. An estimate is reserved before a request leaves and replaced by what it used when it ends. The
 * audit holds both, so a restart changes nothing: what was running then counts as estimated. The day is the machine's own,
 * from midnight on.
 *
 * What is used up refuses. What would not fit beside others that are running refuses too; alone it may go, so a day
 * or an hour can end over its budget by one request and no more.
 */
export interface Used extends Amount {
  requests: number;
}

/** What a group used since a time, reservations included. Throws when it cannot be told: then nothing may leave. */
export type UsedSince = (group: string, since_ms: number) => Used;

/** One request that runs: handed back when it ends. */
export interface Reservation {
  group: string;
  budget: Budget;
  day_ms: number;
  at_ms: number;
  amount: Amount;
}

type Budget = Authority['budget'];

interface Day {
  day_ms: number;
  used: Used;
  running: number;
  /** The highest of `WARN_AT` that was passed. */
  warned: number;
}

const WARN_AT = [50, 80, 100];

const KINDS: readonly { limit: keyof Budget; of: (used: Used) => number; words: (amount: number) => string }[] = [
  { limit: 'usd_per_day', of: (used) => used.cost_micros / 1e6, words: (amount) => `${amount.toFixed(2)} US dollars` },
  { limit: 'tokens_per_day', of: (used) => used.tokens, words: (amount) => `${amount} tokens` },
  { limit: 'requests_per_day', of: (used) => used.requests, words: (amount) => `${amount} requests` },
];

export class Budgets {
  readonly #clock: Clock;
  readonly #usedSince: UsedSince;
  readonly #warn: (subject: string, text: string) => void;
  readonly #days = new Map<string, Day>();
  readonly #idle: IdleHours;
  /** Groups whose owner knows that their idle hour is used up. */
  readonly #told = new Set<string>();

  /** `warn` is called once for each share of a group's day that is passed; `subject` names group, day and share. */
  constructor(clock: Clock, usedSince: UsedSince, warn: (subject: string, text: string) => void) {
    this.#clock = clock;
    this.#usedSince = usedSince;
    this.#warn = warn;
    this.#idle = new IdleHours(clock, usedSince);
  }

  /** Somebody spoke to the group: from then on what it may use in an idle hour is counted anew. */
  spoken(group: string, at_ms: number): void {
    this.#idle.spoken(group, at_ms);
    this.#told.delete(group);
  }

  /** Throws when the audit cannot be read. */
  reserve(group: string, budget: Budget, amount: Amount): Reservation | Refusal {
    const day = this.#dayOf(group, budget);
    const next = sum(day.used, { ...amount, requests: 1 });
    for (const { limit, of, words } of KINDS) {
      const most = budget[limit];
      if (most === undefined) continue;
      if (day.running > 0 && of(next) > most)
        return usedUp(`the group’s ${words(most)} of today are used, or reserved by requests that run`);
      if (of(day.used) >= most) return usedUp(`the group has used its ${words(most)} of today`);
    }
    const at_ms = this.#clock.now();
    const idle = this.#idleProblem(group, budget.usd_per_idle_hour, amount, day.running);
    if (idle !== null) return idle;
    day.used = next;
    day.running += 1;
    this.#idle.add(group, at_ms, amount.cost_micros);
    return { group, budget, day_ms: day.day_ms, at_ms, amount };
  }

  /** `actual`: what it used, at its end; zero when it did not leave. */
  settle({ group, budget, day_ms, at_ms, amount }: Reservation, actual: Amount): void {
    this.#idle.add(group, at_ms, actual.cost_micros - amount.cost_micros);
    const day = this.#days.get(group);
    // A request that ran over midnight was counted in the day that is gone.
    if (day === undefined || day.day_ms !== day_ms) return;
    day.running -= 1;
    const less = { cost_micros: -amount.cost_micros, tokens: -amount.tokens, requests: 0 };
    day.used = sum(sum(day.used, less), { ...actual, requests: 0 });
    const passed = passedShare(budget, day.used);
    if (passed.share <= day.warned) return;
    day.warned = passed.share;
    const date = new Date(day_ms).toLocaleDateString('sv');
    const rest = passed.share >= 100 ? 'Its requests are refused until midnight' : 'It goes on';
    this.#warn(
      `${group} ${date} ${passed.share} %`,
      `The group ${group} has used ${passed.share} % of its ${passed.words} of today. ${rest}.`,
    );
  }

  /** Null: there is room. */
  #idleProblem(group: string, most: number | undefined, { cost_micros }: Amount, running: number): Refusal | null {
    if (most === undefined) return null;
    const used = this.#idle.used(group);
    const words = `${most.toFixed(2)} US dollars of an hour in which nobody speaks to it`;
    if (used >= most * 1e6) {
      if (!this.#told.has(group))
        this.#warn(`${group} idle`, `The group ${group} has used its ${words}. It goes on when somebody does.`);
      this.#told.add(group);
      return idleUsedUp(`the group has used its ${words}`);
    }
    if (running === 0 || used + cost_micros <= most * 1e6) return null;
    return idleUsedUp(`the group’s ${words} are used, or reserved by requests that run`);
  }

  #dayOf(group: string, budget: Budget): Day {
    const day_ms = new Date(this.#clock.now()).setHours(0, 0, 0, 0);
    const known = this.#days.get(group);
    if (known?.day_ms === day_ms) return known;
    const used = this.#usedSince(group, day_ms);
    // What was passed before a restart has been told.
    const day = { day_ms, used, running: 0, warned: passedShare(budget, used).share };
    this.#days.set(group, day);
    return day;
  }
}

function passedShare(budget: Budget, used: Used): { share: number; words: string } {
  let passed = { share: 0, words: '' };
  for (const { limit, of, words } of KINDS) {
    const most = budget[limit];
    if (most === undefined) continue;
    const share = WARN_AT.findLast((percent) => of(used) >= (most * percent) / 100) ?? 0;
    if (share > passed.share) passed = { share, words: words(most) };
  }
  return passed;
}

function sum(a: Used, b: Used): Used {
  return {
    cost_micros: a.cost_micros + b.cost_micros,
    tokens: a.tokens + b.tokens,
    requests: a.requests + b.requests,
  };
}

function idleUsedUp(reason: string): Refusal {
  return refusal(402, 'budget', reason, 'wait until somebody speaks to you, or ask your operator for more');
}

function usedUp(reason: string): Refusal {
  return refusal(402, 'budget', reason, 'wait for midnight, or ask your operator for more');
}
