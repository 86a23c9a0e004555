import { z } from 'zod';
import type { ChannelKind } from '../kind.ts';
import { TEXT_CHARS_MAX, UPLOAD_BYTES_MAX } from './limits.ts';

const NUMBER_ID = 'must be the digits of the Phone number ID';

/** `api`: another Graph server, of a test. Its calls carry the token, so plain HTTP stays on the machine. */
export const whatsappSettings = z.strictObject({
  mode: z
    .literal('cloud', { error: 'must be "cloud"; for a linked device add the kind whatsapp-linked' })
    .default('cloud'),
  phone_number_id: z.string({ error: `${NUMBER_ID}, in quotes` }).regex(/^\d{5,20}$/, NUMBER_ID),
  api: z
    .url()
    .refine((url) => /^https:\/\/[^/@]+\/?$|^http:\/\/(127\.0\.0\.1|\[::1\]|localhost)(:\d+)?\/?$/.test(url), {
      error: 'must be https:// and a host alone; http:// only on this machine',
    })
    .optional(),
  /** What is said to somebody who has not written for a day: approved by Meta, its body with one parameter. */
  template: z
    .strictObject({
      name: z.string().regex(/^[a-z0-9_]{1,512}$/, 'must be the name of a template: a–z, 0–9 and _'),
      language: z
        .string()
        .regex(/^[a-z]{2,3}(_[A-Z]{2,4})?$/, 'must be a language such as en or en_US')
        .default('en_US'),
    })
    .optional(),
});

export type WhatsappSettings = z.infer<typeof whatsappSettings>;

export const whatsapp: ChannelKind = {
  kind: 'whatsapp',
  driver: new URL('./driver.ts', import.meta.url),
  title: 'WhatsApp',
  summary: 'a business number on WhatsApp’s Cloud API, in direct chats',
  settings: whatsappSettings,
  asks: { phone_number_id: 'the Phone number ID, which is not the phone number' },
  secrets: [
    {
      name: 'token',
      prompt: 'access token of the system user',
      looks: { like: /^[A-Za-z0-9_-]{20,1000}$/, hint: 'it is one long word that begins with EAA' },
    },
    {
      name: 'app-secret',
      prompt: 'App secret',
      looks: { like: /^[0-9a-f]{32}$/, hint: 'it is 32 hexadecimal digits, under "App settings", "Basic"' },
    },
    {
      name: 'verify',
      prompt: 'Verify token: a word of your own, the same that you enter at Meta',
      looks: { like: /^[\w.~-]{8,200}$/, hint: 'at least 8 letters and digits' },
    },
  ],
  packages_mb: 0,
  webhook: 'always',
  capabilities: () => ({
    markup: 'whatsapp',
    text_max: TEXT_CHARS_MAX,
    file_bytes_max: UPLOAD_BYTES_MAX,
    buttons: true,
    quotes: true,
    reactions: true,
    typing: true,
    files_in: true,
    receipts: true,
    missed: 'of a day',
    writes_first: 'for 24 hours after they wrote, then by a template',
  }),
  steps: ({ name }) => [
    'Open https://developers.facebook.com/apps, make an app for the use case "Connect with customers through WhatsApp", and add a phone number that no WhatsApp app uses.',
    'Under "WhatsApp", "API Setup", copy the Phone number ID (phone_number_id); it is not the phone number.',
    'In the Business Settings make a system user, assign the app and the WhatsApp account to it, and generate a token that never expires, with whatsapp_business_messaging and whatsapp_business_management.',
    'Under "App settings", "Basic", copy the App secret; think of a word for the Verify token.',
    `Under "WhatsApp", "Configuration", enter https://<your address>/hooks/${name} and the Verify token, and subscribe to "messages": Meta calls at once, so the host has to run already.`,
    `Then run "glass pair ${name}" and open the address that it prints.`,
  ],
};
