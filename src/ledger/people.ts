import type { Db } from './db.ts';

export type Role = 'owner' | 'admin' | 'member';

/** The person behind a platform identity, or undefined: nobody knows them. */
export function personOf(db: Db, channel: string, handle: string): number | undefined {
  return db.get<{ person_id: number }>(
    'SELECT person_id FROM identities WHERE channel = ? AND handle = ?',
    channel,
    handle,
  )?.person_id;
}

/** Whether a person may speak to a group: any role there, or everywhere. No row, no right. */
export function mayUse(db: Db, personId: number, group: string): boolean {
  return (
    db.get("SELECT 1 AS yes FROM roles WHERE person_id = ? AND group_name IN ('', ?) LIMIT 1", personId, group) !==
    undefined
  );
}

/** Whether a person may decide for a group: its owner, or everybody's. */
export function ownsGroup(db: Db, personId: number, group: string): boolean {
  const sql = "SELECT 1 AS yes FROM roles WHERE person_id = ? AND role = 'owner' AND group_name IN ('', ?)";
  return db.get(sql, personId, group) !== undefined;
}

/** Whether a person is an admin or the owner of a group, or of everything. */
export function decidesFor(db: Db, personId: number, group: string): boolean {
  const sql = "SELECT 1 AS yes FROM roles WHERE person_id = ? AND role IN ('owner', 'admin') AND group_name IN ('', ?)";
  return db.get(sql, personId, group) !== undefined;
}

export function nameOfPerson(db: Db, personId: number): string {
  return db.get<{ name: string }>('SELECT name FROM people WHERE id = ?', personId)!.name;
}

/** Makes sure that a person with this identity and role exists; returns their key. */
export function ensurePerson(
  db: Db,
  now: number,
  channel: string,
  handle: string,
  name: string,
  role: Role,
  group = '',
): number {
  let person = personOf(db, channel, handle);
  if (person === undefined) {
    person = db.insert('INSERT INTO people (name, created_ms) VALUES (?, ?)', name, now);
    db.run('INSERT INTO identities (channel, handle, person_id) VALUES (?, ?, ?)', channel, handle, person);
  }
  db.run('INSERT OR IGNORE INTO roles (person_id, role, group_name) VALUES (?, ?, ?)', person, role, group);
  return person;
}
