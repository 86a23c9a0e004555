import { GROUP_UID_COUNT, GROUP_UID_FIRST } from '../../src/base/limits/sandbox.ts';
import { ensureChat, ensureGroup, setPolicy, wire } from '../../src/ledger/chats.ts';
import { Db } from '../../src/ledger/db.ts';
import { eventHead, recordEvent } from '../../src/ledger/events.ts';
import { readMigrations } from '../../src/ledger/migrate.ts';
import { openLedgerFile } from '../../src/ledger/open.ts';
import { ensurePerson } from '../../src/ledger/people.ts';
import { longAgo, makeOldAudit } from '../fakes/long_ago.ts';
import type { World } from './world.ts';

const CHATS = { assistant: ['alpha', 'beta', 'omega', 'kappa', 'iota', 'sigma'], flaky: ['gamma'], thinker: ['delta'] };
/** Those that an install has without saying so. */
const UIDS = { first: GROUP_UID_FIRST, count: GROUP_UID_COUNT };

/**
 * What is there before the first start: people, chats and wirings in a ledger of the version before, and an event and a
 * request that are old enough to be cut off.
 */
export async function seed(world: World): Promise<void> {
  const db = new Db(await openLedgerFile(world.paths.ledger, readMigrations().slice(0, -1)));
  db.raw.exec('BEGIN');
  peopleAndChats(db);
  recordEvent(db, longAgo, 'host.stopped', {}, { reason: 'long ago' });
  db.raw.exec('COMMIT');
  const { id, hash } = eventHead(db);
  db.raw.close();
  makeOldAudit(world.paths.audit, { event: id, hash });
}

function peopleAndChats(db: Db): void {
  const now = Date.now();
  ensurePerson(db, now, 'platform', 'alice', 'Alice', 'owner');
  for (const [group, chats] of Object.entries(CHATS)) {
    ensureGroup(db, now, group, process.getuid?.() === 0 ? UIDS : null);
    for (const chat of chats) wire(db, ensureChat(db, now, 'platform', chat, chat), group, 'always');
  }
  setPolicy(db, ensureChat(db, now, 'platform', 'kappa', 'kappa'), 'ask');
}
