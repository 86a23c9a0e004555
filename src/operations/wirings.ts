import type { Clock } from '../base/clock.ts';
import { OperatingError, unreachable } from '../base/errors.ts';
import { parseId, showId } from '../base/ids.ts';
import { SESSION_QUEUE_MAX } from '../base/limits/messages.ts';
import { LISTED_MAX, UNWIRED_SHOWN_MAX } from '../base/limits/talk.ts';
import { visible } from '../base/text.ts';
import type { Channel } from '../channels/channel.ts';
import {
  type ChatPolicy,
  chatByPlatformId,
  ensureChat,
  nameOfChat,
  setPolicy,
  type WiringRow,
} from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import { recordEvent } from '../ledger/events.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { queuedIn } from '../ledger/messages.ts';
import { personShown } from '../ledger/people.ts';
import { openSessions } from '../ledger/sessions.ts';
import { isStopped } from '../ledger/stops.ts';
import {
  allWirings,
  PLAIN_TERMS,
  removeWiring,
  setWiring,
  unwiredChats,
  type WiringTerms,
  wiringOf,
} from '../ledger/wirings.ts';
import { type AdmissionServices, entryFirst, factsOf, groupsFor, type Said } from '../router/admission.ts';
import { type Admission, admit, judgeWiring } from '../router/admit.ts';
import { parseCommand } from '../router/commands.ts';
import { checkPattern } from '../router/pattern.ts';
import { wordsOf } from '../router/words.ts';

/** Which group answers in which chat, as the operator sets it. Changes are events with who and when. */
export interface WiringsInput {
  ledger: Ledger;
  clock: Clock;
  channels: ReadonlyMap<string, Channel>;
  admission: AdmissionServices;
  groups(): string[];
  /** Has the operator's chat `main` for itself. */
  defaultGroup: string;
  by: string;
}

export interface WiringShown {
  chat: string;
  title: string;
  group: string;
  engage: string;
  context: WiringRow['context'];
  /** `anyone`, `admins`, or people. */
  senders: string;
  session: WiringRow['cut'];
  policy: ChatPolicy;
}

/** A chat in which nobody answers. */
export interface UnwiredShown {
  chat: string;
  title: string;
  policy: ChatPolicy;
}

/** What is not said stays as it is; for a new wiring, as in `PLAIN_TERMS`. */
export interface WiringAsked {
  engage?: WiringRow['engage'] | undefined;
  pattern?: string | undefined;
  context?: WiringRow['context'] | undefined;
  /** `anyone`, `admins`, or `p1,p2`. */
  senders?: string | undefined;
  session?: WiringRow['cut'] | undefined;
}

/** Who would answer a message, and why. */
export interface WouldAnswer {
  /** `wait`: until its group goes on; `refuse`: the sender is told so. */
  would: 'answer' | 'ask' | 'wait' | 'refuse' | 'ignore' | 'host';
  rule: string;
  groups: string[];
  /** Groups that would be shown it with their next turn. */
  kept: string[];
  wirings: { group: string; engage: string; heard: boolean; engages: boolean }[];
}

export class Wirings {
  readonly #input: WiringsInput;

  constructor(input: WiringsInput) {
    this.#input = input;
  }

  /** Of one chat, or of all. Throws `OperatingError('not_found')`. */
  list(chat: string | null): WiringShown[] {
    const { db } = this.#input.ledger;
    if (chat !== null) this.#place(chat);
    return allWirings(db)
      .filter((row) => chat === null || nameOfChat(row) === chat)
      .map((row) => shownOf(db, row));
  }

  /** Chats in which nobody answers yet, the newest first. */
  unwired(): UnwiredShown[] {
    const { db } = this.#input.ledger;
    return unwiredChats(db, UNWIRED_SHOWN_MAX).map((row) => {
      return { chat: visible(nameOfChat(row)), title: visible(row.title), policy: row.policy };
    });
  }

  /** Rejects with `OperatingError`: then nothing has changed. */
  async set(chat: string, group: string, asked: WiringAsked): Promise<WiringShown> {
    const place = this.#place(chat);
    const { ledger, clock, by } = this.#input;
    if (!this.#input.groups().includes(group))
      throw new OperatingError('not_found', `no group ${group} is in force`, './glass group list shows them');
    this.#checkMain(chat, group);
    return ledger.write('wiring_set', (db) => {
      const id = ensureChat(db, clock.now(), place.channel, place.platform_id, place.platform_id);
      const before = wiringOf(db, id, group);
      const terms = termsOf(db, before ?? PLAIN_TERMS, asked);
      setWiring(db, id, group, terms);
      const shown = this.#shown(db, chat, group)!;
      const change = `engage ${shown.engage}, context ${shown.context}, senders ${shown.senders}, session ${shown.session}`;
      recordEvent(db, clock, 'wiring.changed', {}, { chat, group, change, by });
      return shown;
    });
  }

  /** Rejects with `OperatingError('not_found')`. */
  async remove(chat: string, group: string): Promise<{ chat: string; group: string }> {
    const place = this.#place(chat);
    const { ledger, clock, by, defaultGroup } = this.#input;
    if (chat === MAIN && group === defaultGroup) this.#checkMain(chat, '');
    return ledger.write('wiring_remove', (db) => {
      const id = chatByPlatformId(db, place.channel, place.platform_id)?.id;
      if (id === undefined || !removeWiring(db, id, group))
        throw new OperatingError(
          'not_found',
          `${group} does not answer in ${chat}`,
          'glass wiring list shows who does',
        );
      recordEvent(db, clock, 'wiring.changed', {}, { chat, group, change: 'removed', by });
      return { chat, group };
    });
  }

  /** What becomes of senders without a role in a chat, also in one that is not known yet; `<channel>:*`: in all such. */
  async policy(chat: string, policy: ChatPolicy): Promise<{ chat: string; policy: ChatPolicy }> {
    const place = this.#place(chat);
    const { ledger, clock, by } = this.#input;
    return ledger.write('wiring_policy', (db) => {
      setPolicy(db, ensureChat(db, clock.now(), place.channel, place.platform_id, place.platform_id), policy);
      recordEvent(db, clock, 'wiring.changed', {}, { chat, group: '', change: `policy ${policy}`, by });
      return { chat, policy };
    });
  }

  /** Judges a message that nobody has sent. Writes nothing. Throws `OperatingError('not_found')`. */
  test(
    chat: string,
    text: string,
    as: string | null,
    { thread, addressed }: { thread: string; addressed: boolean },
  ): WouldAnswer {
    const place = this.#place(chat);
    const { db } = this.#input.ledger;
    const person = as === null ? null : (parseId('p', as) ?? 0);
    if (person !== null && personShown(db, person) === undefined)
      throw new OperatingError('not_found', `there is no person "${as}"`, 'glass people list shows them');
    const known = chatByPlatformId(db, place.channel, place.platform_id);
    const said: Said = {
      ...{ message: 0, channel: place.channel, title: known?.title ?? '', thread, text, files: 0, forwarded: false },
      chat: known ?? { id: 0, policy: 'strict', direct: 0 },
      ...{ addressed: addressed || known?.direct === 1, by: 'person', person, handle: '', name: '' },
    };
    const facts = factsOf(db, this.#input.admission, said);
    const wirings = facts.wirings.map((row) => {
      return { group: row.group_name, engage: engageWords(row), ...judgeWiring(row, facts) };
    });
    if (person !== null && wordsOf(text, said.addressed) !== null)
      return { would: 'host', rule: 'words for the host itself', groups: [], kept: [], wirings };
    if (parseCommand(text) !== null) {
      const done = groupsFor(db, said).length > 0;
      const rule = done ? 'a command' : 'a command of a sender without a role';
      return { would: done ? 'host' : 'ignore', rule, groups: [], kept: [], wirings };
    }
    const admission = admit(facts);
    switch (admission.kind) {
      case 'deliver':
        return { ...this.#delivered(db, said, admission), kept: names(admission.keep), wirings };
      case 'hold':
        return { would: 'ask', rule: `somebody is asked about the ${admission.what}`, groups: [], kept: [], wirings };
      case 'ignore':
        return { would: 'ignore', rule: admission.rule, groups: [], kept: names(admission.keep), wirings };
      default:
        return unreachable(admission);
    }
  }

  /** What becomes of a message that is let in. */
  #delivered(
    db: Db,
    said: Said,
    { rule, wirings }: Extract<Admission, { kind: 'deliver' }>,
  ): Pick<WouldAnswer, 'would' | 'rule' | 'groups'> {
    const first = entryFirst(db, this.#input, said, wirings);
    if (first !== null) {
      const { wiring, verdict } = first;
      if (verdict.verdict === 'deny') return { would: 'ignore', rule: verdict.rule, groups: [] };
      const asked = `somebody is asked first, by the rule of two of ${wiring.group_name}`;
      return { would: 'ask', rule: asked, groups: [] };
    }
    const all = names(wirings);
    const full = all.filter((group) => {
      const [session] = openSessions(db, said.chat.id, said.thread, [group]);
      return session !== undefined && queuedIn(db, session.id) >= SESSION_QUEUE_MAX;
    });
    const stopped = all.filter((group) => !full.includes(group) && isStopped(db, group));
    const others = [
      ...stopped.map((group) => `${group} is stopped: it waits there until ${group} goes on`),
      ...full.map((group) => `${SESSION_QUEUE_MAX} messages wait for ${group} already: it is refused there`),
    ];
    const groups = all.filter((group) => !full.includes(group) && !stopped.includes(group));
    if (groups.length > 0) return { would: 'answer', rule: [rule, ...others].join('; '), groups };
    return { would: stopped.length > 0 ? 'wait' : 'refuse', rule: others.join('; '), groups };
  }

  #shown(db: Db, chat: string, group: string): WiringShown | undefined {
    const row = allWirings(db).find((each) => each.group_name === group && nameOfChat(each) === chat);
    return row === undefined ? undefined : shownOf(db, row);
  }

  #place(chat: string): { channel: string; platform_id: string } {
    const at = chat.indexOf(':');
    const [channel, platform_id] = [chat.slice(0, at), chat.slice(at + 1)];
    if (at > 0 && platform_id !== '' && this.#input.channels.has(channel)) return { channel, platform_id };
    throw new OperatingError(
      'not_found',
      `"${visible(chat)}" names no chat`,
      'say <channel>:<chat>, as glass wiring list does',
    );
  }

  #checkMain(chat: string, group: string): void {
    if (chat === MAIN && group !== this.#input.defaultGroup)
      throw new OperatingError(
        'conflict',
        `${MAIN} belongs to the install’s default group`,
        'set default_group in glass.yaml',
      );
  }
}

/** The operator's own chat. */
const MAIN = 'local:main';

function termsOf(db: Db, before: WiringTerms, asked: WiringAsked): WiringTerms {
  const engage = asked.engage ?? before.engage;
  const pattern = engage === 'pattern' ? (asked.pattern ?? before.pattern) : '';
  if (engage === 'pattern') checkPattern(pattern);
  const senders = asked.senders === undefined ? before : sendersOf(db, asked.senders);
  return {
    ...{ engage, pattern, context: asked.context ?? before.context, cut: asked.session ?? before.cut },
    ...{ senders: senders.senders, listed: senders.listed },
  };
}

function sendersOf(db: Db, given: string): Pick<WiringTerms, 'senders' | 'listed'> {
  if (given === 'anyone' || given === 'admins') return { senders: given, listed: '[]' };
  const people = given.split(',').map((id) => {
    const person = parseId('p', id.trim()) ?? 0;
    if (personShown(db, person) === undefined)
      throw new OperatingError(
        'usage',
        `senders are anyone, admins, or people: "${visible(id)}" is nobody`,
        'glass people list',
      );
    return person;
  });
  if (people.length > LISTED_MAX) throw new OperatingError('usage', `a wiring lists at most ${LISTED_MAX} people`);
  return { senders: 'listed', listed: JSON.stringify([...new Set(people)]) };
}

function shownOf(db: Db, row: ReturnType<typeof allWirings>[number]): WiringShown {
  const people = (JSON.parse(row.listed) as number[]).map((person) => showId('p', person));
  return {
    ...{ chat: nameOfChat(row), title: visible(row.title), group: row.group_name, engage: engageWords(row) },
    ...{ context: row.context, senders: row.senders === 'listed' ? people.join(',') : row.senders, session: row.cut },
    policy: chatByPlatformId(db, row.channel, row.platform_id)!.policy,
  };
}

function engageWords({ engage, pattern }: WiringTerms): string {
  return engage === 'pattern' ? `pattern:${pattern}` : engage;
}

function names(rows: WiringRow[]): string[] {
  return rows.map((row) => row.group_name);
}
