import type { Clock } from '../base/clock.ts';
import { MESSAGE_TEXT_BYTES_MAX, NAME_CHARS_MAX } from '../base/limits/messages.ts';
import { cutBytes } from '../base/text.ts';
import type { Accepted, ButtonPress, Changed, IncomingMessage, Pressed } from '../channels/channel.ts';
import { takeFiles } from '../channels/files.ts';
import { takeChat } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import { recordEvent } from '../ledger/events.ts';
import { type FileFacts, insertFiles } from '../ledger/files.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { inboundOf, insertInbound, insertMessage, messageByKey, setText } from '../ledger/messages.ts';
import { insertNotice } from '../ledger/outbound.ts';
import { identityOf, setDmChat } from '../ledger/people.ts';
import { unstick } from '../ledger/wirings.ts';
import { type AdmissionServices, admitMessage, groupsFor, mayCommand, type Said } from './admission.ts';
import type { Answers, Heard } from './answers.ts';
import { applyChange, type Change } from './changes.ts';
import { type CommandAct, type CommandService, isAnywhere, isForUs, type Parsed, parseCommand } from './commands.ts';
import { pair } from './pairing.ts';
import { isPairingCode, type Words, wordsOf } from './words.ts';

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
  /** Other chats that something was written for. */
  chats: number[];
  /** Questions that somebody must be asked. */
  asked: number[];
  /** What is to follow the commit. */
  after?: () => void;
}

/** What is told within the transaction, before it is known whether it holds. */
export type RouterEffects = Omit<AdmissionServices, 'clock'>;

/** Who decides about what waits, in the transaction of the words or the press that says so. */
export interface Decider {
  /** `choice`: `approve`, `deny`, or a number. */
  decideByCode(db: Db, code: string, choice: string, by: DecidedBy): Decided;
  decideByToken(db: Db, token: string, by: DecidedBy): Decided;
  /** What waits for this person's word, each in a few lines of words. */
  waiting(db: Db, person: number): string[];
}

export interface DecidedBy {
  /** Null: nobody knows them. */
  person: number | null;
  message: number;
  chat: number;
}

export interface Decided {
  /** Whether something was decided by it. */
  ok: boolean;
  /** One sentence for who asked for it. */
  text: string;
  sessions: number[];
  chats: number[];
  asked: number[];
  /** What is to follow the commit. */
  after?: () => void;
}

export class Router {
  readonly #ledger: Ledger;
  readonly #blobs: string;
  readonly #services: AdmissionServices;
  readonly #decider: Decider;
  readonly #commands: CommandService;
  readonly #answers: Answers;

  constructor(
    ledger: Ledger,
    clock: Clock,
    blobs: string,
    effects: RouterEffects,
    decider: Decider,
    commands: CommandService,
    answers: Answers,
  ) {
    this.#ledger = ledger;
    this.#blobs = blobs;
    this.#services = { clock, ...effects };
    this.#decider = decider;
    this.#commands = commands;
    this.#answers = answers;
  }

  async route(channel: string, incoming: IncomingMessage): Promise<Routed> {
    const received_us = this.#services.clock.micros();
    // First the bytes: a row never names what is not on disk. Bytes without a row are only room.
    const files = takeFiles(this.#blobs, incoming.files);
    const command = parseCommand(incoming.text);
    const ours = command !== null && isForUs(command, incoming.addressed);
    const act = ours ? await this.#prepared(command, channel, incoming) : null;
    return this.#ledger.write('accept', (db) => this.#accept(db, channel, incoming, files, received_us, act));
  }

  /** For somebody without a role nothing is gathered: their command is refused where it is judged. */
  async #prepared(command: Parsed, channel: string, incoming: IncomingMessage): Promise<CommandAct> {
    if (!isAnywhere(command) && !mayCommand(this.#ledger.db, channel, incoming)) return () => ({ text: '' });
    return this.#commands.prepare(command, channel, incoming);
  }

  /** Something was done to a message that came before. */
  async change(channel: string, change: Change): Promise<Changed> {
    return this.#ledger.write('change', (db) => applyChange(db, this.#services.clock, channel, change));
  }

  /** A button was pressed: a message like any other, with one thing to say. */
  async press(channel: string, press: ButtonPress): Promise<Routed & Pressed> {
    const received_us = this.#services.clock.micros();
    return this.#ledger.write('press', (db) => this.#pressed(db, channel, press, received_us));
  }

  #accept(
    db: Db,
    channel: string,
    incoming: IncomingMessage,
    files: FileFacts[],
    received_us: number,
    act: CommandAct | null,
  ): Routed {
    const known = messageByKey(db, incoming.dedupe_key);
    if (known !== undefined) return this.#repeated(db, known, incoming.dedupe_key);
    const said = this.#taken(db, channel, incoming, files, received_us);
    const words = wordsOf(incoming.text, incoming.addressed);
    const answered = words === null ? null : this.#answer(db, said, words);
    if (answered !== null) return answered;
    const command = parseCommand(said.text);
    const heard = command === null ? this.#answers.byMessage(db, said, incoming.reply_to) : null;
    if (heard !== null) return this.#heard(db, said, heard, said.message);
    if (act !== null) return this.#command(db, said, act, isAnywhere(command));
    return {
      message: said.message,
      repeated: false,
      chat: said.chat.id,
      chats: [],
      ...admitMessage(db, this.#services, said),
    };
  }

  /** The platform's fact, in rows. */
  #taken(db: Db, channel: string, incoming: IncomingMessage, files: FileFacts[], received_us: number): Said {
    const { clock } = this.#services;
    const now = clock.now();
    const { handle } = incoming.sender;
    const name = incoming.sender.name.slice(0, NAME_CHARS_MAX);
    const title = incoming.chat.title.slice(0, NAME_CHARS_MAX);
    const chat = takeChat(db, now, channel, { ...incoming.chat, title });
    const identity = identityOf(db, channel, handle);
    if (identity !== undefined && chat.direct === 1 && identity.dm_chat !== chat.id)
      setDmChat(db, channel, handle, chat.id);
    const person = identity?.person_id ?? null;
    const { thread, addressed } = incoming;
    const message = insertMessage(db, {
      dedupe_key: incoming.dedupe_key,
      chat_id: chat.id,
      thread,
      person_id: person,
      sender: name,
      handle,
      addressed: addressed ? 1 : 0,
      platform_id: incoming.platform_id,
      text: keptText(incoming.text),
      forwarded: incoming.forwarded === true ? 1 : 0,
      sent_ms: incoming.sent_ms,
      received_ms: now,
    })!;
    insertFiles(db, message, files);
    const hop = {
      channel,
      chat: incoming.chat.platform_id,
      sender: name,
      bytes: Buffer.byteLength(incoming.text),
      ...(files.length === 0 ? {} : { files }),
    };
    recordEvent(db, clock, 'message.received', { message }, hop, received_us);
    return {
      message,
      chat,
      channel,
      title,
      thread,
      text: incoming.text,
      files: files.length,
      forwarded: incoming.forwarded === true,
      addressed,
      by: incoming.sender.kind ?? 'person',
      person,
      handle,
      name,
    };
  }

  /** What is said to the host itself. Null: it is for an agent after all. */
  #answer(db: Db, said: Said, words: Words): Routed | null {
    switch (words.kind) {
      case 'pair':
        return this.#pair(db, said, words.code);
      case 'decide': {
        if (said.person === null || said.by !== 'person') return null;
        const by = { person: said.person, message: said.message, chat: said.chat.id };
        return this.#decided(db, said, this.#decider.decideByCode(db, words.code, words.choice, by), said.message);
      }
      case 'answer': {
        const heard = this.#answers.byCode(db, said, words.code, words.text);
        return heard === null ? null : this.#heard(db, said, heard, said.message);
      }
      case 'quiet': {
        if (said.person === null || unstick(db, this.#services.clock.now(), said.chat.id, said.thread) === 0)
          return null;
        return this.#end(db, said, 'answered', 'told to be quiet', 'Quiet until the next mention.');
      }
      default:
        return words satisfies never;
    }
  }

  /** Done and answered in this transaction, without any agent. `anywhere`: also where no group answers the sender. */
  #command(db: Db, said: Said, act: CommandAct, anywhere: boolean): Routed {
    const groups = groupsFor(db, said);
    if (said.by !== 'person' || said.person === null || (groups.length === 0 && !anywhere))
      return this.#end(db, said, 'ignored', 'a command of a sender without a role', null);
    const { message, chat, thread, person, name } = said;
    const { text, after } = act(db, { message, chat: chat.id, thread, person, sender: name, groups });
    return { ...this.#end(db, said, 'answered', 'a command', text), ...(after && { after }) };
  }

  #pair(db: Db, said: Said, code: string): Routed | null {
    if (said.chat.direct !== 1 || said.by !== 'person') return null;
    if (said.person !== null && !isPairingCode(code)) return null;
    const { message, channel, handle, name } = said;
    // A code is nobody's to read, and one that was mistyped is nearly one.
    setText(db, message, 'pair [a code]');
    const paired = pair(db, this.#services.clock, { message, chat: said.chat.id, channel, handle, name, code });
    if (paired.ok) return this.#end(db, said, 'answered', paired.reason, paired.tell);
    return this.#end(db, said, 'ignored', paired.rule, paired.tell);
  }

  #decided(db: Db, said: Said, decided: Decided, replyTo: number | null): Routed {
    const { sessions, chats, asked, after } = decided;
    const reason = decided.ok ? 'a decision' : 'a decision that was refused';
    const end = this.#end(db, said, 'answered', reason, decided.text, replyTo);
    return { ...end, sessions, chats, asked, ...(after && { after }) };
  }

  /** It is said to an agent that waits for it, and so to no session. */
  #heard(db: Db, said: Said, { reason, tell, after }: Heard, replyTo: number | null): Routed {
    return { ...this.#end(db, said, 'answered', reason, tell, replyTo), ...(after && { after }) };
  }

  /** One row without session, and a sentence for the chat. */
  #end(
    db: Db,
    said: Said,
    state: 'answered' | 'ignored',
    reason: string,
    tell: string | null,
    replyTo: number | null = said.message,
  ): Routed {
    const { message, chat, thread } = said;
    const { clock } = this.#services;
    insertInbound(db, clock.now(), message, null, state, reason);
    if (state === 'ignored') recordEvent(db, clock, 'message.ignored', { message }, { rule: reason });
    else recordEvent(db, clock, 'message.answered', { message }, { reason });
    if (tell !== null) insertNotice(db, clock.now(), chat.id, thread, replyTo, tell);
    const ignored = state === 'ignored' ? reason : null;
    return { ...{ message, ignored, chat: chat.id, notices: tell !== null }, ...NOTHING };
  }

  #pressed(db: Db, channel: string, press: ButtonPress, received_us: number): Routed & Pressed {
    const known = messageByKey(db, press.dedupe_key);
    if (known !== undefined)
      return { ...this.#repeated(db, known, press.dedupe_key), answer: 'That was heard already.' };
    const incoming = { ...press, addressed: true, text: '[a button]', files: [] };
    const said = this.#taken(db, channel, incoming, [], received_us);
    const person = said.by === 'person' ? said.person : null;
    const heard = this.#answers.byToken(db, said, press.token);
    if (heard !== null && (heard.ok || person !== null))
      return { ...this.#heard(db, said, heard, null), answer: heard.tell ?? '' };
    if (heard !== null) return { ...this.#end(db, said, 'ignored', UNKNOWN_PRESS, null), answer: heard.tell ?? '' };
    const decided = this.#decider.decideByToken(db, press.token, { person, message: said.message, chat: said.chat.id });
    const answer = decided.text;
    // A press is no message of the platform's: nothing can be a reply to it.
    if (person !== null) return { ...this.#decided(db, said, decided, null), answer };
    const ended = this.#end(db, said, 'ignored', UNKNOWN_PRESS, null);
    return { ...ended, chats: decided.chats, answer };
  }

  #repeated(db: Db, message: number, dedupe_key: string): Routed {
    recordEvent(db, this.#services.clock, 'message.repeated', { message }, { dedupe_key });
    const ignored = inboundOf(db, message).find((row) => row.state === 'ignored')?.reason ?? null;
    return { ...NOTHING, repeated: true, message, ignored, chat: 0, notices: false };
  }
}

const UNKNOWN_PRESS = 'a button pressed by an unknown sender';

/** What comes of a message that is for nobody else. */
const NOTHING = { repeated: false, sessions: [], chats: [], asked: [] };

/** Of a message that is too long to be read, only the beginning is kept. */
function keptText(text: string): string {
  return cutBytes(text, MESSAGE_TEXT_BYTES_MAX);
}
