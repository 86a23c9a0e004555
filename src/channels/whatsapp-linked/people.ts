import { jidNormalizedUser } from '@whiskeysockets/baileys';
import type { IncomingMessage } from '../channel.ts';
import { Latest } from '../latest.ts';
import { chatOf, isGroup, isNumber } from './jids.ts';
import { GROUP_MS, REMEMBERED_MAX } from './limits.ts';

/** Who somebody is, and what is known of groups. */
export interface Directory {
  /** Both of our own names, as far as they are known. */
  me(): string[];
  /** Of somebody whom WhatsApp names by a number of its own. */
  numberOf(lid: string): string | null;
  /** Rejects when WhatsApp does not say. */
  group(jid: string): Promise<Group>;
}

export interface Group {
  title: string;
  /** As their jids. */
  admins: string[];
}

interface Asked {
  at_ms: number;
  group: Promise<Group>;
}

export class People {
  readonly #directory: Directory;
  readonly #groups = new Latest<string, Asked>(REMEMBERED_MAX);

  constructor(directory: Directory) {
    this.#directory = directory;
  }

  isMe(jid: string | null | undefined): boolean {
    return jid !== null && jid !== undefined && this.#directory.me().includes(jidNormalizedUser(jid));
  }

  /** Their number where it is known, from the message or an earlier one; else what WhatsApp calls them. */
  handleOf(jid: string, alt: string | null | undefined): string {
    const own = chatOf(jid);
    if (isNumber(own) || isGroup(own)) return own;
    const other = alt ? chatOf(alt) : '';
    if (isNumber(other) && !this.isMe(alt)) return other;
    return this.#directory.numberOf(own) ?? own;
  }

  async chat(jid: string, alt: string | null | undefined, name: string): Promise<IncomingMessage['chat']> {
    const platform_id = this.handleOf(jid, alt);
    if (isGroup(platform_id)) return { platform_id, title: (await this.#group(jid))?.title || 'a group' };
    return { platform_id, title: name || shownOf(platform_id), direct: true };
  }

  async isAdmin(group: string, jid: string): Promise<boolean> {
    return (await this.#group(group))?.admins.includes(jidNormalizedUser(jid)) ?? false;
  }

  /** Asked again after a while; null when WhatsApp does not say. */
  async #group(jid: string): Promise<Group | null> {
    let asked = this.#groups.get(jid);
    if (asked === undefined || Date.now() - asked.at_ms > GROUP_MS) {
      asked = { at_ms: Date.now(), group: this.#directory.group(jid) };
      asked.group.catch(() => this.#groups.drop(jid));
      this.#groups.put(jid, asked);
    }
    return asked.group.catch(() => null);
  }
}

export function shownOf(handle: string): string {
  return isNumber(handle) ? `+${handle}` : handle;
}
