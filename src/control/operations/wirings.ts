import { z } from 'zod';
import { nameSchema } from '../../base/config.ts';
import { MESSAGE_TEXT_BYTES_MAX } from '../../base/limits/messages.ts';
import { PATTERN_CHARS_MAX } from '../../base/limits/talk.ts';
import { type Operation, value } from './operation.ts';

const chat = z.string().min(3).max(400);

const INPUTS = {
  list: z.strictObject({ chat: chat.nullable().default(null) }),
  set: z.strictObject({
    chat,
    group: nameSchema,
    engage: z.enum(['always', 'pattern', 'mention', 'mention-sticky']).optional(),
    pattern: z.string().max(PATTERN_CHARS_MAX).optional(),
    context: z.enum(['drop', 'accumulate']).optional(),
    senders: z.string().min(1).max(4000).optional(),
    session: z.enum(['thread', 'chat', 'group']).optional(),
  }),
  one: z.strictObject({ chat, group: nameSchema }),
  policy: z.strictObject({ chat, policy: z.enum(['strict', 'ask', 'public']) }),
  test: z.strictObject({
    chat,
    text: z.string().max(MESSAGE_TEXT_BYTES_MAX),
    as: z.string().max(20).nullable().default(null),
    thread: z.string().max(200).default(''),
    addressed: z.boolean().default(false),
  }),
};

/** Who answers where. */
export const WIRINGS: readonly Operation[] = [
  {
    name: 'wirings',
    summary: 'which groups answer in which chats, and where none does',
    input: INPUTS.list,
    handle: async ({ wirings }, input: z.infer<typeof INPUTS.list>) =>
      value({ wirings: wirings.list(input.chat), unwired: input.chat === null ? wirings.unwired() : [] }),
  },
  {
    name: 'wiring_set',
    summary: 'let a group answer in a chat, or change how',
    input: INPUTS.set,
    handle: async ({ wirings }, { chat: where, group, ...asked }: z.infer<typeof INPUTS.set>) =>
      value(await wirings.set(where, group, asked)),
  },
  {
    name: 'wiring_remove',
    summary: 'a group answers in a chat no more',
    input: INPUTS.one,
    handle: async ({ wirings }, input: z.infer<typeof INPUTS.one>) =>
      value(await wirings.remove(input.chat, input.group)),
  },
  {
    name: 'wiring_policy',
    summary: 'what becomes of senders without a role in a chat',
    input: INPUTS.policy,
    handle: async ({ wirings }, input: z.infer<typeof INPUTS.policy>) =>
      value(await wirings.policy(input.chat, input.policy)),
  },
  {
    name: 'wiring_test',
    summary: 'who would answer a message, and why; nothing is sent or written',
    input: INPUTS.test,
    handle: async ({ wirings }, input: z.infer<typeof INPUTS.test>) =>
      value(wirings.test(input.chat, input.text, input.as, input)),
  },
];
