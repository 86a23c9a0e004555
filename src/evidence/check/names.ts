/** What `glass check` makes for itself, and removes: nothing else ever has these names, nor their beginning in a chat's. */
export const CHECK_GROUP = 'check-throwaway';
export const CHECK_CHANNEL = 'check-channel';
export const CHECK_CHAT = 'check-';
/** Of the group's file; a group of that name without it is somebody's own. */
export const CHECK_MARK = '# A throw-away of ./glass check, which removes it. So does the next start.';

/** Held by the process of a check for as long as it lives: its throw-aways are left alone meanwhile. */
export function checkLock(install: string): string {
  return `${install}/check`;
}
