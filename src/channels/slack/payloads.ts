import { z } from 'zod';

/** What Slack sends, as far as it is read: unknown fields are fine, missing ones are not. */

const ts = z.string().regex(/^\d{1,12}\.\d{1,9}$/);
const id = z.string().min(1).max(64);

const file = z.object({
  id,
  name: z.string().nullish(),
  title: z.string().nullish(),
  size: z.number().optional(),
  mode: z.string().optional(),
  mimetype: z.string().nullish(),
  url_private: z.string().optional(),
  url_private_download: z.string().optional(),
  file_access: z.string().optional(),
});
export type SlackFile = z.infer<typeof file>;

/** A message as the history has it, and as an event carries it. */
export const slackMessage = z.object({
  ts,
  subtype: z.string().optional(),
  user: id.nullish(),
  bot_id: id.nullish(),
  username: z.string().nullish(),
  text: z.string().nullish(),
  thread_ts: ts.optional(),
  parent_user_id: id.nullish(),
  latest_reply: ts.optional(),
  edited: z.object({ ts }).optional(),
  files: z.array(z.unknown()).optional(),
  attachments: z
    .array(
      z.object({ is_share: z.boolean().optional(), text: z.string().nullish(), author_name: z.string().nullish() }),
    )
    .optional(),
  metadata: z
    .object({ event_type: z.string().optional(), event_payload: z.record(z.string(), z.unknown()).optional() })
    .optional(),
});
export type SlackMessage = z.infer<typeof slackMessage>;
export const slackFile = file;

export const messageEvent = slackMessage.extend({ channel: id });
export const changedEvent = z.object({
  channel: id,
  ts,
  message: slackMessage,
  previous_message: z.object({ text: z.string().nullish() }).optional(),
});
export const deletedEvent = z.object({ channel: id, ts, deleted_ts: ts });
export const reactionEvent = z.object({
  user: id,
  reaction: z.string().min(1).max(100),
  item: z.object({ type: z.string(), channel: id.optional(), ts: ts.optional() }),
  event_ts: ts,
});

/** What is around an event, over HTTP and in an envelope alike. */
export const eventCallback = z.object({
  team_id: z.string().nullish(),
  event_id: z.string().optional(),
  authorizations: z.array(z.object({ team_id: z.string().nullish() })).optional(),
  event: z.looseObject({ type: z.string(), subtype: z.string().optional() }),
});

export const blockActions = z.object({
  type: z.literal('block_actions'),
  user: z.object({ id, name: z.string().optional(), username: z.string().optional() }),
  channel: z.object({ id }),
  message: z.object({ ts, thread_ts: ts.optional() }),
  response_url: z.string().optional(),
  actions: z.array(z.object({ type: z.string(), value: z.string().optional(), action_ts: ts })).min(1),
});
export type BlockActions = z.infer<typeof blockActions>;

/** What a socket says first. */
export const hello = z.object({ type: z.literal('hello'), num_connections: z.number().optional() });

/** What it brings: an event has its own type, everything else has none. */
export const envelope = z.union([
  z.object({
    type: z.literal('events_api'),
    envelope_id: z.string(),
    payload: z.object({ event: z.object({ type: z.string() }) }),
  }),
  z.object({ type: z.string().refine((type) => type !== 'events_api' && type !== 'hello'), envelope_id: z.string() }),
]);

/** Answers of the Web API. */
export const identity = z.object({
  team_id: id,
  team: z.string().default(''),
  user_id: id,
  user: z.string().default(''),
  bot_id: id.nullish(),
  response_metadata: z.object({ scopes: z.array(z.string()).optional() }).optional(),
});
export type Identity = z.infer<typeof identity>;
const next = z.object({ next_cursor: z.string().optional() }).optional();
/** Each message is read for itself: one that is strange must not hide the others. */
export const page = z.object({
  messages: z.array(z.unknown()),
  has_more: z.boolean().optional(),
  response_metadata: next,
});
export const chats = z.object({ channels: z.array(z.object({ id })), response_metadata: next });
export const posted = z.object({ ts });
export const opened = z.object({ channel: z.object({ id }) });
export const person = z.object({
  user: z.object({
    name: z.string().default(''),
    real_name: z.string().nullish(),
    is_bot: z.boolean().optional(),
    profile: z.object({ display_name: z.string().nullish(), real_name: z.string().nullish() }).optional(),
  }),
});
export const chat = z.object({
  channel: z.object({ name: z.string().nullish(), is_im: z.boolean().optional(), user: id.nullish() }),
});
export const uploadPlace = z.object({ upload_url: z.string(), file_id: id });
const shares = z.record(z.string(), z.array(z.object({ ts })));
export const fileInfo = z.object({ file: file.extend({ shares: z.record(z.string(), shares).optional() }) });
export const anything = z.looseObject({});
