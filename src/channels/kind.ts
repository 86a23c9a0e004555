import type { z } from 'zod';
import type { Channel, ChannelCapabilities } from './channel.ts';

/**
 * What is known of a kind of channel without its packages: `<kind>/kind.ts`. The driver itself, `<kind>/driver.ts`, exports
 * `open: OpenDriver`; it is loaded in a thread of its own, once a channel of that kind is in `glass.yaml`.
 */
export interface ChannelKind {
  /** The name of its folder. */
  kind: string;
  /** The driver's file. */
  driver: URL;
  title: string;
  /** One line: what it connects. */
  summary: string;
  /** Of its block in `glass.yaml`, besides `kind`: strict. */
  settings: z.ZodObject<z.core.$ZodLooseShape, z.core.$strict>;
  /** What those are that it cannot do without, as the platform calls them: `glass channel add` asks for them. Absent: it needs none. */
  asks?: Readonly<Record<string, string>>;
  /** What the driver is given out of the vault, where it is of kind `channel` and called `<channel>-<name>`. */
  secrets: readonly ChannelSecret[];
  /** What a person waits for when its packages are installed; 0: it has none. */
  packages_mb: number;
  /** Without an address that the platform can reach it hears nothing (`always`), or hears by other means (`optional`). */
  webhook: 'never' | 'optional' | 'always';
  /** Where that is `optional`: whether with these settings nothing comes in but over HTTP. Absent: something always does. */
  webhookAlone?(settings: Record<string, unknown>): boolean;
  /** Where there are no direct chats: what a person is asked to say who they are there, as drivers name people. */
  person?: Pick<ChannelSecret, 'prompt' | 'looks'>;
  /** A person links it with their phone, once it runs: see `Channel.linking`. Absent: its tokens say which account it is. */
  linked?: true;
  /** What a person has to accept before one is added. Absent: nothing. */
  warning?: string;
  capabilities(settings: Record<string, unknown>): ChannelCapabilities;
  /** What a link to a message of this platform says, of any account; null: it is no such link. Absent: the platform has none. */
  messageOfLink?(url: URL): LinkedMessage | null;
  /** The files of the zip that a person uploads to the platform. Absent: there is nothing to upload. */
  upload?(settings: Record<string, unknown>): { name: string; data: Buffer }[];
  /** What a person does on the platform before the tokens are asked for: where to click, which scopes. One step each. */
  steps(channel: { name: string; settings: Record<string, unknown> }): string[];
}

export interface LinkedMessage {
  /** As drivers name the message. */
  platform_id: string;
  /** The chat's platform id; null: the message's says enough, or the link does not say it as drivers do. */
  chat: string | null;
}

export interface ChannelSecret {
  name: string;
  /** Names the thing as the platform does. */
  prompt: string;
  /** Told at once when what was typed cannot be it. */
  looks?: { like: RegExp; hint: string };
  /** It has several lines: it is given by its file. */
  file?: true;
  /** Two channels with the same one would take each other's messages away, or answer each twice: the second is refused. */
  alone?: true;
  /** 32 random bytes in base64url, made here when the channel is added, and shown to nobody. */
  made?: true;
  /** Whether the driver can do without, with these settings. */
  optional?: (settings: Record<string, unknown>) => boolean;
}

/** What a driver is made from. */
export interface DriverParts {
  /** Of the channel in `glass.yaml`. */
  name: string;
  /** As the kind's schema returned them. */
  settings: Record<string, unknown>;
  /** By the names of `ChannelKind.secrets`. Nowhere else, in no message and in no log. */
  secrets: Readonly<Record<string, string>>;
  /** In the host's home, this channel's alone; it goes with the channel. Who needs it makes it. */
  folder: string;
  /** Without secrets and without what people wrote. */
  log(level: 'info' | 'warn', event: string, fields?: Record<string, string | number>): void;
  /** To be called when `health` or `linking` would say something else than before. */
  changed(): void;
}

/** Makes the driver without a word to the platform. Throws when the settings and secrets cannot be right. */
export type OpenDriver = (parts: DriverParts) => Channel;
