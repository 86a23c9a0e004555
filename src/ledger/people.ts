import { showId } from '../base/ids.ts';
import { PEOPLE_SHOWN_MAX } from '../base/limits/talk.ts';
import { visible } from '../base/text.ts';
import type { Db } from './db.ts';

export type Role = 'owner' | 'admin' | 'member';

/** The person behind a platform identity, or undefined: nobody knows them. */
export function personOf(db: Db, channel: string, handle: string): number | undefined {
  return identityOf(db, channel, handle)?.person_id;
}

export interface IdentityRow {
  channel: string;
  handle: string;
  person_id: number;
  /** Where they can be written to alone. */
  dm_chat: number | null;
}

export function identityOf(db: Db, channel: string, handle: string): IdentityRow | undefined {
  return db.get('SELECT * FROM identities WHERE channel = ? AND handle = ?', channel, handle);
}

export function identitiesOf(db: Db, personId: number): IdentityRow[] {
  return db.all('SELECT * FROM identities WHERE person_id = ? ORDER BY channel, handle', personId);
}

export function setDmChat(db: Db, channel: string, handle: string, chatId: number): void {
  db.run('UPDATE identities SET dm_chat = ? WHERE channel = ? AND handle = ?', chatId, channel, handle);
}

/** Whether a person may speak to a group: any role there, or everywhere. No row, no right. */
export function mayUse(db: Db, personId: number, group: string): boolean {
  return (
    db.get("SELECT 1 AS yes FROM roles WHERE person_id = ? AND group_name IN ('', ?) LIMIT 1", personId, group) !==
    undefined
  );
}

/** Whether a person may decide for a group: its admin or owner, or everybody's. `''`: everybody's only. */
export function administers(db: Db, personId: number, group: string): boolean {
  const sql = "SELECT 1 AS yes FROM roles WHERE person_id = ? AND role IN ('owner', 'admin') AND group_name IN ('', ?)";
  return db.get(sql, personId, group) !== undefined;
}

/** By which roles a person decides at all, in words: `owner, admin of assistant`. */
export function rolesToDecide(db: Db, personId: number): string {
  const sql =
    "SELECT role, group_name FROM roles WHERE person_id = ? AND role IN ('owner', 'admin') ORDER BY group_name, role DESC";
  const rows = db.all<{ role: Role; group_name: string }>(sql, personId);
  return rows.map(({ role, group_name }) => (group_name === '' ? role : `${role} of ${group_name}`)).join(', ');
}

/** Who is asked about groups, in this order: those who administer all of them, then everybody's admins, then owners. */
export function approversOf(db: Db, groups: string[]): number[] {
  const rows = db.all<{ person_id: number; role: Role; group_name: string }>(
    "SELECT person_id, role, group_name FROM roles WHERE role IN ('owner', 'admin') ORDER BY person_id",
  );
  const of = (role: Role | null, group: string): number[] =>
    rows.filter((row) => row.group_name === group && (role === null || row.role === role)).map((row) => row.person_id);
  const [first, ...others] = groups.map((group) => of(null, group));
  const ofAll = (first ?? []).filter((person) => others.every((list) => list.includes(person)));
  return [...new Set([...ofAll, ...of('admin', ''), ...of('owner', '')])];
}

/** Everybody's owners: who hears what goes wrong. */
export function ownersOf(db: Db): number[] {
  const sql = "SELECT person_id FROM roles WHERE role = 'owner' AND group_name = '' ORDER BY person_id";
  return db.all<{ person_id: number }>(sql).map((row) => row.person_id);
}

/** Whether somebody with an identity on the channel is everybody's owner. */
export function hasOwner(db: Db, channel: string): boolean {
  const sql = `SELECT 1 AS yes FROM identities i JOIN roles r ON r.person_id = i.person_id
    WHERE i.channel = ? AND r.role = 'owner' AND r.group_name = '' LIMIT 1`;
  return db.get(sql, channel) !== undefined;
}

/** As people are shown it: nothing in it can hide, or move what stands beside it. */
export function nameOfPerson(db: Db, personId: number): string {
  return visible(db.get<{ name: string }>('SELECT name FROM people WHERE id = ?', personId)!.name);
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
    person = addPerson(db, now, name);
    link(db, channel, handle, person);
  }
  addRole(db, person, role, group);
  return person;
}

export function addPerson(db: Db, now: number, name: string): number {
  return db.insert('INSERT INTO people (name, created_ms) VALUES (?, ?)', name, now);
}

export function link(db: Db, channel: string, handle: string, person: number): void {
  db.run('INSERT INTO identities (channel, handle, person_id) VALUES (?, ?, ?)', channel, handle, person);
}

export function unlink(db: Db, channel: string, handle: string): void {
  db.run('DELETE FROM identities WHERE channel = ? AND handle = ?', channel, handle);
}

export function addRole(db: Db, person: number, role: Role, group: string): boolean {
  const sql = 'INSERT OR IGNORE INTO roles (person_id, role, group_name) VALUES (?, ?, ?)';
  return db.run(sql, person, role, group) === 1;
}

export function removeRole(db: Db, person: number, role: Role, group: string): boolean {
  return db.run('DELETE FROM roles WHERE person_id = ? AND role = ? AND group_name = ?', person, role, group) === 1;
}

export function isOwner(db: Db, person: number): boolean {
  const sql = "SELECT 1 AS yes FROM roles WHERE person_id = ? AND role = 'owner' AND group_name = ''";
  return db.get(sql, person) !== undefined;
}

/** Whether nobody else is everybody's owner. */
export function isLastOwner(db: Db, person: number): boolean {
  const owners = db.all<{ person_id: number }>(
    "SELECT person_id FROM roles WHERE role = 'owner' AND group_name = '' LIMIT 2",
  );
  return owners.length === 1 && owners[0]!.person_id === person;
}

/** Without identity and role; their row stays, because what they said and decided names it. */
export function removePerson(db: Db, now: number, person: number): void {
  db.run('DELETE FROM identities WHERE person_id = ?', person);
  db.run('DELETE FROM roles WHERE person_id = ?', person);
  db.run('UPDATE people SET removed_ms = ? WHERE id = ?', now, person);
}

/** A person as the operator sees them. */
export interface PersonShown {
  id: string;
  name: string;
  roles: { role: Role; group: string }[];
  identities: { channel: string; handle: string }[];
}

/** Undefined: nobody, or somebody who was removed. */
export function personShown(db: Db, id: number): PersonShown | undefined {
  const found = db.get<{ id: number }>('SELECT id FROM people WHERE id = ? AND removed_ms IS NULL', id);
  if (found === undefined) return undefined;
  return {
    id: showId('p', id),
    name: nameOfPerson(db, id),
    roles: db.all('SELECT role, group_name AS "group" FROM roles WHERE person_id = ? ORDER BY group_name, role', id),
    identities: identitiesOf(db, id).map(({ channel, handle }) => ({ channel, handle: visible(handle) })),
  };
}

export function peopleShown(db: Db): PersonShown[] {
  return db
    .all<{ id: number }>('SELECT id FROM people WHERE removed_ms IS NULL ORDER BY id LIMIT ?', PEOPLE_SHOWN_MAX)
    .map(({ id }) => personShown(db, id)!);
}
