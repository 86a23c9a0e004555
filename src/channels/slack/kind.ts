import { z } from 'zod';
import { FILE_BYTES_MAX } from '../../base/limits/messages.ts';
import type { ChannelKind } from '../kind.ts';
import { SLACK_TEXT_CHARS_MAX } from './limits.ts';

/** `api`: where the Web API is, with its last slash; only this machine may be spoken to without TLS. */
export const slackSettings = z.strictObject({
  mode: z.enum(['socket', 'events']).default('socket'),
  api: z.string().refine(isSafe, 'must be an https address, or http on this machine').optional(),
});

function isSafe(address: string): boolean {
  const url = URL.parse(address);
  if (url === null || url.username !== '' || url.password !== '') return false;
  const local = /^(127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(url.hostname);
  return url.protocol === 'https:' || (url.protocol === 'http:' && local);
}

export const slack: ChannelKind = {
  kind: 'slack',
  driver: new URL('./driver.ts', import.meta.url),
  title: 'Slack',
  summary: 'an app of your own in a Slack workspace',
  settings: slackSettings,
  secrets: [
    {
      name: 'bot',
      alone: true,
      prompt: 'Bot User OAuth Token',
      looks: { like: /^xoxb-[\w-]+$/, hint: 'it begins with xoxb-, under "OAuth & Permissions"' },
    },
    {
      name: 'app',
      alone: true,
      prompt: 'App-Level Token',
      looks: { like: /^xapp-[\w-]+$/, hint: 'it begins with xapp-, under "Basic Information", "App-Level Tokens"' },
      optional: (settings) => settings['mode'] === 'events',
    },
    {
      name: 'signing',
      prompt: 'Signing Secret',
      looks: { like: /^[0-9a-f]{32}$/, hint: 'it is 32 hexadecimal digits, under "Basic Information"' },
      optional: (settings) => settings['mode'] !== 'events',
    },
  ],
  packages_mb: 16,
  webhook: 'optional',
  webhookAlone: ({ mode }) => mode === 'events',
  capabilities: () => ({
    markup: 'slack-mrkdwn',
    text_max: SLACK_TEXT_CHARS_MAX,
    file_bytes_max: FILE_BYTES_MAX,
    buttons: true,
    cards: true,
    edits: true,
    reactions: true,
    threads: true,
    files_in: true,
    missed: 'of a week',
    writes_first: 'who is in the workspace',
  }),
  messageOfLink: ({ hostname, pathname }) => {
    const [, chat, seconds, micros] = /^\/archives\/([A-Z0-9]{3,20})\/p(\d{10})(\d{6})\/?$/.exec(pathname) ?? [];
    if (chat === undefined || !/\.slack(-gov)?\.com$/.test(hostname)) return null;
    return { platform_id: `${seconds}.${micros}`, chat };
  },
  steps: ({ settings }) => [
    'Open https://api.slack.com/apps, "Create New App", "From a manifest", choose the workspace, and paste src/channels/slack/manifest.yaml.',
    ...(settings['mode'] === 'events'
      ? [
          'Under "Socket Mode" turn it off; under "Event Subscriptions" and "Interactivity & Shortcuts" enter the address of this channel.',
          'Under "Basic Information" copy the Signing Secret.',
        ]
      : [
          'Under "Basic Information", "App-Level Tokens", generate one with the scope connections:write; it begins with xapp-.',
        ]),
    'Under "Install App" install it to the workspace and copy the Bot User OAuth Token; it begins with xoxb-.',
    'In Slack, open the app and write to it under "Messages"; invite it to channels with /invite.',
  ],
};
