import { readFileSync } from 'node:fs';
import { z } from 'zod';
import type { ChannelKind } from '../kind.ts';
import { isSafe, SERVICE_HOSTS } from './hosts.ts';
import { OFFER_BYTES_MAX, TEXT_CHARS_MAX } from './limits.ts';

const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Stands in `manifest.json` where the App ID is to be. */
const NO_APP = '00000000-0000-0000-0000-000000000000';
const address = z.string().refine(isSafe, 'must be an https address, or http on this machine');

/** The last four are other addresses of Microsoft's services, for tests and for what stands in between. */
const settings = z.strictObject({
  app_id: z.string().regex(GUID, 'must be the "Microsoft App ID" of the bot, in small letters'),
  tenant: z.string().regex(/^[\w-]+(\.[\w-]+)*$/, 'must be the "App Tenant ID" of the bot'),
  /** Where tokens come from. */
  login: address.default('https://login.microsoftonline.com'),
  /** Where it says which keys sign what we are sent. */
  openid: address.default('https://login.botframework.com/v1/.well-known/openidconfiguration'),
  /** Where a chat is opened with somebody who has not written yet. */
  service: address.default('https://smba.trafficmanager.net/teams'),
  /** Hosts that a chat may be at; with a dot before it, all below. */
  services: z.array(z.string().regex(/^\.?[\w-]+(\.[\w-]+)*$/, 'must be the name of a host')).default(SERVICE_HOSTS),
});

export type TeamsSettings = z.infer<typeof settings>;

export const teams: ChannelKind = {
  kind: 'teams',
  driver: new URL('./driver.ts', import.meta.url),
  title: 'Microsoft Teams',
  summary: 'a bot of your own in Microsoft Teams, in chats and in channels of teams',
  settings,
  asks: {
    app_id: 'the Microsoft App ID of the bot',
    tenant: 'the App Tenant ID of the bot',
  },
  secrets: [
    {
      name: 'password',
      prompt: 'the value of the client secret',
      looks: { like: /^[\w~.-]{20,100}$/, hint: 'it is the "Value" of the secret, not its "Secret ID"' },
    },
  ],
  packages_mb: 1,
  webhook: 'always',
  capabilities: () => ({
    markup: 'teams',
    text_max: TEXT_CHARS_MAX,
    file_bytes_max: OFFER_BYTES_MAX,
    buttons: true,
    cards: true,
    edits: true,
    typing: true,
    threads: true,
    files_in: true,
    writes_first: 'who has the app',
  }),
  // Between two people the link names their chat as Teams does, and not as a bot is told of it.
  messageOfLink: ({ hostname, pathname }) => {
    const [, named, message] = /^\/l\/message\/([^/]+)\/(\d{10,16})\/?$/.exec(pathname) ?? [];
    if (named === undefined || !/^teams\.(microsoft\.com|live\.com|cloud\.microsoft)$/.test(hostname)) return null;
    const chat = readable(named);
    return { platform_id: message!, chat: chat === null || chat.endsWith('@unq.gbl.spaces') ? null : chat };
  },
  upload: ({ app_id }) => {
    const [manifest, ...icons] = ['manifest.json', 'color.png', 'outline.png'].map((name) => ({
      name,
      data: readFileSync(new URL(name, import.meta.url)),
    }));
    const text = manifest!.data.toString('utf8').replaceAll(NO_APP, String(app_id));
    return [{ ...manifest!, data: Buffer.from(text) }, ...icons];
  },
  steps: ({ name }) => [
    'In https://portal.azure.com create an "Azure Bot" of the type "Single Tenant"; copy its Microsoft App ID (app_id) and its App Tenant ID (tenant).',
    'Beside the App ID open "Manage Password", make a new client secret and copy its Value.',
    `Under "Configuration" enter as messaging endpoint the public https address of this host with /hooks/${name} behind it.`,
    'Under "Channels" add "Microsoft Teams".',
    `Once the channel is added, "glass channel package ${name}" writes the app package: upload it in Teams under "Apps", "Manage your apps".`,
  ],
};

/** Null: what is no good percent-encoding. */
function readable(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch {
    return null;
  }
}
