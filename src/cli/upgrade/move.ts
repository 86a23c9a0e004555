import { rmSync } from 'node:fs';
import { describeError, messageOf, OperatingError } from '../../base/errors.ts';
import { UPGRADE_TRIAL_MS } from '../../base/limits/upgrade.ts';
import type { Paths } from '../../base/paths.ts';
import { keep, lossesOf, newestOf, putBack } from '../../operations/upgrade/databases.ts';
import { flip } from '../../operations/upgrade/flip.ts';
import type { Git } from '../../operations/upgrade/git.ts';
import { reasonOf, UPGRADE_MARK } from '../../operations/upgrade/programs.ts';
import {
  endRecord,
  mendingOf,
  type Places,
  type Step,
  type UpgradeRecord,
  writeRecord,
} from '../../operations/upgrade/record.ts';
import {
  bringDown,
  bringUp,
  channelsBack,
  endMarked,
  endOrphans,
  raise,
  resultOf,
  runGlass,
  type Say,
  signalSupervisors,
  tellReturned,
} from './rest.ts';

/**
 * The part of an upgrade in which the install is not whole: it rests, the checkout moves, the new version is tried, and either it
 * starts or all of it goes back. Before each step the record says so; what ends a step that was cut short stands here, too. No packages.
 */
export interface Ground {
  paths: Paths;
  places: Places;
  git: Git;
  say: Say;
}

export interface Moved {
  outcome: 'done' | 'returned';
  /** Why it went back. */
  why: string | null;
  /** Channels that were connected before and are not now. */
  missing: string[];
}

/**
 * Both trees are there. Rejects with `OperatingError` when it could not even begin (the install is as it was), or when it could not
 * be taken back (the next `./glass up` goes on with that).
 */
export async function move(ground: Ground, record: UpgradeRecord, connected: readonly string[]): Promise<Moved> {
  await rest(ground, record);
  let newest = '';
  try {
    step(ground, record, 'flipping');
    if (record.lose !== null) putBack(ground.paths, record.lose);
    await flip(ground.git, ground.places, record.from, record.to);
    step(ground, record, 'trying');
    await tryIt(ground, record);
    if (record.lose !== null) await stopAll(ground);
    newest = newestOf(ground.paths);
  } catch (error) {
    return takeBack(ground, record, describeError(error), true);
  }
  step(ground, record, 'starting');
  if (record.was === 'up') {
    try {
      ground.say(`${record.to.version} starts`);
      await bringUp(ground.paths, ground.places.root, ground.say);
    } catch (error) {
      return notStarted(ground, record, newest, messageOf(error));
    }
  }
  endRecord(ground.places, record, 'done', null);
  const missing = await channelsBack(ground.paths, connected);
  for (const name of missing)
    await raise(
      ground.paths,
      'upgrade.channel',
      name,
      `the channel ${name} was connected before the upgrade to ${record.to.version} and is not since`,
    );
  return { outcome: 'done', why: null, missing };
}

function step({ places }: Ground, record: UpgradeRecord, name: Step): void {
  record.step = name;
  writeRecord(places, record);
}

/** Down, and the last copy. When that fails, the install goes on as it was. */
async function rest(ground: Ground, record: UpgradeRecord): Promise<void> {
  const { paths, places, say } = ground;
  try {
    step(ground, record, 'stopping');
    if (record.was === 'up') {
      say('it ends after its running turns');
      await bringDown(paths, places.root, say);
    }
    step(ground, record, 'keeping');
    say('the last copy of the databases');
    keep(paths, record.kept);
  } catch (error) {
    rmSync(record.kept, { recursive: true, force: true });
    if (record.was === 'up') await bringUp(paths, places.root, say).catch((problem) => say(describeError(problem)));
    endRecord(places, record, 'refused', messageOf(error));
    throw error;
  }
}

/** The new version on the real home, with every way in closed. Rejects with why it does not hold. */
async function tryIt({ paths, places, say }: Ground, record: UpgradeRecord): Promise<void> {
  say(`${record.to.version} is tried on ${paths.home}, with every way in closed`);
  resultOf(await runGlass(places.root, ['up', '--trial', '--json'], paths, UPGRADE_TRIAL_MS, say), 'its trial');
  await endOrphans(paths, places.root);
  if (record.lose !== null) return;
  const lost = lossesOf(paths.home, record.kept);
  if (lost.length > 0) throw new OperatingError('storage', `it answers, but has lost ${lost.join(', ')}`);
}

/**
 * Databases of an earlier time know of answers that wait, and perhaps have been sent since: nothing leaves until somebody says so. The
 * version itself writes the stop, in safe mode, since only it knows its schema.
 */
async function stopAll({ paths, places, say }: Ground): Promise<void> {
  say('the emergency stop, until you resume it: answers that waited then may have been sent since');
  for (const words of [['up', '--safe', '--detach'], ['stop', '--all'], ['down']]) {
    const ran = await runGlass(places.root, words, paths, UPGRADE_TRIAL_MS);
    if (ran.status !== 0)
      throw new OperatingError('unavailable', `./glass ${words.join(' ')} failed: ${reasonOf(ran)}`);
  }
  await endOrphans(paths, places.root);
}

/** It was tried and then did not start: back, but not over anything that has come in. */
async function notStarted(ground: Ground, record: UpgradeRecord, newest: string, why: string): Promise<Moved> {
  signalSupervisors(ground.paths, 'SIGTERM');
  await endOrphans(ground.paths, ground.places.root);
  if (newestOf(ground.paths) === newest) return takeBack(ground, record, why, true);
  endRecord(ground.places, record, 'done', why);
  throw new OperatingError(
    'unavailable',
    `${record.to.version} answered on trial and ${why}; messages have come in since, so nothing was taken back by itself`,
    './glass up again, or ./glass upgrade back',
  );
}

/**
 * The old version, its packages, and the databases as they were. Nothing came in meanwhile, since every way in was closed. `starts`:
 * whether what was up is started here, or by whoever calls.
 */
export async function takeBack(ground: Ground, record: UpgradeRecord, why: string, starts: boolean): Promise<Moved> {
  const { paths, places, git, say } = ground;
  record.why ??= why;
  step(ground, record, 'returning');
  say(`back to ${record.from.version}: ${record.why}`);
  try {
    await endOrphans(paths, places.root);
    await flip(git, places, record.to, record.from);
    putBack(paths, record.kept);
  } catch (error) {
    throw new OperatingError(
      'storage',
      `it could not be taken back to ${record.from.version} yet: ${describeError(error)}`,
      './glass up goes on with that; nothing is lost',
      error,
    );
  }
  step(ground, record, 'returned');
  if (starts && record.was === 'up') await startAgain(ground, record);
  endRecord(places, record, 'returned', record.why);
  rmSync(record.kept, { recursive: true, force: true });
  await tellReturned(paths, places);
  return { outcome: 'returned', why: record.why, missing: [] };
}

async function startAgain({ paths, places, say }: Ground, { from }: UpgradeRecord): Promise<void> {
  await bringUp(paths, places.root, say).catch((error) => {
    const says = `${from.version} is back with everything it had, and ${messageOf(error)}`;
    throw new OperatingError('unavailable', says, './glass up');
  });
}

/** Ends one that was cut short. Resolves with what that meant, in words. */
export async function mend(ground: Ground, record: UpgradeRecord, starts: boolean): Promise<string> {
  const { places } = ground;
  const { from, to, verb } = record;
  process.env[UPGRADE_MARK] = places.root;
  switch (mendingOf(record.step)) {
    case 'forget':
      endMarked(places.root);
      endRecord(places, record, 'abandoned', `cut short while ${record.step}`);
      if (starts && record.was === 'up') await startIfDown(ground, record.step === 'stopping');
      return `the ${verb} to ${to.version} was cut short before anything was changed: ${from.version} stays`;
    case 'return':
      await takeBack(ground, record, `it was cut short while ${record.step}`, starts);
      return `the ${verb} to ${to.version} was cut short: ${from.version} is back, with everything it had`;
    case 'finish': {
      const isBack = record.step === 'returned';
      endRecord(places, record, isBack ? 'returned' : 'done', record.why);
      if (starts && record.was === 'up') await startIfDown(ground);
      return `the ${verb} to ${to.version} was cut short at its end: ${isBack ? from.version : to.version} is what runs`;
    }
  }
}

/** `ends`: it may have been asked to end, and one that ends still answers. */
async function startIfDown({ paths, places, say }: Ground, ends = false): Promise<void> {
  if (ends) await bringDown(paths, places.root, say);
  const ran = await runGlass(places.root, ['status', '--json'], paths, UPGRADE_TRIAL_MS);
  if (ran.status === 6) await bringUp(paths, places.root, say);
}
