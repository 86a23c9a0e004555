import { z } from 'zod';
import type { ApprovalShown, Approvals } from '../approvals/approvals.ts';
import { nameSchema } from '../base/config.ts';
import { OperatingError } from '../base/errors.ts';
import { showId } from '../base/ids.ts';
import {
  APPROVAL_REASON_CHARS_MAX,
  AUDIT_ROWS_MAX,
  CONTROL_ROWS_MAX,
  LOCAL_HISTORY_MAX,
  MESSAGE_TEXT_BYTES_MAX,
} from '../base/limits.ts';
import type { Accepted, IncomingFile } from '../channels/channel.ts';
import { checkFiles, harmlessName } from '../channels/files.ts';
import type { LocalChannel, LocalMessage } from '../channels/local/local.ts';
import { type AskEgress, checkAudit, egressLog } from '../evidence/egress_log.ts';
import type { Status } from '../evidence/status.ts';
import { type AskAudit, findMessage, type Trace, traceOf } from '../evidence/trace.ts';
import { type EventRow, eventsAfter, lastEventId } from '../ledger/events.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { outcomeOf } from '../ledger/messages.ts';
import type { Groups } from '../operations/groups.ts';
import type { Inspected } from '../operations/proofs.ts';
import { history } from './history.ts';

/**
 * Everything a client can ask of the host, in one table: name, what it is for, the schema of its input, and what does
 * it. Help, the socket and the CLI read this table. Who can open the socket is the operator: there is no other role yet.
 */
export interface ControlServices {
  ledger: Ledger;
  local: LocalChannel;
  groups: Groups;
  approvals: Pick<Approvals, 'list' | 'show'>;
  /** A decision of the operator about a held request. Rejects as `Approvals.decide`. */
  decide(id: string, allow: boolean, reason: string): Promise<ApprovalShown>;
  /** Tries to break out of a sandbox of the group. Rejects with `OperatingError` when it cannot be started at all. */
  inspect(group: string, depth: 'quick' | 'full', canary: boolean): Promise<Inspected>;
  /** What the operator is called in what is recorded. */
  operator: string;
  status(): Promise<Status>;
  /** The gateway's evidence. */
  egress: { audit: AskAudit } & AskEgress;
  /** A message typed by the operator. Rejects with `OperatingError` when nothing of it was kept. */
  say(chat: string, text: string, files: IncomingFile[], key: string): Promise<Accepted>;
  /** Returns how many alerts stood. */
  clearAlerts(): Promise<number>;
  /** Resolves when the host may end. */
  stop(): void;
  /** Calls back after commits that wrote events; returns how to stop that. */
  onEvents(listener: () => void): () => void;
}

/** A stream ends when its client goes, or when it returns. `write` takes one object a line. */
export type Streaming = (write: (row: object) => void, gone: Promise<void>) => Promise<void>;

export type Handled = { kind: 'value'; value: object } | { kind: 'stream'; run: Streaming };

export interface Operation {
  name: string;
  summary: string;
  input: z.ZodType;
  handle(services: ControlServices, input: never): Promise<Handled>;
}

const chatName = z.string().regex(/^[a-z0-9][a-z0-9-]{0,39}$/, 'must be 1–40 of a–z, 0–9 and "-"');

const INPUTS = {
  none: z.strictObject({}),
  say: z.strictObject({
    chat: chatName.default('main'),
    text: z.string(),
    /** `data` is base64. */
    files: z.array(z.strictObject({ name: z.string(), data: z.string() })).default([]),
    key: z.string().min(1).max(100),
  }),
  chat: z.strictObject({ chat: chatName.default('main'), history: z.int().min(0).max(LOCAL_HISTORY_MAX).default(0) }),
  shown: z.strictObject({ client: z.string().max(40), key: z.string().max(40) }),
  outcome: z.strictObject({ message: z.string().min(1).max(200) }),
  trace: z.strictObject({ message: z.string().min(1).max(200).default('latest') }),
  group: z.strictObject({ group: nameSchema }),
  explain: z.strictObject({
    group: nameSchema,
    method: z.string().regex(/^[A-Za-z]{1,20}$/, 'must be a method such as GET'),
    url: z.string().min(1).max(10_000),
  }),
  egress_log: z.strictObject({
    group: nameSchema.nullable().default(null),
    since_ms: z.int().min(0).default(0),
    limit: z.int().min(1).max(AUDIT_ROWS_MAX).default(50),
  }),
  inspect: z.strictObject({
    group: nameSchema,
    depth: z.enum(['quick', 'full']).default('full'),
    canary: z.boolean().default(false),
  }),
  apply: z.strictObject({
    group: nameSchema,
    hash: z.string().regex(/^[0-9a-f]{64}$/, 'must be the hash that `plan` showed'),
  }),
  approval: z.strictObject({ approval: z.string().max(20) }),
  decide: z.strictObject({
    approval: z.string().max(20),
    allow: z.boolean(),
    reason: z.string().max(APPROVAL_REASON_CHARS_MAX).default(''),
  }),
  events: z.strictObject({
    after: z.int().min(0).optional(),
    follow: z.boolean().default(false),
    limit: z.int().min(1).max(CONTROL_ROWS_MAX).default(100),
  }),
};

export const OPERATIONS: readonly Operation[] = [
  {
    name: 'status',
    summary: 'what is going on, and what is wrong',
    input: INPUTS.none,
    handle: async (services) => value(await services.status()),
  },
  {
    name: 'clear_alerts',
    summary: 'the operator has seen the alerts',
    input: INPUTS.none,
    handle: async (services) => value({ cleared: await services.clearAlerts() }),
  },
  {
    name: 'say',
    summary: 'a message of the operator to a local chat',
    input: INPUTS.say,
    handle: (services, input: z.infer<typeof INPUTS.say>) => say(services, input),
  },
  {
    name: 'chat',
    summary: 'open a local chat: its end, then every message as it comes',
    input: INPUTS.chat,
    handle: (services, input: z.infer<typeof INPUTS.chat>) => openChat(services, input),
  },
  {
    name: 'shown',
    summary: 'a terminal has shown a message',
    input: INPUTS.shown,
    handle: async (services, input: z.infer<typeof INPUTS.shown>) =>
      value({ acknowledged: services.local.acknowledge(input.client, input.key) }),
  },
  {
    name: 'outcome',
    summary: 'one line, once a message is through with: its states and the reason',
    input: INPUTS.outcome,
    handle: async (services, input: z.infer<typeof INPUTS.outcome>) => ({
      kind: 'stream',
      run: outcome(services, input.message),
    }),
  },
  {
    name: 'trace',
    summary: 'the whole path of a message',
    input: INPUTS.trace,
    handle: async (services, input: z.infer<typeof INPUTS.trace>) => value(await trace(services, input.message)),
  },
  {
    name: 'events',
    summary: 'the hops, as they were recorded',
    input: INPUTS.events,
    handle: async (services, input: z.infer<typeof INPUTS.events>) => ({
      kind: 'stream',
      run: events(services, input),
    }),
  },
  {
    name: 'groups',
    summary: 'every group: what is in force, and what its file says besides',
    input: INPUTS.none,
    handle: async ({ groups }) => value({ groups: groups.names().map((name) => groups.show(name)) }),
  },
  {
    name: 'group_show',
    summary: 'what a group may see, reach and spend',
    input: INPUTS.group,
    handle: async ({ groups }, input: z.infer<typeof INPUTS.group>) => value(groups.show(input.group)),
  },
  {
    name: 'group_new',
    summary: 'make the files of a group',
    input: INPUTS.group,
    handle: async ({ groups }, input: z.infer<typeof INPUTS.group>) => {
      groups.create(input.group);
      return value(await groups.plan(input.group));
    },
  },
  {
    name: 'group_plan',
    summary: 'what applying a group’s file would change',
    input: INPUTS.group,
    handle: async ({ groups }, input: z.infer<typeof INPUTS.group>) => value(await groups.plan(input.group)),
  },
  {
    name: 'group_image',
    summary: 'make what the programs of a planned group come from: lines of progress, then `ready` or `error`',
    input: INPUTS.group,
    handle: async ({ groups }, input: z.infer<typeof INPUTS.group>) => ({
      kind: 'stream',
      run: async (write) => {
        const ref = await groups.prepare(input.group, (text) => write({ t: 'progress', text }));
        write({ t: 'ready', ref });
      },
    }),
  },
  {
    name: 'group_apply',
    summary: 'put exactly what was planned in force',
    input: INPUTS.apply,
    handle: async ({ groups, operator }, input: z.infer<typeof INPUTS.apply>) =>
      value(await groups.apply(input.group, input.hash, operator)),
  },
  {
    name: 'egress_explain',
    summary: 'which rule decides about a request of a group',
    input: INPUTS.explain,
    handle: async ({ groups }, input: z.infer<typeof INPUTS.explain>) =>
      value(groups.explain(input.group, input.method, input.url)),
  },
  {
    name: 'egress_log',
    summary: 'the requests of groups, with the turns that they were made in',
    input: INPUTS.egress_log,
    handle: async ({ ledger, egress }, input: z.infer<typeof INPUTS.egress_log>) =>
      value({ rows: await egressLog(ledger.db, egress, input) }),
  },
  {
    name: 'egress_verify',
    summary: 'whether the record of requests is whole and unchanged',
    input: INPUTS.none,
    handle: async ({ ledger, egress }) => value(await checkAudit(ledger.db, egress)),
  },
  {
    name: 'approvals',
    summary: 'requests that wait for a decision, and the last ones that did',
    input: INPUTS.none,
    handle: async ({ approvals }) => value({ approvals: approvals.list() }),
  },
  {
    name: 'approval_show',
    summary: 'a held request as it would leave',
    input: INPUTS.approval,
    handle: async ({ approvals }, input: z.infer<typeof INPUTS.approval>) => value(approvals.show(input.approval)),
  },
  {
    name: 'approval_decide',
    summary: 'let exactly this request leave once, or refuse it',
    input: INPUTS.decide,
    handle: async ({ decide }, input: z.infer<typeof INPUTS.decide>) =>
      value(await decide(input.approval, input.allow, input.reason)),
  },
  {
    name: 'inspect',
    summary: 'prove a group’s boundary by trying to break it, and show what it is',
    input: INPUTS.inspect,
    handle: async ({ groups, inspect }, input: z.infer<typeof INPUTS.inspect>) => {
      const declared = groups.show(input.group);
      return value({ ...(await inspect(input.group, input.depth, input.canary)), declared });
    },
  },
  {
    name: 'stop',
    summary: 'end the host after the running turns',
    input: INPUTS.none,
    handle: async (services) => {
      services.stop();
      return value({ stopping: true });
    },
  },
];

function value(object: object): Handled {
  return { kind: 'value', value: object };
}

async function say(services: ControlServices, input: z.infer<typeof INPUTS.say>): Promise<Handled> {
  const files = input.files.map(decodedFile);
  checkFiles(files);
  if (input.text.trim() === '' && files.length === 0) throw new OperatingError('usage', 'the message is empty');
  if (Buffer.byteLength(input.text) > MESSAGE_TEXT_BYTES_MAX) {
    throw new OperatingError(
      'usage',
      `the message is longer than ${MESSAGE_TEXT_BYTES_MAX / 1024} KiB`,
      'send it in parts, or put it into a file of the workspace',
    );
  }
  const accepted = await services.say(input.chat, input.text, files, input.key);
  return value({ message: showId('m', accepted.message), repeated: accepted.repeated, ignored: accepted.ignored });
}

/** Node drops what is no base64; a file must not lose bytes in silence. */
function decodedFile({ name, data }: { name: string; data: string }): IncomingFile {
  const bytes = Buffer.from(data, 'base64');
  if (bytes.toString('base64') !== data)
    throw new OperatingError('usage', `the file "${harmlessName(name)}" is not in base64`);
  return { name, data: bytes };
}

/** The end of the chat as `history`, then `open`: who this terminal is, then `message` lines that it acknowledges. */
async function openChat(services: ControlServices, input: z.infer<typeof INPUTS.chat>): Promise<Handled> {
  let deliver: ((message: LocalMessage) => void) | null = null;
  const early: LocalMessage[] = [];
  const client = services.local.connect(input.chat, (message) =>
    deliver === null ? early.push(message) : deliver(message),
  );
  if (client === null)
    throw new OperatingError('conflict', 'too many terminals have this chat open', 'close one of them');
  return {
    kind: 'stream',
    run: async (write, gone) => {
      for (const line of history(services.ledger, input.chat, input.history)) write(line);
      write({ t: 'open', client: client.id });
      deliver = (message) => write({ t: 'message', ...message });
      for (const message of early) deliver(message);
      await gone;
      client.close();
    },
  };
}

function trace(services: ControlServices, what: string): Promise<Trace> {
  const { db } = services.ledger;
  return traceOf(db, findMessage(db, what), (...window) => services.egress.audit(...window));
}

function outcome(services: ControlServices, what: string): Streaming {
  return async (write, gone) => {
    const { db } = services.ledger;
    const message = findMessage(db, what);
    const through = Promise.withResolvers<void>();
    const look = (): void => {
      const found = outcomeOf(db, message);
      if (found === undefined) return;
      stop();
      write({ message: showId('m', message), ...found });
      through.resolve();
    };
    const stop = services.onEvents(look);
    look();
    await Promise.race([through.promise, gone]);
    stop();
  };
}

/** Rows after a cursor (`id` of the last one seen); with `follow`, then every new one. */
function events(services: ControlServices, input: z.infer<typeof INPUTS.events>): Streaming {
  return async (write, gone) => {
    const { db } = services.ledger;
    let cursor = input.after ?? Math.max(0, lastEventId(db) - input.limit);
    const send = (): void => {
      for (
        let rows = eventsAfter(db, cursor, input.limit);
        rows.length > 0;
        rows = input.follow ? eventsAfter(db, cursor, input.limit) : []
      ) {
        for (const row of rows) write(shownEvent(row));
        cursor = rows.at(-1)!.id;
      }
    };
    send();
    if (!input.follow) return;
    const stop = services.onEvents(send);
    await gone;
    stop();
  };
}

function shownEvent(row: EventRow): object {
  return {
    id: row.id,
    at: new Date(row.at_us / 1000).toISOString(),
    kind: row.kind,
    ...(row.message_id === null ? {} : { message: showId('m', row.message_id) }),
    ...(row.session_id === null ? {} : { session: showId('s', row.session_id) }),
    ...(row.turn_id === null ? {} : { turn: showId('t', row.turn_id) }),
    ...(row.outbound_id === null ? {} : { outbound: showId('o', row.outbound_id) }),
    data: JSON.parse(row.data),
  };
}
