import type { Clock } from '../base/clock.ts';
import { MESSAGE_TEXT_BYTES_MAX, NAME_CHARS_MAX, SESSION_QUEUE_MAX } from '../base/limits/messages.ts';
import { cutBytes } from '../base/text.ts';
import type { Accepted, IncomingMessage } from '../channels/channel.ts';
import { takeFiles } from '../channels/files.ts';
import { ensureChat, type WiringRow, wiringsOf } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import { recordEvent } from '../ledger/events.ts';
import { type FileFacts, insertFiles } from '../ledger/files.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { inboundOf, insertInbound, insertMessage, messageByKey, queuedIn } from '../ledger/messages.ts';
import { insertNotice } from '../ledger/outbound.ts';
import { mayUse, personOf } from '../ledger/people.ts';
import { ensureSession } from '../ledger/sessions.ts';
import { admit } from './admit.ts';
import { type CommandAnswer, type CommandPlace, type CommandService, parseCommand } from './commands.ts';

/**
 * Flow 1, step 2: one transaction takes a message from a channel to the sessions that are to handle it. When `route`
 * resolves it is on disk with every row that is to come of it; when it rejects nothing is.
 */
export interface Routed extends Accepted {
  chat: number;
  /** Sessions to wake. */
  sessions: number[];
  /** Whether something was written for the chat itself (a notice). */
  notices: boolean;
  /** What is to follow the commit. */
  after?: () => void;
}

type Act = (db: Db, place: CommandPlace) => CommandAnswer;

/** What is told within the transaction, before it is known whether it holds. */
export interface RouterEffects {
  /** Somebody who may has spoken to the group: the gateway is to know before the turn's first request. */
  spoken(group: string): void;
  /** A message waits in the session: if its sandbox is there, the turn begins in the same transaction. */
  nudge(session: number): void;
}

export class Router {
  readonly #ledger: Ledger;
  readonly #clock: Clock;
  readonly #blobs: string;
  readonly #effects: RouterEffects;
  readonly #commands: CommandService;

  constructor(ledger: Ledger, clock: Clock, blobs: string, effects: RouterEffects, commands: CommandService) {
    this.#ledger = ledger;
    this.#clock = clock;
    this.#blobs = blobs;
    this.#effects = effects;
    this.#commands = commands;
  }

  async route(channel: string, incoming: IncomingMessage): Promise<Routed> {
    const received_us = this.#clock.micros();
    // First the bytes: a row never names what is not on disk. Bytes without a row are only room.
    const files = takeFiles(this.#blobs, incoming.files);
    const command = parseCommand(incoming.text);
    const act = command === null ? null : await this.#commands.prepare(command, channel, incoming);
    return this.#ledger.write('accept', (db) => this.#accept(db, channel, incoming, files, received_us, act));
  }

  #accept(
    db: Db,
    channel: string,
    incoming: IncomingMessage,
    files: FileFacts[],
    received_us: number,
    act: Act | null,
  ): Routed {
    const now = this.#clock.now();
    const known = messageByKey(db, incoming.dedupe_key);
    if (known !== undefined) return this.#repeated(db, known, incoming);
    const sender = incoming.sender.name.slice(0, NAME_CHARS_MAX);
    const chat = ensureChat(db, now, channel, incoming.chat.platform_id, incoming.chat.title.slice(0, NAME_CHARS_MAX));
    const person = personOf(db, channel, incoming.sender.handle) ?? null;
    const message = insertMessage(db, {
      dedupe_key: incoming.dedupe_key,
      chat_id: chat,
      thread: incoming.thread,
      person_id: person,
      sender,
      platform_id: incoming.platform_id,
      text: keptText(incoming.text),
      sent_ms: incoming.sent_ms,
      received_ms: now,
    })!;
    insertFiles(db, message, files);
    const hop = {
      channel,
      chat: incoming.chat.platform_id,
      sender,
      bytes: Buffer.byteLength(incoming.text),
      ...(files.length === 0 ? {} : { files }),
    };
    recordEvent(db, this.#clock, 'message.received', { message }, hop, received_us);
    const admission = admit({
      text: incoming.text,
      files: files.length,
      addressed: incoming.addressed,
      command: act !== null,
      person,
      wirings: wiringsOf(db, chat),
      mayUse: (group) => person !== null && mayUse(db, person, group),
    });
    if (admission.kind === 'ignore')
      return this.#ignore(db, chat, message, incoming.thread, admission.rule, admission.tell);
    if (admission.kind === 'command')
      return this.#command(db, act!, {
        ...{ message, chat, sender, thread: incoming.thread, person: person! },
        groups: admission.groups,
      });
    recordEvent(db, this.#clock, 'message.admitted', { message }, { rule: admission.rule });
    for (const { group_name } of admission.wirings) this.#effects.spoken(group_name);
    const sessions = admission.wirings.flatMap((wiring) => this.#queue(db, message, wiring, incoming.thread));
    return {
      message,
      repeated: false,
      ignored: null,
      chat,
      sessions,
      notices: sessions.length < admission.wirings.length,
    };
  }

  /** Done and answered in this transaction, without any agent. */
  #command(db: Db, act: Act, place: CommandPlace): Routed {
    const { message, chat, thread } = place;
    insertInbound(db, this.#clock.now(), message, null, 'answered', 'a command');
    const { text, after } = act(db, place);
    recordEvent(db, this.#clock, 'message.command', { message }, { groups: place.groups });
    insertNotice(db, this.#clock.now(), chat, thread, message, text);
    return { message, repeated: false, ignored: null, chat, sessions: [], notices: true, ...(after && { after }) };
  }

  #repeated(db: Db, message: number, incoming: IncomingMessage): Routed {
    recordEvent(db, this.#clock, 'message.repeated', { message }, { dedupe_key: incoming.dedupe_key });
    const ignored = inboundOf(db, message).find((row) => row.state === 'ignored')?.reason ?? null;
    return { message, repeated: true, ignored, chat: 0, sessions: [], notices: false };
  }

  #ignore(db: Db, chat: number, message: number, thread: string, rule: string, tell: string | null): Routed {
    insertInbound(db, this.#clock.now(), message, null, 'ignored', rule);
    recordEvent(db, this.#clock, 'message.ignored', { message }, { rule });
    if (tell !== null) insertNotice(db, this.#clock.now(), chat, thread, message, tell);
    return { message, repeated: false, ignored: rule, chat, sessions: [], notices: tell !== null };
  }

  /** Queues the message in one session; a full queue refuses it, and says so. */
  #queue(db: Db, message: number, wiring: WiringRow, thread: string): number[] {
    const now = this.#clock.now();
    const session = ensureSession(db, now, wiring.group_name, wiring.chat_id, thread);
    recordEvent(
      db,
      this.#clock,
      'message.routed',
      { message, session: session.id },
      { group: wiring.group_name, new_session: session.isNew },
    );
    const ahead = queuedIn(db, session.id);
    if (ahead >= SESSION_QUEUE_MAX) {
      const reason = `${ahead} messages wait already`;
      insertInbound(db, now, message, session.id, 'failed', reason);
      recordEvent(db, this.#clock, 'message.failed', { message, session: session.id }, { reason });
      const text = `I could not take that message: ${reason}. Please send it again later.`;
      insertNotice(db, now, wiring.chat_id, thread, message, text);
      return [];
    }
    insertInbound(db, now, message, session.id, 'queued', '');
    recordEvent(db, this.#clock, 'message.queued', { message, session: session.id }, { ahead });
    this.#effects.nudge(session.id);
    return [session.id];
  }
}

/** Of a message that is too long to be read, only the beginning is kept. */
function keptText(text: string): string {
  return cutBytes(text, MESSAGE_TEXT_BYTES_MAX);
}
