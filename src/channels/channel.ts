import type { FileFacts } from '../ledger/files.ts';
import type { Markup } from './dialects/dialect.ts';

/**
 * The contract of a channel driver: one account on one platform, in both directions.
 *
 * In: the driver verifies and normalises an event and calls `sink.accept`. The promise resolves only when the ledger has
 * committed; only then may the driver acknowledge the platform. It rejects when nothing was kept: do not acknowledge.
 * Out: `send` never throws; what happened is a value. A driver never repeats a send by itself.
 */

/** What came with a message, whole. The name is what the sender gave: the router makes it harmless. */
export interface IncomingFile {
  name: string;
  data: Buffer;
}

export interface IncomingMessage {
  /** The platform's own identity of this event; the same event has the same key for ever. */
  dedupe_key: string;
  /** `direct`: one person and us. Absent: others may read along. */
  chat: { platform_id: string; title: string; direct?: boolean };
  /** '' where the chat has no threads. */
  thread: string;
  /** `self`: this account of ours wrote it, `bot`: another program did. Neither is ever answered. Absent: a person. */
  sender: { handle: string; name: string; kind?: 'person' | 'bot' | 'self' };
  /** Whether the agent is addressed: a direct chat, a mention, a reply to it. */
  addressed: boolean;
  platform_id: string;
  /** Platform id of the message that this one answers: a person's, or one of ours, by its receipt. */
  reply_to?: string;
  /** It passes on what others wrote, as far as the platform says. */
  forwarded?: boolean;
  /** May be empty when there are files. */
  text: string;
  /** Within `checkFiles` (`files.ts`), or `accept` rejects: what is beyond it a driver leaves out, and says so in the text. */
  files: IncomingFile[];
  /** The platform's time, in milliseconds since the epoch. */
  sent_ms: number;
}

export interface Accepted {
  message: number;
  /** True: this key was accepted before, nothing new was written. */
  repeated: boolean;
  /** What became of it at once: the rule that ignored it, or null when an agent is to answer. */
  ignored: string | null;
}

/** A person has pressed a button under a message of ours. The fields are as those of a message. */
export interface ButtonPress {
  dedupe_key: string;
  chat: IncomingMessage['chat'];
  thread: string;
  sender: IncomingMessage['sender'];
  /** As the platform sent it: it may be forged. */
  token: string;
  platform_id: string;
  sent_ms: number;
}

export interface Pressed {
  /** One sentence, for who pressed alone, where the platform can show it so. To people we know it is written in the chat too. */
  answer: string;
}

/** Something was done to a message that came before. Its key is as unique as a message's, also among those of messages. */
interface IncomingChange {
  dedupe_key: string;
  chat: IncomingMessage['chat'];
  /** The platform's id of that message. */
  platform_id: string;
  /** The platform's time of it. */
  sent_ms: number;
}

/** `text`: all of it, as it is now. Counts only if `sender` wrote the message. */
export interface IncomingEdit extends IncomingChange {
  sender: IncomingMessage['sender'];
  text: string;
}

/** The message is gone, whoever took it away: its author or a moderator. Most platforms do not say. */
export type IncomingDeletion = IncomingChange;

export interface IncomingReaction extends IncomingChange {
  sender: IncomingMessage['sender'];
  emoji: string;
  removed: boolean;
}

/** `late`: an agent has the message, or it has been answered. `refused`: see the recorded rule. Either way it is what it was. */
export interface Changed {
  outcome: 'done' | 'late' | 'refused' | 'recorded' | 'repeated';
}

/** Something came that lacks what each of its kind has, or is nothing that we know: kept to be looked at, and answered by nobody. */
export interface UnreadableEvent {
  dedupe_key: string;
  /** What it seems to be. */
  kind: string;
  /** As it came, in JSON; cut when it is long. */
  raw: string;
}

/** What the platform says of a text of ours after it had taken it. `message`: its receipt. */
export interface Receipt {
  message: string;
  state: 'delivered' | 'read' | 'failed';
  /** Of what failed: a sentence. */
  reason?: string;
  /** The platform's time of it. */
  at_ms: number;
}

export interface Sink {
  accept(message: IncomingMessage): Promise<Accepted>;
  /**
   * As `accept`, in its order: an edit follows its message. A message that still waits has the new text from then on; it
   * goes where it went, and no edit makes it a command or a code. One that waits for a decision stays as its card shows it.
   */
  edited(edit: IncomingEdit): Promise<Changed>;
  /** As `edited`: what still waits is cancelled, for a decision too, and nothing else. */
  deleted(deletion: IncomingDeletion): Promise<Changed>;
  /** As `edited`: recorded, and nothing more. */
  reacted(reaction: IncomingReaction): Promise<Changed>;
  /** As `accept`: it resolves when what came of it is on disk. */
  pressed(press: ButtonPress): Promise<Pressed>;
  /** As `accept`: whoever acknowledges what cannot be read does it after this. Drivers use `unreadable.ts`. */
  unreadable(event: UnreadableEvent): Promise<void>;
  /** Recorded beside its text, each state once, and otherwise nothing; that one failed its owners are told. Rejects when it was not kept. */
  receipt(receipt: Receipt): Promise<void>;
  /** A chat can be reached again: what waits for it is delivered now. */
  reachable(chatPlatformId: string): void;
  /** The driver's place in the platform's history; saved with the ledger's next commit of it. */
  saveCursor(name: string, value: string): Promise<void>;
}

/** `path`: where its bytes are, under their hash, for as long as the send lasts. Nobody but the host writes there. */
export interface OutgoingFile extends FileFacts {
  /** Of the text that it goes with: `o12`, by which the host gives it out again. */
  id: string;
  path: string;
}

export interface SendOperation {
  chat: string;
  thread: string;
  /** In the channel's dialect, whole in itself, within `text_max`. */
  body: string;
  kind: 'reply' | 'send' | 'notice';
  /** Platform id of the message that this answers and should quote, or null. It may be gone: then it is sent without. */
  reply_to: string | null;
  /** Our own id of that message (`m12`), wherever it came from: for terminals, which know no other. */
  answers?: string;
  /** Goes below the text, which may be empty then. */
  file: OutgoingFile | null;
  /** Idempotency key: the same key is the same send. */
  key: string;
  /** Only where `capabilities.buttons`; the text says how to do without them. */
  buttons?: Button[];
  /** Only where `capabilities.cards`; shown instead of the text, which says the same. */
  card?: Card;
}

/** Within the bounds of `base/limits/talk.ts`, every character of it visible; lines are separated by line feeds. */
export interface Card {
  title: string;
  /** May be empty. */
  text: string;
  fields: { name: string; value: string }[];
}

/** A text of ours is to be another one. `message`: its receipt; `key`: of the send that made it. */
export interface EditOperation {
  chat: string;
  thread: string;
  message: string;
  body: string;
  key: string;
}

/** What there is of an answer: all of it so far, as the agent wrote it. '' : nothing is to be seen of it any more. */
export interface PartialAnswer {
  chat: string;
  thread: string;
  /** The turn that writes it, as it is shown. */
  turn: string;
  text: string;
}

/** Putting the same one again changes nothing. `message`: the platform's id. */
export interface ReactOperation {
  chat: string;
  thread: string;
  message: string;
  emoji: string;
}

/** `token`: at most 20 characters of A–Z, a–z, 0–9, - and _. */
export interface Button {
  token: string;
  label: string;
}

/** `ambiguous`: it may have been sent. It is never blindly repeated. */
export type SendErrorClass =
  | 'retryable'
  | 'rate_limited'
  | 'permanent'
  | 'auth'
  | 'gone'
  | 'unsupported'
  | 'too_large'
  | 'ambiguous';

export type SendResult =
  | { ok: true; receipt: string }
  /** Nobody is there to take it; it waits, uncounted, until `sink.reachable`. */
  | { ok: false; class: 'waiting'; reason: string }
  | { ok: false; class: SendErrorClass; reason: string; after_ms?: number };

/** What the platform knows about a send whose outcome was lost. */
export type Reconciled = { found: true; receipt: string } | { found: false } | { found: 'unknown' };

/** What a person may type as `/name`. */
export interface MenuCommand {
  name: string;
  summary: string;
}

/** `failed`: nothing comes in, whatever the driver does about it; `detail` says why, and who we are where it is connected. */
export interface ChannelHealth {
  state: 'connected' | 'starting' | 'failed';
  detail: string;
  /** What the host has seen of a driver in a thread of its own. Times in milliseconds since the epoch. */
  seen?: ChannelSeen;
}

/**
 * What a person's phone takes to link us to their account: a picture that it scans, whose text is `qr`, or a code that is typed there.
 * `over`: the driver asks for nothing more until a person begins it anew.
 */
export type Linking = { qr: string; picture: string } | { code: string } | { over: true };

export interface ChannelSeen {
  kind: string;
  /** In this state. */
  since_ms: number;
  last_in_ms: number | null;
  /** From the platform's time of the newest message to its commit here. */
  lag_ms: number | null;
  last_error: { at_ms: number; text: string } | null;
  /** The platform has asked for silence until then. */
  limited_until_ms: number | null;
  /** `open`: sends have failed one after the other, and wait. */
  breaker: 'closed' | 'open' | 'trying';
  /** Lives of the driver since the host started, less the first. */
  restarts: number;
}

/** What came in over HTTP, as it came: nobody has looked at it. Names of headers are in lower case. */
export interface WebhookRequest {
  method: string;
  /** Below the channel's own path: '' or `/more`. */
  path: string;
  /** Without its question mark. */
  query: string;
  headers: Record<string, string>;
  body: Buffer;
}

export interface WebhookAnswer {
  status: number;
  body?: string;
  /** Of the body; text when absent. */
  type?: string;
}

export interface ChannelCapabilities {
  /** The dialect that a body is written in. */
  markup: Markup;
  /** Characters of one outgoing message, markup included. */
  text_max: number;
  /** Bytes of one outgoing file; 0: this channel takes none. */
  file_bytes_max: number;
  /** Messages can have buttons, whose presses come back through `sink.pressed`. Absent: they cannot. */
  buttons?: boolean;
  /** Messages can have a card. Absent: they cannot, and the text says it all. */
  cards?: boolean;
  /** A message can show which one it answers. Absent, as with the next three: it cannot. */
  quotes?: boolean;
  /** Our messages can be edited: there is `edit`. */
  edits?: boolean;
  /** A reply that grows is edited at most so often, in milliseconds, where the platform counts writes. */
  edit_every_ms?: number;
  /** People's messages can have our reactions: there is `react`. */
  reactions?: boolean;
  /** It can be seen that we are busy: there is `typing`. */
  typing?: boolean;
  /** Several talks beside each other in one chat: `thread` tells them apart, both ways. Absent: it is always ''. */
  threads?: boolean;
  /** Files of people come in with their messages. Absent: as links in the text at most. */
  files_in?: boolean;
  /** Of a text of ours is told that it was delivered, and read: `sink.receipt`. Absent: that it was taken, and no more. */
  receipts?: boolean;
  /** For people: of what was said while nobody listened, how much comes in afterwards. Absent: nothing. */
  missed?: string;
  /** For people: who can be written to before they have written here. Absent, as is `openDm`: nobody. */
  writes_first?: string;
  /** There are no direct chats, so nobody pairs and nobody is written to alone; such a name is a chat's. Absent: there are. */
  no_direct?: string;
}

export interface Channel {
  readonly name: string;
  readonly capabilities: ChannelCapabilities;
  start(sink: Sink, cursors: ReadonlyMap<string, string>): Promise<void>;
  stop(): Promise<void>;
  send(operation: SendOperation): Promise<SendResult>;
  edit?(operation: EditOperation): Promise<SendResult>;
  react?(operation: ReactOperation): Promise<SendResult>;
  /** Shows for some seconds that we are busy. Nobody waits for it; what becomes of it is not recorded. May reject. */
  typing?(chat: string, thread: string): Promise<void>;
  /**
   * Shows an answer while it is written, where that leaves no message behind; then nothing is sent and edited for it. Recorded
   * nowhere, and the answer itself comes as ever. Returns at once; must not throw.
   */
  partial?(answer: PartialAnswer): void;
  /** Resolves when the platform can be asked; until then what an earlier host left waits. Absent: at once. */
  ready?(): Promise<void>;
  /** Absent: the platform cannot tell; the send becomes `uncertain`. */
  reconcile?(operation: SendOperation): Promise<Reconciled>;
  /** The chat in which this person alone reads, opened if need be; null when they cannot be written to. May reject. */
  openDm?(handle: string): Promise<{ platform_id: string; title: string } | null>;
  /** Shows these in the platform's own menu of commands. Called at each start, once the driver runs. May reject. */
  menu?(commands: readonly MenuCommand[]): Promise<void>;
  /** An address that opens our direct chat and sends `pair <code>` there, or `/start <code>`. */
  deepLink?(code: string): string | null;
  /** Null: nothing is to be linked, or not now. Absent: the platform has tokens. */
  linking?(): Linking | null;
  /** Defined in the modes that need it. Checks the signature before it reads; answers 200 when it is committed. Rejects: the platform is to try again. */
  webhook?(request: WebhookRequest): Promise<WebhookAnswer>;
  health(): ChannelHealth;
}
