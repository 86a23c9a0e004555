import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { noFaults } from '../../src/base/faults.ts';
import { LEDGER_CHECKED_BYTES_MAX } from '../../src/base/limits/messages.ts';
import { countPending } from '../../src/ledger/approvals.ts';
import { chatById, wiringsOf } from '../../src/ledger/chats.ts';
import { Db } from '../../src/ledger/db.ts';
import { Ledger } from '../../src/ledger/ledger.ts';
import { type Migration, readMigrations } from '../../src/ledger/migrate.ts';
import { openLedgerFile } from '../../src/ledger/open.ts';
import { countQuestions } from '../../src/ledger/questions.ts';
import { ensureSession } from '../../src/ledger/sessions.ts';
import { PLAIN_TERMS } from '../../src/ledger/wirings.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';
import { looseTables } from '../fakes/loose_tables.ts';

const FIRST: Migration = { version: 1, name: '0001_a.sql', sql: 'CREATE TABLE facts (text TEXT NOT NULL) STRICT;' };
const SECOND: Migration = {
  version: 2,
  name: '0002_b.sql',
  sql: 'ALTER TABLE facts ADD COLUMN weight INTEGER NOT NULL DEFAULT 7;',
};
const BROKEN: Migration = {
  version: 2,
  name: '0002_bad.sql',
  sql: "DELETE FROM facts; INSERT INTO nowhere VALUES ('x');",
};

/** Of a page of a fresh ledger. */
const PAGE_BYTES = 1024;

function fileIn(context: TestContext): string {
  return join(temporaryFolder(context), 'ledger.db');
}

/** A ledger of schema 1 that holds one fact; closed. */
async function oldLedger(context: TestContext): Promise<string> {
  const file = fileIn(context);
  const db = await openLedgerFile(file, [FIRST]);
  db.exec("INSERT INTO facts VALUES ('kept')");
  db.close();
  return file;
}

function scalar(db: DatabaseSync, sql: string): unknown {
  return Object.values(db.prepare(sql).get() ?? {})[0];
}

test('a fresh ledger has the newest schema, in write-ahead mode, and answers again after a restart', async (context) => {
  const file = fileIn(context);
  const first = await Ledger.open(file, noFaults);
  await first.write('test', (db) => db.run("INSERT INTO groups VALUES ('assistant', NULL, 1)"));
  first.close();
  const again = await Ledger.open(file, noFaults);
  assert.equal(scalar(again.db.raw, 'PRAGMA user_version'), readMigrations().at(-1)!.version);
  assert.equal(scalar(again.db.raw, 'PRAGMA journal_mode'), 'wal');
  assert.equal(scalar(again.db.raw, 'PRAGMA synchronous'), 2, 'FULL');
  assert.equal(scalar(again.db.raw, 'PRAGMA page_size'), PAGE_BYTES);
  assert.equal(scalar(again.db.raw, 'SELECT name FROM groups'), 'assistant');
  again.close();
});

test('every table of a fresh ledger is STRICT', async (context) => {
  const ledger = await Ledger.open(fileIn(context), noFaults);
  context.after(() => ledger.close());
  assert.deepEqual(looseTables(ledger.db.raw), []);
});

test('migrations are numbered without a gap, in order', () => {
  const versions = readMigrations().map((migration) => migration.version);
  assert.deepEqual(
    versions,
    versions.map((_, index) => index + 1),
  );
});

test('wirings, sessions and approvals of a ledger from before there were people’s questions are what they were', async (context) => {
  const file = fileIn(context);
  const old = await openLedgerFile(
    file,
    readMigrations().filter(({ version }) => version <= 6),
  );
  old.exec(`
    INSERT INTO groups (name, created_ms) VALUES ('assistant', 1);
    INSERT INTO chats (id, channel, platform_id, title, created_ms) VALUES (1, 'local', 'main', 'main', 1), (2, 'local', 'desk', 'desk', 1);
    INSERT INTO wirings (id, chat_id, group_name, engage) VALUES (4, 1, 'assistant', 'always'), (7, 2, 'assistant', 'mention');
    INSERT INTO sessions (id, group_name, chat_id, thread, created_ms) VALUES (3, 'assistant', 1, 't', 1);
    INSERT INTO approvals (kind, object_hash, object, state, asked_by, created_ms, expires_ms, hold, session_id)
      VALUES ('egress', '', '{}', 'pending', 'assistant', 1, 2, 'a', 3), ('egress', '', '{}', 'pending', 'assistant', 1, 2, 'b', 3)`);
  old.close();
  const db = new Db(await openLedgerFile(file, readMigrations()));
  context.after(() => db.raw.close());
  const terms = { ...PLAIN_TERMS, group_name: 'assistant' };
  assert.deepEqual(
    [1, 2].flatMap((chat) => wiringsOf(db, chat).map((row) => ({ ...row }))),
    [
      { ...terms, id: 4, chat_id: 1 },
      { ...terms, id: 7, chat_id: 2, engage: 'mention' },
    ],
  );
  assert.deepEqual(ensureSession(db, 1, 'assistant', 1, 't'), { id: 3, isNew: false });
  assert.deepEqual([countPending(db), countQuestions(db)], [2, 0]);
  assert.equal(chatById(db, 1)!.policy, 'strict');
});

test('a newer schema is refused, and not a byte of the file changes', async (context) => {
  const file = await oldLedger(context);
  const newer = new DatabaseSync(file);
  newer.exec('PRAGMA user_version = 99');
  newer.close();
  const before = readFileSync(file);
  await assert.rejects(openLedgerFile(file, [FIRST]), {
    code: 'storage',
    message: /has schema 99, this GlassClaw knows 1/,
  });
  assert.deepEqual(readFileSync(file), before);
});

for (const [name, damage] of [
  ['overwritten from its first byte', (bytes: Buffer) => bytes.fill(0x5a)],
  ['damaged in its middle', (bytes: Buffer) => bytes.fill(0xff, bytes.length / 2)],
  ['cut short', (bytes: Buffer) => bytes.subarray(0, bytes.length / 2 + 100)],
] as const) {
  test(`a ledger that was ${name} is refused in one sentence, and its bytes stay as they are`, async (context) => {
    const file = await oldLedger(context);
    const hurt = Buffer.from(damage(readFileSync(file)));
    writeFileSync(file, hurt);
    await assert.rejects(openLedgerFile(file, [FIRST]), (error: Error & { code: string }) => {
      assert.equal(error.code, 'storage');
      assert.match(error.message, /^the ledger .* (is damaged|cannot be opened): [^\n]+/);
      return true;
    });
    assert.deepEqual(readFileSync(file), hurt);
  });
}

/** A ledger with one message and `more_bytes` besides, closed; returns where the page is that something of it begins with. */
async function usedLedger(file: string, name: string, more_bytes: number): Promise<number> {
  const db = await openLedgerFile(file, readMigrations());
  db.exec(`PRAGMA synchronous = OFF;
    INSERT INTO groups (name, created_ms) VALUES ('assistant', 1);
    INSERT INTO chats (id, channel, platform_id, title, created_ms) VALUES (1, 'local', 'main', 'main', 1);
    INSERT INTO sessions (id, group_name, chat_id, created_ms) VALUES (1, 'assistant', 1, 1);
    INSERT INTO messages (dedupe_key, chat_id, sender, platform_id, text, sent_ms, received_ms) VALUES ('its key', 1, 'Ann', 'p', 'hello', 1, 1);
    INSERT INTO transcript (session_id, role, text, at_ms) VALUES (1, 'person', hex(zeroblob(${more_bytes / 2})), 1)`);
  const page = Number(scalar(db, `SELECT rootpage FROM sqlite_schema WHERE name = '${name}'`));
  db.close();
  return (page - 1) * PAGE_BYTES;
}

async function isRefused(file: string, hurt: Buffer, message: RegExp): Promise<void> {
  writeFileSync(file, hurt);
  await assert.rejects(openLedgerFile(file, readMigrations()), { code: 'storage', message });
  assert.ok(readFileSync(file).equals(hurt), 'nothing was changed');
}

for (const [what, more_bytes] of [
  ['a ledger', 0],
  ['a ledger too large for a look at everything', LEDGER_CHECKED_BYTES_MAX],
] as const)
  test(`an index of ${what} that has another key of a message is damage: it would be taken again`, async (context) => {
    const file = fileIn(context);
    const at = await usedLedger(file, 'sqlite_autoindex_messages_1', more_bytes);
    const hurt = readFileSync(file);
    hurt.write('ITS', hurt.indexOf('its key', at));
    await isRefused(file, hurt, /^the ledger .* is damaged: row 1 missing from index sqlite_autoindex_messages_1$/);
  });

test('of a ledger too large for a look at everything each page is looked at all the same', async (context) => {
  const file = fileIn(context);
  const at = await usedLedger(file, 'events', LEDGER_CHECKED_BYTES_MAX);
  const hurt = readFileSync(file);
  hurt.fill(0xff, at, at + PAGE_BYTES);
  await isRefused(file, hurt, /^the ledger .* is damaged: /);
});

test('a folder in its place, and a folder that does not exist, are refused', async (context) => {
  const file = fileIn(context);
  mkdirSync(file);
  await assert.rejects(openLedgerFile(file, [FIRST]), { code: 'storage', message: /cannot be opened/ });
  await assert.rejects(openLedgerFile(join(file, 'no/ledger.db'), [FIRST]), { code: 'storage' });
});

test('a file that this user cannot write is refused', async (context) => {
  const file = await oldLedger(context);
  chmodSync(file, 0o444);
  const asRoot = process.getuid?.() === 0;
  if (asRoot) process.seteuid!(65_534);
  try {
    await assert.rejects(openLedgerFile(file, [FIRST]), { code: 'storage', message: /cannot be opened/ });
  } finally {
    if (asRoot) process.seteuid!(0);
  }
});

test('a ledger that another process writes is refused after a bounded wait', async (context) => {
  const file = await oldLedger(context);
  const other = new DatabaseSync(file);
  context.after(() => other.close());
  other.exec('BEGIN IMMEDIATE');
  await assert.rejects(openLedgerFile(file, [FIRST]), { code: 'storage', message: /database is locked/ });
});

test('somebody who has the file to themselves for a moment is waited for', async (context) => {
  const file = fileIn(context);
  (await openLedgerFile(file, [FIRST])).close();
  const hold = `const db = new (require('node:sqlite').DatabaseSync)(process.argv[1]);
    db.exec("PRAGMA locking_mode = EXCLUSIVE; INSERT INTO facts VALUES ('x')");
    console.log('held'); setTimeout(() => db.close(), 300);`;
  const child = spawn(process.execPath, ['-e', hold, file], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  const db = await openLedgerFile(file, [FIRST]);
  assert.equal(db.prepare('SELECT count(*) AS n FROM facts').get()!['n'], 1);
  db.close();
  if (child.exitCode === null) await once(child, 'exit');
});

test('a migration keeps the data, and a copy of the file as it was', async (context) => {
  const file = await oldLedger(context);
  const db = await openLedgerFile(file, [FIRST, SECOND]);
  assert.deepEqual({ ...db.prepare('SELECT * FROM facts').get() }, { text: 'kept', weight: 7 });
  assert.equal(scalar(db, 'PRAGMA user_version'), 2);
  assert.equal(scalar(db, 'PRAGMA journal_mode'), 'wal');
  db.close();
  assert.ok(!existsSync(`${file}.migrating`));
  const kept = new DatabaseSync(`${file}.before-2`, { readOnly: true });
  assert.equal(scalar(kept, 'PRAGMA user_version'), 1);
  assert.equal(scalar(kept, 'SELECT text FROM facts'), 'kept');
  kept.close();
});

test('what stands only in the write-ahead log of a host that died is migrated too', async (context) => {
  const file = await oldLedger(context);
  const dying = new DatabaseSync(file);
  context.after(() => dying.close());
  dying.exec("PRAGMA wal_autocheckpoint = 0; INSERT INTO facts VALUES ('late')");
  const copy = `${file}2`;
  for (const suffix of ['', '-wal']) writeFileSync(copy + suffix, readFileSync(file + suffix));
  const db = await openLedgerFile(copy, [FIRST, SECOND]);
  assert.equal(scalar(db, 'SELECT count(*) FROM facts WHERE weight = 7'), 2);
  db.close();
});

test('a ledger that somebody reads is not replaced: what is in its log alone would be lost with a death in between', async (context) => {
  const file = await oldLedger(context);
  const reader = new DatabaseSync(file, { readOnly: true });
  context.after(() => reader.close());
  reader.exec('BEGIN');
  assert.equal(scalar(reader, 'SELECT count(*) FROM facts'), 1);
  const writer = new DatabaseSync(file);
  writer.exec("INSERT INTO facts VALUES ('late')");
  writer.close();
  await assert.rejects(openLedgerFile(file, [FIRST, SECOND]), {
    code: 'storage',
    message: /is read by another program/,
  });
  assert.ok(!existsSync(`${file}.migrating`));
  reader.exec('COMMIT');
  const db = await openLedgerFile(file, [FIRST, SECOND]);
  assert.equal(scalar(db, 'SELECT count(*) FROM facts WHERE weight = 7'), 2);
  db.close();
});

test('a migration that fails leaves the old ledger in force, whole, and nothing beside it', async (context) => {
  const file = await oldLedger(context);
  await assert.rejects(openLedgerFile(file, [FIRST, BROKEN]), {
    code: 'storage',
    message: /migration 0002_bad\.sql of .* failed: no such table: nowhere/,
  });
  assert.deepEqual(readdirSync(join(file, '..')), ['ledger.db']);
  const db = await openLedgerFile(file, [FIRST]);
  assert.equal(scalar(db, 'SELECT text FROM facts'), 'kept');
  db.close();
});

test('a fresh ledger is made whole or not at all', async (context) => {
  const file = fileIn(context);
  await assert.rejects(openLedgerFile(file, [FIRST, BROKEN]), { code: 'storage', message: /0002_bad\.sql/ });
  const left = new DatabaseSync(file);
  assert.equal(scalar(left, 'PRAGMA user_version'), 0);
  assert.equal(scalar(left, 'SELECT count(*) FROM sqlite_master'), 0, 'no table of the first migration either');
  left.close();
  (await openLedgerFile(file, [FIRST, SECOND])).close();
  assert.ok(!existsSync(`${file}.before-2`), 'the next start makes it, and has nothing to bring forward');
});

test('a migrated copy with a broken reference does not pass its check', async (context) => {
  const file = await oldLedger(context);
  const dangling: Migration = {
    version: 2,
    name: '0002_dangling.sql',
    sql: 'PRAGMA defer_foreign_keys = ON; CREATE TABLE a (id INTEGER PRIMARY KEY) STRICT; CREATE TABLE b (a INTEGER REFERENCES a (id)) STRICT; INSERT INTO b VALUES (5);',
  };
  await assert.rejects(openLedgerFile(file, [FIRST, dangling]), { code: 'storage' });
  const db = await openLedgerFile(file, [FIRST]);
  assert.equal(scalar(db, 'SELECT text FROM facts'), 'kept');
  db.close();
});

test('no room for the copy that is kept: one sentence, the old ledger in force', async (context) => {
  const file = await oldLedger(context);
  mkdirSync(`${file}.before-2`);
  await assert.rejects(openLedgerFile(file, [FIRST, SECOND]), { code: 'storage' });
  assert.ok(!existsSync(`${file}.migrating`), 'the copy is not left behind');
  const db = await openLedgerFile(file, [FIRST]);
  assert.equal(scalar(db, 'PRAGMA user_version'), 1);
  db.close();
});

test('the connection is defensive: the schema cannot be written, events are append-only', async (context) => {
  const ledger = await Ledger.open(fileIn(context), noFaults);
  context.after(() => ledger.close());
  const { raw } = ledger.db;
  raw.exec("INSERT INTO events (at_us, kind, data) VALUES (1, 'host.started', '{}')");
  for (const [sql, reason] of [
    ["PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'x'", /may not be modified/],
    ["UPDATE events SET kind = 'x'", /append-only/],
    ['DELETE FROM events', /append-only/],
    ["INSERT INTO chats (channel, platform_id, title, created_ms) VALUES ('a', 'b', 'c', 'now')", /cannot store TEXT/],
    ["INSERT INTO wirings (chat_id, group_name, engage) VALUES (99, 'nobody', 'always')", /FOREIGN KEY/],
    ['SELECT "no such column"', /no such column/],
  ] as const)
    assert.throws(() => raw.exec(sql), reason, sql);
});
