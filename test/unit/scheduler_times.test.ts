import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OperatingError } from '../../src/base/errors.ts';
import { nextTime, parseSchedule, showSchedule } from '../../src/scheduler/times.ts';

const NOW = Date.parse('2026-01-15T12:00:00Z');
const BERLIN = 'Europe/Berlin';
const LORD_HOWE = 'Australia/Lord_Howe';
const YEAR = '2026-01-15T12:00Z';

function next(text: string, zone: string, after: string, anchor = NOW): string | null {
  const time = nextTime(parseSchedule(text, zone, NOW), zone, Date.parse(after), anchor);
  return time === null ? null : new Date(time).toISOString();
}

const NEXT: [what: string, text: string, zone: string, after: string, expected: string | null][] = [
  ['a time of day in its zone', 'cron 0 9 * * *', BERLIN, '2026-01-15T12:00Z', '2026-01-16T08:00:00.000Z'],
  ['the same in summer', 'cron 0 9 * * *', BERLIN, '2026-07-15T12:00Z', '2026-07-16T07:00:00.000Z'],
  ['weekdays', 'cron 0 9 * * 1-5', 'UTC', '2026-01-16T12:00Z', '2026-01-19T09:00:00.000Z'],
  [
    'a time in the hour that a jump leaves out',
    'cron 30 2 * * *',
    BERLIN,
    '2026-03-29T00:00Z',
    '2026-03-29T01:00:00.000Z',
  ],
  ['the day after that jump', 'cron 30 2 * * *', BERLIN, '2026-03-29T01:00Z', '2026-03-30T00:30:00.000Z'],
  ['the first of a time that comes twice', 'cron 30 2 * * *', BERLIN, '2026-10-24T22:00Z', '2026-10-25T00:30:00.000Z'],
  ['never its second', 'cron 30 2 * * *', BERLIN, '2026-10-25T00:30Z', '2026-10-26T01:30:00.000Z'],
  ['every hour of the day that has 25', 'cron 0 * * * *', BERLIN, '2026-10-25T00:00Z', '2026-10-25T01:00:00.000Z'],
  ['a leap day', 'cron 0 0 29 2 *', 'UTC', '2026-03-01T00:00Z', '2028-02-29T00:00:00.000Z'],
  ['once', 'at 2026-12-01T09:00', 'America/New_York', '2026-01-15T12:00Z', '2026-12-01T14:00:00.000Z'],
  ['once, in the hour that a jump leaves out', 'at 2026-03-29T02:30', BERLIN, YEAR, '2026-03-29T01:00:00.000Z'],
  ['once, at the beginning of that hour', 'at 2026-03-29T02:00', BERLIN, YEAR, '2026-03-29T01:00:00.000Z'],
  ['once, in the last second of it', 'at 2026-03-29T02:59:59', BERLIN, YEAR, '2026-03-29T01:00:00.000Z'],
  ['once, right after that hour', 'at 2026-03-29T03:00', BERLIN, YEAR, '2026-03-29T01:00:00.000Z'],
  ['once, half an hour after it', 'at 2026-03-29T03:30', BERLIN, YEAR, '2026-03-29T01:30:00.000Z'],
  ['once, right before it', 'at 2026-03-29T01:59:59', BERLIN, YEAR, '2026-03-29T00:59:59.000Z'],
  ['once, in half an hour that is left out', 'at 2026-10-04T02:15', LORD_HOWE, YEAR, '2026-10-03T15:30:00.000Z'],
  ['once, in the hour that comes twice', 'at 2026-10-25T02:30', BERLIN, YEAR, '2026-10-25T00:30:00.000Z'],
  [
    'once, with an offset of its own',
    'at 2026-12-01T09:00+05:30',
    BERLIN,
    '2026-01-15T12:00Z',
    '2026-12-01T03:30:00.000Z',
  ],
  ['once is over', 'at 2026-12-01T09:00Z', 'UTC', '2026-12-01T09:00Z', null],
  ['an interval counts from its anchor', 'every 2h', 'UTC', '2026-01-15T13:00Z', '2026-01-15T14:00:00.000Z'],
  ['a time itself is not after it', 'every 2h', 'UTC', '2026-01-15T14:00Z', '2026-01-15T16:00:00.000Z'],
  [
    'after a year without a host there is one next time',
    'every 90s',
    'UTC',
    '2027-01-15T12:00Z',
    '2027-01-15T12:01:30.000Z',
  ],
  ['a clock that was set back', 'every 2h', 'UTC', '2020-01-01T00:00Z', '2026-01-15T14:00:00.000Z'],
];

for (const [what, text, zone, after, expected] of NEXT) {
  test(`${what}: ${text} in ${zone} after ${after} is ${expected}`, () => {
    assert.equal(next(text, zone, after), expected);
  });
}

const REFUSED: [text: string, zone: string, reason: RegExp][] = [
  ['', 'UTC', /is no time/],
  ['tomorrow', 'UTC', /is no time/],
  ['every second', 'UTC', /is no interval/],
  ['every 1s', 'UTC', /at most once in 60 seconds/],
  ['every 0m', 'UTC', /is no interval/],
  ['every 9999d', 'UTC', /is too long/],
  ['cron * * * * * *', 'UTC', /is no cron line/],
  ['cron 61 * * * *', 'UTC', /is no cron line/],
  ['cron hello', 'UTC', /is no cron line/],
  ['cron 0 0 30 2 *', 'UTC', /never comes/],
  ['cron 0 9 * * *', 'Mars/Base', /there is no time zone "Mars\/Base"/],
  ['at 2026-02-30T10:00', 'UTC', /is no date and time/],
  ['at 2026-12-01T25:00', 'UTC', /is no date and time/],
  ['at 2026-12-01', 'UTC', /is no date and time/],
  ['at 2026-01-15T12:00Z', 'UTC', /is over/],
  ['at 2046-01-15T12:00Z', 'UTC', /is too far away/],
];

for (const [text, zone, reason] of REFUSED) {
  test(`"${text}" in ${zone} is refused: ${reason.source}`, () => {
    assert.throws(
      () => parseSchedule(text, zone, NOW),
      (error) => error instanceof OperatingError && error.code === 'usage' && reason.test(error.message),
    );
  });
}

test('what is shown is what was meant', () => {
  for (const text of ['every 90s', 'every 2h', 'every 3d', 'cron 0 9 * * 1-5', 'at 2026-12-01T09:00:00Z'])
    assert.equal(showSchedule(parseSchedule(text, BERLIN, NOW)), text);
  assert.equal(showSchedule(parseSchedule('at 2026-12-01T09:00', BERLIN, NOW)), 'at 2026-12-01T08:00:00Z');
  assert.equal(showSchedule(parseSchedule('cron 0  9\t* * 1-5', BERLIN, NOW)), 'cron 0 9 * * 1-5');
  assert.equal(showSchedule(parseSchedule('every 60m', BERLIN, NOW)), 'every 1h');
});
