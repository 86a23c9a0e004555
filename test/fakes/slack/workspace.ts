/** What a fake Slack knows: people, chats, messages, files. The wire is elsewhere. */

export interface FakeMessage {
  channel: string;
  ts: string;
  user?: string;
  bot_id?: string;
  username?: string;
  subtype?: string;
  text: string;
  thread_ts?: string;
  parent_user_id?: string;
  blocks?: FakeBlock[];
  metadata?: { event_type: string; event_payload: Record<string, unknown> };
  edited?: { user: string; ts: string };
  files?: object[];
  upload?: boolean;
}

export interface FakeBlock {
  type: string;
  text?: { type: string; text: string };
  fields?: { type: string; text: string }[];
  elements?: { type: string; action_id: string; value: string; text: { text: string } }[];
}

export interface FakeFile {
  id: string;
  name: string;
  data: Buffer;
  mimetype: string;
}

export const TEAM = 'T0GLASS01';
export const BOT_USER = 'U0BOT0001';
export const BOT_ID = 'B0BOT0001';
export const PERSON = 'U0PERSON1';
export const OTHER = 'U0OTHER01';
export const OTHER_BOT = 'B0BEEP001';
export const DIRECT = 'D0PERSON1';
export const GROUP = 'C0GROUP01';

export class Workspace {
  readonly users: Record<string, { name: string; real_name: string; is_bot: boolean }> = {
    [BOT_USER]: { name: 'glass', real_name: 'Glass', is_bot: true },
    [PERSON]: { name: 'ann', real_name: 'Ann Example', is_bot: false },
    [OTHER]: { name: 'bob', real_name: 'Bob Example', is_bot: false },
  };
  readonly chats: Record<string, { name?: string; is_im: boolean; user?: string }> = {
    [DIRECT]: { is_im: true, user: PERSON },
    [GROUP]: { name: 'general', is_im: false },
  };
  readonly messages: FakeMessage[] = [];
  readonly files = new Map<string, FakeFile>();
  readonly reactions: { channel: string; ts: string; user: string; name: string }[] = [];
  #micros = 0;

  /** Slack's own names of moments: each once. */
  ts(): string {
    this.#micros = Math.max(this.#micros + 1, Date.now() * 1000);
    return `${Math.floor(this.#micros / 1e6)}.${String(this.#micros % 1e6).padStart(6, '0')}`;
  }

  find(channel: string, ts: string): FakeMessage | undefined {
    return this.messages.find((each) => each.channel === channel && each.ts === ts);
  }

  add(message: Omit<FakeMessage, 'ts'>): FakeMessage {
    const root = message.thread_ts === undefined ? undefined : this.find(message.channel, message.thread_ts);
    const parent = root?.user === undefined ? {} : { parent_user_id: root.user };
    const added = { ...message, ...parent, ts: this.ts() };
    this.messages.push(added);
    return added;
  }

  /** As `conversations.history` has a chat: without answers in threads, each thread's newest on its first message. */
  top(channel: string): object[] {
    const ofChat = this.messages.filter((each) => each.channel === channel);
    return ofChat
      .filter((each) => each.thread_ts === undefined)
      .map((each) => {
        const replies = ofChat.filter(({ thread_ts }) => thread_ts === each.ts);
        if (replies.length === 0) return inner(each);
        const more = { thread_ts: each.ts, reply_count: replies.length, latest_reply: replies.at(-1)!.ts };
        return { ...inner(each), ...more };
      });
  }

  thread(channel: string, ts: string): object[] {
    return this.messages
      .filter((each) => each.channel === channel && (each.ts === ts || each.thread_ts === ts))
      .map(inner);
  }
}

/** A message where its chat is known already. */
export function inner({ channel: _, ...message }: FakeMessage): object {
  return { type: 'message', ...message };
}

/** As Slack keeps what a person types. */
export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

/** What a person reads of mrkdwn, and what of it is bold and code. */
export function shownOf(mrkdwn: string): { shown: string; bold: string[]; code: string[] } {
  const bold: string[] = [];
  const code: string[] = [];
  const plain = (text: string): string =>
    text
      .replace(/<([^<>|]*)(?:\|([^<>]*))?>/g, (_, to: string, label?: string) => label ?? to)
      .replace(/&(amp|lt|gt);/g, (_, name: string) => ({ amp: '&', lt: '<', gt: '>' })[name]!);
  const parts = mrkdwn.split(/(```[\s\S]*?```|`[^`\n]+`)/);
  const shown = parts.map((part) => {
    const inner = /^```\n?([\s\S]*?)\n?```$|^`([^`\n]+)`$/.exec(part);
    if (inner !== null) {
      code.push(plain(inner[1] ?? inner[2]!));
      return code.at(-1)!;
    }
    const words = part.replace(/(?<![\w*])\*(\S|\S[^*\n]*\S)\*(?![\w*])/g, (_, strong: string) => {
      bold.push(plain(strong));
      return strong;
    });
    return plain(words.replace(/(?<!\w)_(\S|\S[^_\n]*\S)_(?!\w)/g, '$1'));
  });
  return { shown: shown.join(''), bold, code };
}
