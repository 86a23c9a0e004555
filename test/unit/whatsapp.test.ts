import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { ROOT } from '../../src/base/paths.ts';
import type { Receipt } from '../../src/channels/channel.ts';
import { Chats } from '../../src/channels/whatsapp/chats.ts';
import { cutOf, lateReason, refusalOf } from '../../src/channels/whatsapp/errors.ts';
import { Graph } from '../../src/channels/whatsapp/graph.ts';
import { Incoming } from '../../src/channels/whatsapp/incoming.ts';
import { whatsapp } from '../../src/channels/whatsapp/kind.ts';
import { CHATS_MAX, HEARD_CHATS_MAX, HEARD_SAVE_MS, WINDOW_MS } from '../../src/channels/whatsapp/limits.ts';
import { shownOf } from '../fakes/whatsapp/marks.ts';
import { RecordingSink } from '../kits/channel_sink.ts';

/** Each payload as Meta documents it, and what the host is told. */
const FIXTURES = join(ROOT, 'test/fixtures/whatsapp');
const ANSWERED = 'wamid.HBgLMTY1MDU1NTEyMzQVAgARGBI4QzA3MzM2Q0E2OTdFNzI3RDkA';
const MESSAGE = 'wamid.HBgLMTY1MDU1NTEyMzQVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ0RgA=';
const FROM = { handle: '16505551234', name: 'Test Name' };
/** Nobody listens there: a file is left out. */
const NOWHERE = 'http://127.0.0.1:9';

function fixture(name: string): unknown {
  return JSON.parse(readFileSync(join(FIXTURES, `${name}.json`), 'utf8'));
}

async function taken(name: string) {
  const sink = new RecordingSink();
  const logs: string[] = [];
  const late: (string | null)[] = [];
  const chats = new Chats();
  const incoming = new Incoming({
    ...{ graph: new Graph('EAAfake', NOWHERE, () => {}), chats, sink, number: '106540352242922' },
    log: (...line) => void logs.push(JSON.stringify(line)),
    self: () => '15550783881',
    textOf: (id) => id,
    undelivered: (reason) => void late.push(reason),
  });
  await incoming.take(fixture(name));
  return { told: sink.committed, receipts: sink.receipts, logs, late, chats };
}

const left = (name: string): string => `[the file "${name}" was left out: it could not be fetched]`;

const MESSAGES: Record<string, object> = {
  text: { text: 'Does it come in another color?' },
  text_reply: { text: 'Do you have any recommendations?', reply_to: ANSWERED },
  text_product: { text: 'Which one?', reply_to: ANSWERED },
  text_forwarded: { text: 'Look' },
  text_ad: { text: 'Hello' },
  image: { text: `The lawn\n${left('photo.jpg')}` },
  audio: { text: left('audio.ogg') },
  video: { text: left('video.mp4') },
  sticker: { text: left('sticker.webp') },
  document: { text: `The order\n${left('Order 12.pdf')}` },
  location: { text: '[location 40.782910059774, -73.959075808525, A museum, 1071 5th Ave, New York]' },
  contacts: { text: '[contact Second Name, +1 650-555-6789]' },
  list_reply: { text: 'Priority Mail' },
  template_button: { text: 'Unsubscribe' },
};

const REPLIES = ['text_reply', 'text_product', 'list_reply', 'template_button'];

test('what people say is a message of their direct chat', async () => {
  for (const [name, expected] of Object.entries(MESSAGES)) {
    const { told, logs } = await taken(name);
    const reply_to = REPLIES.includes(name) ? { reply_to: ANSWERED } : {};
    const common = {
      dedupe_key: `wa:106540352242922:${MESSAGE}`,
      thread: '',
      sender: FROM,
      addressed: true,
      files: [],
    };
    const chat = { platform_id: '16505551234', title: 'Test Name', direct: true };
    const value = { ...common, chat, platform_id: MESSAGE, sent_ms: 1_749_416_383_000, ...reply_to, ...expected };
    assert.deepEqual(told, [{ t: 'message', value }], name);
    assert.deepEqual(logs, [], name);
  }
});

test('who has no name in it is called by the number', async () => {
  const { told } = await taken('nameless');
  assert.partialDeepStrictEqual(told[0]!.value, { sender: { handle: '16505551234', name: '+16505551234' } });
});

const CHANGES: Record<string, [t: string, value: object]> = {
  button_reply: ['press', { token: 'Ab0-_', platform_id: ANSWERED, thread: '' }],
  reaction: ['reaction', { emoji: '👍', removed: false, platform_id: ANSWERED }],
  reaction_removed: ['reaction', { emoji: '', removed: true, platform_id: ANSWERED }],
  edit: ['edit', { text: 'In blue, too?', platform_id: ANSWERED }],
  edit_caption: ['edit', { text: 'The new lawn', platform_id: ANSWERED }],
  revoke: ['deletion', { platform_id: ANSWERED }],
};

test('what is done to messages is told under a key of its own', async () => {
  for (const [name, [t, value]] of Object.entries(CHANGES)) {
    const { told } = await taken(name);
    assert.equal(told.length, 1, name);
    assert.equal(told[0]!.t, t, name);
    assert.partialDeepStrictEqual(told[0]!.value, { dedupe_key: `wa:106540352242922:${MESSAGE}`, ...value }, name);
  }
});

const PASSED = ['unsupported', 'order', 'system', 'group', 'echo', 'account_update'];

test('what nobody said to us, and what we do not know, is passed over with a line', async () => {
  for (const name of PASSED) {
    const { told, logs } = await taken(name);
    assert.deepEqual(told, [], name);
    assert.match(logs.join(), /"info","whatsapp\.unknown"/, name);
    assert.doesNotMatch(logs.join(), /to all|Test Name/, `${name}: nothing that people wrote`);
  }
  const { told, logs } = await taken('broken');
  const [{ t, value }] = told as unknown as [{ t: string; value: { kind: string; raw: string } }];
  assert.deepEqual([t, value.kind, JSON.parse(value.raw).type], ['unreadable', 'text', 'text']);
  assert.match(logs.join(), /"warn","whatsapp\.broken",\{"kind":"text","id":"wamid/);
});

test('what became of a message is told; that it failed closes the chat where it says so', async () => {
  const message = 'wamid.HBgLMTY1MDU1NTEyMzQVAgARGBI4QzA3MzM2Q0E2OTdFNzI3RDkA';
  const sent = await taken('status_sent');
  assert.deepEqual([sent.told, sent.receipts, sent.logs, sent.late], [[], [], [], []]);
  const read = await taken('status_read');
  const [{ message: id, ...said }] = read.receipts as [Receipt];
  assert.match(id, /^wamid\./);
  assert.ok(said.at_ms > 1_600_000_000_000);
  assert.deepEqual([said.state, read.told, read.late], ['read', [], []]);
  const { told, receipts, logs, late, chats } = await taken('status_failed');
  const reason = late[0]!;
  assert.deepEqual([told, receipts], [[], [{ message, state: 'failed', at_ms: 1_689_380_650_000, reason }]]);
  assert.match(logs.join(), /not_delivered.*131047/);
  assert.match(reason, /24 hours/);
  assert.ok(chats.isClosed('16505551234', Date.now()));
});

test('when a person last wrote is known after a restart, and costs a commit now and then', async () => {
  const sink = new RecordingSink();
  const chats = new Chats();
  const now = Date.now();
  chats.begin(sink, sink.cursors);
  await chats.heard('4901', 'm1', now - 1000);
  const [saved] = sink.cursors.values();
  await chats.heard('4901', 'm2', now);
  assert.deepEqual([...sink.cursors], [['heard:01', saved]], 'the second is not worth one');
  await chats.heard('4901', 'm3', now + HEARD_SAVE_MS);
  await chats.heard('5501', 'm4', now);
  chats.close('6677');
  await chats.heard('4888', 'm5', now - WINDOW_MS - HEARD_SAVE_MS);
  const next = new Chats();
  next.begin(sink, new Map([...sink.cursors, ['heard:99', 'broken'], ['other', '[["4901",1]]']]));
  const closed = (chat: string, at = now) => next.isClosed(chat, at);
  assert.deepEqual(
    [closed('4901'), closed('5501'), closed('6677'), closed('4888', now + 1)],
    [false, false, true, true],
  );
  // They may have written somewhat later than what was kept: then WhatsApp is asked.
  assert.ok(!closed('5501', now + WINDOW_MS + HEARD_SAVE_MS));
  assert.ok(closed('5501', now + WINDOW_MS + HEARD_SAVE_MS + 1));
  assert.equal(next.lastOf('4901'), null, 'nothing is shown below it');
  await next.heard('6677', 'm6', now);
  assert.ok(!closed('6677'));
  const third = new Chats();
  third.begin(sink, sink.cursors);
  assert.ok(!third.isClosed('6677', now), 'that they opened it again is kept at once');
});

test('of people whose numbers end alike the latest are kept, and what was not kept is rejected', async () => {
  const sink = new RecordingSink();
  const chats = new Chats();
  chats.begin(sink, sink.cursors);
  for (let at = 0; at <= HEARD_CHATS_MAX; at += 1) await chats.heard(`${at + 100}07`, 'm', Date.now());
  const kept = (JSON.parse(sink.cursors.get('heard:07')!) as [string, number][]).map(([chat]) => chat);
  assert.deepEqual([sink.cursors.size, kept.length, kept.includes('10007')], [1, HEARD_CHATS_MAX, false]);
  const failing = new Chats();
  let fails = true;
  const saves: string[] = [];
  const saveCursor = async (name: string): Promise<void> => {
    if (fails) throw new Error('nothing was kept');
    saves.push(name);
  };
  failing.begin({ saveCursor }, new Map());
  await assert.rejects(failing.heard('4901', 'm1', 1000));
  fails = false;
  await failing.heard('4901', 'm1', 1000);
  assert.deepEqual(saves, ['heard:01']);
});

test('each fixture is looked at', () => {
  const named = [...Object.keys(MESSAGES), ...Object.keys(CHANGES), ...PASSED];
  const others = [
    'nameless',
    'broken',
    'status_sent',
    'status_read',
    'status_failed',
    'error_token',
    'error_parameter',
  ];
  const files = globSync('*.json', { cwd: FIXTURES }).map((file) => basename(file, '.json'));
  assert.deepEqual(files.sort(), [...named, ...others].sort());
});

const none = new Headers();
const refused = (status: number, code: number) =>
  refusalOf(status, none, { error: { code, message: 'words of Meta', type: 'OAuthException' } }).refusal;

test('what Graph refuses has the class that tells what to do', () => {
  const classes = {
    auth: [190, 0, 3, 10, 200, 299, 131005, 131031, 368],
    rate_limited: [4, 80007, 130429, 131048, 131056],
    gone: [131026, 131030],
    unsupported: [131051, 131053],
    retryable: [1, 2, 131000, 131016, 131057],
    permanent: [100, 131009, 131047, 132001, 132015, 300],
  };
  for (const [as, codes] of Object.entries(classes))
    for (const code of codes) assert.equal(refused(400, code).class, as, `${code}`);
  assert.equal(refused(503, 131008).class, 'retryable', 'a code that is unknown goes by its status');
  const statuses: [number, string][] = [
    [401, 'auth'],
    [404, 'permanent'],
    [413, 'too_large'],
    [429, 'rate_limited'],
    [500, 'retryable'],
    [502, 'retryable'],
    [504, 'ambiguous'],
  ];
  for (const [status, as] of statuses) assert.equal(refusalOf(status, none, '<html>').refusal.class, as, `${status}`);
});

test('a limit says when to come back, where anything is known of it', () => {
  assert.equal(refused(400, 131056).after_ms, 6000);
  assert.equal(refused(400, 130429).after_ms, undefined);
  const timed = (value: string) =>
    refusalOf(429, new Headers({ 'retry-after': value }), { error: { code: 130429 } }).refusal.after_ms;
  assert.equal(timed('17'), 17_000);
  assert.equal(timed('soon'), undefined);
});

test('reasons are sentences: of Meta’s own words those about a message, on one line and not without end', () => {
  const token = refusalOf(401, none, fixture('error_token'));
  assert.equal(token.refusal.class, 'auth');
  assert.doesNotMatch(token.refusal.reason, /Session/);
  const parameter = refusalOf(400, none, fixture('error_parameter'));
  assert.match(parameter.refusal.reason, /\(131009\): Button title length invalid/);
  const long = lateReason(131009, `two\nlines ${'x'.repeat(1000)}`);
  assert.ok(long.length < 300 && !long.includes('\n'));
});

test('a request that never left is tried again; one that may have arrived is not', () => {
  const of = (code: string) =>
    cutOf(new TypeError('fetch failed', { cause: Object.assign(new Error('x'), { code }) })).refusal.class;
  for (const code of ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'UND_ERR_CONNECT_TIMEOUT', 'CERT_HAS_EXPIRED'])
    assert.equal(of(code), 'retryable', code);
  for (const code of ['ECONNRESET', 'UND_ERR_SOCKET', 'UND_ERR_HEADERS_TIMEOUT', ''])
    assert.equal(of(code), 'ambiguous', code);
  assert.equal(cutOf(new DOMException('late', 'TimeoutError')).refusal.class, 'ambiguous');
});

test('a chat is known to be closed when it was said so, or when its last message is a day old', async () => {
  const chats = new Chats();
  const now = Date.now();
  assert.ok(!chats.isClosed('a', now), 'what is not known is tried');
  await chats.heard('a', 'm1', now);
  assert.ok(!chats.isClosed('a', now + WINDOW_MS));
  assert.ok(chats.isClosed('a', now + WINDOW_MS + 1));
  chats.close('a');
  assert.ok(chats.isClosed('a', now));
  await chats.heard('a', 'm0', now - 1000);
  assert.equal(chats.lastOf('a'), 'm1');
  assert.ok(chats.isClosed('a', now), 'an older one opens nothing');
  await chats.heard('a', 'm2', now);
  assert.ok(!chats.isClosed('a', now));
  for (let at = 0; at < CHATS_MAX; at += 1) await chats.heard(`b${at}`, 'm', now);
  assert.equal(chats.lastOf('a'), null, 'the oldest is let go');
  assert.equal(chats.lastOf('b0'), 'm');
});

test('the token goes to Meta’s own hosts alone', async () => {
  const graph = new Graph('EAAfake', undefined, () => {});
  for (const right of [
    'https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1',
    'https://graph.facebook.com/x',
  ])
    assert.ok(graph.isMetas(right), right);
  for (const wrong of [
    'http://lookaside.fbsbx.com/x',
    'https://lookaside.fbsbx.com:8443/x',
    'https://evilfbsbx.com/',
    'https://fbsbx.com.evil.example/',
    'x',
  ])
    assert.ok(!graph.isMetas(wrong), wrong);
  await assert.rejects(graph.fetchFile('https://evil.example/', AbortSignal.timeout(1000)), /not Meta/);
});

test('settings are few, and refuse an address that would send the token in the clear', () => {
  const { settings } = whatsapp;
  const phone_number_id = '106540352242922';
  assert.deepEqual(settings.parse({ phone_number_id }), { mode: 'cloud', phone_number_id });
  assert.deepEqual(settings.parse({ phone_number_id, template: { name: 'from_glass' } })['template'], {
    ...{ name: 'from_glass', language: 'en_US' },
  });
  for (const api of ['https://graph.example', 'http://127.0.0.1:1/', 'http://[::1]:1'])
    assert.equal(settings.parse({ phone_number_id, api })['api'], api);
  for (const api of ['http://graph.example', 'http://127.0.0.1.evil.example/', 'https://a@b/', 'ftp://127.0.0.1', 'x'])
    assert.throws(() => settings.parse({ phone_number_id, api }), api);
  assert.throws(() => settings.parse({ phone_number_id, mode: 'linked' }), /add the kind whatsapp-linked/);
  assert.throws(() => settings.parse({ phone_number_id: 106540352242922 }), /in quotes/);
  assert.throws(() => settings.parse({}));
});

test('the fake shows marks as WhatsApp does', () => {
  const shown = shownOf('*bold* _so_ ~no~ `a*b*` 2*3*4\n```\n*code*\n```');
  assert.deepEqual(shown, { shown: 'bold so no a*b* 2*3*4\n*code*', bold: ['bold'], code: ['a*b*', '*code*'] });
});
