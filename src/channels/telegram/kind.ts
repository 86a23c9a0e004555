import { z } from 'zod';
import type { ChannelKind } from '../kind.ts';
import { showMessage } from './chats.ts';
import { TEXT_CHARS_MAX, UPLOAD_BYTES_MAX } from './limits.ts';

/** `api`: a Bot API server of one's own, or of a test. Its calls carry the token, so plain HTTP stays on the machine. */
const settings = z.strictObject({
  api: z
    .url()
    .refine((url) => /^https:\/\/[^/]+\/?$|^http:\/\/(127\.0\.0\.1|\[::1\]|localhost)(:\d+)?\/?$/.test(url), {
      error: 'must be https:// and a host alone; http:// only on this machine',
    })
    .optional(),
  webhook: z.url({ protocol: /^https$/, error: 'must be the https:// address that leads to this channel' }).optional(),
});

export type TelegramSettings = z.infer<typeof settings>;

export const telegram: ChannelKind = {
  kind: 'telegram',
  driver: new URL('./driver.ts', import.meta.url),
  title: 'Telegram',
  summary: 'a bot of Telegram, in direct chats, groups and topics',
  settings,
  secrets: [
    {
      name: 'token',
      alone: true,
      prompt: 'the bot token that @BotFather gave you',
      looks: {
        like: /^\d{5,15}:[A-Za-z0-9_-]{30,60}$/,
        hint: 'a bot token is a number, a colon and about 35 characters',
      },
    },
  ],
  packages_mb: 4,
  webhook: 'optional',
  webhookAlone: (given) => given['webhook'] !== undefined,
  capabilities: () => ({
    markup: 'telegram-html',
    text_max: TEXT_CHARS_MAX,
    file_bytes_max: UPLOAD_BYTES_MAX,
    buttons: true,
    quotes: true,
    edits: true,
    reactions: true,
    typing: true,
    threads: true,
    files_in: true,
    missed: 'of a day',
    writes_first: 'who has pressed Start',
  }),
  // A public link names its chat by a name that the ledger does not know.
  messageOfLink: ({ hostname, pathname }) => {
    const [, chat, message] = /^\/c\/(\d{1,13})(?:\/\d{1,15})?\/(\d{1,15})\/?$/.exec(pathname) ?? [];
    if (message === undefined || !/^(www\.)?(t|telegram)\.me$/.test(hostname)) return null;
    return { platform_id: showMessage(Number(`-100${chat}`), Number(message)), chat: null };
  },
  steps: () => [
    'In Telegram, write /newbot to @BotFather, and choose a name and a username that ends with "bot".',
    'Copy the token that it answers with: whoever has it is the bot.',
    'For groups where the bot should read everything: /setprivacy, choose the bot, Disable. Without it the bot sees commands, mentions and replies to it.',
    'To see reactions in a group, make the bot an administrator there; it needs no right.',
  ],
};
