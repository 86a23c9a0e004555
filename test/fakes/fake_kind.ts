import { z } from 'zod';
import type { ChannelKind } from '../../src/channels/kind.ts';
import { PlatformChannel } from './platform_channel.ts';

/** The fake platform as a kind of channel, whose driver runs in a thread as any other and misbehaves when it is told to. */
export const FAKE_KIND: ChannelKind = {
  kind: 'fake',
  driver: new URL('./fake_driver.ts', import.meta.url),
  title: 'Fake',
  summary: 'the fake platform',
  settings: z.strictObject({
    url: z.string(),
    deaf: z.boolean().default(false),
    unlinked: z.boolean().default(false),
    alone: z.boolean().default(false),
  }),
  secrets: [{ name: 'token', prompt: 'token of the fake' }],
  packages_mb: 0,
  webhook: 'optional',
  webhookAlone: ({ alone }) => alone === true,
  capabilities: () => new PlatformChannel('').capabilities,
  steps: () => ['Nothing is to be done.'],
};
