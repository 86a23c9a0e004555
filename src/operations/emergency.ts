import type { Clock } from '../base/clock.ts';
import { messageOf, OperatingError } from '../base/errors.ts';
import { showId } from '../base/ids.ts';
import { STOP_EVIDENCE_MS, STOP_WAIT_MS } from '../base/limits/messages.ts';
import type { Log } from '../base/log.ts';
import { AGENTS } from '../channels/agents/agents.ts';
import { chatById, nameOfChat } from '../ledger/chats.ts';
import type { Db } from '../ledger/db.ts';
import { recordEvent } from '../ledger/events.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { insertNotice } from '../ledger/outbound.ts';
import { administers, isOwner, nameOfPerson } from '../ledger/people.ts';
import { sessionById, sessionsInTurn, sessionsWithWork } from '../ledger/sessions.ts';
import {
  countsOfGroup,
  endStops,
  holdOfGroup,
  isStopped,
  lastSentOf,
  openStops,
  releaseOfGroup,
  type StopCounts,
  type StopRow,
  setReceipt,
  takeStop,
} from '../ledger/stops.ts';
import type { AuditRow } from '../protocol/gateway.ts';
import type { CommandAct, CommandPlace } from '../router/commands.ts';
import type { Halted } from '../sessions/sessions.ts';
import { stopSession } from '../sessions/turn_book.ts';
import { endText, type Resumed, resumedText, type StopReceipt, type StopShown } from './stop_words.ts';

/**
 * The emergency stop of a group, or of all (`''`). One transaction marks it, cancels what runs and holds what has not left; from then on
 * every way that something of the group could begin asks the ledger and finds it closed. Then what lives is ended: ways out first.
 */
export interface EmergencyInput {
  ledger: Ledger;
  clock: Clock;
  log: Log;
  groups(): string[];
  /** Inbound keys that have joined a session's turn and that its agent has not seen. */
  untaken(session: number): number[];
  /** Ends every sandbox of the group, ways out first. */
  halt(group: string, reason: string): Halted[];
  /** The newest requests since a time, of a group or (null) of all. Rejects with `OperatingError`. */
  requests(group: string | null, since_ms: number, limit: number): Promise<AuditRow[]>;
  wake(session: number): void;
  deliver(chat: number): void;
  /** Tasks and wishes may go on. */
  goOn(): void;
}

interface Marked extends StopCounts {
  stop: StopRow;
  isNew: boolean;
  turns: string[];
  /** Where people are told that what they asked for is over. */
  chats: number[];
}

export class Emergency {
  readonly #input: EmergencyInput;

  constructor(input: EmergencyInput) {
    this.#input = input;
  }

  /** Resolves when it is over. `group` null: every one. Rejects with `OperatingError`: `not_found`, `storage` (then nothing was done). */
  async stop(group: string | null, by: string): Promise<StopReceipt> {
    const { ledger, clock } = this.#input;
    const began = clock.monotonic();
    this.#known(group ?? '');
    return this.#end(await ledger.write('stop', (db) => this.#mark(db, group ?? '', by)), began, null);
  }

  /** Lets what waits go on; with `drop`, what was held is rejected. Rejects with `not_found`, `conflict` (it is not stopped). */
  async resume(group: string | null, by: string, drop: boolean): Promise<Resumed> {
    this.#known(group ?? '');
    const { resumed, chats } = await this.#input.ledger.write('resume', (db) => {
      const done = this.#resume(db, group ?? '', by, drop);
      if (done === null) throw new OperatingError('conflict', `${nameOf(group ?? '')} not stopped`);
      return done;
    });
    this.#goOn(group ?? '', chats);
    return resumed;
  }

  list(): StopShown[] {
    const { db } = this.#input.ledger;
    return openStops(db).map(({ group_name, by, stopped_ms, receipt }) => {
      const { held, waiting } = countsOfGroup(db, group_name);
      const shown = { group: group_name || null, by, since_ms: stopped_ms, held, waiting };
      return { ...shown, receipt: receipt === null ? null : (JSON.parse(receipt) as StopReceipt) };
    });
  }

  /** `/stop all`, `/resume group helper`: who says so is judged, and all is done, in the transaction of their message. */
  command(verb: 'stop' | 'resume', group: string): CommandAct {
    const began = this.#input.clock.monotonic();
    return (db, place) => {
      const refusal = this.#refusal(db, place, verb, group);
      if (refusal !== null) return { text: refusal };
      const by = nameOfPerson(db, place.person);
      if (verb === 'stop') {
        const marked = this.#mark(db, group, by);
        return { text: markedText(group, marked), after: () => void this.#end(marked, began, place) };
      }
      const done = this.#resume(db, group, by, false);
      if (done === null) return { text: `${nameOf(group)} not stopped.` };
      return { text: resumedText(done.resumed), after: () => this.#goOn(group, done.chats) };
    };
  }

  /** Why this person may not; recorded. */
  #refusal(db: Db, { person, message }: CommandPlace, verb: 'stop' | 'resume', group: string): string | null {
    const { clock, groups } = this.#input;
    const may = verb === 'stop' && group !== '' ? administers(db, person, group) : isOwner(db, person);
    if (!may) {
      const what = `/${verb} ${group === '' ? 'all' : `group ${group}`}`;
      recordEvent(db, clock, 'stop.refused', { message }, { group, person: showId('p', person), what });
      return `${what} is for ${verb === 'stop' && group !== '' ? `who administers ${group}` : 'owners'}: nothing was done.`;
    }
    return group === '' || groups().includes(group) ? null : `There is no group ${group}; nothing was done.`;
  }

  #known(group: string): void {
    const { groups, ledger } = this.#input;
    // One that was removed while it was stopped can go on.
    const known = groups().includes(group) || openStops(ledger.db).some(({ group_name }) => group_name === group);
    if (group !== '' && !known)
      throw new OperatingError('not_found', `there is no group "${group}"`, './glass group list');
  }

  #mark(db: Db, group: string, by: string): Marked {
    const { clock, untaken } = this.#input;
    const now = clock.now();
    const { stop, isNew } = takeStop(db, now, group, by);
    holdOfGroup(db, now, group);
    const stopped = sessionsInTurn(db, group).map((session) =>
      stopSession(db, clock, session, by, { keep: true, untaken: untaken(session.id) }),
    );
    const turns = stopped.map(({ turn }) => showId('t', turn!.id));
    const counts = countsOfGroup(db, group);
    const chats: number[] = [];
    for (const { session, places, shown } of stopped) {
      if (shown !== null) chats.push(shown);
      for (const { chat_id, thread } of places) {
        if (chatById(db, chat_id)!.channel === AGENTS) continue;
        insertNotice(db, now, chat_id, thread, null, `${session.group_name} is stopped: what was asked here is over.`);
        chats.push(chat_id);
      }
    }
    const { held, waiting, sending } = counts;
    const data = { group, by, turns: turns.length, held, sending: sending.length, waiting };
    recordEvent(db, clock, 'group.stopped', {}, data);
    return { stop, isNew, turns, chats, ...counts };
  }

  /** After the commit. `asked`: the chat that hears what came of it. */
  async #end(marked: Marked, began: number, asked: CommandPlace | null): Promise<StopReceipt> {
    const { clock, halt, deliver, ledger, log } = this.#input;
    const { stop } = marked;
    const group = stop.group_name;
    const halted = halt(group, `its group was stopped by ${stop.by}`);
    for (const chat of new Set(marked.chats)) deliver(chat);
    const cuts = await Promise.all(halted.map(async ({ session, cut }) => ({ session, calls: await cut })));
    const gone = await within(STOP_WAIT_MS, Promise.all(halted.map((each) => each.gone)));
    const took = Math.round(clock.monotonic() - began);
    const { answered, ...effects } = await this.#lastEffects(group);
    // Where no sandbox lives any more the gateway is asked all the same: what an earlier one has sent it may not have read yet.
    const isClosed = halted.length === 0 ? answered : cuts.every(({ calls }) => calls !== null);
    const egress = isClosed ? 'closed' : 'unanswered';
    const ms = gone !== null && isClosed ? took : null;
    const sending = marked.sending.map(({ outbound, to }) => ({ message: showId('o', outbound), to }));
    const receipt: StopReceipt = {
      ...{ group: group || null, by: stop.by, stopped_ms: stop.stopped_ms, again: !marked.isNew, ms },
      ...{ turns: marked.turns, sandboxes: halted.map(({ session }) => session), egress },
      cut: cuts.flatMap(({ session, calls }) => (calls ?? []).map((call) => ({ session, ...call }))),
      ...{ held: marked.held, waiting: marked.waiting, sending },
      ...effects,
    };
    try {
      await ledger.write('stop_receipt', (db) => this.#keep(db, marked, receipt, asked));
      if (asked !== null) deliver(asked.chat);
    } catch (error) {
      log.error('stop.receipt', { group, reason: messageOf(error) });
    }
    return receipt;
  }

  #keep(db: Db, { stop, isNew }: Marked, receipt: StopReceipt, asked: CommandPlace | null): void {
    const { clock } = this.#input;
    const { ms, sandboxes, cut, egress } = receipt;
    // One whose host was killed before has none yet.
    if (isNew || stop.receipt === null) setReceipt(db, stop.id, receipt);
    const data = { group: stop.group_name, ms: ms ?? -1, sandboxes: sandboxes.length, cut: cut.length, egress };
    recordEvent(db, clock, 'group.stop_receipt', {}, data);
    if (asked !== null) insertNotice(db, clock.now(), asked.chat, asked.thread, asked.message, endText(receipt));
  }

  /** `answered`: whether the gateway was there to say so. */
  async #lastEffects(
    group: string,
  ): Promise<Pick<StopReceipt, 'last_message' | 'last_request'> & { answered: boolean }> {
    const { ledger, clock, requests } = this.#input;
    const sent = lastSentOf(ledger.db, group);
    const since = clock.now() - DAY_MS;
    const asked = requests(group || null, since, REQUESTS_LOOKED_AT).catch(() => null);
    const rows = await within(STOP_EVIDENCE_MS, asked);
    const row = rows?.findLast(({ decision }) => decision !== 'deny');
    return {
      answered: rows !== null,
      last_message: sent === null ? null : { message: showId('o', sent.outbound), to: sent.to, at_ms: sent.at_ms },
      last_request:
        row === undefined
          ? null
          : {
              ...{ session: row.session, call: `${row.method} ${row.host}${row.path}`, at_ms: row.at_ms },
              ended: row.ended_ms !== null,
            },
    };
  }

  /** Null: it is not stopped. */
  #resume(db: Db, group: string, by: string, drop: boolean): { resumed: Resumed; chats: number[] } | null {
    const { clock } = this.#input;
    if (!endStops(db, clock.now(), group, by)) return null;
    const { waiting } = countsOfGroup(db, group);
    const reason = `dropped by ${by}`;
    const texts_of = releaseOfGroup(db, clock.now(), group, drop ? reason : null);
    for (const { id } of drop ? texts_of : [])
      recordEvent(db, clock, 'delivery.rejected', { outbound: id }, { class: 'dropped', reason });
    const chats = texts_of.map(({ chat_id }) => chat_id);
    const texts = new Map<string, number>();
    for (const chat of drop ? [] : chats) {
      const to = nameOfChat(chatById(db, chat)!);
      texts.set(to, (texts.get(to) ?? 0) + 1);
    }
    const released = [...texts].map(([to, count]) => ({ to, texts: count }));
    const dropped = drop ? chats.length : 0;
    recordEvent(db, clock, 'group.resumed', {}, { group, by, released: chats.length - dropped, dropped, waiting });
    return { resumed: { group: group || null, by, released, dropped, waiting }, chats };
  }

  #goOn(group: string, chats: number[]): void {
    const { ledger, wake, deliver, goOn } = this.#input;
    for (const chat of new Set(chats)) deliver(chat);
    for (const session of sessionsWithWork(ledger.db))
      if (group === '' || sessionById(ledger.db, session)!.group_name === group) wake(session);
    goOn();
  }
}

const DAY_MS = 24 * 3_600_000;
/** Among so many of the newest requests one that was allowed is looked for. */
const REQUESTS_LOOKED_AT = 100;

/** Null: not in time. */
async function within<T>(ms: number, work: Promise<T>): Promise<T | null> {
  const late = new Promise<null>((resolve) => setTimeout(() => resolve(null), ms).unref());
  return Promise.race([work, late]);
}

/** As the subject of a sentence. */
function nameOf(group: string): string {
  return group === '' ? 'Nothing is' : `${group} is`;
}

function markedText(group: string, { turns, held, sending, waiting, stop, isNew }: Marked): string {
  const who = group === '' ? 'Every group is' : `${group} is`;
  if (!isNew) return `${who} stopped already, by ${stop.by}.`;
  const how = group === '' ? 'all' : `group ${group}`;
  const facts = `${turns.length} running, ${held} unsent (held), ${sending.length} just being sent, ${waiting} waiting`;
  return `${who} stopped: ${facts}. An owner lets it go on with /resume ${how}.`;
}

/** Whether a command about a chat has to wait for its groups; in words. */
export function stoppedHere(db: Db, groups: string[]): string | null {
  const stopped = groups.filter((group) => isStopped(db, group));
  if (stopped.length === 0) return null;
  return `${stopped.join(' and ')}: stopped as a whole; an owner lets it go on with /resume group <name> or /resume all.`;
}
