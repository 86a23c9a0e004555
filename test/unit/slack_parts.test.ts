import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { ROOT } from '../../src/base/paths.ts';
import { Lanes } from '../../src/channels/lanes.ts';
import { Api } from '../../src/channels/slack/api.ts';
import { blocksOf } from '../../src/channels/slack/blocks.ts';
import { emojiOf, nameOfEmoji } from '../../src/channels/slack/emoji.ts';
import { failureOf } from '../../src/channels/slack/failures.ts';
import { slack } from '../../src/channels/slack/kind.ts';
import {
  WebAPIHTTPError,
  WebAPIPlatformError,
  WebAPIRequestError,
} from '../../src/channels/slack/node_modules/@slack/web-api/dist/index.js';
import { later, Place, tsOfMs } from '../../src/channels/slack/places.ts';
import { readable } from '../../src/channels/slack/text.ts';

const refused = (error: string, more = {}) => failureOf(new WebAPIPlatformError({ ok: false, error, ...more }));

test('a cursor moves only below what is not committed', () => {
  const place = new Place('100.000000');
  for (const ts of ['100.000001', '100.000002', '100.000003']) place.begin(ts);
  assert.equal(place.commit('100.000002'), null);
  assert.equal(place.commit('100.000001'), '100.000002');
  assert.equal(place.commit('100.000003'), '100.000003');
  place.begin('101.000000');
  place.begin('99.000000');
  assert.equal(place.commit('101.000000'), null, 'one before it is open');
  assert.equal(place.commit('99.000000'), '101.000000');
});

test('a cursor stays while something before now may be missing', () => {
  const place = new Place('100.000000');
  place.hold();
  place.begin('105.000000');
  assert.equal(place.commit('105.000000'), null);
  assert.equal(place.cursor, '100.000000');
  assert.equal(place.release(), '105.000000');
});

test('the first message of a chat begins its history', () => {
  const place = new Place('');
  place.begin('100.000000');
  assert.equal(place.cursor, '99.999999');
  assert.equal(place.commit('100.000000'), '100.000000');
});

test('Slack’s times are compared as numbers', () => {
  assert.ok(later('1000000000.000001', '999999999.999999'));
  assert.ok(later('1.000000', ''));
  assert.ok(!later('1.000001', '1.000001'));
  assert.equal(tsOfMs(1_700_000_000_123), '1700000000.123000');
});

test('a lane goes on after what failed, in order', async () => {
  const lanes = new Lanes();
  const order: string[] = [];
  const first = lanes.run('a', async () => {
    order.push('first');
    throw new Error('no');
  });
  const second = lanes.run('a', async () => order.push('second'));
  await assert.rejects(first);
  await second;
  assert.deepEqual(order, ['first', 'second']);
});

test('what Slack refuses has the class that tells what to do', () => {
  const classes = {
    auth: ['invalid_auth', 'token_revoked', 'account_inactive', 'not_authed'],
    gone: ['channel_not_found', 'not_in_channel', 'is_archived', 'message_not_found'],
    too_large: ['msg_too_long'],
    rate_limited: ['ratelimited'],
    permanent: ['missing_scope', 'restricted_action', 'anything_else'],
    unsupported: ['invalid_name'],
    retryable: ['internal_error', 'fatal_error', 'service_unavailable'],
    ambiguous: ['<html>proxy</html>', ''],
  };
  for (const [kind, codes] of Object.entries(classes))
    for (const code of codes) assert.equal(refused(code).class, kind, code);
  assert.equal(refused('fatal_error').unsure, true);
});

test('a missing scope is named, and nothing else that Slack says is repeated', () => {
  assert.match(refused('missing_scope', { needed: 'files:write', provided: 'x' }).reason, /files:write/);
  assert.ok(!refused('missing_scope', { needed: 'xoxb-1-SECRET' }).reason.includes('SECRET'));
  assert.ok(!refused('not xoxb-1-secret').reason.includes('secret'));
});

test('a request that never left is tried again; one that may have arrived is not', () => {
  const refusedAt = (code: string) =>
    failureOf(
      new WebAPIRequestError(new TypeError('fetch failed', { cause: Object.assign(new Error('x'), { code }) })),
    );
  assert.equal(refusedAt('ECONNREFUSED').class, 'retryable');
  assert.equal(refusedAt('ENOTFOUND').class, 'retryable');
  assert.equal(refusedAt('ECONNRESET').class, 'ambiguous');
  assert.equal(refusedAt('UND_ERR_SOCKET').class, 'ambiguous');
  assert.equal(failureOf(new WebAPIRequestError(new DOMException('late', 'TimeoutError'))).class, 'ambiguous');
  assert.equal(failureOf(new WebAPIHTTPError(502, 'x', {}, '')).class, 'retryable');
  assert.equal(failureOf(new Error('anything')).class, 'ambiguous');
});

test('what a person wrote is read out of Slack’s markup', () => {
  const names: Record<string, string> = { U1: 'Ann' };
  const read = (text: string): string => readable(text, 'U0', (id) => names[id]);
  assert.equal(read('<@U0>: /stop'), '/stop');
  assert.equal(read('ask <@U1> or <@U9|zed>'), 'ask @Ann or @zed');
  assert.equal(read('<!here> <!channel> <!subteam^S1|@team>'), '@here @channel @team');
  assert.equal(read('<#C1|general> <#C2>'), '#general #C2');
  assert.equal(read('<https://a.b/?x=1&amp;y=2>'), 'https://a.b/?x=1&y=2');
  assert.equal(read('<https://a.b|the page>, <mailto:a@b.c|a@b.c>'), 'the page (https://a.b), a@b.c');
  assert.equal(read('&lt;@U1&gt; &amp;lt;'), '<@U1> &lt;', 'escaped markup is words');
});

test('emoji have names, and come back', () => {
  for (const sign of ['👍', '✅', '👀', '🎉']) assert.equal(emojiOf(nameOfEmoji(sign)!), sign);
  assert.equal(nameOfEmoji('👍🏽'), '+1');
  assert.equal(nameOfEmoji('❤️'), 'heart');
  assert.equal(nameOfEmoji(':party_parrot:'), 'party_parrot');
  assert.equal(nameOfEmoji('🦩'), null);
  assert.equal(emojiOf('party_parrot'), ':party_parrot:');
});

test('blocks stay within Slack’s bounds, with all of what they say', () => {
  assert.equal(blocksOf('text', undefined, undefined), undefined);
  const fields = Array.from({ length: 20 }, (_, at) => ({ name: `&${at}`, value: '&'.repeat(300) }));
  const card = { title: 'A card', text: '<not> *markup*', fields };
  const blocks = blocksOf('text', card, [{ token: 't', label: 'Yes' }])!;
  assert.deepEqual(
    blocks.map(({ type }) => type),
    ['header', 'section', 'section', 'section', 'actions'],
  );
  assert.deepEqual(blocks[1]!['text'], { type: 'plain_text', text: '<not> *markup*', emoji: false });
  const shown = blocks.flatMap((block) => (block['fields'] as { text: string }[] | undefined) ?? []);
  assert.equal(shown.length, 20);
  assert.ok(shown.every(({ text }) => text.length <= 2000 && text.includes('\n&amp;')));
  const most = { name: '&'.repeat(120), value: '&'.repeat(300) };
  const [, dense] = blocksOf('text', { title: 'A card', text: '', fields: [most] }, undefined)!;
  assert.deepEqual(dense!['fields'], [{ type: 'plain_text', text: `${most.name}\n${most.value}`, emoji: false }]);
  const long = blocksOf('word '.repeat(800).trim(), undefined, [])!;
  assert.equal(long.map((block) => (block['text'] as { text: string }).text).join(''), 'word '.repeat(800).trim());
});

test('the token goes to Slack’s own hosts alone', async () => {
  const api = new Api('xoxb-fake', undefined, () => {});
  assert.ok(api.isSlacks('https://files.slack.com/x'));
  for (const other of ['http://files.slack.com/x', 'https://slack.com.evil.example/', 'https://evilslack.com/', 'x'])
    assert.ok(!api.isSlacks(other), other);
  await assert.rejects(api.fetchPrivate('https://evil.example/', AbortSignal.timeout(1000)), /not Slack/);
  const local = new Api('xoxb-fake', 'http://127.0.0.1:1234/api/', () => {});
  assert.ok(local.isSlacks('http://127.0.0.1:1234/files/x'));
  assert.ok(!local.isSlacks('http://127.0.0.1:1235/files/x'));
});

test('settings refuse an address that would send tokens in the clear', () => {
  for (const api of ['https://slack.example/api/', 'http://127.0.0.1:1/api/', 'http://[::1]:1/api/'])
    assert.deepEqual(slack.settings.parse({ api }), { mode: 'socket', api });
  for (const api of ['http://slack.example/api/', 'http://127.0.0.1.evil.example/', 'ftp://127.0.0.1/', 'x'])
    assert.throws(() => slack.settings.parse({ api }), /https address/, api);
  assert.throws(() => slack.settings.parse({ mode: 'other' }));
});

test('the page of Slack says why each scope of the manifest is there', () => {
  const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
  const { oauth_config } = parse(read('src/channels/slack/manifest.yaml')) as {
    oauth_config: { scopes: { bot: string[] } };
  };
  const told = [...read('docs/channels/slack.md').matchAll(/^\| `([\w.]+:[\w.]+)` \| \S.{5,} \|$/gm)].map(
    ([, scope]) => scope,
  );
  assert.deepEqual(told, oauth_config.scopes.bot);
});
