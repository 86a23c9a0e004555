import { z } from 'zod';
import { nameSchema } from '../../base/config.ts';
import { NOTHING, type Operation, value } from './operation.ts';

const name = nameSchema;

const INPUTS = {
  one: z.strictObject({ name }),
  add: z.strictObject({
    name,
    kind: z.string().min(1).max(30),
    settings: z.record(z.string().max(60), z.unknown()).default({}),
  }),
  test: z.strictObject({
    name,
    reply: z.boolean().default(true),
    to: z.string().min(1).max(300).nullable().default(null),
  }),
};

/** Accounts on platforms. */
export const CHANNELS: readonly Operation[] = [
  {
    name: 'channels',
    summary: 'the channels, and how they are',
    input: NOTHING,
    handle: async ({ channels }) =>
      value({ channels: channels.list(), webhooks: channels.webhooks.deaf?.reason ?? null }),
  },
  {
    name: 'channel_show',
    summary: 'one channel',
    input: INPUTS.one,
    handle: async ({ channels }, input: z.infer<typeof INPUTS.one>) => value(channels.show(input.name)),
  },
  {
    name: 'channel_add',
    summary: 'a channel, into glass.yaml; it begins at once',
    input: INPUTS.add,
    handle: async ({ channels }, { name, kind, settings }: z.infer<typeof INPUTS.add>) =>
      value(await channels.add(name, { kind, ...settings })),
  },
  {
    name: 'channel_retry',
    summary: 'a channel that is not well begins anew at once',
    input: INPUTS.one,
    handle: async ({ channels }, input: z.infer<typeof INPUTS.one>) => {
      channels.retry(input.name);
      return value(channels.show(input.name));
    },
  },
  {
    name: 'channel_remove',
    summary: 'a channel ends and leaves glass.yaml; what is recorded stays',
    input: INPUTS.one,
    handle: async ({ channels }, input: z.infer<typeof INPUTS.one>) => {
      await channels.remove(input.name);
      return value({ name: input.name, removed: true });
    },
  },
  {
    name: 'channel_unreadable',
    summary: 'what a channel was told and could not read, as it came',
    input: INPUTS.one,
    handle: async ({ channels }, { name }: z.infer<typeof INPUTS.one>) =>
      value({ name, events: channels.unreadable(name) }),
  },
  {
    name: 'channel_prove',
    summary: 'prove a channel without a word to anybody',
    input: INPUTS.one,
    handle: async ({ channels, prove }, { name }: z.infer<typeof INPUTS.one>) => {
      channels.show(name);
      return value(await prove(name));
    },
  },
  {
    name: 'channel_test',
    summary: 'try a channel with a person at its other end; a stream of steps',
    input: INPUTS.test,
    handle: async ({ channels }, { name, ...how }: z.infer<typeof INPUTS.test>) => ({
      kind: 'stream',
      run: channels.test(name, how),
    }),
  },
];
