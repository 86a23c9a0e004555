/** Of sessions of Signal as Baileys keeps them: `used` is when a message was last read with it. */
type Sessions = Record<string, { indexInfo: { used: number } }>;
interface SessionRecord {
  _sessions?: Sessions;
}

/**
 * Whom we write to may have several sessions with us, and a message is tried with each of them. Baileys' encryption moves a session on
 * before it knows that the message is none of its own, and keeps it so: what it is then used for, the other side cannot read. Puts those
 * back in `after` that did not read it.
 */
export function spareOthers(after: unknown, before: unknown): void {
  const [sessions, old] = [sessionsOf(after), sessionsOf(before)];
  const isUsed = (key: string): boolean => old[key]?.indexInfo.used !== sessions[key]?.indexInfo.used;
  // None is known to have read it: all of them may have, in that millisecond.
  if (!Object.keys(sessions).some(isUsed)) return;
  for (const [key, session] of Object.entries(old))
    if (sessions[key] !== undefined && !isUsed(key)) sessions[key] = session;
}

function sessionsOf(record: unknown): Sessions {
  return (record as SessionRecord | null | undefined)?._sessions ?? {};
}
