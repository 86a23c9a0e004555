import {
  APPLICATION,
  BOT,
  type FakeAttachment,
  type FakeChannel,
  type FakeEmbed,
  type FakeMessage,
  type FakeRow,
  PERSON,
  type World,
} from './world.ts';

/** What an endpoint needs of its server. */
export interface RestHost {
  readonly world: World;
  readonly gatewayUrl: string;
  readonly sessionLimit: object;
  readonly answered: { id: string; type: number }[];
  readonly followUps: { token: string; content: string; flags: unknown }[];
  readonly nonces: Map<string, FakeMessage>;
  readonly allowed: unknown[];
  keep(file: { name: string; data: Buffer }): FakeAttachment;
  announce(type: string, message: FakeMessage, nonce?: string): void;
  /** Why no thread can be made. */
  readonly noThreads: Answer | null;
  /** An event about no message. */
  tell(type: string, data: object): void;
}

/** What an endpoint is asked: its path's parts, its query, its JSON, its files. */
export interface Call {
  method: string;
  parts: string[];
  query: URLSearchParams;
  body: Record<string, unknown>;
  files: { name: string; data: Buffer }[];
}

export interface Answer {
  status: number;
  body?: unknown;
  headers?: Record<string, string>;
}

const NONE: Answer = { status: 204 };
const ok = (body: unknown): Answer => ({ status: 200, body });

export function refusal(status: number, code: number, message: string): Answer {
  return { status, body: { message, code } };
}

const INVALID = refusal(400, 50035, 'Invalid Form Body');

/** Version 10 of Discord's REST API, as far as a driver asks. */
export function answerTo(discord: RestHost, call: Call): Answer {
  const { method, parts } = call;
  const [first, second, third] = parts;
  switch (`${method} ${first}`) {
    case 'GET gateway':
      return ok({ url: discord.gatewayUrl, shards: 1, session_start_limit: discord.sessionLimit });
    case 'GET users':
      return ok(BOT);
    case 'POST users':
      return openDm(discord, String(call.body['recipient_id']));
    case 'GET applications':
      return ok({ id: APPLICATION });
    case 'PUT applications':
      if (second !== APPLICATION) return refusal(403, 20012, 'You are not authorized');
      discord.world.commands = call.body as unknown as { name: string; description: string }[];
      return ok(call.body);
    case 'POST interactions':
      discord.answered.push({ id: second!, type: Number(call.body['type']) });
      return NONE;
    case 'POST webhooks':
    case 'PATCH webhooks':
      discord.followUps.push({ token: third!, content: String(call.body['content']), flags: call.body['flags'] });
      return ok({ id: discord.world.id() });
    default:
      return first === 'channels' ? channelCall(discord, call) : refusal(404, 0, '404: Not Found');
  }
}

function openDm({ world }: RestHost, person: string): Answer {
  if (person !== PERSON.id) return refusal(400, 50033, 'Invalid Recipient(s)');
  return ok([...world.channels.values()].find(({ type }) => type === 1));
}

function channelCall(discord: RestHost, call: Call): Answer {
  const [, id, what, message, more] = call.parts;
  const { world } = discord;
  const channel = world.channels.get(id!);
  if (channel === undefined) return refusal(404, 10003, 'Unknown Channel');
  if (what === undefined) return ok(channel);
  if (what === 'typing') {
    world.typing.push(channel.id);
    return NONE;
  }
  if (message === undefined)
    return call.method === 'GET' ? readHistory(discord, channel, call) : post(discord, channel, call);
  const found = world.messages.find((each) => each.id === message && each.channel_id === id);
  if (more === 'threads') return discord.noThreads ?? beginThread(discord, channel, found, call);
  if (found === undefined) return refusal(404, 10008, 'Unknown Message');
  if (call.method === 'GET') return ok(found);
  return call.method === 'PUT' ? react(discord, found, call) : edit(discord, found, call);
}

/** A message has one thread at most, which has its id. */
function beginThread(discord: RestHost, channel: FakeChannel, from: FakeMessage | undefined, { body }: Call): Answer {
  const { world } = discord;
  const { name = '', auto_archive_duration } = body as { name?: string; auto_archive_duration?: number };
  if (channel.type !== 0) return refusal(400, 50024, 'Cannot execute action on this channel type');
  if (from === undefined) return refusal(404, 10008, 'Unknown Message');
  if (world.channels.has(from.id)) return refusal(400, 160004, 'A thread has already been created for this message');
  if (name.length < 1 || name.length > 100 || ![60, 1440, 4320, 10080].includes(auto_archive_duration!)) return INVALID;
  const more = { type: 11, guild_id: channel.guild_id!, parent_id: channel.id, last_message_id: null };
  const thread: FakeChannel = { id: from.id, name, ...more };
  world.channels.set(thread.id, thread);
  discord.tell('THREAD_CREATE', { ...thread, newly_created: true });
  discord.announce('MESSAGE_CREATE', world.add({ channel_id: thread.id, author: from.author, type: 21 }));
  return { status: 201, body: thread };
}

function readHistory({ world }: RestHost, channel: FakeChannel, { query }: Call): Answer {
  const limit = Number(query.get('limit') ?? 50);
  if (limit > 100) return INVALID;
  return ok(world.history(channel.id, query.get('after'), query.get('before'), limit));
}

function react({ world }: RestHost, { id, channel_id }: FakeMessage, { parts }: Call): Answer {
  const emoji = decodeURIComponent(parts[5]!);
  if (/^\w+$/.test(emoji)) return refusal(400, 10014, 'Unknown Emoji');
  const same = world.reactions.some((each) => each.message === id && each.emoji === emoji);
  if (!same) world.reactions.push({ channel: channel_id, message: id, user: BOT.id, emoji });
  return NONE;
}

function edit(discord: RestHost, message: FakeMessage, { body }: Call): Answer {
  if (message.author.id !== BOT.id) return refusal(403, 50005, 'Cannot edit a message authored by another user');
  if (!fits(body)) return INVALID;
  const { content, embeds, components } = body as Partial<FakeMessage>;
  if (content !== undefined) message.content = content;
  if (embeds !== undefined) message.embeds = embeds;
  if (components !== undefined) message.components = components;
  message.edited_timestamp = new Date().toISOString();
  discord.announce('MESSAGE_UPDATE', message);
  return ok(message);
}

/** With `enforce_nonce` a second message of the same nonce is the first. */
function post(discord: RestHost, channel: FakeChannel, { body, files }: Call): Answer {
  const { world } = discord;
  const {
    content = '',
    nonce,
    message_reference,
  } = body as { content?: string; nonce?: string } & Partial<FakeMessage>;
  const { embeds = [], components = [] } = body as { embeds?: FakeEmbed[]; components?: FakeRow[] };
  if (!fits(body)) return INVALID;
  if (content === '' && embeds.length === 0 && files.length === 0)
    return refusal(400, 50006, 'Cannot send an empty message');
  if (files.some(({ data }) => data.length > 10 * 1024 ** 2)) return refusal(413, 40005, 'Request entity too large');
  discord.allowed.push(body['allowed_mentions']);
  const first = discord.nonces.get(`${channel.id}:${nonce}`);
  if (first !== undefined && body['enforce_nonce'] === true) return ok(first);
  const quoted = message_reference === undefined ? undefined : world.find(message_reference.message_id);
  if (quoted !== undefined && quoted.channel_id !== channel.id) return INVALID;
  const strict = (message_reference as { fail_if_not_exists?: boolean } | undefined)?.fail_if_not_exists !== false;
  if (message_reference !== undefined && quoted === undefined && strict) return INVALID;
  const message = world.add({
    ...{ channel_id: channel.id, author: BOT, content, embeds, components },
    attachments: files.map((file) => discord.keep(file)),
    ...(quoted === undefined ? {} : { message_reference: { message_id: quoted.id, channel_id: channel.id } }),
  });
  if (nonce !== undefined) discord.nonces.set(`${channel.id}:${nonce}`, message);
  discord.announce('MESSAGE_CREATE', message, nonce);
  return ok({ ...message, nonce });
}

/** The bounds that Discord documents. */
function fits(body: Record<string, unknown>): boolean {
  const {
    content = '',
    nonce = '',
    embeds = [],
    components = [],
  } = body as {
    content?: string;
    nonce?: string;
    embeds?: FakeEmbed[];
    components?: FakeRow[];
  };
  const buttons = components.flatMap((row) => row.components);
  return (
    content.length <= 2000 &&
    nonce.length <= 25 &&
    components.length <= 5 &&
    components.every((row) => row.components.length >= 1 && row.components.length <= 5) &&
    buttons.every(({ custom_id, label }) => custom_id.length <= 100 && label.length <= 80) &&
    embeds.every(
      ({ title = '', description = '', fields = [] }) =>
        title.length <= 256 &&
        description.length <= 4096 &&
        fields.length <= 25 &&
        fields.every(
          ({ name, value }) => name.length >= 1 && name.length <= 256 && value.length >= 1 && value.length <= 1024,
        ),
    )
  );
}
