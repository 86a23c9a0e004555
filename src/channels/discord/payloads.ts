import { z } from 'zod';

/** What Discord sends, as far as it is read: unknown fields are fine, missing ones are not. */

export const id = z.string().regex(/^\d{1,20}$/);

export const user = z.object({
  id,
  username: z.string().default(''),
  global_name: z.string().nullish(),
  bot: z.boolean().optional(),
});
export type User = z.infer<typeof user>;

const member = z.object({ nick: z.string().nullish(), user: user.optional() });

export const attachment = z.object({
  filename: z.string().default('file'),
  size: z.number(),
  url: z.string(),
});

/** A message as the history has it, and as an event carries it. */
export const message = z.object({
  id,
  channel_id: id,
  guild_id: id.optional(),
  type: z.number().default(0),
  author: user,
  webhook_id: id.nullish(),
  member: member.optional(),
  content: z.string().default(''),
  edited_timestamp: z.string().nullish(),
  nonce: z.union([z.string(), z.number()]).nullish(),
  mentions: z.array(user.extend({ member: z.object({ nick: z.string().nullish() }).optional() })).default([]),
  mention_roles: z.array(id).default([]),
  attachments: z.array(z.unknown()).default([]),
  sticker_items: z.array(z.object({ name: z.string() })).default([]),
  message_reference: z.object({ type: z.number().optional(), message_id: id.optional() }).optional(),
  referenced_message: z.object({ author: z.object({ id }) }).nullish(),
  message_snapshots: z.array(z.object({ message: z.object({ content: z.string().default('') }) })).default([]),
});
export type Message = z.infer<typeof message>;

export const deleted = z.object({ id, channel_id: id, guild_id: id.optional() });
export const deletedMany = z.object({ ids: z.array(id), channel_id: id, guild_id: id.optional() });
export const reaction = z.object({
  user_id: id,
  channel_id: id,
  message_id: id,
  guild_id: id.optional(),
  member: member.optional(),
  emoji: z.object({ id: id.nullish(), name: z.string().nullish() }),
});

/** `last_message_id`: of a channel where messages are; the message may be gone. */
export const channel = z.object({
  id,
  type: z.number(),
  guild_id: id.nullish(),
  name: z.string().nullish(),
  parent_id: id.nullish(),
  last_message_id: id.nullish(),
});
export type Channel = z.infer<typeof channel>;

const role = z.object({ id, tags: z.object({ bot_id: id.nullish() }).optional() });
export const guildRole = z.object({ guild_id: id, role });
/** Each channel and role is read for itself: one that is strange must not hide the others. */
export const guild = z.object({
  id,
  joined_at: z.string().nullish(),
  channels: z.array(z.unknown()).default([]),
  threads: z.array(z.unknown()).default([]),
  roles: z.array(z.unknown()).default([]),
});
export type Guild = z.infer<typeof guild>;
export const guildThreads = z.object({ guild_id: id, threads: z.array(z.unknown()).default([]) });
export { role };

export const ready = z.object({ user, application: z.object({ id }) });

/** `user` in a direct chat, `member` on a server. */
export const interaction = z.object({
  id,
  application_id: id,
  type: z.number(),
  token: z.string().regex(/^[\w.~-]{1,400}$/),
  channel_id: id,
  guild_id: id.optional(),
  channel: z.unknown().optional(),
  user: user.optional(),
  member: member.optional(),
  message: z.object({ id }).optional(),
  data: z.object({
    type: z.number().optional(),
    name: z.string().optional(),
    custom_id: z.string().optional(),
    component_type: z.number().optional(),
    options: z.array(z.object({ name: z.string(), value: z.unknown() })).optional(),
  }),
});
export type Interaction = z.infer<typeof interaction>;

/** Answers of the REST API. */
export const gatewayPlace = z.object({
  url: z.string(),
  session_start_limit: z
    .object({ remaining: z.number(), reset_after: z.number() })
    .default({ remaining: 1, reset_after: 0 }),
});
export const application = z.object({ id });
export const posted = z.object({ id });
export const history = z.array(z.unknown());
export const opened = z.object({ id, recipients: z.array(user).default([]) });
export const anything = z.unknown();
