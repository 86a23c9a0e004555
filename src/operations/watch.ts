import { statfsSync } from 'node:fs';
import { uptime } from 'node:os';
import { setImmediate as turnOfTheLoop } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import { showId } from '../base/ids.ts';
import { CRASHES_WINDOW_MS, WATCH_LAWS_MS, WATCH_SLOW_MS } from '../base/limits/alerts.ts';
import { PAIRING_TRIES_ALL_MAX } from '../base/limits/talk.ts';
import type { FileLog } from '../base/log.ts';
import type { Paths } from '../base/paths.ts';
import type { Alerts } from '../evidence/alerts.ts';
import type { Heartbeat } from '../evidence/heartbeat.ts';
import { type Level, levelsOf, type Seen, type Space, whyMute } from '../evidence/watched.ts';
import { openAlerts } from '../ledger/alerts.ts';
import { pendingApprovals } from '../ledger/approvals.ts';
import { brokenBy, LAWS, overdue, unheard } from '../ledger/conservation.ts';
import { lastEventAt } from '../ledger/events.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { livesCut } from '../ledger/lives.ts';
import { tasksOf } from '../ledger/tasks.ts';
import { triesOfAll } from '../ledger/tries.ts';
import type { Runtime } from '../runtimes/runtime.ts';
import type { Egress } from '../sessions/egress.ts';
import type { Workspaces } from '../sessions/workspaces.ts';

/** Looks with each sweep at what can be wrong without anybody noticing, and has the alerts say so. */
export interface WatchParts {
  paths: Paths;
  ledger: Ledger;
  clock: Clock;
  log: FileLog;
  runtime: Runtime;
  egress: Egress;
  workspaces: Workspaces;
  alerts: Alerts;
  heartbeat: Heartbeat;
  channels: ReadonlyMap<string, unknown>;
  groups(): { name: string; problem: string | null }[];
  /** Channels that are due are proven, one at a time. */
  prove(): Promise<void>;
}

export class Watch {
  readonly #parts: WatchParts;
  /** When the gateway went away, in monotonic milliseconds; the newest last. */
  #losses: number[] = [];
  #began: number;
  /** Wall clock less the time since the machine started, which also runs while it sleeps. */
  #offset: number | null = null;
  #slowAt = -Infinity;
  #lawsAt: number;
  #problems: string[] = [];
  #running: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(parts: WatchParts) {
    this.#parts = parts;
    this.#began = parts.clock.monotonic();
    // A start has enough to do.
    this.#lawsAt = this.#began;
  }

  gatewayLost(): void {
    this.#losses.push(this.#parts.clock.monotonic());
  }

  start(): void {
    this.look(0);
  }

  /** Resolves when what is being looked at has been. */
  stop(): Promise<void> {
    this.#stopped = true;
    return this.#running;
  }

  /** With each sweep; `lost`: wake-ups that it had to make up for. Returns at once. */
  look(lost: number): void {
    const { alerts, log } = this.#parts;
    if (lost > 0) alerts.alert('wakeups.lost', 'sweep', `${lost} wake-ups were lost, and made up for by the sweep.`);
    this.#running = this.#running
      .then(() => this.#look())
      .catch((error) => log.error('watch.failed', { reason: messageOf(error) }));
  }

  async #look(): Promise<void> {
    const { alerts, heartbeat, prove } = this.#parts;
    if (this.#stopped) return;
    const seen = await this.#see();
    if (this.#stopped) return;
    for (const level of levelsOf(seen)) this.#settle(level);
    await alerts.look();
    await heartbeat.beat(whyMute(seen, this.#problems, alerts.unwritten.length === 0));
    void prove();
  }

  #settle({ kind, problems, over }: Level): void {
    const { alerts, ledger } = this.#parts;
    const open = openAlerts(ledger.db).filter((alert) => alert.kind === kind);
    for (const [subject, text] of problems)
      if (!open.some((alert) => alert.subject === subject)) alerts.alert(kind, subject, text);
    for (const alert of open) if (!problems.has(alert.subject) && over(alert)) alerts.clear(kind, alert.subject);
  }

  async #see(): Promise<Seen> {
    const { ledger, clock, paths, egress, workspaces, log } = this.#parts;
    const { db } = ledger;
    const now = clock.now();
    return {
      now,
      gateway: this.#gateway(),
      said: await egress.health(),
      host_log: log.trouble(),
      cut: livesCut(db, now - CRASHES_WINDOW_MS),
      clock_set_ms: this.#clockSet(),
      disk: spaceOf(paths.home),
      groups: this.#parts.groups().map(({ name }) => name),
      workspaces: workspaces.mounted().flatMap((group) => {
        const space = spaceOfSome(paths.group(group).workspace);
        return space === null ? [] : [{ group, space }];
      }),
      overdue: overdue(db, now),
      approvals: pendingApprovals(db).map((row) => ({ ...row, id: showId('h', row.id) })),
      tasks: tasksOf(db, null).map(({ id, state, failures }) => ({ id: showId('k', id), state, failures })),
      guessed: [...this.#parts.channels.keys()].filter(
        (name) => triesOfAll(db, now, 'pair', name) >= PAIRING_TRIES_ALL_MAX,
      ),
      slow: await this.#slow(),
      laws: await this.#laws(),
    };
  }

  #gateway(): Seen['gateway'] {
    const { clock, egress } = this.#parts;
    const now = clock.monotonic();
    const away_ms = egress.connected ? null : now - (this.#losses.at(-1) ?? this.#began);
    this.#losses = this.#losses.filter((at) => now - at < CRASHES_WINDOW_MS);
    return { away_ms, losses: this.#losses.length };
  }

  /** The first time: whether what is recorded lies in the future. */
  #clockSet(): number {
    const { clock, ledger } = this.#parts;
    const offset = clock.now() - uptime() * 1000;
    const set = this.#offset === null ? Math.min(0, clock.now() - lastEventAt(ledger.db)) : offset - this.#offset;
    this.#offset = offset;
    return set;
  }

  async #slow(): Promise<Seen['slow']> {
    const { clock, runtime, groups, ledger } = this.#parts;
    if (clock.monotonic() - this.#slowAt < WATCH_SLOW_MS) return null;
    this.#slowAt = clock.monotonic();
    this.#problems = await runtime.check();
    const broken = groups().map(({ name, problem }) => ({ name, problem }));
    return {
      ...{ runtime: runtime.name, problems: this.#problems, groups: broken },
      unheard: unheard(ledger.db, clock.now()),
    };
  }

  async #laws(): Promise<string[] | null> {
    const { clock, ledger } = this.#parts;
    if (clock.monotonic() - this.#lawsAt < WATCH_LAWS_MS) return null;
    this.#lawsAt = clock.monotonic();
    const broken: string[] = [];
    for (const law of LAWS) {
      broken.push(...brokenBy(ledger.db, law));
      // Each looks at all rows: others get their turn in between.
      await turnOfTheLoop();
    }
    return broken;
  }
}

/** Null: it has just been removed, which must not end the whole look. */
function spaceOfSome(folder: string): Space | null {
  try {
    return spaceOf(folder);
  } catch {
    return null;
  }
}

function spaceOf(folder: string): Space {
  const { bsize, blocks, bavail, files, ffree } = statfsSync(folder);
  return { bytes: bsize * blocks, bytes_free: bsize * bavail, files, files_free: ffree };
}
