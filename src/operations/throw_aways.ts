import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import { OperatingError } from '../base/errors.ts';
import { parseId, showId } from '../base/ids.ts';
import { SANDBOX_GONE_MS } from '../base/limits/sandbox.ts';
import { isHeld } from '../base/lock.ts';
import type { Log } from '../base/log.ts';
import type { Paths } from '../base/paths.ts';
import { writeWhole } from '../base/whole_file.ts';
import { CHECK_CHANNEL, CHECK_GROUP, CHECK_MARK, checkLock } from '../evidence/check/names.ts';
import { openAlerts } from '../ledger/alerts.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { messageById } from '../ledger/messages.ts';
import { closeSession, openSessions } from '../ledger/sessions.ts';
import { allWirings, removeWiring } from '../ledger/wirings.ts';
import { removeTree } from '../runtimes/image_tools.ts';
import { unmountWorkspace } from '../runtimes/workspace_image.ts';
import type { Sessions } from '../sessions/sessions.ts';
import { stopSession } from '../sessions/turn_book.ts';
import type { Channels } from './channels.ts';
import type { Groups } from './groups.ts';

/**
 * The group and the channel that `glass check` has for its experiments (decision 0048). Always the same names: a group's host account
 * is never given twice, and what a killed check left is known by them. It is removed by the check, else by the next one, else by the
 * next start of the host while no check runs. What is recorded about it stays.
 */
export interface ThrowAwaysInput {
  paths: Paths;
  ledger: Ledger;
  clock: Clock;
  log: Log;
  groups: Groups;
  drivers: Channels;
  sessions: Sessions;
  clear(kind: string, subject: string): void;
}

const BY = 'glass check';
const LOOK_MS = 50;

export class ThrowAways {
  readonly #input: ThrowAwaysInput;

  constructor(input: ThrowAwaysInput) {
    this.#input = input;
  }

  /** Puts the group in force: a stand-in whose model is at a port of this machine. Rejects with `OperatingError`, `conflict` where somebody has such a group. */
  async make(port: number): Promise<{ group: string; hash: string }> {
    const { groups, paths } = this.#input;
    const text = groupFile(port);
    if (this.#isSomebodys())
      throw new OperatingError('conflict', `there is a group ${CHECK_GROUP} that no check has made`, 'rename it');
    if (groups.names().includes(CHECK_GROUP)) writeWhole(paths.group(CHECK_GROUP).yaml, Buffer.from(text), 0o600);
    else groups.create(CHECK_GROUP, { template: 'check', files: [{ path: 'group.yaml', text }], steps: () => [] });
    const { hash } = await groups.plan(CHECK_GROUP);
    await groups.apply(CHECK_GROUP, hash, BY);
    return { group: CHECK_GROUP, hash };
  }

  /** Removes what there is, and says what that was. Rejects with `OperatingError('unavailable')` when a sandbox does not go; then the next one does it. */
  async remove(): Promise<string[]> {
    const { drivers, groups } = this.#input;
    const removed: string[] = [];
    if (drivers.list().some(({ name }) => name === CHECK_CHANNEL)) {
      await drivers.remove(CHECK_CHANNEL);
      removed.push(`the channel ${CHECK_CHANNEL}`);
    }
    if (groups.names().includes(CHECK_GROUP) && !this.#isSomebodys()) {
      await this.#removeGroup();
      removed.push(`the group ${CHECK_GROUP}`);
    }
    return removed;
  }

  /** At a start: of a check that was killed. Never rejects. */
  async removeLeftOver(): Promise<void> {
    const { paths, log } = this.#input;
    if (await isHeld(checkLock(paths.install))) return;
    const removed = await this.remove().catch((error: Error) => [`nothing (${error.message})`]);
    if (removed.length > 0) log.info('check.left_over', { removed: removed.join(', ') });
  }

  /** A folder without a file is of a check that died while it made it. */
  #isSomebodys(): boolean {
    const { yaml } = this.#input.paths.group(CHECK_GROUP);
    return existsSync(yaml) && !readFileSync(yaml, 'utf8').startsWith(CHECK_MARK);
  }

  async #removeGroup(): Promise<void> {
    const { paths, ledger, clock, sessions, clear } = this.#input;
    const chats = allWirings(ledger.db).filter(({ group_name }) => group_name === CHECK_GROUP);
    const stopped = await ledger.write('check_clear', (db) => {
      const open = chats.flatMap(({ chat_id }) => openSessions(db, chat_id, '', [CHECK_GROUP]));
      for (const { chat_id } of chats) removeWiring(db, chat_id, CHECK_GROUP);
      return open.map((session) => {
        closeSession(db, clock.now(), session.id);
        return stopSession(db, clock, session, BY, { keep: false, untaken: sessions.untaken(session.id) });
      });
    });
    for (const { session, turn } of stopped) {
      if (turn !== null) sessions.stop(session.id, turn.id, `stopped by ${BY}`);
      sessions.end(showId('s', session.id), `stopped by ${BY}`);
    }
    await this.#gone();
    const { folder } = paths.group(CHECK_GROUP);
    await removeTree(folder);
    if (existsSync(folder)) throw new OperatingError('unavailable', `${folder} cannot be removed`);
    const own = new Set([CHECK_GROUP, ...stopped.map(({ session }) => showId('s', session.id))]);
    const isOwn = (subject: string): boolean => {
      const message = messageById(ledger.db, parseId('m', subject) ?? 0);
      return own.has(subject) || chats.some(({ chat_id }) => chat_id === message?.chat_id);
    };
    for (const { kind, subject } of openAlerts(ledger.db)) if (isOwn(subject)) clear(kind, subject);
  }

  /** Until no sandbox of it lives, and its workspace is no mount any more: removing goes through no other file system. */
  async #gone(): Promise<void> {
    const { paths, sessions } = this.#input;
    const end = performance.now() + 2 * SANDBOX_GONE_MS;
    const { workspace } = paths.group(CHECK_GROUP);
    const lives = (): boolean => sessions.live().some(({ group }) => group === CHECK_GROUP);
    while (lives() || !(await unmountWorkspace(workspace))) {
      if (performance.now() > end)
        throw new OperatingError('unavailable', `a sandbox of ${CHECK_GROUP} does not end`, 'run the check again');
      await sleep(LOOK_MS);
    }
  }
}

/** The smallest workspace that there is, so that it can be filled at no cost. */
function groupFile(port: number): string {
  return `${CHECK_MARK}
harness: probe
model: {provider: openai, name: check, upstream: "http://127.0.0.1:${port}", secret: none}
tools: [send_message]
limits: {workspace: 16MiB, memory: 256MiB, turn: 2m, idle: 1m}
`;
}
