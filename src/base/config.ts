import { parse } from 'node:path';
import { z } from 'zod';
import * as limits from './limits.ts';
import { readYaml } from './yaml.ts';

/** Strict schemas of the operator's two files. Unknown keys are refused; every default is the safe one. */

const NAME = /^[a-z][a-z0-9-]{0,30}$/;
export const nameSchema = z.string().regex(NAME, 'must be 1–31 of a–z, 0–9 and "-", starting with a letter');

const SIZE = /^(\d{1,6})(KiB|MiB|GiB)$/;
const UNIT_BYTES: Record<string, number> = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 };
const sizeSchema = z
  .string()
  .regex(SIZE, 'must be a size such as "512MiB" or "2GiB"')
  .transform((text) => {
    const [, count, unit] = SIZE.exec(text)!;
    return Number(count) * UNIT_BYTES[unit!]!;
  })
  .refine((bytes) => bytes >= UNIT_BYTES['MiB']!, 'must be at least 1MiB');

const DURATION = /^(\d{1,6})(s|m|h)$/;
const UNIT_MS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000 };
const durationSchema = z
  .string()
  .regex(DURATION, 'must be a duration such as "90s", "15m" or "2h"')
  .transform((text) => {
    const [, count, unit] = DURATION.exec(text)!;
    return Number(count) * UNIT_MS[unit!]!;
  })
  .refine((ms) => ms >= 1000 && ms <= limits.DURATION_MAX_MS, 'must be between 1s and 24 days');

/** How a model API is spoken. `openai` is Chat Completions, which most self-hosted servers offer. */
export const providerSchema = z.enum(['anthropic', 'openai', 'ollama']);
export type Provider = z.infer<typeof providerSchema>;

export const harnessSchema = z.enum(['probe', 'native', 'claude']);
export type HarnessName = z.infer<typeof harnessSchema>;

export const runtimeSchema = z.enum(['bubblewrap', 'docker', 'podman']);
export type RuntimeName = z.infer<typeof runtimeSchema>;

const upstreamSchema = z.string().superRefine((text, context) => {
  const url = URL.canParse(text) ? new URL(text) : null;
  const refuse = (message: string): void => context.addIssue({ code: 'custom', message });
  if (/[\s?#@\\]/.test(text)) return refuse('must be a plain URL, without blanks, query, fragment or credentials');
  if (url === null) return refuse('must be a URL such as "https://api.anthropic.com"');
  const local = ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  if (url.protocol !== 'https:' && !(url.protocol === 'http:' && local))
    refuse('must be https, or http on this machine');
});

const modelSchema = z.strictObject({
  provider: providerSchema.default('anthropic'),
  name: z.string().min(1).max(200).default('claude-sonnet-5'),
  /** Where the gateway sends model requests; the sandbox never sees it. */
  upstream: upstreamSchema.optional(),
  /** Name of the secret that the gateway injects; `none` for an endpoint without one. */
  secret: nameSchema.optional(),
});
export type ModelConfig = { provider: Provider; name: string; upstream: string; secret: string | null };

const PROVIDER_DEFAULTS: Record<Provider, { upstream: string; secret: string | null }> = {
  anthropic: { upstream: 'https://api.anthropic.com', secret: 'anthropic' },
  openai: { upstream: 'https://api.openai.com/v1', secret: 'openai' },
  ollama: { upstream: 'http://127.0.0.1:11434', secret: null },
};

const groupSchema = z.strictObject({
  /** `auto`: `claude` when its credential is in the vault, else the stand-in `probe`. */
  harness: z.enum(['auto', ...harnessSchema.options]).default('auto'),
  model: modelSchema.prefault({}),
  /** Absent: what `glass.yaml` says. */
  runtime: runtimeSchema.optional(),
  limits: z
    .strictObject({
      memory: sizeSchema.default(limits.SANDBOX_MEMORY_BYTES),
      pids: z.int().min(16).max(32_768).default(limits.SANDBOX_PIDS),
      cpus: z.number().min(0.1).max(64).default(limits.SANDBOX_CPUS),
      tmp: sizeSchema.default(limits.SANDBOX_TMP_BYTES),
      turn: durationSchema.default(limits.TURN_DEADLINE_MS),
      idle: durationSchema.default(limits.SESSION_IDLE_MS),
    })
    .prefault({}),
});

/** The authority of a group, as its file says it. */
export interface GroupConfig {
  name: string;
  harness: 'auto' | HarnessName;
  model: ModelConfig;
  runtime: RuntimeName | null;
  /** `memory`, `tmp` in bytes; `turn`, `idle` in milliseconds. */
  limits: { memory: number; pids: number; cpus: number; tmp: number; turn: number; idle: number };
}

/** Reads `groups/<name>/group.yaml`. Throws `OperatingError('config')`. */
export function readGroup(name: string, file: string): GroupConfig {
  const raw = readYaml(file, groupSchema);
  const defaults = PROVIDER_DEFAULTS[raw.model.provider];
  const secret = raw.model.secret ?? defaults.secret;
  return {
    name,
    harness: raw.harness,
    model: {
      provider: raw.model.provider,
      name: raw.model.name,
      upstream: (raw.model.upstream ?? defaults.upstream).replace(/\/+$/, ''),
      secret: secret === 'none' ? null : secret,
    },
    runtime: raw.runtime ?? null,
    limits: raw.limits,
  };
}

const installSchema = z.strictObject({
  runtime: runtimeSchema.default('bubblewrap'),
  /** The group that answers the operator in `glass chat`. */
  default_group: nameSchema.default('assistant'),
  /** Base image of the docker and podman runtimes. */
  image: z.string().min(1).max(200).default('glassclaw-sandbox:local'),
});
export type InstallConfig = z.infer<typeof installSchema>;

/** Reads `glass.yaml`. Throws `OperatingError('config')`. */
export function readInstall(file: string): InstallConfig {
  return readYaml(file, installSchema);
}

/** A group's folder name, checked before it becomes part of a path. */
export function isGroupName(name: string): boolean {
  return NAME.test(name) && parse(name).base === name;
}
