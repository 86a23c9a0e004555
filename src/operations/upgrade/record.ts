import { appendFileSync, closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { OperatingError, unreachable } from '../../base/errors.ts';
import { writeWhole } from '../../base/whole_file.ts';

/**
 * The state of an upgrade: one small file in the checkout, written before each step. Whoever finds it with nobody at work completes
 * the upgrade or takes it back, by the step alone. It and all that reads it need no packages: they are started by the
 * launcher from a tree that is whole while the checkout is not.
 */
export type Step =
  | 'staging'
  | 'saving'
  | 'rehearsing'
  | 'stopping'
  | 'keeping'
  | 'flipping'
  | 'trying'
  | 'returning'
  | 'returned'
  | 'starting';
const STEPS: readonly string[] = [
  'staging',
  'saving',
  'rehearsing',
  'stopping',
  'keeping',
  'flipping',
  'trying',
  'returning',
  'returned',
  'starting',
];

/** A version, and the branch that the checkout is on with it; null: on none. */
export interface Place {
  commit: string;
  version: string;
  branch: string | null;
}

export interface UpgradeRecord {
  id: string;
  verb: 'upgrade' | 'back';
  step: Step;
  home: string;
  /** What is begun again at the end. */
  was: 'up' | 'down';
  from: Place;
  to: Place;
  /** Folder of the last copy of the databases; it counts from `flipping` on. */
  kept: string;
  /** Folder of databases that come back with the version: of a return over another schema. */
  lose: string | null;
  backup: string | null;
  began_ms: number;
  /** Why it is taken back. */
  why: string | null;
}

/** One that has ended. */
export interface LogLine {
  id: string;
  verb: 'upgrade' | 'back';
  outcome: 'done' | 'returned' | 'refused' | 'abandoned';
  at_ms: number;
  ms: number;
  home: string;
  from: Place;
  to: Place;
  kept: string | null;
  backup: string | null;
  why: string | null;
}

/** Where the work on a checkout lies: below it, where git does not look. */
export interface Places {
  root: string;
  folder: string;
  record: string;
  /** Names the tree whose code ends what was cut short; the launcher looks for this file. */
  mender: string;
  log: string;
  /** Of which return people have been told. */
  told: string;
  tree(commit: string): string;
  /** Is there when the tree is whole. */
  ready(commit: string): string;
}

export function placesOf(root: string): Places {
  const folder = join(root, '.versions');
  const tree = (commit: string): string => join(folder, commit.slice(0, 12));
  return {
    ...{ root, folder, tree },
    record: join(folder, 'upgrade.json'),
    mender: join(folder, 'mender'),
    log: join(folder, 'log.jsonl'),
    told: join(folder, 'told'),
    ready: (commit) => `${tree(commit)}.ready`,
  };
}

/** The name of the lock of an upgrade of a checkout. */
export const upgradeLock = (rootHash: string): string => `upgrade-${rootHash}`;

/** Null: none is under way. Throws `OperatingError('config')` for a file that nobody of us wrote. */
export function readRecord({ record }: Places): UpgradeRecord | null {
  if (!existsSync(record)) return null;
  try {
    const found = JSON.parse(readFileSync(record, 'utf8')) as UpgradeRecord;
    if (
      STEPS.includes(found.step) &&
      isPlace(found.from) &&
      isPlace(found.to) &&
      typeof found.home === 'string' &&
      typeof found.kept === 'string'
    )
      return found;
  } catch {
    // said below
  }
  throw new OperatingError(
    'config',
    `${record} cannot be read`,
    'look at it; without it ./glass starts what is checked out',
  );
}

function isPlace(place: Place | undefined): boolean {
  return /^[0-9a-f]{40,64}$/.test(place?.commit ?? '') && (place?.branch === null || typeof place?.branch === 'string');
}

/** On disk before the step begins. The mender is named before the first step in which the checkout is not whole. */
export function writeRecord(places: Places, record: UpgradeRecord): void {
  mkdirSync(places.folder, { recursive: true, mode: 0o755 });
  if (record.step === 'flipping') writeWhole(places.mender, Buffer.from(`${record.from.commit.slice(0, 12)}\n`), 0o644);
  writeWhole(places.record, Buffer.from(`${JSON.stringify(record)}\n`), 0o644);
  syncFolder(places.folder);
}

/** The log's line comes first: an upgrade that was cut short here is ended once more, and its line is known by its id. */
export function endRecord(
  places: Places,
  record: UpgradeRecord,
  outcome: LogLine['outcome'],
  why: string | null,
): LogLine {
  const { id, verb, home, from, to, backup, began_ms } = record;
  const at_ms = Date.now();
  const kept = outcome === 'done' ? record.kept : null;
  const line: LogLine = { id, verb, outcome, at_ms, ms: at_ms - began_ms, home, from, to, kept, backup, why };
  mkdirSync(places.folder, { recursive: true, mode: 0o755 });
  if (!readLog(places).some((known) => known.id === id)) {
    appendFileSync(places.log, `${JSON.stringify(line)}\n`, { flush: true, mode: 0o644 });
  }
  rmSync(places.record, { force: true });
  rmSync(places.mender, { force: true });
  syncFolder(places.folder);
  return line;
}

/** Oldest first. A line that was cut short is none. */
export function readLog({ log }: Places): LogLine[] {
  if (!existsSync(log)) return [];
  return readFileSync(log, 'utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        return line === '' ? [] : [JSON.parse(line) as LogLine];
      } catch {
        return [];
      }
    });
}

/** What ends an upgrade that was cut short before or at a step. */
export type Mending = 'forget' | 'return' | 'finish';

/**
 * Until the checkout moves nothing was changed. While it moves, and while the new version is tried, nothing comes in: all of it goes
 * back. From the step on with which messages may come in again, only forward: nothing that came in is ever taken back.
 */
export function mendingOf(step: Step): Mending {
  switch (step) {
    case 'staging':
    case 'saving':
    case 'rehearsing':
    case 'stopping':
    case 'keeping':
      return 'forget';
    case 'flipping':
    case 'trying':
    case 'returning':
      return 'return';
    case 'returned':
    case 'starting':
      return 'finish';
    default:
      return unreachable(step);
  }
}

/** At a start: one that was cut short before anything was changed is over. Never throws: a start does not depend on it. */
export function forgetCutShort(places: Places): void {
  try {
    const record = readRecord(places);
    if (record !== null && mendingOf(record.step) === 'forget')
      endRecord(places, record, 'abandoned', `cut short while ${record.step}`);
  } catch {
    // The next `glass upgrade` says what is wrong with it.
  }
}

/** What came of the newest one of a home, when it went back and nobody has been told yet; null: there is nothing to tell. */
export function untold(places: Places, home: string): LogLine | null {
  const last = readLog(places)
    .filter((line) => line.home === home)
    .at(-1);
  if (last?.outcome !== 'returned') return null;
  return existsSync(places.told) && readFileSync(places.told, 'utf8') === last.id ? null : last;
}

export function isTold({ told }: Places, { id }: LogLine): void {
  writeWhole(told, Buffer.from(id), 0o644);
}

/** The upgrade that `back` takes back: the newest of this home that led to what is checked out now; null: there is none. */
export function lastUpgrade(lines: readonly LogLine[], home: string, commit: string): LogLine | null {
  const last = lines.filter((line) => line.home === home && line.outcome === 'done').at(-1);
  return last !== undefined && last.verb === 'upgrade' && last.to.commit === commit ? last : null;
}

function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  fsyncSync(fd);
  closeSync(fd);
}

/** Of the checkout that a tree of `.versions` belongs to. */
export const checkoutOf = (tree: string): string => dirname(dirname(tree));
