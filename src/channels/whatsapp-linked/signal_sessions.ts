import { CHAINS_MAX } from './limits.ts';

/** Of sessions of Signal as Baileys keeps them: `used` is when a message was last read with it; its chains are in the order of their making. */
type Sessions = Record<string, { indexInfo: { used: number }; _chains?: Record<string, { chainType: number }> }>;
interface SessionRecord {
  _sessions?: Sessions;
}

/** Of a chain whose messages we read; the other kind, of which there is one, is what we write with. */
const RECEIVING = 2;

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

/**
 * Each answer of the other side begins a chain, and Baileys' encryption keeps all of them: a chat would be slower with each word that
 * is said in it. Of the oldest are dropped those that Signal's own library does not keep either.
 */
export function dropOldChains(record: unknown): void {
  for (const { _chains: chains = {} } of Object.values(sessionsOf(record))) {
    const receiving = Object.entries(chains).flatMap(([key, { chainType }]) => (chainType === RECEIVING ? [key] : []));
    for (const key of receiving.slice(0, -CHAINS_MAX)) delete chains[key];
  }
}

function sessionsOf(record: unknown): Sessions {
  return (record as SessionRecord | null | undefined)?._sessions ?? {};
}
