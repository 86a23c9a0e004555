import { z } from 'zod';
import type { ChannelKind } from '../kind.ts';
import { DISCORD_TEXT_CHARS_MAX, UPLOAD_BYTES_MAX } from './limits.ts';

/**
 * `api`: where the REST API is, without its version. Its calls carry the token, so plain HTTP stays on the machine. `threads`: a mention in
 * a channel is answered in a thread of its own; unless it is `false`.
 */
export const discordSettings = z.strictObject({
  api: z.string().refine(isSafe, 'must be an https address, or http on this machine').optional(),
  threads: z.boolean().optional(),
});

function isSafe(address: string): boolean {
  const url = URL.parse(address);
  if (url === null || url.username !== '' || url.password !== '' || url.search !== '') return false;
  const local = /^(127\.\d+\.\d+\.\d+|\[::1\]|localhost)$/.test(url.hostname);
  return url.protocol === 'https:' || (url.protocol === 'http:' && local);
}

export const discord: ChannelKind = {
  kind: 'discord',
  driver: new URL('./driver.ts', import.meta.url),
  title: 'Discord',
  summary: 'a bot of Discord, in direct chats, channels and threads',
  settings: discordSettings,
  secrets: [
    {
      name: 'token',
      alone: true,
      prompt: 'the token of the bot',
      looks: {
        like: /^[\w-]{20,}\.[\w-]{5,}\.[\w-]{20,}$/,
        hint: 'it is three parts with dots between them, under "Bot", "Reset Token"',
      },
    },
  ],
  packages_mb: 15,
  webhook: 'never',
  capabilities: () => ({
    markup: 'discord',
    text_max: DISCORD_TEXT_CHARS_MAX,
    file_bytes_max: UPLOAD_BYTES_MAX,
    buttons: true,
    cards: true,
    quotes: true,
    edits: true,
    reactions: true,
    typing: true,
    threads: true,
    files_in: true,
    missed: 'of a week',
    writes_first: 'who shares a server with it',
  }),
  // A link into a thread names the thread, of which the host's chat is a part: the message's id is enough.
  messageOfLink: ({ hostname, pathname }) => {
    const [, message] = /^\/channels\/(?:@me|\d{1,20})\/\d{1,20}\/(\d{1,20})\/?$/.exec(pathname) ?? [];
    if (message === undefined || !/^((www|ptb|canary)\.)?discord(app)?\.com$/.test(hostname)) return null;
    return { platform_id: message, chat: null };
  },
  steps: () => [
    'Open https://discord.com/developers/applications and create an application ("New Application").',
    'Under "Bot" switch on "Message Content Intent", press "Reset Token" and copy the token.',
    'Under "Installation" choose "Guild Install" with the scopes applications.commands and bot, and the permissions View Channels, Send Messages, Create Public Threads, Send Messages in Threads, Read Message History, Add Reactions, Attach Files and Embed Links.',
    'Open the install link of that page and choose your server; then write to the bot, or mention it in a channel.',
  ],
};
