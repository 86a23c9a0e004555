import { z } from 'zod';
import type { ChannelKind } from '../kind.ts';
import { EDIT_EVERY_MS, TEXT_CHARS_MAX, UPLOAD_BYTES_MAX } from './limits.ts';

const PHONE = 'must be the number of the phone with its country code, such as +4917012345678';

/**
 * `phone`: WhatsApp on that number is linked by a code that is typed there; without it, by a picture that it scans. `server`: another
 * one, of a test; Baileys speaks with it only if it has WhatsApp's own certificate.
 */
const settings = z.strictObject({
  phone: z
    .union([z.string(), z.int()], { error: PHONE })
    .transform((given) => String(given).replace(/^\+/, '').replace(/[ -]/g, ''))
    .refine((digits) => /^[1-9]\d{6,14}$/.test(digits), { error: PHONE })
    .optional(),
  server: z
    .url()
    .refine((url) => /^wss:\/\/[^/@]+\/|^ws:\/\/(127\.0\.0\.1|\[::1\]|localhost)(:\d+)?\//.test(url), {
      error: 'must be wss:// and an address; ws:// only on this machine',
    })
    .optional(),
});

export type LinkedSettings = z.infer<typeof settings>;

export const whatsappLinked: ChannelKind = {
  kind: 'whatsapp-linked',
  driver: new URL('./driver.ts', import.meta.url),
  title: 'WhatsApp (linked device)',
  summary: 'an ordinary WhatsApp account, as one more of its devices; unofficial',
  settings,
  secrets: [
    {
      name: 'key',
      prompt: 'the key that seals what this device has to keep',
      made: true,
      looks: { like: /^[A-Za-z0-9_-]{43}$/, hint: 'it is 32 random bytes in base64url' },
    },
  ],
  packages_mb: 30,
  webhook: 'never',
  linked: true,
  warning:
    'This is not an official interface of WhatsApp. WhatsApp bans numbers that are used so, without notice and sometimes for good. Use a spare number that you can lose, let people write to it first, and never send to many.',
  capabilities: () => ({
    markup: 'whatsapp',
    text_max: TEXT_CHARS_MAX,
    file_bytes_max: UPLOAD_BYTES_MAX,
    quotes: true,
    edits: true,
    edit_every_ms: EDIT_EVERY_MS,
    reactions: true,
    typing: true,
    files_in: true,
    missed: 'what WhatsApp has kept',
    writes_first: 'who is on WhatsApp',
  }),
  steps: ({ name, settings: given }) => [
    'Take a phone with a spare number, and set up WhatsApp on it. It need not stay on, but WhatsApp unlinks devices of a phone that was away for two weeks.',
    given['phone'] === undefined
      ? 'In WhatsApp, open "Linked devices", "Link a device", and scan the picture that is shown here in a moment.'
      : 'In WhatsApp, open "Linked devices", "Link a device", "Link with phone number instead", and type the code that is shown here in a moment.',
    `If it is unlinked later, "glass channel link ${name}" shows a new one.`,
  ],
};
