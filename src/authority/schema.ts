import { z } from 'zod';
import {
  durationSchema,
  effortSchema,
  harnessSchema,
  nameSchema,
  providerSchema,
  runtimeSchema,
  sizeSchema,
} from '../base/config.ts';
import * as messageLimits from '../base/limits/messages.ts';
import * as limits from '../base/limits/sandbox.ts';
import { egressSchema, type Labels, labels } from './egress.ts';
import { PACKAGE_NAMES, type Packages } from './packages.ts';

/**
 * The strict schema of `groups/<name>/group.yaml`: everything a group may see, reach and spend, as the operator writes
 * it. Unknown keys are refused; every default is the safe one. What is in force is not this file but what was applied
 * of it (`authority.ts`).
 */

/** What a model is offered, and what the host answers to; a tool that is not listed is refused. */
export const TOOLS = [
  ...(['send_message', 'send_file', 'react', 'no_reply', 'list_destinations', 'history_search'] as const),
  ...(['ask', 'card'] as const),
  ...(['task_add', 'task_list', 'task_cancel', 'request_authority'] as const),
] as const;

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
  /** How much it thinks; absent: as much as it does by itself. */
  effort: effortSchema.optional(),
  /** Where the gateway sends model requests; the sandbox never sees it. */
  upstream: upstreamSchema.optional(),
  /** Name of the secret that the gateway injects; `none` for an endpoint without one. */
  secret: nameSchema.optional(),
});

const pathSchema = z
  .string()
  .max(4000)
  .regex(/^(?:\/|~\/)[^\x00-\x1f\x7f]*$/, 'must be an absolute path, or one that begins with ~/');

export const mountSchema = z.strictObject({
  source: pathSchema,
  /** Where the sandbox has it; absent: under its own name. */
  target: z
    .string()
    .regex(/^\/mnt\/[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'must be /mnt/<name>')
    .optional(),
  access: z.enum(['read', 'write']).default('read'),
});

function packageNames(kind: keyof Packages) {
  const { pattern, example } = PACKAGE_NAMES[kind];
  const name = z.string().regex(pattern, `must be the name of a package: ${example}`);
  return z.array(name).max(limits.PACKAGES_MAX).default([]);
}
const packagesSchema = z.strictObject({
  apt: packageNames('apt'),
  npm: packageNames('npm'),
  pip: packageNames('pip'),
});

/** A server of tools that a harness starts in the sandbox and speaks to by its standard streams. */
export const mcpServerSchema = z.strictObject({
  /** The program and its arguments, as the sandbox has them. */
  command: z.array(z.string().min(1).max(1000)).min(1).max(50),
  /** No secrets: whatever is here, the agent can read. */
  env: z
    .record(z.string().regex(/^[A-Z_][A-Z0-9_]{0,60}$/, 'must be a name such as LOG_LEVEL'), z.string().max(1000))
    .default({}),
});
export type McpServer = z.infer<typeof mcpServerSchema> & Labels;

const budgetSchema = z.strictObject({
  usd_per_day: z.number().min(0).max(100_000).optional(),
  tokens_per_day: z.int().min(0).optional(),
  requests_per_day: z.int().min(0).optional(),
  /** Of models, in any hour in which no person has spoken to the group. */
  usd_per_idle_hour: z.number().min(0).max(100_000).optional(),
});

const limitsSchema = z.strictObject({
  memory: sizeSchema.default(limits.SANDBOX_MEMORY_BYTES),
  pids: z.int().min(16).max(32_768).default(limits.SANDBOX_PIDS),
  cpus: z.number().min(0.1).max(64).default(limits.SANDBOX_CPUS),
  tmp: sizeSchema.default(limits.SANDBOX_TMP_BYTES),
  shm: sizeSchema.default(limits.SANDBOX_SHM_BYTES),
  /** Of all sessions together. */
  workspace: sizeSchema
    .refine((bytes) => bytes >= limits.WORKSPACE_BYTES_MIN, 'must be at least 16MiB')
    .default(limits.WORKSPACE_BYTES),
  files: z.int().min(64).max(1_048_576).default(limits.SANDBOX_OPEN_FILES),
  /** Of each disk, in a second. */
  disk_write: sizeSchema
    .refine((bytes) => bytes >= limits.DISK_WRITE_BYTES_MIN, 'must be at least 1MiB')
    .default(limits.SANDBOX_DISK_WRITE_BYTES),
  turn: durationSchema.default(messageLimits.TURN_DEADLINE_MS),
  idle: durationSchema.default(messageLimits.SESSION_IDLE_MS),
});

export const groupSchema = z.strictObject({
  /** `auto`: `claude` when its credential is in the vault, else the stand-in `probe`. */
  harness: z.enum(['auto', ...harnessSchema.options]).default('auto'),
  model: modelSchema.prefault({}),
  /** Absent: what `glass.yaml` says. */
  runtime: runtimeSchema.optional(),
  /** A container engine's OCI runtime, such as `runsc`. */
  oci_runtime: z
    .string()
    .regex(/^[a-z][a-z0-9._-]{0,40}$/, 'must be a plain name')
    .optional(),
  /** Where programs come from: the host's own `/usr`, or an image. Absent: the host's for bubblewrap. */
  userland: z.enum(['host', 'image']).optional(),
  packages: packagesSchema.prefault({}),
  mounts: z.array(mountSchema.extend(labels)).max(limits.MOUNTS_MAX).default([]),
  egress: egressSchema.default({}),
  /** Names of the secrets that `egress` may use; the model's own need not be here. */
  secrets: z.array(nameSchema).max(100).default([]),
  tools: z.array(z.enum(TOOLS)).default([...TOOLS]),
  /** Other groups that its agent may write to: at once, or each time after a person has approved it. */
  agents: z.record(nameSchema, z.enum(['allow', 'approve'])).default({}),
  mcp: z
    .record(nameSchema, mcpServerSchema.extend(labels))
    .refine((servers) => Object.keys(servers).length <= limits.MCP_SERVERS_MAX, `at most ${limits.MCP_SERVERS_MAX}`)
    .refine((servers) => !('glass' in servers), 'the name glass is that of the platform’s own tools')
    .default({}),
  /** What becomes of a conversation that would read what anybody wrote, read what is private, and act. Absent: it is told. */
  rule_of_two: z.enum(['off', 'warn', 'enforce']).optional(),
  /** Whether what a member writes, who administers nothing, counts as anybody's. Absent: it does not. */
  members: z.enum(['trusted', 'untrusted']).optional(),
  budget: budgetSchema.prefault({}),
  limits: limitsSchema.prefault({}),
});
export type GroupFile = z.infer<typeof groupSchema>;
