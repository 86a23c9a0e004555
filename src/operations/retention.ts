import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import type { InstallConfig } from '../base/config.ts';
import { messageOf } from '../base/errors.ts';
import { parseId } from '../base/ids.ts';
import { EVENTS_CUT_AT_ONCE, FILE_YOUNG_MS, PRUNE_EVERY_MS, PRUNE_FILES_MAX } from '../base/limits/messages.ts';
import type { Log } from '../base/log.ts';
import type { Paths } from '../base/paths.ts';
import { pruneAlerts } from '../ledger/alert_tells.ts';
import { cutBefore, cutEvents, cutOf, heldBack } from '../ledger/cuts.ts';
import { recordEvent } from '../ledger/events.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { pruneLives } from '../ledger/lives.ts';
import {
  closeTaskSessions,
  inboxKept,
  isKept,
  type KeptFile,
  keptFiles,
  markGone,
  sessionFacts,
} from '../ledger/retention.ts';
import { type Cut, startOfKept } from '../protocol/chain.ts';
import { removeTree } from '../runtimes/image_tools.ts';
import type { Egress } from '../sessions/egress.ts';
import { pruneUnreadable } from './unreadable.ts';

/**
 * What is not kept for ever: the bytes of files, what conversations that are over leave on the disk, old events, and what no driver could read. Other rows stay.
 *
 *   one transaction: rows that are too old, or beyond the room, say that their bytes are gone
 *   then: bytes go that no row counts on, unless they were stored within a day
 *
 * The second step looks at nothing but what is there, so a death between the two leaves work for the next time. Whoever
 * stores bytes that lie there already makes them new (`ledger/blobs.ts`), and their removal is judged and done in one go:
 * so a message that is about to name them always finds them.
 *
 * Events go by whole days, from their beginning, each portion with a cut that the gateway has signed (`ledger/cuts.ts`).
 */
export interface RetentionParts {
  paths: Paths;
  ledger: Ledger;
  clock: Clock;
  log: Log;
  files: InstallConfig['files'];
  events: InstallConfig['events'];
  egress: Pick<Egress, 'signCut'>;
  /** Sessions that have a sandbox, by their shown ids. */
  live(): { session: string }[];
  alert(kind: string, subject: string, text: string): void;
  clear(kind: string, subject: string): void;
}

/** What one prune has removed. */
export interface Pruned {
  at_ms: number;
  files: number;
  bytes: number;
  /** Copies of messages' files, and states, of sessions. */
  folders: number;
  events: number;
}

/** Which files go, of a list with the oldest first. */
export function filesToGo(
  files: KeptFile[],
  { before_ms, young_ms, room }: { before_ms: number; young_ms: number; room: number },
): KeptFile[] {
  let bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  return files.filter((file) => {
    const isFree = file.needed === 0 && file.at_ms < young_ms;
    if (!isFree || (file.at_ms >= before_ms && bytes <= room)) return false;
    bytes -= file.bytes;
    return true;
  });
}

const ALERT = 'retention.failed';

export class Retention {
  readonly #parts: RetentionParts;
  #last: Pruned | null = null;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<Pruned | null> = Promise.resolve(null);
  #stopped = false;

  constructor(parts: RetentionParts) {
    this.#parts = parts;
  }

  /** The newest prune since the start of the host. */
  get last(): Pruned | null {
    return this.#last;
  }

  start(): void {
    void this.prune();
    this.#timer = setInterval(() => void this.prune(), PRUNE_EVERY_MS);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#running;
  }

  /** Never rejects: a disk that fails is logged, and tried again the next time. Null: it failed, or the host stops. */
  prune(): Promise<Pruned | null> {
    this.#running = this.#running.then(() => this.#prune());
    return this.#running;
  }

  async #prune(): Promise<Pruned | null> {
    try {
      const before_ms = this.#parts.clock.now() - this.#parts.files.keep;
      await this.#mark(before_ms);
      const blobs = await this.#removeBlobs();
      const folders = await this.#removeFolders(before_ms);
      const events = await this.#cut();
      this.#tellWhatWaits();
      if (this.#stopped) return null;
      this.#last = { at_ms: this.#parts.clock.now(), ...blobs, folders, events };
      this.#parts.log.info('files.pruned', { ...this.#last });
      this.#parts.clear(ALERT, 'files');
      return this.#last;
    } catch (error) {
      if (this.#stopped) return null;
      this.#parts.log.warn('files.not_pruned', { reason: messageOf(error) });
      this.#parts.alert(ALERT, 'files', `What is too old could not be removed: ${messageOf(error)}`);
      return null;
    }
  }

  async #mark(before_ms: number): Promise<void> {
    const { ledger, clock, files, events } = this.#parts;
    await ledger.write('prune', (db) => {
      const now = clock.now();
      // What is told of events goes when they go.
      pruneAlerts(db, startOfKept(now, events.keep));
      pruneLives(db, startOfKept(now, events.keep));
      pruneUnreadable(db, before_ms);
      closeTaskSessions(db, now, before_ms);
      const limits = { before_ms, young_ms: now - FILE_YOUNG_MS, room: files.room };
      const gone = filesToGo(keptFiles(db), limits).slice(0, PRUNE_FILES_MAX);
      if (gone.length === 0) return;
      const [hashes, bytes] = [gone.map(({ sha256 }) => sha256), gone.reduce((sum, file) => sum + file.bytes, 0)];
      markGone(db, now, hashes);
      recordEvent(db, clock, 'files.pruned', {}, { files: gone.length, bytes });
    });
  }

  /** A gateway that is gone or refuses costs nothing but a day: it is tried again. Returns how many events were removed. */
  async #cut(): Promise<number> {
    const { ledger, clock, egress, log, events } = this.#parts;
    const before_ms = startOfKept(clock.now(), events.keep);
    const next = (): Cut | null => (this.#stopped ? null : cutBefore(ledger.db, before_ms, EVENTS_CUT_AT_ONCE));
    const before = cutOf(ledger.db)?.count ?? 0;
    try {
      for (let cut = next(); cut !== null; cut = next()) {
        const signed = await egress.signCut(cut);
        await ledger.write('events_cut', (db) => cutEvents(db, clock, signed));
      }
    } catch (error) {
      if (!this.#stopped) log.warn('events.not_cut', { reason: messageOf(error) });
    }
    return (cutOf(ledger.db)?.count ?? 0) - before;
  }

  #tellWhatWaits(): void {
    const { ledger, clock, events } = this.#parts;
    const now = clock.now();
    const at_ms = heldBack(ledger.db, startOfKept(now, events.keep), now, EVENTS_CUT_AT_ONCE);
    if (at_ms === null) return this.#parts.clear(ALERT, 'events');
    const day = new Date(at_ms + events.keep).toISOString().slice(0, 10);
    const text = `The clock was once far ahead: no old event is removed until ${day}.`;
    this.#parts.alert(ALERT, 'events', text);
  }

  async #removeBlobs(): Promise<{ files: number; bytes: number }> {
    const { blobs } = this.#parts.paths;
    const removed = { files: 0, bytes: 0 };
    for await (const name of this.#paced(readdirSync(blobs))) {
      const bytes = this.#removeBlob(join(blobs, name), name);
      if (bytes === null) continue;
      removed.files += 1;
      removed.bytes += bytes;
    }
    return removed;
  }

  /** Judged and removed without a pause, so that nobody can store it in between. Returns its bytes; null: it stays. */
  #removeBlob(path: string, name: string): number | null {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined || !stat.isFile() || stat.mtimeMs > this.#parts.clock.now() - FILE_YOUNG_MS) return null;
    if (isKept(this.#parts.ledger.db, name)) return null;
    rmSync(path);
    return stat.size;
  }

  async #removeFolders(before_ms: number): Promise<number> {
    const { paths, ledger } = this.#parts;
    let removed = 0;
    for await (const shown of this.#paced(readdirSync(paths.sessions))) {
      const id = parseId('s', shown);
      const facts = id === undefined ? undefined : sessionFacts(ledger.db, id);
      if (id === undefined || facts === undefined) continue;
      const own = paths.session(shown);
      const over =
        facts.closed_ms !== null && facts.open === 0 && !this.#parts.live().some(({ session }) => session === shown);
      removed += over ? removeInbox(own.inbox) : this.#removeOld(id, own.inbox, before_ms);
      if (!over || facts.closed_ms! >= before_ms) continue;
      for (const folder of [own.state, `${own.state}.set-aside`]) {
        if (lstatSync(folder, { throwIfNoEntry: false }) === undefined) continue;
        await removeTree(folder);
        removed += 1;
      }
      rmSync(join(paths.sessions, shown), { recursive: true, force: true });
    }
    return removed;
  }

  /** Copies of files that came long ago: the conversation goes on without them. */
  #removeOld(session: number, inbox: string, before_ms: number): number {
    const old = namesIn(inbox).filter((name) => {
      const message = parseId('m', name);
      return message !== undefined && !inboxKept(this.#parts.ledger.db, session, message, before_ms);
    });
    for (const name of old) rmSync(join(inbox, name), { recursive: true, force: true });
    return old.length;
  }

  /** The same list, and the event loop gets its turn now and then. */
  async *#paced(names: string[]): AsyncGenerator<string> {
    for (const [index, name] of names.entries()) {
      if (this.#stopped) return;
      if (index % PACE === PACE - 1) await turnOfTheLoop();
      yield name;
    }
  }
}

/** Files between two turns of the event loop. */
const PACE = 50;

/** The host's own, below which no sandbox can write. */
function removeInbox(inbox: string): number {
  if (namesIn(inbox).length === 0) return 0;
  rmSync(inbox, { recursive: true, force: true });
  return 1;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
