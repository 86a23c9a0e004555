import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LINKS } from '../../src/channels/kinds.ts';

/** What links say, by the rules of each platform; and that no other kind takes them for its own. */

function named(link: string): unknown[] {
  const url = new URL(link);
  return LINKS.map((linked) => linked(url)).filter((found) => found !== null);
}

const GUID = '0f5d1c3e-0000-4000-8000-000000000000';

const NAMED: [link: string, platform_id: string, chat: string | null][] = [
  ['https://t.me/c/1234567890/55', '-1001234567890:55', null],
  ['https://t.me/c/1234567890/7/55?single', '-1001234567890:55', null],
  ['https://telegram.me/c/1234567890/55', '-1001234567890:55', null],
  ['https://acme.slack.com/archives/C0123ABCD/p1700000000123456', '1700000000.123456', 'C0123ABCD'],
  [
    'https://acme.slack.com/archives/C0123ABCD/p1700000000123456?thread_ts=1690000000.000001&cid=C0123ABCD',
    ...['1700000000.123456', 'C0123ABCD'],
  ] as [string, string, string],
  ['https://acme.enterprise.slack.com/archives/D0123ABCD/p1700000000123456', '1700000000.123456', 'D0123ABCD'],
  ['https://discord.com/channels/111111111111111111/222222222222222222/333333333333333333', '333333333333333333', null],
  ['https://ptb.discord.com/channels/@me/222222222222222222/333333333333333333', '333333333333333333', null],
  ['https://github.com/octo-org/hello.world/issues/5#issuecomment-1234567890', 'comment:1234567890', null],
  ['https://github.com/octo/hello/pull/7#issuecomment-12', 'comment:12', null],
  ['https://github.com/octo/hello/pull/7#discussion_r99', 'review_comment:99', null],
  ['https://github.com/octo/hello/pull/7/files#discussion_r99', 'review_comment:99', null],
  ['https://github.com/octo/hello/pull/7#pullrequestreview-42', 'review:42', null],
  ['https://git.example.com/octo/hello/issues/5#issuecomment-3', 'comment:3', null],
  [
    `https://teams.microsoft.com/l/message/19%3Aabc%40thread.tacv2/1700000000000?tenantId=${GUID}&groupId=${GUID}&parentMessageId=1700000000000&teamName=T&channelName=General`,
    ...['1700000000000', '19:abc@thread.tacv2'],
  ] as [string, string, string],
  [
    `https://teams.cloud.microsoft/l/message/19:${GUID}_${GUID}@unq.gbl.spaces/1700000000000?context=%7B%7D`,
    ...['1700000000000', null],
  ] as [string, string, null],
];

for (const [link, platform_id, chat] of NAMED)
  test(`${link.slice(0, 80)} names ${platform_id}`, () => assert.deepEqual(named(link), [{ platform_id, chat }]));

test('what only looks like one names nothing', () => {
  for (const link of [
    'https://t.me/publicname/55',
    'https://t.me/c/1234567890',
    'https://t.me.example.com/c/1234567890/55',
    'https://example.com/c/1234567890/55',
    'https://t.me/c/12345678901234/55',
    'https://slack.com.example.org/archives/C0123ABCD/p1700000000123456',
    'https://acme.slack.com/archives/C0123ABCD/p17000000001234',
    'https://acme.slack.com/archives/C0123ABCD/p1700000000123456/more',
    'https://discord.com/channels/1/2',
    'https://notdiscord.com/channels/1/2/3',
    'https://github.com/octo/hello/issues/5',
    'https://github.com/octo/hello/issues/5#constructor12',
    'https://github.com/octo/hello/issues/x#issuecomment-3',
    'https://github.com/octo/hello/wiki#issuecomment-3',
    'https://teams.microsoft.com/l/message/19:abc@thread.tacv2/x',
    'https://teams.microsoft.com/l/channel/19:abc@thread.tacv2/1700000000000',
    'https://teams.example.com/l/message/19:abc@thread.tacv2/1700000000000',
  ])
    assert.deepEqual(named(link), [], link);
  const broken = 'https://teams.microsoft.com/l/message/%E0%A4%A/1700000000000';
  assert.deepEqual(named(broken), [{ platform_id: '1700000000000', chat: null }]);
});
