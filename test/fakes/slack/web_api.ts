import type { SendFault } from '../../kits/channel_scene.ts';
import { BOT_ID, BOT_USER, type FakeBlock, type FakeMessage, TEAM, type Workspace } from './workspace.ts';

export type Args = Record<string, unknown>;
export type Answer = Record<string, unknown>;

/** What a method needs of its server. */
export interface ApiHost {
  readonly workspace: Workspace;
  readonly address: string;
  /** Bytes that were uploaded and are not shared yet, by file. */
  readonly uploads: Map<string, { name: string; data: Buffer }>;
  readonly ephemeral: { channel: string; user: string; text: string }[];
  /** Told to everybody who listens. */
  emit(event: Record<string, unknown>, ts: string): void;
}

export const SCOPES = [
  ...['app_mentions:read', 'channels:history', 'groups:history', 'im:history', 'mpim:history', 'channels:read'],
  ...['groups:read', 'im:read', 'mpim:read', 'im:write', 'users:read', 'chat:write', 'reactions:read'],
  ...['reactions:write', 'files:read', 'files:write', 'metadata.message:read'],
];

/** Methods that put a message into a chat: faults are theirs. */
export const WRITES = ['chat.postMessage', 'files.completeUploadExternal'];

/** What Slack answers instead, where a method is refused; the others are told by HTTP. */
export const REFUSALS: Partial<Record<SendFault, string>> = { gone: 'is_archived', refused: 'restricted_action' };

const no = (error: string, more: Answer = {}): Answer => ({ ok: false, error, ...more });

/** Slack's Web API, as far as a driver asks. */
export function callMethod(host: ApiHost, method: string, args: Args): Answer {
  const act = METHODS[method];
  return act === undefined ? no('unknown_method') : act(host, args);
}

const METHODS: Record<string, (host: ApiHost, args: Args) => Answer> = {
  'auth.test': () => ({
    ...{ ok: true, url: 'https://example.slack.com/', team: 'Example', user: 'glass' },
    ...{ team_id: TEAM, user_id: BOT_USER, bot_id: BOT_ID, is_enterprise_install: false },
  }),
  'users.info': ({ workspace }, { user }) => {
    const found = workspace.users[String(user)];
    if (found === undefined) return no('user_not_found');
    return { ok: true, user: { id: user, ...found, profile: { display_name: '', real_name: found.real_name } } };
  },
  'users.conversations': ({ workspace }) => ({
    ok: true,
    channels: Object.entries(workspace.chats).map(([id, chat]) => ({ id, ...chat })),
    response_metadata: { next_cursor: '' },
  }),
  'conversations.info': ({ workspace }, { channel }) => {
    const found = workspace.chats[String(channel)];
    return found === undefined ? no('channel_not_found') : { ok: true, channel: { id: channel, ...found } };
  },
  'conversations.open': ({ workspace }, { users }) => {
    const found = Object.entries(workspace.chats).find(([, { user }]) => user === users);
    return found === undefined ? no('user_not_found') : { ok: true, channel: { id: found[0] } };
  },
  'conversations.history': ({ workspace }, args) => pageOf(workspace.top(String(args['channel'])), args, 'newest'),
  'conversations.replies': ({ workspace }, args) =>
    pageOf(workspace.thread(String(args['channel']), String(args['ts'])), args, 'oldest'),
  'chat.postMessage': post,
  'chat.update': (host, { channel, ts, text, blocks }) => {
    const message = host.workspace.find(String(channel), String(ts));
    if (message === undefined) return no('message_not_found');
    if (message.user !== BOT_USER) return no('cant_update_message');
    if (String(text).length > 4000) return no('msg_too_long');
    const previous = { ...message };
    message.text = String(text);
    if (Array.isArray(blocks)) message.blocks = blocks as FakeBlock[];
    const event = { type: 'message', subtype: 'message_changed', channel, ts: host.workspace.ts() };
    host.emit({ ...event, message: { type: 'message', ...message }, previous_message: previous }, message.ts);
    return { ok: true, channel, ts, text };
  },
  'chat.postEphemeral': ({ ephemeral }, { channel, user, text }) => {
    ephemeral.push({ channel: String(channel), user: String(user), text: String(text) });
    return { ok: true, message_ts: '1.000001' };
  },
  'reactions.add': ({ workspace }, { channel, timestamp, name }) => {
    const at = { channel: String(channel), ts: String(timestamp), user: BOT_USER, name: String(name) };
    if (workspace.find(at.channel, at.ts) === undefined) return no('message_not_found');
    if (!/^[a-z0-9_+'-]+$/.test(at.name)) return no('invalid_name');
    if (workspace.reactions.some((each) => JSON.stringify(each) === JSON.stringify(at))) return no('already_reacted');
    workspace.reactions.push(at);
    return { ok: true };
  },
  'files.getUploadURLExternal': ({ uploads, address }, { filename, length }) => {
    if (!(Number(length) > 0)) return no('invalid_arguments');
    const id = `F0FILE${uploads.size + 1}`;
    uploads.set(id, { name: String(filename), data: Buffer.alloc(0) });
    return { ok: true, upload_url: `${address}/upload/v1/${id}`, file_id: id };
  },
  'files.completeUploadExternal': share,
};

function post(host: ApiHost, args: Args): Answer {
  const { channel, text, thread_ts, blocks, metadata } = args;
  if (host.workspace.chats[String(channel)] === undefined) return no('channel_not_found');
  if (String(text ?? '').length > 4000) return no('msg_too_long');
  if (String(text ?? '') === '' && blocks === undefined) return no('no_text');
  if (blocks !== undefined && !areValid(blocks as FakeBlock[])) return no('invalid_blocks');
  const message = host.workspace.add({
    ...ours(channel, text, thread_ts),
    ...(blocks === undefined ? {} : { blocks: blocks as FakeBlock[] }),
    ...(metadata === undefined ? {} : { metadata: metadata as NonNullable<FakeMessage['metadata']> }),
  });
  host.emit({ type: 'message', ...message, event_ts: message.ts }, message.ts);
  return { ok: true, channel, ts: message.ts, message };
}

function share(host: ApiHost, args: Args): Answer {
  const { channel_id, initial_comment, thread_ts, files } = args;
  const shared = (files as { id: string; title?: string }[]).map(({ id }) => ({ id, upload: host.uploads.get(id) }));
  if (host.workspace.chats[String(channel_id)] === undefined) return no('channel_not_found');
  if (shared.some(({ upload }) => upload === undefined || upload.data.length === 0)) return no('file_not_found');
  for (const { id, upload } of shared)
    host.workspace.files.set(id, { id, mimetype: 'application/octet-stream', ...upload! });
  const message = host.workspace.add({
    ...ours(channel_id, initial_comment ?? '', thread_ts),
    ...{ subtype: 'file_share', files: shared.map(({ id, upload }) => ({ id, name: upload!.name })) },
  });
  host.emit({ type: 'message', ...message, event_ts: message.ts }, message.ts);
  return { ok: true, files: shared.map(({ id }) => ({ id, title: '' })) };
}

function ours(channel: unknown, text: unknown, thread: unknown): Omit<FakeMessage, 'ts'> {
  return {
    ...{ channel: String(channel), user: BOT_USER, bot_id: BOT_ID, text: String(text) },
    ...(thread === undefined ? {} : { thread_ts: String(thread) }),
  };
}

/** By the reference of Block Kit. */
function areValid(blocks: FakeBlock[]): boolean {
  const ids = blocks.flatMap(({ elements }) => elements?.map(({ action_id }) => action_id) ?? []);
  return (
    new Set(ids).size === ids.length &&
    blocks.length <= 50 &&
    blocks.every(({ type, text, fields = [], elements = [] }) => {
      if ((text?.text.length ?? 1) < 1 || (text?.text.length ?? 0) > (type === 'header' ? 150 : 3000)) return false;
      if (fields.length > 10 || fields.some((field) => field.text.length > 2000)) return false;
      return elements.length <= 25 && elements.every((each) => each.text.text.length <= 75);
    })
  );
}

/**
 * A page between `oldest` and `latest`, neither included. A chat's history is newest first and begins at the end that is given:
 * with `oldest` alone it is the messages closest to that.
 */
function pageOf(all: object[], args: Args, first: 'newest' | 'oldest'): Answer {
  const { oldest, latest, cursor, limit = 100, include_all_metadata } = args;
  const within = (all as FakeMessage[]).filter(
    ({ ts }) => (oldest === undefined || ts > String(oldest)) && (latest === undefined || ts < String(latest)),
  );
  const forward = first === 'oldest' || (oldest !== undefined && latest === undefined);
  const line = forward ? within : within.toReversed();
  const begin = Number(cursor || 0);
  const end = begin + Number(limit);
  const page = line
    .slice(begin, end)
    .map(({ metadata, ...message }) =>
      String(include_all_metadata) === 'true' && metadata !== undefined ? { ...message, metadata } : message,
    );
  const next = end < line.length ? String(end) : '';
  const messages = forward && first === 'newest' ? page.toReversed() : page;
  return { ok: true, messages, has_more: next !== '', response_metadata: { next_cursor: next } };
}
