import { existsSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { messageOf, OperatingError } from '../base/errors.ts';
import { randomToken, shortHash } from '../base/ids.ts';
import { BACKUP_MS } from '../base/limits/upgrade.ts';
import { holdLock } from '../base/lock.ts';
import { type Paths, pathsOf } from '../base/paths.ts';
import { installPackages } from '../operations/package_install.ts';
import { keptFolder, sweepKept } from '../operations/upgrade/databases.ts';
import { Git } from '../operations/upgrade/git.ts';
import { UPGRADE_MARK } from '../operations/upgrade/programs.ts';
import {
  endRecord,
  type LogLine,
  placesOf,
  readLog,
  readRecord,
  type UpgradeRecord,
  upgradeLock,
  writeRecord,
} from '../operations/upgrade/record.ts';
import { type InstallSet, stageTree, sweepTrees } from '../operations/upgrade/stage.ts';
import { confirmed } from './confirm.ts';
import { type Io, printable } from './io.ts';
import { agreed, backRecord, wayBack } from './upgrade/back.ts';
import { look, nameOf, refuseEdits, shown, tableOf, tellLooked } from './upgrade/look.ts';
import { type Ground, type Moved, mend, move } from './upgrade/move.ts';
import { endMarked, type Life, lifeOf, resultOf, runGlass } from './upgrade/rest.ts';
import { split } from './words.ts';

/**
 * `glass upgrade [<ref>] [--check] [--yes] | back [--lose-since] [--yes] | log`: a newer version, with a way back (decision 0058).
 * All code of it is loaded before the checkout moves beneath it. Exit code 0: done, or nothing to do; 1: with `--check` there is
 * something to do, without it the upgrade was taken back.
 */
const USAGE = 'glass upgrade [<ref>] [--check] [--yes] | back [--lose-since] [--yes] | log';

export async function upgrade(args: string[], paths: Paths, io: Io): Promise<number> {
  const { words, flags } = split(args, [], ['check', 'yes', 'lose-since'], USAGE);
  const [word, ...more] = words;
  if (more.length > 0) throw new OperatingError('usage', USAGE);
  if (word === 'log') return tellLog(paths, io);
  const isBack = word === 'back';
  if (isBack ? flags.has('check') : flags.has('lose-since')) throw new OperatingError('usage', USAGE);
  const ground = await begin(paths, io);
  return isBack ? backward(ground, flags, io) : forward(ground, word ?? null, flags, io);
}

/** Nobody else moves this checkout meanwhile; what was cut short is ended first. */
async function begin(paths: Paths, io: Io): Promise<Ground> {
  await holdLock(
    upgradeLock(shortHash(paths.root)),
    'an upgrade of this checkout is under way already',
    'wait for its end',
  );
  process.env[UPGRADE_MARK] = paths.root;
  const places = placesOf(paths.root);
  const ground = { paths, places, git: new Git(paths.root), say: (line: string) => io.err(printable(line)) };
  const left = readRecord(places);
  // It may have been of another home of this checkout.
  if (left !== null) io.err(printable(await mend({ ...ground, paths: pathsOf(left.home, process.env) }, left, true)));
  return ground;
}

async function forward(ground: Ground, ref: string | null, flags: ReadonlySet<string>, io: Io): Promise<number> {
  const { paths, git, say } = ground;
  const looked = await look(git, ref, paths, say);
  if (flags.has('check') || looked.changes === null) return tellLooked(looked, io);
  if (!existsSync(paths.ledger))
    throw new OperatingError(
      'not_found',
      `there is no install in ${paths.home} yet, so nothing has to be carried over`,
      `git checkout ${looked.ref}, then ./glass up; or set GLASS_HOME`,
    );
  const { was } = await lifeOf(paths);
  for (const line of tableOf(looked)) if (!io.json) io.err(printable(line));
  if (!flags.has('yes') && !(await confirmed('Upgrade?', '--yes'))) return 1;
  const id = newId();
  const record: UpgradeRecord = {
    ...{ id, verb: 'upgrade', step: 'staging', home: paths.home, was, from: looked.from, to: looked.to },
    ...{ kept: keptFolder(paths, id), lose: null, backup: null, began_ms: Date.now(), why: null },
  };
  return through(ground, record, () => rehearse(ground, record), io);
}

/** To the version before: nothing is fetched, and no backup is made, since what is there is copied or stays. */
async function backward(ground: Ground, flags: ReadonlySet<string>, io: Io): Promise<number> {
  const { paths } = ground;
  const way = await wayBack(ground, flags);
  const { was } = await lifeOf(paths);
  if (!(await agreed(ground, way, flags.has('yes'), io))) return 1;
  const id = newId();
  return through(ground, backRecord(id, paths.home, was, keptFolder(paths, id), way), async () => {}, io);
}

/** Trees, what is to be done with them first, and the move. */
async function through(ground: Ground, record: UpgradeRecord, first: () => Promise<void>, io: Io): Promise<number> {
  const letGo = endOnSignal(ground, record);
  let life: Life;
  try {
    life = await prepared(ground, record, first);
  } finally {
    letGo();
  }
  for (const name of SIGNALS)
    process.on(name, () => ground.say('not now: the checkout is between two versions; this ends by itself'));
  const moved = await move(ground, { ...record, was: life.was }, life.connected);
  return end(ground, record, moved, io);
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Until something is changed, a Ctrl-C ends it with whatever it has started. Returns how to let go of that. */
function endOnSignal({ places }: Ground, record: UpgradeRecord): () => void {
  const stop = (): void => {
    endMarked(places.root);
    endRecord(places, record, 'abandoned', 'it was interrupted');
    process.exit(130);
  };
  for (const name of SIGNALS) process.once(name, stop);
  return () => {
    for (const name of SIGNALS) process.removeListener(name, stop);
  };
}

const newId = (): string =>
  `${new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z-${randomToken(3).replaceAll(/\W/g, 'x')}`;

/**
 * Both trees, then `more`; it took a while, so all that must not have changed is looked at again. Nothing of the install is changed;
 * rejects with `OperatingError('refused')` that says so.
 */
async function prepared(ground: Ground, record: UpgradeRecord, more: () => Promise<void>): Promise<Life> {
  const { places, git, say } = ground;
  const install: InstallSet = async (tree, set) => {
    const folder = join(tree, set);
    await installPackages(tree, { title: set, folder, size_mb: 0, command: './glass upgrade' }, say);
  };
  try {
    writeRecord(places, record);
    say(`${record.to.version} is put beside ${record.from.version}, with its packages`);
    for (const { commit } of [record.from, record.to]) await stageTree(git, places, commit, install);
    await more();
    await refuseEdits(git);
    if ((await git.text('rev-parse', 'HEAD')) !== record.from.commit)
      throw new OperatingError('conflict', 'somebody else has checked out another version meanwhile', 'try again');
    return await lifeOf(ground.paths);
  } catch (error) {
    const why = messageOf(error);
    endRecord(places, record, 'refused', why);
    const fix = error instanceof OperatingError ? error.fix : undefined;
    throw new OperatingError(
      'refused',
      `no ${record.verb} to ${record.to.version}, and nothing was changed: ${why}`,
      fix,
      error,
    );
  }
}

/** A backup that the old code has proven, then the new code on a copy of it. */
async function rehearse({ paths, places, say }: Ground, record: UpgradeRecord): Promise<void> {
  const { from, to } = record;
  record.step = 'saving';
  writeRecord(places, record);
  say(`a backup, by ${from.version}`);
  const made = resultOf(
    await runGlass(paths.root, ['backup', 'create', '--json'], paths, BACKUP_MS, say),
    'the backup',
  );
  record.backup = basename(String(made['folder']));
  record.step = 'rehearsing';
  writeRecord(places, record);
  say(`a rehearsal: ${to.version} restores it, migrates it and answers on it`);
  const tree = places.tree(to.commit);
  const words = ['backup', 'prove', record.backup, '--rehearse', '--json'];
  resultOf(await runGlass(tree, words, paths, BACKUP_MS, say), 'the rehearsal');
}

/** Says what came of it, and lets go of what nobody goes back to. */
async function end({ git, places, paths }: Ground, record: UpgradeRecord, moved: Moved, io: Io): Promise<number> {
  const { from, to, id, verb, lose, kept } = record;
  const done = moved.outcome === 'done';
  if (done) {
    await sweepTrees(git, places, [from.commit, to.commit]);
    sweepKept(paths, readLog(places), id);
    // Of a return that lost nothing there is nothing to keep.
    if (verb === 'back' && lose === null) rmSync(kept, { recursive: true, force: true });
  }
  const { why, missing } = moved;
  const ms = Date.now() - record.began_ms;
  const said = { done, returned: !done, why, from: shown(from), to: shown(to), backup: record.backup };
  if (io.json) io.out(JSON.stringify({ ...said, channels_missing: missing, ms }));
  else for (const line of linesOf(record, moved, ms)) io.out(printable(line));
  return done ? 0 : 1;
}

function linesOf({ from, to, verb, lose }: UpgradeRecord, { outcome, why, missing }: Moved, ms: number): string[] {
  if (outcome === 'returned')
    return [`${nameOf(to)} did not hold, and ${nameOf(from)} is back with everything it had: ${why}`];
  const took = `to ${nameOf(to)} in ${Math.round(ms / 1000)} s`;
  return [
    verb === 'back' ? `back ${took}` : `upgraded ${took}; ./glass upgrade back goes to ${nameOf(from)}`,
    ...(lose === null
      ? []
      : [
          'The emergency stop is in force: ./glass resume --all --drop-held goes on without the answers that waited then',
        ]),
    ...missing.map((name) => `! the channel ${name} is not connected again yet: ./glass channel list`),
  ];
}

function tellLog({ root }: Paths, io: Io): number {
  const lines = readLog(placesOf(root));
  if (io.json) io.out(JSON.stringify({ upgrades: lines }));
  else if (lines.length === 0) io.out('nothing was upgraded here yet');
  else for (const line of lines) io.out(printable(wordsOf(line)));
  return 0;
}

const OUTCOMES: Record<LogLine['outcome'], string> = {
  done: 'done',
  returned: 'taken back',
  refused: 'refused, nothing was changed',
  abandoned: 'cut short, nothing was changed',
};

function wordsOf({ verb, outcome, at_ms, ms, from, to, home, backup, why }: LogLine): string {
  const at = new Date(at_ms).toISOString().slice(0, 19).replace('T', ' ');
  const more = [backup === null ? '' : `backup ${backup}`, why ?? ''].filter((text) => text !== '').join('; ');
  return `${at} UTC  ${verb} ${nameOf(from)} → ${nameOf(to)} of ${home}: ${OUTCOMES[outcome]}, ${Math.round(ms / 1000)} s${more === '' ? '' : ` (${more})`}`;
}
