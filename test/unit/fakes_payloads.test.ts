import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import {
  discordSays,
  githubSays,
  type Json,
  slackSays,
  teamsSays,
  telegramSays,
  whatsappSays,
} from '../kits/fake_payloads.ts';
import { differences, type Reference, shapeOf } from '../kits/payload_shape.ts';

/** Our fakes of platforms say what the vendors' documents show: each field that they say is there, of that type, and none of the rest is left out. */

/** The first fixture shows what the fake says; the others show it in other cases. */
type Row = readonly [
  what: string,
  said: readonly unknown[],
  fixtures: readonly string[],
  part?: (payload: Json) => Json,
];

const NOTHING: Reference = { nullable: [], optional: [], besides: {} };

function hold(platform: string, rows: readonly Row[], reference: Reference = NOTHING): void {
  for (const [what, said, fixtures, part = whole] of rows) {
    assert.notEqual(said.length, 0, `the fake of ${platform} says no ${what}`);
    const payloads = fixtures.map((name) => part(fixture(platform, name)));
    const found = differences((said as Json[]).map(part), payloads, reference);
    assert.deepEqual(found, { undocumented: [], missing: [] }, `${platform}: ${what}`);
  }
}

function whole(payload: Json): Json {
  return payload;
}

function fixture(platform: string, name: string): Json {
  return JSON.parse(readFileSync(new URL(`../fixtures/${platform}/${name}.json`, import.meta.url), 'utf8')) as Json;
}

describe('what a fake says is what the vendor documents', () => {
  test('Teams', async () => {
    const said = await teamsSays();
    const of = (type: string): Json[] => said.filter((each) => each['type'] === type);
    const isPress = ({ value }: Json): boolean => value !== undefined;
    const named = (name: string): Json[] => of('invoke').filter((each) => each['name'] === name);
    // Every activity is in a personal chat or in a channel, and says so alike.
    const places = ['message_channel', 'message_personal'];
    hold('teams', [
      ['message', of('message').filter((each) => !isPress(each)), [...places, 'message_file']],
      ['press', of('message').filter(isPress), ['message_press']],
      ['edit', of('messageUpdate'), ['message_update', ...places]],
      ['deletion', of('messageDelete'), ['message_delete', ...places]],
      ['reaction', of('messageReaction'), ['reaction_added', 'reaction_removed', ...places]],
      ['addition', of('conversationUpdate'), ['conversation_update']],
      ['word about a file', named('fileConsent/invoke'), ['file_consent', ...places]],
      ['press of the newer kind', named('adaptiveCard/action'), ['invoke_action', ...places]],
    ]);
  });

  test('Telegram', async () => {
    const said = await telegramSays();
    const of = (kind: string): Json[] => said.filter((each) => each[kind] !== undefined);
    const inner = (update: Json): Json => ({ message: update['message'] ?? update['edited_message'] });
    const messages = ['message_text', 'message_document', 'message_reply', 'message_topic', 'message_called'];
    // User, Chat, Message and ReactionType, as the reference of the Bot API has them.
    const optional = [
      ...['last_name', 'username', 'language_code', 'chat.first_name', 'message_thread_id', 'is_topic_message'],
      'custom_emoji_id',
    ];
    const rows: Row[] = [
      ['message', of('message'), messages],
      ['edit', of('edited_message'), ['edited_message', ...messages], inner],
      ['press', of('callback_query'), ['callback_query']],
      ['reaction', of('message_reaction'), ['message_reaction']],
    ];
    hold('telegram', rows, { ...NOTHING, optional });
  });

  test('Slack', async () => {
    const { events, presses, answers } = await slackSays();
    const of = (type: string, subtype?: string): Json[] =>
      events.filter(({ event }) => event.type === type && event.subtype === subtype);
    const reference: Reference = {
      nullable: [],
      optional: ['reply_users_count', 'reply_users', 'subscribed', 'pin_count'],
      besides: {
        'event.previous_message.edited: object': 'message_changed: a message that was edited has it',
        'event.previous_message.edited.user: string': 'the same',
        'event.previous_message.edited.ts: string': 'the same',
        'messages[].bot_id: string': 'bot_message, and what a bot posts by its token',
      },
    };
    const rows: Row[] = [
      ['message', of('message'), ['message', 'message_thread', 'message_im']],
      ['file', of('message', 'file_share'), ['message_file', 'message']],
      ['edit', of('message', 'message_changed'), ['message_changed']],
      ['deletion', of('message', 'message_deleted'), ['message_deleted']],
      ['mention', of('app_mention'), ['app_mention', 'message']],
      ['reaction', of('reaction_added'), ['reaction_added']],
      ['reaction that was taken back', of('reaction_removed'), ['reaction_removed']],
      ['press', presses, ['block_actions']],
      ['history', answers, ['history']],
    ];
    hold('slack', rows, reference);
  });

  test('Discord', async () => {
    const { events, answers } = await discordSays();
    const of = (type: string): Json[] => events.filter(({ t }) => t === type).map(({ d }) => d);
    const reference: Reference = {
      // User, Guild Member, Channel, Message and Emoji objects.
      nullable: ['avatar', 'global_name', 'nick', 'last_message_id', 'edited_timestamp', 'emoji.id'],
      optional: ['public_flags', 'reactions', 'nonce', 'mentions[].member', 'member.roles[]', 'channels[].parent_id'],
      besides: {
        'members: array': 'Guild Create Extra Fields',
        'presences: array': 'Guild Create Extra Fields',
        'channel.guild_id: string': 'Channel object',
        'channel.last_message_id: string': 'Channel object',
        'member.joined_at: string': 'Guild Member object',
        'member.deaf: boolean': 'Guild Member object',
        'member.mute: boolean': 'Guild Member object',
        'author.bot: boolean': 'User object',
        'recipients[].global_name: string': 'User object',
      },
    };
    const messages = ['message_create', 'message_reply', 'message_attachment', 'message_direct', 'message_update'];
    const rows: Row[] = [
      ['greeting', of('READY'), ['ready']],
      ['server', of('GUILD_CREATE'), ['guild_create']],
      ['message', of('MESSAGE_CREATE').flatMap(withQuoted), messages, bare],
      ['edit', of('MESSAGE_UPDATE').flatMap(withQuoted), messages.toReversed(), bare],
      ['deletion', of('MESSAGE_DELETE'), ['message_delete']],
      ['reaction', of('MESSAGE_REACTION_ADD'), ['message_reaction_add']],
      ['reaction that was taken back', of('MESSAGE_REACTION_REMOVE'), ['message_reaction_remove']],
      ['press', of('INTERACTION_CREATE'), ['interaction_button'], ({ message: _, ...press }) => press],
      ['pressed message', of('INTERACTION_CREATE'), ['interaction_button'], ({ message }) => message as Json],
      ['history', answers['messages']!.flatMap(withQuoted), messages, listed],
      ['gateway', answers['gateway']!, ['gateway_bot']],
      ['direct chat', answers['direct']!, ['channel_direct']],
    ];
    hold('discord', rows, reference);
  });

  test('GitHub', async () => {
    const said = await githubSays();
    const reference: Reference = {
      nullable: ['assignee', 'active_lock_reason', 'start_line'],
      optional: ['labels[]', 'assignees[]'],
      besides: { 'status: string': 'Troubleshooting the REST API' },
    };
    const rows: Row[] = [
      ['limit', said['limited']!, ['secondary_limit']],
      ['issue', said['issues']!, ['issue', 'pull_request']],
      ['comment', said['comments']!, ['issue_comment', 'issue_comment_ghost']],
      ['comment of ours', said['written']!, ['issue_comment']],
      ['comment of a review', said['reviewComments']!, ['review_comment', 'review_comment_root']],
      ['review', said['reviews']!, ['review']],
      ['permission', said['permission']!, ['permission']],
      ['call', said['calls']!, ['call_deleted'], ({ comment: _, issue: __, ...call }) => call],
    ];
    hold('github', rows, reference);
  });

  test('WhatsApp', async () => {
    const { events, refusals } = await whatsappSays();
    const of = (type: string): Json[] =>
      events.filter(({ entry }) => entry[0]?.changes[0]?.value.messages[0]?.type === type);
    const rows: Row[] = [
      ['text', of('text'), ['text', 'text_reply']],
      ['file', of('document'), ['document']],
      ['edit', of('edit'), ['edit']],
      ['deletion', of('revoke'), ['revoke']],
      ['reaction', of('reaction'), ['reaction', 'reaction_removed']],
      ['press', of('interactive'), ['button_reply']],
      ['refusal', refusals, ['error_token']],
    ];
    hold('whatsapp', rows, { ...NOTHING, optional: ['error_subcode', 'edit.message.context'] });
  });
});

/** What it quotes is a message too. */
function withQuoted(message: Json): Json[] {
  return [message, ...(message['referenced_message'] ? [message['referenced_message'] as Json] : [])];
}

function bare({ referenced_message: _, ...message }: Json): Json {
  return message;
}

/** In lists of messages it is not said where they were said, and by which member. */
function listed({ guild_id: _, member: __, ...message }: Json): Json {
  return bare(message);
}

test('a field of another name, of another type, or left out is seen', () => {
  const document = { id: 'x', user: { name: 'Ann', avatar: 'a' }, files: [{ size: 1 }] };
  assert.deepEqual([...shapeOf([document])].slice(0, 3), ['id: string', 'user: object', 'user.name: string']);
  const found = (said: object, reference = NOTHING) => differences([said], [document], reference);
  assert.deepEqual(found(document), { undocumented: [], missing: [] });
  assert.deepEqual(found({ ...document, ident: 'x' }).undocumented, ['ident: string']);
  const number = found({ ...document, id: 1 });
  assert.deepEqual([number.undocumented, number.missing], [['id: number'], ['id: string']]);
  const faceless = { ...document, user: { name: 'Ann', avatar: null } };
  assert.deepEqual(found(faceless).undocumented, ['user.avatar: null']);
  assert.deepEqual(found(faceless, { ...NOTHING, nullable: ['avatar'] }), { undocumented: [], missing: [] });
  const { files: _, ...none } = document;
  assert.deepEqual(found(none).missing, ['files: array', 'files[]: object', 'files[].size: number']);
  assert.deepEqual(found(none, { ...NOTHING, optional: ['files'] }).missing, []);
});
