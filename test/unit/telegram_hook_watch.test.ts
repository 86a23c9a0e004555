import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type HookInfo, HookWatch, MOVED } from '../../src/channels/telegram/hook_watch.ts';

/** What Telegram says of a webhook, look by look, and what it means. */
const url = 'https://glass.example/hooks/tg';
const now_s = Math.floor(Date.now() / 1000);
const info = (pending_update_count: number, more: Partial<HookInfo> = {}): HookInfo => ({
  url,
  pending_update_count,
  ...more,
});
const failed = { last_error_date: now_s, last_error_message: 'Connection refused' };
const old = { last_error_date: now_s - 3600, last_error_message: 'Connection refused' };

const CASES: [name: string, looks: (HookInfo | 'heard')[], why: RegExp | null][] = [
  ['nothing waits', [info(0)], null],
  ['nothing waits, and something failed before it came', [info(0, failed)], null],
  ['one waits that may just have come', [info(1)], null],
  ['one waits that may just have come, long after another failed', [info(1, old)], null],
  ['one waits since the look before', [info(1), info(1)], /waits at Telegram \(1\), .*: none comes$/],
  ['one waits that has failed', [info(2, failed)], /\(2\), .*: Connection refused$/],
  ['many wait while others come', [info(9), 'heard', info(9, failed)], null],
  ['others came before the look before', ['heard', info(9), info(9)], /\(9\)/],
  ['it is elsewhere', [info(0, { url: 'https://other.example' })], new RegExp(MOVED)],
  ['it is nowhere', [info(0, { url: '' })], new RegExp(MOVED)],
];

for (const [name, looks, why] of CASES)
  test(`${name}: ${why === null ? 'it is well' : 'it is told'}`, () => {
    const watch = new HookWatch(url);
    let last: string | null = null;
    for (const look of looks) {
      if (look === 'heard') watch.heard();
      else last = watch.judge(look);
    }
    if (why === null) assert.equal(last, null);
    else assert.match(last ?? '', why);
  });
