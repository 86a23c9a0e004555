import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { happeningsOf, isWritten } from '../../src/channels/discord/incoming.ts';
import * as payloads from '../../src/channels/discord/payloads.ts';

/** Payloads as Discord documents them. */
function fixture(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`../fixtures/discord/${name}.json`, import.meta.url), 'utf8'));
}

function happening(type: string, name: string) {
  const [first, more] = happeningsOf(type, fixture(name), 'session:7') ?? [];
  assert.ok(first !== undefined && more === undefined, name);
  return first;
}

function message(name: string): payloads.Message {
  const found = happening('MESSAGE_CREATE', name);
  assert.ok(found.kind === 'message');
  return found.message;
}

test('what people write is a message, of a server or of a direct chat', () => {
  const found = happening('MESSAGE_CREATE', 'message_create');
  assert.deepEqual(
    [found.id, found.channel, found.guild],
    ['334385199974967042', '290926798999357250', '290926798626357999'],
  );
  assert.equal(happening('MESSAGE_CREATE', 'message_direct').guild, undefined);
  for (const name of ['message_create', 'message_reply', 'message_forward', 'message_webhook'])
    assert.ok(isWritten(message(name)), name);
  assert.ok(!isWritten(message('message_join')), 'who joined is nobody’s message');
});

test('an answer names what it answers and whose it was, a forwarded message what it says', () => {
  const reply = message('message_reply');
  assert.equal(reply.message_reference!.message_id, '306588351130107906');
  assert.equal(reply.referenced_message!.author.id, '80351110224678912');
  assert.equal(message('message_forward').message_snapshots[0]!.message.content, 'as I said');
  assert.equal(message('message_webhook').webhook_id, '223704706495545344');
});

test('an attachment has its name, its size and its address', () => {
  const { filename, size, url } = payloads.attachment.parse(message('message_attachment').attachments[0]);
  assert.deepEqual([filename, size, new URL(url).host], ['notes.txt', 12345, 'cdn.discordapp.com']);
});

test('an edit is told from what Discord itself changes', () => {
  const edit = happening('MESSAGE_UPDATE', 'message_update');
  assert.ok(edit.kind === 'edit');
  assert.equal(edit.at, '2017-07-11T17:28:07.299000+00:00');
  assert.deepEqual(happeningsOf('MESSAGE_UPDATE', fixture('message_unfurled'), ''), []);
});

test('a deletion names its message, and a sweep each of them', () => {
  assert.equal(happening('MESSAGE_DELETE', 'message_delete').id, '334385199974967042');
  const many = happeningsOf('MESSAGE_DELETE_BULK', fixture('message_delete_bulk'), '')!;
  assert.deepEqual(
    many.map(({ id }) => id),
    ['334385199974967042', '334385199974967043'],
  );
});

test('a reaction has its sign, or the name of one that a server made, and the number of its event', () => {
  const added = happening('MESSAGE_REACTION_ADD', 'message_reaction_add');
  const removed = happening('MESSAGE_REACTION_REMOVE', 'message_reaction_remove');
  assert.ok(added.kind === 'reaction' && removed.kind === 'reaction');
  assert.deepEqual([added.emoji, added.removed, added.at], ['👍', false, 'session:7']);
  assert.deepEqual([removed.emoji, removed.removed], [':LUL:', true]);
});

test('what lacks something is unreadable, and what is unknown is nothing', () => {
  for (const type of ['MESSAGE_CREATE', 'MESSAGE_DELETE', 'MESSAGE_DELETE_BULK', 'MESSAGE_REACTION_ADD'])
    assert.equal(happeningsOf(type, {}, ''), null, type);
  assert.equal(happeningsOf('MESSAGE_UPDATE', { edited_timestamp: '2017-07-11T17:28:07+00:00' }, ''), null);
  assert.deepEqual(happeningsOf('GALAXY_UPDATE', {}, ''), []);
});

test('a press and a command have who, where, and the way to answer', () => {
  const press = payloads.interaction.parse(fixture('interaction_button'));
  assert.deepEqual([press.type, press.data.custom_id, press.message!.id], [3, 'click_one', '334385199974967042']);
  const command = payloads.interaction.parse(fixture('interaction_command'));
  assert.deepEqual(
    [command.type, command.data.name, command.data.options![0]!.value],
    [2, 'cardsearch', 'The Gitrog Monster'],
  );
  assert.equal(command.member!.user!.username, 'mason');
  // It becomes a part of an address.
  assert.ok(!payloads.interaction.safeParse({ ...command, token: '../../users/@me' }).success);
});

test('a server tells its channels, threads and roles; the gateway where it is', () => {
  const guild = payloads.guild.parse(fixture('guild_create'));
  const [category, channel] = guild.channels.map((each) => payloads.channel.parse(each));
  assert.deepEqual([category!.type, channel!.name, channel!.last_message_id], [4, 'general', '155117677105512449']);
  assert.equal(payloads.channel.parse(guild.threads[0]).parent_id, '41771983423143937');
  assert.equal(payloads.role.parse(guild.roles[1]).tags!.bot_id, '80351110224678912');
  assert.equal(payloads.ready.parse(fixture('ready')).application.id, '845027738276462632');
  assert.equal(payloads.gatewayPlace.parse(fixture('gateway_bot')).session_start_limit.remaining, 999);
  assert.equal(payloads.opened.parse(fixture('channel_direct')).recipients[0]!.username, 'test');
});
