import { parse } from 'node:path';
import { z } from 'zod';
import { CHANNELS_MAX } from './limits/channels.ts';
import * as messageLimits from './limits/messages.ts';
import * as limits from './limits/sandbox.ts';
import { parseYaml, readYaml } from './yaml.ts';

/** What the operator's files share, and the strict schema of `glass.yaml`. Unknown keys are refused; every default is the safe one. */

const NAME = /^[a-z][a-z0-9-]{0,30}$/;
export const nameSchema = z.string().regex(NAME, 'must be 1–31 of a–z, 0–9 and "-", starting with a letter');

const SIZE = /^(\d{1,6})(KiB|MiB|GiB)$/;
const UNIT_BYTES: Record<string, number> = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
export const sizeSchema = z
  .string()
  .regex(SIZE, 'must be a size such as "512MiB" or "2GiB"')
  .transform((text) => {
    const [, count, unit] = SIZE.exec(text)!;
    return Number(count) * UNIT_BYTES[unit!]!;
  })
  .refine((bytes) => bytes >= UNIT_BYTES['MiB']!, 'must be at least 1MiB');

const DURATION = /^(\d{1,6})(s|m|h)$/;
const UNIT_MS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000 };
export const durationSchema = z
  .string()
  .regex(DURATION, 'must be a duration such as "90s", "15m" or "2h"')
  .transform((text) => {
    const [, count, unit] = DURATION.exec(text)!;
    return Number(count) * UNIT_MS[unit!]!;
  })
  .refine((ms) => ms >= 1000 && ms <= messageLimits.DURATION_MAX_MS, 'must be between 1s and 24 days');

const DAYS = /^([1-9]\d{0,3})d$/;
export const daysSchema = z
  .string()
  .regex(DAYS, 'must be a number of days such as "90d"')
  .transform((text) => Number(DAYS.exec(text)![1]) * 24 * UNIT_MS['h']!);

/** How a model API is spoken. `openai` is Chat Completions, which most self-hosted servers offer. */
export const providerSchema = z.enum(['anthropic', 'openai', 'ollama']);
export type Provider = z.infer<typeof providerSchema>;

export const harnessSchema = z.enum(['probe', 'native', 'claude']);
export type HarnessName = z.infer<typeof harnessSchema>;

export const runtimeSchema = z.enum(['bubblewrap', 'docker', 'podman']);
export type RuntimeName = z.infer<typeof runtimeSchema>;

/** How much a model thinks, in words that every provider knows. */
export const effortSchema = z.enum(['low', 'medium', 'high']);

/** Without `effort`: as much as it does by itself. */
export type ModelConfig = { provider: Provider; name: string; upstream: string; secret: string | null } & {
  effort?: z.infer<typeof effortSchema>;
};

const pathSchema = z
  .string()
  .regex(/^(?:\/|~\/)[^\x00-\x1f\x7f]*$/, 'must be an absolute path, or one that begins with ~/');

const azureKeySchema = z.strictObject({
  key: z.literal('azure'),
  /** Of the Key Vault. */
  url: z.string().regex(/^https:\/\/[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::\d+)?$/, 'must be "https://<name>.vault.azure.net"'),
  /** Of the RSA key in it. */
  name: z.string().regex(/^[A-Za-z0-9-]{1,127}$/, 'must be the name of a key'),
  /** Of a user-assigned identity; absent: the machine's own. */
  client_id: z.uuid().optional(),
});
export type AzureKeyConfig = z.infer<typeof azureKeySchema>;

/** Where the key of the vault comes from. Another one is never tried. */
const vaultSchema = z.discriminatedUnion('key', [
  z.strictObject({ key: z.literal('file') }),
  z.strictObject({
    key: z.literal('systemd'),
    credential: z
      .string()
      .regex(/^[a-z][a-z0-9._-]{0,99}$/, 'must be the name of a credential')
      .default('glassclaw-vault-key'),
  }),
  z.strictObject({ key: z.literal('keyring') }),
  azureKeySchema,
]);
export type VaultConfig = z.infer<typeof vaultSchema>;

/** An OneCLI gateway on this machine, for services that say `via: onecli`. */
const oneCliSchema = z.strictObject({
  /** It speaks plain http, and the token goes to it in the clear: to this machine only. */
  gateway: z
    .string()
    .regex(/^http:\/\/(?:127\.0\.0\.1|localhost):[1-9]\d{0,4}$/, 'must be http://127.0.0.1 or localhost, and a port')
    .default('http://127.0.0.1:10255'),
  /** Name of the secret that is the agent's access token there. */
  token: nameSchema,
  /** PEM file of its certificate authority: the only one that is believed on this way. */
  ca: pathSchema,
});
export type OneCliConfig = z.infer<typeof oneCliSchema>;

const LISTEN = /^(\[[0-9a-f:]+\]|[a-z0-9.-]+):([1-9]\d{0,4})$/;

const listenSchema = z
  .string()
  .regex(LISTEN, 'must be an address and a port such as 127.0.0.1:8787')
  .transform((text) => {
    const [, host, port] = LISTEN.exec(text)!;
    return { host: host!.replace(/^\[|\]$/g, ''), port: Number(port) };
  });

/** Where what comes in over HTTP is listened for. Loopback, unless somebody says otherwise: what stands there ends TLS. */
const webhooksSchema = z.strictObject({ listen: listenSchema.prefault('127.0.0.1:8787') });

const LOOPBACK = ['127.0.0.1', '::1', 'localhost'];

/** Numbers for a Prometheus that asks. They name groups and channels, and there is no password. */
const metricsSchema = z
  .strictObject({
    prometheus: listenSchema.prefault('127.0.0.1:9464'),
    /** Other machines may ask too. */
    public: z.boolean().default(false),
  })
  .refine(({ prometheus, public: open }) => open || LOOPBACK.includes(prometheus.host), {
    message: 'is not an address of this machine alone; say public: true if other machines are to read it',
    path: ['prometheus'],
  });

/** Where traces of messages go, without a word of their texts. */
const otlpSchema = z.strictObject({
  /** Of a collector of OpenTelemetry; `/v1/traces` is put behind it. */
  endpoint: z
    .string()
    .regex(
      /^(?:https:\/\/[a-z0-9.-]+|http:\/\/(?:127\.0\.0\.1|localhost|\[::1\]))(?::[1-9]\d{0,4})?(?:\/[\w./-]*)?$/i,
      'must be "https://collector.example.com:4318", or http on this machine',
    ),
  /** By header, the name of the secret of kind `channel` that is its value. */
  headers: z.record(z.string().regex(/^[A-Za-z0-9-]{1,60}$/, 'must be the name of a header'), nameSchema).default({}),
});

/** What more a channel's block says is for its kind to check. */
const channelSchema = z.looseObject({ kind: z.string().min(1).max(30) });
export type ChannelConfig = z.infer<typeof channelSchema>;

/** These the host has of itself. */
const OWN_CHANNELS = ['local', 'agents'];

const channelsSchema = z
  .record(nameSchema, channelSchema)
  .refine((channels) => Object.keys(channels).length <= CHANNELS_MAX, `must be at most ${CHANNELS_MAX}`)
  .refine((channels) => !OWN_CHANNELS.some((name) => name in channels), 'local and agents exist already');

/** Plain http only on this machine: what goes wrong here is nobody else's to read. */
const alertUrl = z
  .string()
  .max(2000)
  .regex(
    /^(?:https:\/\/|http:\/\/(?:127\.0\.0\.1|localhost)(?=[:/]))[^\s@]+$/,
    'must begin with https:// and have no "@"',
  )
  .refine((text) => URL.canParse(text), 'must be an address');

/** Ways by which alerts get out besides chats. */
const alertsSchema = z.strictObject({
  /** A program and its arguments; it gets each alert as JSON on standard input. */
  command: z
    .array(z.string().min(1).max(4096))
    .min(1)
    .max(32)
    .refine(([program]) => program?.startsWith('/') === true, 'must begin with the absolute path of a program')
    .optional(),
  /** Each alert is posted there as JSON, by the gateway. */
  webhook: alertUrl.optional(),
  /** Asked for once a minute, by the gateway, for as long as messages can be answered. */
  heartbeat: alertUrl.optional(),
});
export type AlertsConfig = z.infer<typeof alertsSchema>;

const installSchema = z.strictObject({
  runtime: runtimeSchema.default('bubblewrap'),
  /** The group that answers the operator in `glass chat`. */
  default_group: nameSchema.default('assistant'),
  /** Base image of the docker and podman runtimes. */
  image: z.string().min(1).max(200).default('glassclaw-sandbox:local'),
  /** PEM file of more certificate authorities that the gateway believes: a company's own. Never shown to a sandbox. */
  upstream_ca: pathSchema.optional(),
  /** Whether chats that can show a long answer while it is being written. */
  drafts: z.boolean().default(true),
  /** Zone of tasks that name none, such as Europe/Berlin; absent: the machine's. */
  timezone: z.string().min(1).max(60).optional(),
  /** Accounts on platforms, by the name that they have here. */
  channels: channelsSchema.default({}),
  webhooks: webhooksSchema.prefault({}),
  /** Absent: nothing of either is loaded. */
  metrics: metricsSchema.optional(),
  otlp: otlpSchema.optional(),
  alerts: alertsSchema.prefault({}),
  /** Whether each channel is proven once a day. */
  synthetic: z.boolean().default(true),
  vault: vaultSchema.default({ key: 'file' }),
  onecli: oneCliSchema.optional(),
  mounts: z
    .strictObject({
      /** Folders below which a group may have a mount with `access: write`. */
      write: z.array(pathSchema).max(limits.MOUNTS_MAX).default([]),
    })
    .prefault({}),
  /** What is kept of files that came and went; the rows about them stay. */
  files: z
    .strictObject({
      /** Also of copies in `/inbox`, and of what conversations that are over have left. In milliseconds. */
      keep: daysSchema.prefault(`${messageLimits.FILES_KEEP_DAYS}d`),
      /** Bytes of all of them; beyond it the oldest go first. */
      room: sizeSchema.prefault(`${messageLimits.FILES_ROOM_BYTES / UNIT_BYTES['GiB']!}GiB`),
    })
    .prefault({}),
  /** What is recorded of what happened: events of the host, and requests of the gateway. */
  events: z
    .strictObject({
      /** In milliseconds; whole days go, by a signed cut. */
      keep: daysSchema
        .refine((ms) => ms >= messageLimits.EVENTS_KEEP_DAYS_MIN * 24 * UNIT_MS['h']!, 'must be at least 7d')
        .prefault(`${messageLimits.EVENTS_KEEP_DAYS}d`),
    })
    .prefault({}),
  /** Host uids for groups, where the host runs as root: one each, never given twice. The last one is for warm-ups. */
  uids: z
    .strictObject({
      /** Absent: by the hash of the home, so that two installs of one machine differ. */
      first: z.int().min(1000).max(4_000_000_000).optional(),
      count: z.int().min(2).max(1_000_000).default(limits.GROUP_UID_COUNT),
    })
    .prefault({}),
});
export type InstallConfig = z.infer<typeof installSchema>;

/** Reads `glass.yaml`. Throws `OperatingError('config')`. */
export function readInstall(file: string): InstallConfig {
  return readYaml(file, installSchema);
}

/** As `readInstall`, of a text that is to become that file. */
export function parseInstall(text: string, file: string): InstallConfig {
  return parseYaml(text, file, installSchema);
}

/** A group's folder name, checked before it becomes part of a path. */
export function isGroupName(name: string): boolean {
  return NAME.test(name) && parse(name).base === name;
}
