import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { attachedIn } from '../../src/channels/teams/files.ts';
import { FILE_HOSTS, isOf, isSafe, SERVICE_HOSTS } from '../../src/channels/teams/hosts.ts';
import {
  conversationOf,
  type Happening,
  happeningOf,
  placeOf,
  type Reading,
} from '../../src/channels/teams/incoming.ts';
import { teams } from '../../src/channels/teams/kind.ts';
import * as payloads from '../../src/channels/teams/payloads.ts';
import { emojiOf, wordsOf } from '../../src/channels/teams/text.ts';
import { COMMANDS } from '../../src/router/commands.ts';

const US = '28:c9e8c047-2a34-40a1-b28a-b162d5f5327c';
const CHANNEL = '19:253b1f341670408fb6fe51050b6e5ceb@thread.skype';
const NOBODY: Reading = { us: US, isOurs: () => false };

/** Payloads as Microsoft documents them. */
function fixture(name: string): Record<string, unknown> & { type: string } {
  return JSON.parse(readFileSync(new URL(`../fixtures/teams/${name}.json`, import.meta.url), 'utf8'));
}

function read<K extends Happening['kind']>(name: string, kind: K, reading = NOBODY): Extract<Happening, { kind: K }> {
  const found = happeningOf(fixture(name), reading);
  assert.equal(found.kind, kind, name);
  return found as Extract<Happening, { kind: K }>;
}

test('a message of a direct chat is said to us, by the id that its person has everywhere', () => {
  const { message } = read('message_personal', 'message');
  assert.equal(message.text, 'Hello & welcome, a < b');
  assert.equal(message.chat.direct, true);
  assert.equal(message.chat.title, 'Richard Moe');
  assert.equal(message.addressed, true);
  assert.deepEqual(message.sender, { handle: '7faf8bd6-3a1f-4a0a-9a4b-8f3d1c1c2f55', name: 'Richard Moe' });
  assert.equal(message.dedupe_key, `teams:${message.chat.platform_id}:1485983408511`);
  assert.equal(message.sent_ms, Date.UTC(2017, 4, 15, 20, 58, 33, 451));
});

test('a message of a channel has its thread, and our name only where it names others', () => {
  const { message } = read('message_channel', 'message');
  assert.equal(message.text, 'ask @Larry Brown about it');
  assert.deepEqual([message.chat.platform_id, message.thread], [CHANNEL, '1485983194839']);
  assert.equal(message.chat.title, 'Contoso');
  assert.equal(message.chat.direct, undefined);
  assert.equal(message.addressed, true);
  assert.equal(message.reply_to, undefined);
  assert.equal(conversationOf(message.chat.platform_id, message.thread), `${CHANNEL};messageid=1485983194839`);
});

test('an answer in a thread that we began is said to us', () => {
  const isOurs = (chat: string, root: string): boolean => chat === CHANNEL && root === '1485983194839';
  assert.equal(read('message_reply', 'message', { us: US, isOurs }).message.reply_to, '1485983194839');
  assert.equal(read('message_reply', 'message').message.reply_to, undefined);
  // The message that began the thread answers nothing.
  assert.equal(read('message_channel', 'message', { us: US, isOurs }).message.reply_to, undefined);
});

test('a quote is told, and whether it is ours', () => {
  const ours = read('message_quote', 'message').message;
  assert.deepEqual([ours.reply_to, ours.addressed, ours.text], ['1624999999999', true, 'yes please']);
  const theirs = read('message_quote_entity', 'message').message;
  assert.deepEqual([theirs.reply_to, theirs.addressed], ['1772050244572', false]);
  assert.equal(theirs.chat.title, 'Lunch');
});

test('a file has an address that is a key, a picture one of Teams, and the text as HTML is none', () => {
  const { attachments } = read('message_file', 'message');
  const [file, more] = attachedIn(attachments);
  assert.equal(more, undefined);
  assert.deepEqual([file!.name, file!.byToken], ['file_example.txt', false]);
  assert.ok(isOf(FILE_HOSTS, file!.address));
  const [picture, another] = attachedIn(read('message_image', 'message').attachments);
  assert.equal(another, undefined);
  assert.deepEqual([picture!.name, picture!.byToken], ['image.png', true]);
  assert.ok(isOf(SERVICE_HOSTS, picture!.address));
});

test('a press is of the message that has the button, in both ways that Teams brings it', () => {
  const { press, isInvoked } = read('message_press', 'press');
  assert.deepEqual([press.token, press.platform_id, isInvoked], ['Ab0-_Ab0-_Ab0-_Ab0-_', '1575667808184', false]);
  assert.deepEqual([press.chat.platform_id, press.thread], [CHANNEL, '1485983194839']);
  const invoked = read('invoke_action', 'press');
  assert.deepEqual([invoked.press.token, invoked.press.platform_id, invoked.isInvoked], ['Ab0', '1575667808185', true]);
});

test('an edit, a deletion and reactions name their message, under keys of their own', () => {
  const { edit } = read('message_update', 'edit');
  assert.deepEqual([edit.platform_id, edit.text], ['1485983408511', 'Hello again']);
  const { deletion } = read('message_delete', 'deletion');
  assert.equal(deletion.platform_id, '1485983408511');
  const { reactions } = read('reaction_added', 'reactions');
  assert.deepEqual(
    reactions.map(({ platform_id, emoji, removed }) => [platform_id, emoji, removed]),
    [
      ['1575667808184', '👍', false],
      ['1575667808184', '👋', false],
    ],
  );
  const removed = read('reaction_removed', 'reactions').reactions;
  assert.deepEqual([removed[0]!.emoji, removed[0]!.removed], ['❤️', true]);
  const message = read('message_personal', 'message').message;
  const keys = [message, edit, deletion, ...reactions, ...removed].map(({ dedupe_key }) => dedupe_key);
  assert.equal(new Set(keys).size, keys.length);
});

test('that we were added is told from everything else that changes', () => {
  read('conversation_update', 'joined');
  const others = ['conversation_renamed', 'installation_update', 'typing', 'invoke_other', 'message_undelete'];
  for (const name of others) read(name, 'nothing');
  for (const name of [...others, 'conversation_update'])
    assert.ok(placeOf(payloads.activity.parse(fixture(name))).chat.platform_id, name);
});

test('what lacks something is unreadable', () => {
  for (const name of ['message_personal', 'message_update', 'message_delete', 'reaction_added'])
    for (const lost of ['from', 'conversation', ...(name === 'reaction_added' ? ['replyToId'] : ['id'])]) {
      const { [lost]: _, ...rest } = fixture(name);
      assert.equal(happeningOf(rest as { type: string }, NOBODY).kind, 'unreadable', `${name} without ${lost}`);
    }
});

test('our name goes where it calls us, and only there', () => {
  const ours = { type: 'mention', mentioned: { id: US }, text: '<at>Bot</at>' };
  assert.deepEqual(wordsOf('  a <at>Bot</at> b', [], US), { text: '  a @Bot b', isToUs: false });
  assert.deepEqual(wordsOf('<at>Bot</at>&nbsp; go &amp;lt;', [ours], US), { text: 'go &lt;', isToUs: true });
  assert.deepEqual(wordsOf('<at id="0">Bot</at> go', [], US), { text: '@Bot go', isToUs: false });
});

test('an emoji that nobody knows stays its name', () => {
  assert.equal(emojiOf('1f468-1f3fd_man'), '👨🏽');
  assert.equal(emojiOf('launch'), 'launch');
  assert.equal(emojiOf('fffff9_x'), 'fffff9_x');
});

test('a token goes to Microsoft’s hosts alone', () => {
  const yes = [
    'https://smba.trafficmanager.net/emea/',
    'https://smba.infra.gcc.teams.microsoft.com/teams',
    'https://webchat.botframework.com/',
  ];
  const no = [
    'https://evil.trafficmanager.net/emea/',
    'https://smba.trafficmanager.net.example/',
    'https://evilbotframework.com/',
    'http://smba.trafficmanager.net/emea/',
    'https://user@smba.trafficmanager.net/emea/',
    'https://smba.trafficmanager.net@example.com/',
    'http://127.0.0.1/',
    'not an address',
  ];
  for (const address of yes) assert.ok(isOf(SERVICE_HOSTS, address), address);
  for (const address of no) assert.ok(!isOf(SERVICE_HOSTS, address), address);
  assert.ok(isSafe('http://127.0.0.1:3/x') && !isSafe('http://example.com/') && !isSafe('file:///etc/passwd'));
});

test('settings have Microsoft’s addresses, and refuse others in plain HTTP', () => {
  const right = { app_id: 'c9e8c047-2a34-40a1-b28a-b162d5f5327c', tenant: 'contoso.example' };
  const settings = teams.settings.parse(right);
  assert.equal(settings['login'], 'https://login.microsoftonline.com');
  assert.deepEqual(settings['services'], SERVICE_HOSTS);
  const wrongs = [
    { app_id: 'x' },
    { tenant: 'a/b' },
    { login: 'http://example.com' },
    { openid: 'x' },
    { services: ['/'] },
  ];
  for (const wrong of wrongs) assert.equal(teams.settings.safeParse({ ...right, ...wrong }).success, false);
});

test('the app package names one app, both icons, and commands that exist', () => {
  const path = new URL('../../src/channels/teams/manifest.json', import.meta.url);
  const manifest = JSON.parse(readFileSync(path, 'utf8')) as {
    id: string;
    icons: object;
    bots: {
      botId: string;
      scopes: string[];
      supportsFiles: boolean;
      commandLists: { commands: { title: string }[] }[];
    }[];
  };
  const [bot] = manifest.bots;
  assert.equal(bot!.botId, manifest.id);
  assert.deepEqual(manifest.icons, { color: 'color.png', outline: 'outline.png' });
  assert.deepEqual([bot!.scopes, bot!.supportsFiles], [['personal', 'team', 'groupChat'], true]);
  const known = COMMANDS.map(({ name }) => `/${name}`);
  for (const { title } of bot!.commandLists[0]!.commands) assert.ok(known.includes(title), title);
});

test('a yes to a file names the place that was made for it, at a host of Microsoft’s files', () => {
  const { data } = payloads.consented.safeParse(fixture('file_consent'));
  assert.equal(data?.value.action, 'accept');
  assert.ok(isOf(FILE_HOSTS, data!.value.uploadInfo!.uploadUrl));
  assert.equal(
    payloads.consented.safeParse({ ...fixture('file_consent'), value: { action: 'accept' } }).success,
    false,
  );
});
