import { z } from 'zod';

/** What Telegram sends, as far as we read it. Unknown fields are fine: each version of the Bot API brings some. */

const user = z.object({
  id: z.int(),
  is_bot: z.boolean(),
  first_name: z.string(),
  last_name: z.string().optional(),
  username: z.string().optional(),
});

const chat = z.object({
  id: z.int(),
  type: z.string(),
  title: z.string().optional(),
  first_name: z.string().optional(),
  last_name: z.string().optional(),
});

const entity = z.object({
  type: z.string(),
  /** In UTF-16 units, as JavaScript counts. */
  offset: z.int(),
  length: z.int(),
  url: z.string().optional(),
  user: user.optional(),
});

const file = z.object({
  file_id: z.string(),
  file_size: z.int().optional(),
  file_name: z.string().optional(),
});

export const message = z.object({
  message_id: z.int(),
  date: z.int(),
  edit_date: z.int().optional(),
  chat,
  from: user.optional(),
  /** A chat that speaks: an anonymous administrator, or a channel. */
  sender_chat: chat.optional(),
  message_thread_id: z.int().optional(),
  is_topic_message: z.boolean().optional(),
  reply_to_message: z.object({ message_id: z.int(), from: user.optional() }).optional(),
  forward_origin: z.unknown().optional(),
  text: z.string().optional(),
  caption: z.string().optional(),
  entities: z.array(entity).optional(),
  caption_entities: z.array(entity).optional(),
  /** The same picture in several sizes, the largest last. */
  photo: z.array(file).optional(),
  document: file.optional(),
  audio: file.optional(),
  voice: file.optional(),
  video: file.optional(),
  video_note: file.optional(),
  sticker: z.object({ emoji: z.string().optional() }).optional(),
  location: z.object({ latitude: z.number(), longitude: z.number() }).optional(),
  contact: z.object({ first_name: z.string(), phone_number: z.string() }).optional(),
  migrate_to_chat_id: z.int().optional(),
  migrate_from_chat_id: z.int().optional(),
});

const reaction = z.object({
  type: z.string(),
  emoji: z.string().optional(),
  custom_emoji_id: z.string().optional(),
});

const reacted = z.object({
  chat,
  message_id: z.int(),
  user: user.optional(),
  actor_chat: chat.optional(),
  date: z.int(),
  old_reaction: z.array(reaction),
  new_reaction: z.array(reaction),
});

const pressed = z.object({
  id: z.string(),
  from: user,
  data: z.string().optional(),
  /** Without its text once it is old. */
  message: z
    .object({
      message_id: z.int(),
      chat,
      message_thread_id: z.int().optional(),
      is_topic_message: z.boolean().optional(),
    })
    .optional(),
});

/** Named in `allowed_updates`: what is not named there never comes, and reactions only if they are. */
export const KINDS = ['message', 'edited_message', 'callback_query', 'message_reaction'] as const;

export const envelope = z.object({ update_id: z.int() });

export const update = z.object({
  update_id: z.int(),
  message: message.optional(),
  edited_message: message.optional(),
  callback_query: pressed.optional(),
  message_reaction: reacted.optional(),
});

export type TgUser = z.infer<typeof user>;
export type TgChat = z.infer<typeof chat>;
export type TgMessage = z.infer<typeof message>;
export type TgEntity = z.infer<typeof entity>;
export type TgFile = z.infer<typeof file>;
export type TgReacted = z.infer<typeof reacted>;
export type TgPressed = z.infer<typeof pressed>;
export type TgUpdate = z.infer<typeof update>;
