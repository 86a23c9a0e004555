import { MIB, MINUTE_MS, SECOND_MS } from './units.ts';

/** Bounds of backups, of what proves them, and of putting one back. */

/** A trial start, from nothing to its answer: ten times what it takes on a small machine. */
export const TRIAL_MS = 60 * SECOND_MS;
/** A client waits so long for a trial that another process makes: its start and its end besides. */
export const TRIAL_PROCESS_MS = TRIAL_MS + 30 * SECOND_MS;
/** The processes of a trial whose maker was killed: twice what they take to end. */
export const TRIAL_GONE_MS = 20 * SECOND_MS;
/** One run of `tar` or `du`: a hundred gigabytes on a slow disk. Nothing that an agent leaves in a workspace lasts longer. */
export const ARCHIVE_MS = 120 * MINUTE_MS;
/** Lines of `tar` about what it could not read that are kept; the rest is a count. */
export const ARCHIVE_LINES_MAX = 20;
/** The copy that the gateway makes of its two databases. */
export const GATEWAY_COPY_MS = 10 * MINUTE_MS;
/** Copies of both databases until neither knows of something that the other's copy has not yet: an anchor comes every few seconds at most. */
export const COPY_TRIES_MAX = 10;
/** Free on the disk besides what a backup takes, so that the install that goes on has room. */
export const BACKUP_SPARE_BYTES = 64 * MIB;
/** Bytes of a manifest or a proof: what we write has a tenth of it. */
export const MANIFEST_BYTES_MAX = MIB;
/** Something that lasts longer says what it does. */
export const BACKUP_TELL_MS = 2 * SECOND_MS;
