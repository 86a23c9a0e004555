import { z } from 'zod';
import type { ApprovalShown, Approvals } from '../../approvals/approvals.ts';
import type { Desk, QuestionShown } from '../../approvals/desk.ts';
import type { Accepted, IncomingMessage } from '../../channels/channel.ts';
import type { LocalChannel } from '../../channels/local/local.ts';
import type { AlertTestRow } from '../../evidence/alert_test.ts';
import type { Alerts } from '../../evidence/alerts.ts';
import type { AskEgress } from '../../evidence/egress_log.ts';
import type { Status } from '../../evidence/status.ts';
import type { AskAudit } from '../../evidence/trace_steps.ts';
import type { CheckEgress } from '../../evidence/verify.ts';
import type { ChannelProof } from '../../ledger/channel_proofs.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import type { Channels } from '../../operations/channels.ts';
import type { Emergency } from '../../operations/emergency.ts';
import type { Groups } from '../../operations/groups.ts';
import type { People } from '../../operations/people.ts';
import type { Inspected } from '../../operations/proofs.ts';
import type { ThrowAways } from '../../operations/throw_aways.ts';
import type { Wirings } from '../../operations/wirings.ts';
import type { Tasks } from '../../scheduler/tasks.ts';

/**
 * What operations work with: the host's parts as the composition root passes them.
 */
export interface ControlServices {
  ledger: Ledger;
  local: LocalChannel;
  channels: Channels;
  groups: Groups;
  emergency: Pick<Emergency, 'stop' | 'resume'>;
  /** Nothing may happen: only what reads is answered, and the emergency stop. */
  safe: boolean;
  /** Safe, and one throw-away group answers in chats of its own. */
  trial: boolean;
  approvals: Pick<Approvals, 'list' | 'show' | 'body'>;
  questions: Pick<Desk, 'list' | 'show'>;
  people: People;
  wirings: Wirings;
  tasks: Tasks;
  throwAways: Pick<ThrowAways, 'make' | 'remove'>;
  /** Key of the operator's person. */
  person(): number;
  /** A decision of the operator about a held request, or, by a `choice`, about a question. Rejects as `Approvals.decide` and `Desk.decide`. */
  decide(id: string, choice: string, reason: string): Promise<ApprovalShown | QuestionShown>;
  /** Tries to break out of a sandbox of the group. Rejects with `OperatingError` when it cannot be started at all. */
  inspect(group: string, depth: 'quick' | 'full', canary: boolean): Promise<Inspected>;
  /** What the operator is called in what is recorded. */
  operator: string;
  /** Where the bytes of files lie, each under its hash. */
  blobs: string;
  status(): Promise<Status>;
  /** The gateway's evidence. */
  egress: { audit: AskAudit } & AskEgress & CheckEgress;
  /** A message typed by the operator. Rejects with `OperatingError` when nothing of it was kept. */
  say(chat: string, said: Pick<IncomingMessage, 'text' | 'files' | 'reply_to'>, key: string): Promise<Accepted>;
  alerts: Pick<Alerts, 'ack' | 'alert' | 'clear'>;
  /** One alert by every way; each is told when it is known. */
  testAlerts(tell: (row: AlertTestRow) => void, gone: Promise<void>): Promise<void>;
  /** Proves a channel without a word to anybody. */
  prove(channel: string): Promise<ChannelProof>;
  /** Resolves when the host may end. */
  stop(): void;
  /** Calls back after commits that wrote events; returns how to stop that. */
  onEvents(listener: () => void): () => void;
}

/**
 * A stream ends when its client goes, or when it returns. `write` takes one object a line; `drained` resolves when the client
 * has read enough of them (or is gone), for streams that are as long as they like.
 */
export type Streaming = (
  write: (row: object) => void,
  gone: Promise<void>,
  drained: () => Promise<void>,
) => Promise<void>;

export type Handled = { kind: 'value'; value: object } | { kind: 'stream'; run: Streaming };

export interface Operation {
  name: string;
  summary: string;
  input: z.ZodType;
  handle(services: ControlServices, input: never): Promise<Handled>;
}

/** The input of an operation that takes none. */
export const NOTHING = z.strictObject({});

export function value(object: object): Handled {
  return { kind: 'value', value: object };
}
