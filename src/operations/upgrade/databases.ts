import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { messageOf, OperatingError } from '../../base/errors.ts';
import { UPGRADE_FREE_BYTES_MIN } from '../../base/limits/upgrade.ts';
import type { Paths } from '../../base/paths.ts';
import { showBytes } from '../../base/text.ts';
import { writeWhole } from '../../base/whole_file.ts';
import { CHECK_CHAT, CHECK_GROUP } from '../../evidence/check/names.ts';

/**
 * The last copy of what a new version may change in a home: the three databases, the vault's key with them, the configuration. It is
 * taken and put back while no process of the home lives, so that files are all there is to it.
 */
const DATABASES = ['ledger.db', 'vault.db', 'audit.db'];
const BESIDE = ['vault.key', 'vault.key.next', 'vault.key.azure', 'ca.key', 'ca.pem', 'glass.yaml', 'prices.json'];
const LISTED = 'kept.json';

/** What is said to be in a copy: written last, so that one without it is none. */
interface Kept {
  /** With the mode that each has in the home; the copies are the owner's alone. */
  files: Record<string, number>;
  groups: string[];
  schemas: Record<string, number>;
}

export const keptFolder = ({ home }: Paths, id: string): string => join(home, 'upgrades', id);

/** Throws `OperatingError('storage')` when there is not enough free space for a copy, and for a migration beside it. */
export function requireSpace(paths: Paths): void {
  const needed = 3 * DATABASES.reduce((sum, name) => sum + sizeOf(join(paths.home, name)), 0) + UPGRADE_FREE_BYTES_MIN;
  requireFree(paths.home, needed, 'copies of the databases and a migration');
}

export function requireFree(folder: string, needed: number, what: string): void {
  const { bavail, bsize } = statfsSync(folder);
  if (bavail * bsize >= needed) return;
  throw new OperatingError(
    'storage',
    `${showBytes(bavail * bsize)} are free in ${folder}; ${what} want ${showBytes(needed)}`,
    'free some space; nothing was changed',
  );
}

/** Copies the databases into `folder`. Throws `OperatingError('storage')`; what is there of the copy then counts for nothing. */
export function keep(paths: Paths, folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const names = [...DATABASES.flatMap((name) => [name, `${name}-wal`]), ...BESIDE];
    const files: Kept['files'] = {};
    for (const name of names.filter((one) => isFile(join(paths.home, one)))) {
      files[name] = statSync(join(paths.home, name)).mode & 0o777;
      copy(join(paths.home, name), join(folder, name), 0o600);
    }
    const there = DATABASES.filter((name) => name in files);
    const schemas = Object.fromEntries(there.map((name) => [name, schemaOf(join(paths.home, name))]));
    const kept: Kept = { files, groups: groupsIn(paths.groups), schemas };
    writeWhole(join(folder, LISTED), Buffer.from(JSON.stringify(kept)), 0o600);
    for (const made of [folder, dirname(folder), paths.home]) syncFolder(made);
  } catch (error) {
    const says = `the databases could not be copied: ${messageOf(error)}`;
    throw new OperatingError('storage', says, 'free some space', error);
  }
}

/** Puts the copy in place again, whatever stands there; to call it again ends one that was cut short. Throws `OperatingError('storage')`. */
export function putBack(paths: Paths, folder: string): void {
  const { files } = readKept(folder);
  try {
    for (const name of DATABASES) {
      // First of all: on a full disk there is then room for the old one, and no log of the new one is taken for its own.
      for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(join(paths.home, name + suffix), { force: true });
      for (const file of [name, `${name}-wal`]) replace(paths, folder, file, files[file]);
    }
    for (const name of BESIDE)
      if (!sameBytes(join(folder, name), join(paths.home, name))) replace(paths, folder, name, files[name]);
    syncFolder(paths.home);
  } catch (error) {
    const says = `the databases of ${folder} could not be put back: ${messageOf(error)}`;
    throw new OperatingError('storage', says, 'free some space, then ./glass up', error);
  }
}

/** In one rename. `mode` is undefined for what is not in the copy. */
function replace({ home }: Paths, folder: string, name: string, mode: number | undefined): void {
  if (mode === undefined) return;
  const [place, incoming] = [join(home, name), join(home, `${name}.incoming`)];
  rmSync(incoming, { force: true });
  copy(join(folder, name), incoming, mode);
  const { uid, gid } = statSync(home);
  chownSync(incoming, uid, gid);
  renameSync(incoming, place);
}

/** A configuration that is a link to somewhere stays one. */
function sameBytes(a: string, b: string): boolean {
  return isFile(a) && isFile(b) && readFileSync(a).equals(readFileSync(b));
}

function copy(from: string, to: string, mode: number): void {
  copyFileSync(from, to, constants.COPYFILE_FICLONE);
  chmodSync(to, mode);
  const fd = openSync(to, 'r');
  fsyncSync(fd);
  closeSync(fd);
}

function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r');
  fsyncSync(fd);
  closeSync(fd);
}

export function isKept(folder: string): boolean {
  return existsSync(join(folder, LISTED));
}

/** Copies of older upgrades go; what a return has put aside stays, and so does the newest. */
export function sweepKept(
  { home }: Paths,
  log: readonly { id: string; verb: string; home: string }[],
  newest: string,
): void {
  for (const { id, verb, home: of } of log)
    if (of === home && verb === 'upgrade' && id !== newest && /^[\w-]+$/.test(id))
      rmSync(join(home, 'upgrades', id), { recursive: true, force: true });
}

function readKept(folder: string): Kept {
  if (!isKept(folder)) throw new OperatingError('not_found', `there is no whole copy of the databases in ${folder}`);
  return JSON.parse(readFileSync(join(folder, LISTED), 'utf8')) as Kept;
}

/** `user_version`, which each of our databases counts its migrations in, as it stands in the head of the file: also while a gateway holds it. */
export function schemaOf(file: string): number {
  const fd = openSync(file, 'r');
  try {
    const head = Buffer.alloc(100);
    return readSync(fd, head, 0, head.length, 0) < 64 ? 0 : head.readUInt32BE(60);
  } finally {
    closeSync(fd);
  }
}

/** Whether the databases have another schema now than in the copy, in words; empty: the same. */
export function schemaChanges(paths: Paths, folder: string): string[] {
  return Object.entries(readKept(folder).schemas).flatMap(([name, before]) => {
    const now = schemaOf(join(paths.home, name));
    return now === before ? [] : [`${name}: schema ${before} became ${now}`];
  });
}

/** Changes with each message that comes in or goes out. */
export function newestOf({ ledger }: Paths): string {
  return asked(ledger, (db) =>
    ['messages', 'outbound'].map((table) => number(db, `SELECT coalesce(max(id), 0) FROM ${table}`)).join('-'),
  );
}

/** How many messages came in, and how many went out, since the copy; those of a trial are nobody's. */
export function since(paths: Paths, folder: string): { messages: number; outbound: number } {
  const count = (table: string): number =>
    joined(join(folder, 'ledger.db'), paths.ledger, (db) =>
      number(
        db,
        `SELECT count(*) FROM main.${table} n JOIN main.chats c ON c.id = n.chat_id
         WHERE n.id > (SELECT coalesce(max(id), 0) FROM old.${table}) AND NOT (c.channel = 'local' AND c.platform_id LIKE '${CHECK_CHAT}%')`,
      ),
    );
  return { messages: count('messages'), outbound: count('outbound') };
}

/** What people said, were told, and have arranged: by table what a row is known by, and the columns that must stay as they are. */
interface Law {
  table: string;
  key: readonly string[];
  same?: readonly string[];
}

const LEDGER_LAW: readonly Law[] = [
  { table: 'messages', key: ['id'], same: ['text', 'chat_id', 'sender', 'platform_id'] },
  { table: 'outbound', key: ['id'], same: ['body', 'chat_id'] },
  { table: 'inbound', key: ['message_id'] },
  { table: 'transcript', key: ['id'] },
  { table: 'groups', key: ['name'] },
  { table: 'people', key: ['id'] },
  { table: 'identities', key: ['channel', 'handle'] },
  { table: 'roles', key: ['person_id', 'role', 'group_name'] },
  { table: 'chats', key: ['id'] },
  { table: 'wirings', key: ['chat_id', 'group_name'] },
  { table: 'sessions', key: ['id'] },
  { table: 'tasks', key: ['id'] },
  { table: 'authorities', key: ['hash'] },
  { table: 'events', key: ['id'] },
];
const LAWS: readonly [file: string, law: readonly Law[]][] = [
  ['ledger.db', LEDGER_LAW],
  ['vault.db', [{ table: 'secrets', key: ['name'] }]],
  ['audit.db', [{ table: 'requests', key: ['id'], same: ['session', 'group_name'] }]],
];

/**
 * What a version has lost of the data in `folder` (a copy, or a backup), in words; empty: nothing. `home` is where it has run: its
 * databases are at rest. A table or a column of the law that is gone is a loss, too: a version that means it has to say so here first.
 */
export function lossesOf(home: string, folder: string): string[] {
  const groups = isKept(folder) ? readKept(folder).groups : groupsIn(join(folder, 'groups'));
  const gone = groups.filter((name) => !isFile(join(home, 'groups', name, 'group.yaml')));
  const laws = LAWS.filter(([file]) => isFile(join(folder, file)));
  return [
    ...gone.map((name) => `the group ${name}`),
    ...laws.flatMap(([file, law]) => lossesIn(join(folder, file), join(home, file), law)),
  ];
}

function lossesIn(before: string, now: string, law: readonly Law[]): string[] {
  if (!isFile(now)) return [`all of ${basename(before)}`];
  return joined(before, now, (db) => law.flatMap((one) => lossesOfTable(db, one)));
}

function lossesOfTable(db: DatabaseSync, { table, key, same = [] }: Law): string[] {
  // A column that came later than the copy's schema is none that it could lose.
  const known = columnsOf(db, 'old', table);
  if (!key.every((column) => known.includes(column))) return [];
  const kept = same.filter((column) => known.includes(column));
  const there = columnsOf(db, 'main', table);
  const gone = [...key, ...kept].filter((column) => !there.includes(column));
  if (gone.length > 0) return gone.map((column) => `${table}.${column}`);
  const joins = key.map((column) => `n.${column} IS o.${column}`).join(' AND ');
  // What a check has left goes with the next start, as it should.
  const ours = known.includes('group_name') && table === 'wirings' ? `o.group_name <> '${CHECK_GROUP}' AND ` : '';
  const missing = number(
    db,
    `SELECT count(*) FROM old.${table} o WHERE ${ours}NOT EXISTS (SELECT 1 FROM main.${table} n WHERE ${joins})`,
  );
  const differs = kept.map((column) => `n.${column} IS NOT o.${column}`).join(' OR ');
  const changed =
    differs === ''
      ? 0
      : number(db, `SELECT count(*) FROM old.${table} o JOIN main.${table} n ON ${joins} WHERE ${differs}`);
  return [
    ...(missing > 0 ? [`${missing} rows of ${table}`] : []),
    ...(changed > 0 ? [`what stood in ${changed} rows of ${table}`] : []),
  ];
}

function columnsOf(db: DatabaseSync, schema: string, table: string): string[] {
  return db
    .prepare(`SELECT name FROM pragma_table_info(?, ?)`)
    .all(table, schema)
    .map((row) => String(row['name']));
}

function number(db: DatabaseSync, sql: string): number {
  return Number(Object.values(db.prepare(sql).get()!)[0]);
}

/** `main` is `now`, `old` is `before`; neither is changed. */
function joined<T>(before: string, now: string, ask: (db: DatabaseSync) => T): T {
  return asked(now, (db) => {
    // A backup is sealed by hashes: no side file of it is made. A copy of our own may have a log that belongs to it.
    const old = isKept(dirname(before)) ? before : `${pathToFileURL(before).href}?immutable=1`;
    db.prepare('ATTACH ? AS old').run(old);
    return ask(db);
  });
}

/** Throws `OperatingError('storage')` for a file that SQLite does not take. */
function asked<T>(file: string, ask: (db: DatabaseSync) => T): T {
  let db: DatabaseSync | null = null;
  try {
    db = new DatabaseSync(file);
    db.exec('PRAGMA trusted_schema = OFF; PRAGMA query_only = ON');
    return ask(db);
  } catch (error) {
    throw new OperatingError('storage', `${file} cannot be read: ${messageOf(error)}`, undefined, error);
  } finally {
    db?.close();
  }
}

function groupsIn(folder: string): string[] {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return names.filter((name) => name !== CHECK_GROUP && isFile(join(folder, name, 'group.yaml'))).sort();
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() ?? false;
}
