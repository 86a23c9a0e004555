import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Slots } from '../../src/base/slots.ts';
import { Api } from '../../src/channels/discord/api.ts';
import { rowsOf } from '../../src/channels/discord/embeds.ts';
import { failureOf } from '../../src/channels/discord/failures.ts';
import { discord } from '../../src/channels/discord/kind.ts';
import { DiscordAPIError, HTTPError } from '../../src/channels/discord/node_modules/@discordjs/rest/dist/index.mjs';
import { Place } from '../../src/channels/discord/places.ts';
import { idAt, later, msOf } from '../../src/channels/discord/snowflakes.ts';
import { readable } from '../../src/channels/discord/text.ts';
import { Lanes } from '../../src/channels/lanes.ts';

test('a cursor moves only below what is not committed', () => {
  const place = new Place('100');
  for (const id of ['101', '102', '103']) place.begin(id);
  assert.equal(place.commit('102'), null);
  assert.equal(place.commit('101'), '102');
  assert.equal(place.commit('103'), '103');
  place.begin('110');
  place.begin('99');
  assert.equal(place.commit('110'), null, 'one before it is open');
  assert.equal(place.commit('99'), '110');
});

test('a cursor stays until each reading of the history is over', () => {
  const place = new Place('100');
  place.hold();
  place.hold();
  place.begin('105');
  assert.equal(place.commit('105'), null);
  assert.equal(place.release(), null);
  assert.equal(place.release(), '105');
});

test('the first message of a direct chat begins its history, before it is committed', () => {
  const place = new Place('');
  assert.equal(place.begin('100'), '99');
  assert.equal(place.begin('101'), null);
});

test('ids are compared as numbers, and hold their time', () => {
  assert.ok(later('1000000000000000000', '999999999999999999'));
  assert.ok(later('1', ''));
  assert.ok(!later('7', '7'));
  assert.equal(msOf('175928847299117063'), 1_462_015_105_796); // as Discord's reference has it
  assert.ok(later('175928847299117063', idAt(1_462_015_105_796)));
  assert.ok(!later('175928847299117063', idAt(1_462_015_105_797)));
});

test('a line goes on after a failure; a slot is free again after one', async () => {
  const lanes = new Lanes();
  const slots = new Slots(1);
  const said: string[] = [];
  const fails = async (): Promise<void> => {
    said.push('fails');
    throw new Error('no');
  };
  const first = lanes.run('a', () => slots.run(fails));
  const second = lanes.run('a', () => slots.run(async () => said.push('goes on')));
  await assert.rejects(first);
  await second;
  assert.deepEqual(said, ['fails', 'goes on']);
});

test('markup is read as what it says; our name at the beginning is no word', () => {
  const names = { person: (id: string) => ({ 7: 'Ann' })[id], channel: () => 'general' };
  const read = (text: string): string => readable(text, ['1', '2'], names);
  assert.equal(read('<@1> /stop'), '/stop');
  assert.equal(read('<@!1>, hello'), 'hello');
  assert.equal(read('<@&2> hello <@1>'), 'hello @1');
  assert.equal(read('<@7> and <@8> in <#5> <:smile:99>'), '@Ann and @8 in #general :smile:');
  assert.equal(read('a < b & <3 **c**'), 'a < b & <3 **c**');
});

test('a refusal has its class, by Discord’s number before its status', () => {
  const refused = (status: number, code: number) =>
    failureOf(new DiscordAPIError({ message: 'hidden words', code }, code, status, 'POST', 'https://x/hidden', {}));
  const expected: [number, number, string][] = [
    [401, 0, 'auth'],
    [403, 50007, 'gone'],
    [403, 50001, 'gone'],
    [403, 50013, 'permanent'],
    [404, 10003, 'gone'],
    [404, 0, 'gone'],
    [400, 50035, 'permanent'],
    [400, 10014, 'unsupported'],
    [413, 40005, 'too_large'],
    [413, 0, 'too_large'],
  ];
  for (const [status, code, as] of expected) {
    const failure = refused(status, code);
    assert.equal(failure.class, as, `${status} ${code}`);
    assert.doesNotMatch(failure.reason, /hidden/);
  }
});

test('what may have arrived is ambiguous, and what never left is not', () => {
  const http = (status: number) => failureOf(new HTTPError(status, '', 'POST', 'https://x/hidden', {}));
  assert.equal(http(500).class, 'retryable');
  assert.equal(http(504).class, 'ambiguous');
  const broken = (code: string) => failureOf(Object.assign(new Error('hidden'), { code }));
  assert.equal(broken('ECONNREFUSED').class, 'retryable');
  assert.equal(broken('ECONNRESET').class, 'ambiguous');
  assert.equal(failureOf(new SyntaxError('hidden')).class, 'ambiguous');
  assert.equal(failureOf(new DOMException('hidden', 'TimeoutError')).reason, 'Discord did not answer in time');
});

test('the token goes to Discord’s own gateway and to the one of the settings, files come from its own hosts', () => {
  const own = new Api('t', undefined, () => {});
  const other = new Api('t', 'http://127.0.0.1:8080/api', () => {});
  assert.ok(own.isGateway('wss://gateway.discord.gg'));
  assert.ok(own.isGateway('wss://gateway-us-east1-b.discord.gg'));
  for (const url of [
    'ws://gateway.discord.gg',
    'wss://discord.gg.example',
    'wss://xdiscord.gg',
    'https://discord.gg',
    '',
  ])
    assert.ok(!own.isGateway(url), url);
  assert.ok(other.isGateway('ws://127.0.0.1:8080/gateway'));
  assert.ok(!other.isGateway('ws://127.0.0.1:8081/gateway'));
  assert.ok(own.keepsFiles('https://cdn.discordapp.com/attachments/1/2/x'));
  for (const url of [
    'http://cdn.discordapp.com/x',
    'https://cdn.discordapp.com.example/x',
    'http://127.0.0.1:8080/x',
    'x',
  ])
    assert.ok(!own.keepsFiles(url), url);
  assert.ok(other.keepsFiles('http://127.0.0.1:8080/attachments/1'));
  own.stop();
  other.stop();
});

test('buttons stand in rows of five, their labels cut', () => {
  const buttons = Array.from({ length: 7 }, (_, at) => ({ token: `t${at}`, label: 'x'.repeat(90) }));
  const rows = rowsOf(buttons) as { components: { label: string }[] }[];
  assert.deepEqual(
    rows.map(({ components }) => components.length),
    [5, 2],
  );
  assert.equal(rows[0]!.components[0]!.label.length, 80);
});

test('settings name an address without TLS on this machine alone', () => {
  const takes = (api: string): boolean => discord.settings.safeParse({ api }).success;
  assert.ok(takes('https://discord.example/api'));
  assert.ok(takes('http://127.0.0.1:8080/api'));
  for (const api of [
    'http://discord.example/api',
    'https://a:b@discord.example',
    'ftp://127.0.0.1',
    'x',
    'https://x/?y',
  ])
    assert.ok(!takes(api), api);
  assert.ok(discord.settings.safeParse({}).success);
});
