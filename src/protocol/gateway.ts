import { z } from 'zod';
import { nameSchema } from '../base/config.ts';
import { ALERT_BODY_BYTES_MAX } from '../base/limits/alerts.ts';
import { APPROVAL_PREVIEW_BYTES_MAX, AUDIT_ANCHORS_MAX, AUDIT_ROWS_MAX } from '../base/limits/gateway.ts';
import { cutSchema, hashSchema } from './chain.ts';
import { formSchema, termsSchema } from './secrets.ts';

/**
 * What is spoken on `gateway.sock` (host only) and `vault.sock` (operator only): one JSON object a line.
 * A request is `{id, op, …}`, its answer `{id, ok: true, …}` or `{id, ok: false, error, message}`; an event has no id.
 * One table per socket, so that what each side may ask stands in one place.
 */

const session = z.string().regex(/^s\d{1,15}$/);
const sha256 = hashSchema;

/** What a session has seen or done: what anybody may have written (A), what is private (B), an act outside (C). */
const mark = z.enum(['A', 'B', 'C']);
export type Mark = z.infer<typeof mark>;
const marks = z.array(mark).max(3);

/** What a person decided about a held request, with what they were shown and what is in force now. */
const decision = {
  hold: z.string().max(100),
  session,
  policy: sha256,
  body_sha256: sha256,
  allow: z.boolean(),
  /** For the agent; may be empty. */
  reason: z.string(),
};
export type Decision = z.infer<z.ZodObject<typeof decision>>;

/** A head of the audit's chain: number and SHA-256 (hex) of its newest link. */
export const anchorSchema = z.strictObject({ seq: z.int(), hash: hashSchema });
export type Anchor = z.infer<typeof anchorSchema>;

/** A head of the host's chain of events: key and SHA-256 (hex) of its newest one. */
const eventAnchor = z.strictObject({ event: z.int().min(1), hash: hashSchema });
export type EventAnchor = z.infer<typeof eventAnchor>;

/** The host asks. `open` resolves when the session's egress socket listens; until then it has no egress. */
export const gatewayRequest = z.discriminatedUnion('op', [
  z.strictObject({
    id: z.int(),
    op: z.literal('open'),
    session,
    group: nameSchema,
    /** Hash (hex) of the group's authority in force, which the gateway reads under that name. */
    policy: sha256,
    /** Absolute path of the egress socket to listen on; below the run folder. */
    socket: z.string().max(107),
    /** What the session has seen and done so far. */
    marks,
  }),
  /** What an open session has seen and done is on record; told before its sandbox is shown what it was marked for. */
  z.strictObject({ id: z.int(), op: z.literal('marks'), session, marks }),
  /** Ends its egress at once, with every call that is under way. */
  z.strictObject({ id: z.int(), op: z.literal('close'), session }),
  /** Names (never values) of the secrets that exist. */
  z.strictObject({ id: z.int(), op: z.literal('names') }),
  /** Requests of a session that started in a window; for traces. */
  z.strictObject({ id: z.int(), op: z.literal('audit'), session, from_ms: z.int(), to_ms: z.int() }),
  /** The newest requests since a time, of a group or (null) of all. */
  z.strictObject({
    id: z.int(),
    op: z.literal('log'),
    group: nameSchema.nullable(),
    since_ms: z.int().min(0),
    limit: z.int().min(1).max(AUDIT_ROWS_MAX),
  }),
  /** Whether the audit's chain holds, and agrees with what the ledger has of it. `cut`: of the events, where there is one. */
  z.strictObject({
    ...{ id: z.int(), op: z.literal('check'), anchors: z.array(anchorSchema).max(AUDIT_ANCHORS_MAX) },
    cut: eventAnchor.nullable().default(null),
  }),
  /** The head of the host's events, to be written down where the host cannot write. */
  z.strictObject({ id: z.int(), op: z.literal('head'), ...eventAnchor.shape }),
  /** The public key of what signs cuts. */
  z.strictObject({ id: z.int(), op: z.literal('signer') }),
  /** Signs a cut of the events, of days that are over for as long as `glass.yaml` says, and cuts the audit likewise. */
  z.strictObject({ id: z.int(), op: z.literal('cut'), cut: cutSchema }),
  /** At most once does anything. `refused`: why nothing has left although it was allowed. */
  z.strictObject({ id: z.int(), op: z.literal('decide'), ...decision }),
  /** The body of a held request as it is shown, from a character on; `next`: where the rest begins, null: there is none. */
  z.strictObject({ id: z.int(), op: z.literal('body'), hold: z.string(), from: z.int().min(0) }),
  /** Use of models per group since a time; for status. */
  z.strictObject({ id: z.int(), op: z.literal('usage'), since_ms: z.int() }),
  /** When somebody last spoke to a group: until it is told, the gateway takes it for idle. */
  z.strictObject({ id: z.int(), op: z.literal('spoken'), group: nameSchema, at_ms: z.int().min(0) }),
  /** How the gateway and the models behind it are; for alerts. */
  z.strictObject({ id: z.int(), op: z.literal('health') }),
  /** To an address that `glass.yaml` names, and the host does not. `failed`: why it was not taken. */
  z.strictObject({
    id: z.int(),
    op: z.literal('post'),
    to: z.enum(['webhook', 'heartbeat']),
    body: z.string().max(ALERT_BODY_BYTES_MAX),
  }),
  /** The one operation that gives a value away: the token of a channel. A secret of any other kind is refused. */
  z.strictObject({ id: z.int(), op: z.literal('release'), name: nameSchema }),
]);
export type GatewayRequest = z.infer<typeof gatewayRequest>;

export const auditRow = z.strictObject({
  id: z.int(),
  session: z.string(),
  group: z.string(),
  at_ms: z.int(),
  /** Null while the request runs. */
  ended_ms: z.int().nullable(),
  method: z.string(),
  host: z.string(),
  path: z.string(),
  /** `allow`, `deny`, or `error` when the upstream could not be asked. */
  decision: z.enum(['allow', 'deny', 'error']),
  rule: z.string(),
  status: z.int().nullable(),
  secret: z.string().nullable(),
  /** Which service of the group it was about; null: the model, or none. */
  service: z.string().nullable(),
  model: z.string().nullable(),
  request_bytes: z.int(),
  response_bytes: z.int(),
  input_tokens: z.int().nullable(),
  output_tokens: z.int().nullable(),
  /** Millionths of a US dollar, by the table of prices; while the request runs, what is reserved for it. */
  cost_micros: z.int(),
});
export type AuditRow = z.infer<typeof auditRow>;

export const usageRow = z.strictObject({
  group: z.string(),
  requests: z.int(),
  input_tokens: z.int(),
  output_tokens: z.int(),
  cost_micros: z.int(),
});
export type UsageRow = z.infer<typeof usageRow>;

/** A call that had begun to leave and was ended with its session: whether it did anything there, nobody here knows. */
const cutCall = z.strictObject({ method: z.string(), host: z.string(), path: z.string() });
export type CutCall = z.infer<typeof cutCall>;
export const closeAnswer = z.object({ cut: z.array(cutCall) });

/** How long the audit's chain is, and why it does not hold; null: it does. */
export const chainState = z.object({
  links: z.int(),
  broken: z.string().nullable(),
  /** The day up to which old requests were removed, and the last link that went with it. */
  cut: z.string().nullable(),
  from: z.int(),
  /** The newest heads of the host's events that the audit has; of those only, whether the chain that has them holds. */
  heads: z.array(eventAnchor),
  /** Whether the audit has the cut that was asked about. */
  cut_known: z.boolean(),
});
export type ChainState = z.infer<typeof chainState>;

/** `models`: by group, how many of its newest requests failed one after the other, of the last hour; `log`: why its file lacks lines. */
export const gatewayHealth = z.object({
  models: z.array(z.object({ group: z.string(), failures: z.int(), reason: z.string() })),
  log: z.string().nullable(),
});
export type GatewayHealth = z.infer<typeof gatewayHealth>;

/** Answers by operation. */
export interface BodyPart {
  text: string;
  next: number | null;
}

export interface GatewayAnswers {
  open: Record<string, never>;
  marks: Record<string, never>;
  close: z.infer<typeof closeAnswer>;
  names: { names: string[] };
  audit: { rows: AuditRow[] };
  log: { rows: AuditRow[] };
  check: ChainState;
  /** `audit`: the audit's own head with it. */
  head: { audit: Anchor };
  signer: { key: string };
  cut: { signature: string };
  usage: { rows: UsageRow[] };
  decide: { refused: string | null };
  body: BodyPart;
  spoken: Record<string, never>;
  release: { value: string };
  health: GatewayHealth;
  post: { failed: string | null };
}

/** A request that waits for a person: what is shown of it, and what a decision is bound to. */
const holdEvent = z.strictObject({
  event: z.literal('hold'),
  /** Random; of one request, for one decision. */
  hold: z.string(),
  session,
  group: nameSchema,
  service: z.string(),
  method: z.string(),
  host: z.string(),
  /** Path and query, without what looks like a credential. */
  path: z.string(),
  policy: sha256,
  body_sha256: sha256,
  body_bytes: z.int(),
  /** `content-type: text/plain`: the agent's, as they are sent, harmless to show; each up to a length. */
  headers: z.array(z.string()),
  /** The beginning of the body, harmless to show. */
  preview: z.string(),
  expires_ms: z.int(),
  /** What its session is marked with by a yes. */
  marks: marks.optional(),
  /** It waits because of what its session has seen and done; absent: because a rule says so. */
  rule_of_two: z.literal(true).optional(),
});
export type HoldEvent = z.infer<typeof holdEvent>;

/** Whether the preview is certainly the whole body: bytes that are no text take more room than they have. */
export function showsWhole({ body_bytes, preview }: Pick<HoldEvent, 'body_bytes' | 'preview'>): boolean {
  return Math.max(body_bytes, Buffer.byteLength(preview)) <= APPROVAL_PREVIEW_BYTES_MAX - CHARACTER_BYTES;
}

/** UTF-8 bytes of a character: a cut leaves out a whole one. */
const CHARACTER_BYTES = 4;

/** A request waits until the host has these on record, and says so by `marks`. */
const markEvent = z.strictObject({ event: z.literal('mark'), session, marks, cause: z.string() });
export type MarkEvent = z.infer<typeof markEvent>;

export const gatewayEvent = z.discriminatedUnion('event', [
  /** The set of secrets changed: `auto` harnesses may change with it. */
  z.strictObject({ event: z.literal('secrets'), names: z.array(z.string()) }),
  /** To be written down where the gateway cannot write. */
  z.strictObject({ event: z.literal('anchor'), ...anchorSchema.shape }),
  holdEvent,
  /** Nobody decides it any more: it is refused. */
  z.strictObject({ event: z.literal('hold_ended'), hold: z.string(), reason: z.string() }),
  markEvent,
  z.strictObject({ event: z.literal('alert'), kind: z.string(), subject: z.string(), text: z.string() }),
]);
export type GatewayEvent = z.infer<typeof gatewayEvent>;

/** The operator's CLI asks. The only path on which a plaintext travels, and it never enters the host. */
export const vaultRequest = z.discriminatedUnion('op', [
  z.strictObject({
    ...{ id: z.int(), op: z.literal('set'), name: nameSchema, value: z.string().min(1) },
    /** Absent: those that it has; of a new secret, a model's. */
    terms: termsSchema.optional(),
    /** Stores the value beside the current one. */
    next: z.boolean().default(false),
  }),
  z.strictObject({ id: z.int(), op: z.literal('list') }),
  z.strictObject({ id: z.int(), op: z.literal('promote'), name: nameSchema }),
  /** `next`: of its two values only that one. */
  z.strictObject({ id: z.int(), op: z.literal('remove'), name: nameSchema, next: z.boolean().default(false) }),
  /** A new key for the vault. */
  z.strictObject({ id: z.int(), op: z.literal('rotate') }),
  /** Whether each of them opens. */
  z.strictObject({ id: z.int(), op: z.literal('check') }),
  /** Copies of its two databases, sealed as they are, for a backup. */
  z.strictObject({ id: z.int(), op: z.literal('copy') }),
]);
export type VaultRequest = z.infer<typeof vaultRequest>;

export const secretRow = z.strictObject({
  name: z.string(),
  form: formSchema,
  hosts: z.array(z.string()),
  next: z.boolean(),
  created_ms: z.int(),
  updated_ms: z.int(),
  last_used_ms: z.int().nullable(),
});
export type SecretRow = z.infer<typeof secretRow>;

export interface VaultAnswers {
  set: { created: boolean };
  list: { secrets: SecretRow[] };
  promote: Record<string, never>;
  remove: { removed: boolean };
  rotate: { rewrapped: number; damaged: number; left: string | null };
  /** Names of those that do not; `opened`: how many do. */
  check: { opened: number; damaged: string[] };
  /** Their paths; whoever asked takes them away. */
  copy: { vault: string; audit: string };
}

export const answer = z.union([
  z.looseObject({ id: z.int(), ok: z.literal(true) }),
  z.strictObject({ id: z.int(), ok: z.literal(false), error: z.string(), message: z.string() }),
]);
