/** In a home that is being put back: nothing starts there until that is through (`restore.ts`). */
export const RESTORING = 'restoring.json';
/** In a home that was put back, until its host has stopped everything (`marks.ts`). */
export const RESTORED = 'restored.json';
/** A home below `backups/` in which a backup is tried out, and which goes at the end. */
export const TRIAL_HOME = '.trial-';
