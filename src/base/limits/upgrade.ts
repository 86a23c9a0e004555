import { MIB, MINUTE_MS, SECOND_MS } from './units.ts';

/** Bounds of an upgrade. Each step that waits for another program ends by one of them. */

/** A look at what there is at the origin: a slow line fetches some megabytes. */
export const FETCH_MS = 3 * MINUTE_MS;
/** One command of git that needs no network. */
export const GIT_MS = MINUTE_MS;
/** Packages of a new version may be 500 MB. */
export const STAGE_MS = 35 * MINUTE_MS;
/** A backup, and a rehearsal on it: everything in the home is copied, and hashed. */
export const BACKUP_MS = 60 * MINUTE_MS;
/** A trial ends by itself after a minute; this is for one that does not. */
export const UPGRADE_TRIAL_MS = 2 * MINUTE_MS;
/** Running turns get their bounded time, as in `glass down`. */
export const DOWN_MS = 90 * SECOND_MS;
/** A start gets a minute until it is ready. */
export const START_MS = 90 * SECOND_MS;
/** Channels that were connected before are again by then, or somebody is told. */
export const CHANNELS_BACK_MS = 45 * SECOND_MS;
/** Whoever is left of a trial that was killed ends by then; then it is ended. */
export const ORPHANS_MS = 75 * SECOND_MS;
/** A look at what has not come yet. */
export const LOOK_MS = 100;
/** What is said while one waits for another program. */
export const PROGRESS_MS = 5 * SECOND_MS;
/** Free space besides what is copied: the source of a version is 10 MB, and a host does not start on less. */
export const UPGRADE_FREE_BYTES_MIN = 300 * MIB;
/** Lines of commits, and of the changelog, that are shown. */
export const SHOWN_LINES_MAX = 40;
/** Output that is kept of a program, to read its result or to explain its failure. */
export const OUTPUT_CHARS_MAX = 4_000_000;
