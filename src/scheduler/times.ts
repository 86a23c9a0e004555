import { Cron } from 'croner';
import { OperatingError } from '../base/errors.ts';
import { TASK_AHEAD_MS_MAX, TASK_EVERY_MS_MIN } from '../base/limits/messages.ts';

/**
 * When a task runs. As people write it:
 *
 *   at 2026-12-01T09:00       once, in the task's zone; with `Z` or an offset, there
 *   every 2h                  an interval from the last time on: 90s, 15m, 2h, 3d
 *   cron 0 9 * * 1-5          five fields, in the task's zone
 *
 * Daylight saving: a cron time that an hour's jump leaves out comes at the first moment after it; one that comes twice runs
 * the first time only. An interval counts real time.
 */
export type Schedule =
  | { kind: 'at'; at_ms: number }
  | { kind: 'every'; every_ms: number }
  | { kind: 'cron'; line: string };

const EVERY = /^([1-9]\d{0,5})(s|m|h|d)$/;
const UNIT_MS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const LOCAL = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d))?(Z|[+-]\d\d:\d\d)?$/;

/**
 * Throws `OperatingError('usage')` with one sentence for what cannot be kept, at `now` and in the zone. `stored`: it was judged
 * when it was set, and is only read.
 */
export function parseSchedule(text: string, zone: string, now: number, stored?: 'stored'): Schedule {
  checkZone(zone);
  const [, kind = '', rest = ''] = /^(at|every|cron)\s+(.{1,200})$/.exec(text.trim()) ?? [];
  switch (kind) {
    case 'at':
      return { kind, at_ms: stored ? Date.parse(rest) : parseAt(rest.trim(), zone, now) };
    case 'every':
      return { kind, every_ms: parseEvery(rest.trim()) };
    case 'cron':
      return parseCron(rest.trim(), zone, now);
    default:
      throw usage(`"${text.slice(0, 60)}" is no time`, 'at 2026-12-01T09:00, every 2h, or cron 0 9 * * 1-5');
  }
}

/** The first time after `after`; null: there is none. `anchor`: what an interval counts from. */
export function nextTime(schedule: Schedule, zone: string, after: number, anchor: number): number | null {
  switch (schedule.kind) {
    case 'at':
      return schedule.at_ms > after ? schedule.at_ms : null;
    case 'every':
      return anchor + (Math.floor(Math.max(0, after - anchor) / schedule.every_ms) + 1) * schedule.every_ms;
    case 'cron':
      return cronOf(schedule.line, zone).nextRun(new Date(after))?.getTime() ?? null;
    default:
      return schedule satisfies never;
  }
}

/** As it is stored and shown; `parseSchedule` reads it again. */
export function showSchedule(schedule: Schedule): string {
  switch (schedule.kind) {
    case 'at':
      return `at ${new Date(schedule.at_ms).toISOString().replace('.000Z', 'Z')}`;
    case 'every': {
      const unit = ['d', 'h', 'm', 's'].find((each) => schedule.every_ms % UNIT_MS[each]! === 0)!;
      return `every ${schedule.every_ms / UNIT_MS[unit]!}${unit}`;
    }
    case 'cron':
      return `cron ${schedule.line}`;
    default:
      return schedule satisfies never;
  }
}

/** Throws for a zone that this machine's tables do not have. */
function checkZone(zone: string): void {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone });
  } catch {
    throw usage(`there is no time zone "${zone.slice(0, 60)}"`, 'a name such as Europe/Berlin or UTC');
  }
}

function parseAt(text: string, zone: string, now: number): number {
  const found = LOCAL.exec(text);
  const at =
    found === null || !isDay(found) ? Number.NaN : found[7] === undefined ? localTime(text, zone) : Date.parse(text);
  if (Number.isNaN(at)) throw usage(`"${text.slice(0, 60)}" is no date and time`, 'at 2026-12-01T09:00');
  if (at <= now) throw usage(`${text} is over`, 'name a time to come');
  if (at - now > TASK_AHEAD_MS_MAX) throw usage(`${text} is too far away`, 'ten years ahead at most');
  return at;
}

/** Libraries take the 30th of February for the 2nd of March. */
function isDay([, year, month, day]: RegExpExecArray): boolean {
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  return date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day);
}

/** A local time that exists twice is the first of them; one that a jump leaves out comes right after it, as for cron. */
function localTime(text: string, zone: string): number {
  let at: number;
  try {
    at = new Cron(text, { timezone: zone, paused: true }).nextRun(new Date(0))?.getTime() ?? Number.NaN;
  } catch {
    return Number.NaN;
  }
  // The library goes on counting beyond the jump: half past two comes at half past three.
  const wanted = Date.parse(`${text}Z`);
  const over = at + offsetMs(at, zone) - wanted;
  return over > 0 && over <= JUMP_MS_MAX ? jumpBefore(at, over, zone) : at;
}

/** The longest jump of a zone that keeps its day: most are an hour. */
const JUMP_MS_MAX = 3 * UNIT_MS['h']!;

/** The first moment after a jump that lies at most so far before a time. */
function jumpBefore(at: number, within_ms: number, zone: string): number {
  const offset = offsetMs(at, zone);
  let [before, after] = [at - within_ms - 1, at];
  if (offsetMs(before, zone) === offset) return at;
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (offsetMs(middle, zone) === offset) after = middle;
    else before = middle;
  }
  return after;
}

/** What a zone's clocks are ahead of UTC. */
function offsetMs(at: number, zone: string): number {
  const clock = new Intl.DateTimeFormat('sv', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' }).format(at);
  return Date.parse(`${clock.replace(' ', 'T')}Z`) - Math.floor(at / 1000) * 1000;
}

function parseEvery(text: string): number {
  const found = EVERY.exec(text);
  if (found === null) throw usage(`"${text.slice(0, 60)}" is no interval`, 'every 15m, every 2h, every 3d');
  const every = Number(found[1]) * UNIT_MS[found[2]!]!;
  if (every < TASK_EVERY_MS_MIN)
    throw usage(`a task runs at most once in ${TASK_EVERY_MS_MIN / 1000} seconds`, 'every 1m');
  if (every > TASK_AHEAD_MS_MAX) throw usage(`every ${text} is too long`, 'ten years at most');
  return every;
}

function parseCron(text: string, zone: string, now: number): Schedule {
  const line = text.replace(/\s+/g, ' ');
  let next: Date | null;
  try {
    next = cronOf(line, zone).nextRun(new Date(now));
  } catch {
    throw usage(`"${line.slice(0, 60)}" is no cron line`, 'minute hour day month weekday, such as 0 9 * * 1-5');
  }
  if (next === null) throw usage(`"${line.slice(0, 60)}" never comes`, 'look at its day and month');
  return { kind: 'cron', line };
}

function cronOf(line: string, zone: string): Cron {
  return new Cron(line, { timezone: zone, mode: '5-part', paused: true });
}

function usage(message: string, fix: string): OperatingError {
  return new OperatingError('usage', message, fix);
}
