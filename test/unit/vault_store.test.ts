import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { noFaults } from '../../src/base/faults.ts';
import { SECRET_BYTES_MAX } from '../../src/base/limits/gateway.ts';
import type { SecretTerms } from '../../src/protocol/secrets.ts';
import { fileKeySource, PLAIN } from '../../src/vault/key_file.ts';
import { Vault } from '../../src/vault/vault.ts';
import { looseTables } from '../fakes/loose_tables.ts';

const root = mkdtempSync(join(tmpdir(), 'vault-'));
after(() => rmSync(root, { recursive: true }));
const VALUE = Buffer.from('fake-secret-value');

function place(): { db: string; key: string; start: () => Promise<Vault> } {
  const folder = mkdtempSync(join(root, 'v'));
  const db = join(folder, 'vault.db');
  const key = join(folder, 'vault.key');
  return { db, key, start: () => Vault.unlock(db, fileKeySource(key, PLAIN), systemClock, noFaults) };
}

test('a secret is set, listed, opened, replaced and removed', async () => {
  const vault = await place().start();
  assert.equal(vault.read('anthropic'), null);
  assert.equal(vault.set('anthropic', VALUE), true);
  assert.equal(vault.set('anthropic', Buffer.from('fake-secret-second')), false);
  assert.deepEqual(vault.names(), ['anthropic']);
  assert.equal(vault.read('anthropic')?.value.toString(), 'fake-secret-second');
  assert.equal(vault.remove('anthropic'), true);
  assert.equal(vault.remove('anthropic'), false);
  assert.equal(vault.read('anthropic'), null);
  vault.close();
});

test('secrets survive a restart, and no file holds one in the clear', async () => {
  const { db, key, start } = place();
  const first = await start();
  first.set('anthropic', VALUE);
  for (const file of [db, `${db}-wal`, key]) {
    assert.equal(statSync(file).mode & 0o777, 0o600, file);
    assert.ok(!readFileSync(file).includes(VALUE), file);
  }
  first.close();
  const second = await start();
  assert.deepEqual(second.read('anthropic')?.value, VALUE);
  second.close();
});

test('a second opener is refused while the first lives', async () => {
  const { start } = place();
  const first = await start();
  await assert.rejects(start, { code: 'conflict', message: /already running/ });
  first.close();
  (await start()).close();
});

test('values out of bounds are refused', async () => {
  const vault = await place().start();
  assert.throws(() => vault.set('a', Buffer.from('short')), { code: 'usage' });
  assert.throws(() => vault.set('a', Buffer.alloc(SECRET_BYTES_MAX + 1, 'x')), { code: 'usage' });
  vault.set('a', Buffer.alloc(SECRET_BYTES_MAX, 'x'));
  vault.close();
});

test('rows that were swapped outside do not open', async () => {
  const { db, start } = place();
  const vault = await start();
  vault.set('first', VALUE);
  vault.set('second', Buffer.from('fake-secret-other'));
  vault.close();
  const raw = new DatabaseSync(db);
  raw.exec(`UPDATE secrets SET envelope = (SELECT envelope FROM secrets WHERE name = 'second') WHERE name = 'first'`);
  raw.close();
  const again = await start();
  assert.throws(() => again.read('first'), { code: 'storage', message: /changed outside/ });
  assert.equal(again.read('second')?.value.toString(), 'fake-secret-other');
  again.close();
});

const REFUSALS: [name: string, damage: (key: string, db: string) => void, message: RegExp][] = [
  ['the key of another vault', (key) => writeFileSync(key, randomBytes(32)), /belongs to another vault/],
  ['a missing key', (key) => rmSync(key), /missing, and the vault was sealed with it/],
  ['a key that others can read', (key) => chmodSync(key, 0o640), /can be read by others/],
  ['a short key', (key) => writeFileSync(key, 'short'), /has 5 bytes instead of 32/],
  [
    'a key behind a link',
    (key) => {
      writeFileSync(`${key}.real`, readFileSync(key), { mode: 0o600 });
      rmSync(key);
      symlinkSync(`${key}.real`, key);
    },
    /cannot be read \(ELOOP\)/,
  ],
  [
    'a newer schema',
    (_key, db) => {
      const raw = new DatabaseSync(db);
      raw.exec('PRAGMA user_version = 99');
      raw.close();
    },
    /written by a newer version \(schema 99/,
  ],
  [
    'a changed canary',
    (_key, db) => {
      const raw = new DatabaseSync(db);
      const { envelope } = raw.prepare('SELECT envelope FROM canary').get() as { envelope: Uint8Array };
      envelope[envelope.length - 1]! ^= 1;
      raw.prepare('UPDATE canary SET envelope = ?').run(envelope);
      raw.close();
    },
    /damaged: its canary does not open/,
  ],
  ['a file that is no database', (_key, db) => writeFileSync(db, 'x'.repeat(5000)), /cannot be used/],
];

for (const [name, damage, message] of REFUSALS) {
  test(`${name}: the vault refuses to start and says why`, async () => {
    const { db, key, start } = place();
    (await start()).close();
    damage(key, db);
    await assert.rejects(start, { name: 'OperatingError', message });
    assert.ok(!existsSync(`${key}.new`));
  });
}

const BEARER: SecretTerms = { form: { kind: 'bearer' }, hosts: ['api.example.com'] };

/** What somebody does to the file while nobody has it. */
function change(db: string, sql: string): void {
  const raw = new DatabaseSync(db);
  raw.exec(sql);
  raw.close();
}

test('a value is kept with its kind and hosts, and a new value keeps them', async () => {
  const vault = await place().start();
  vault.set('token', VALUE, BEARER);
  vault.set('token', Buffer.from('fake-secret-second'));
  assert.deepEqual(vault.read('token')!.terms, BEARER);
  assert.deepEqual(vault.list()[0]!.hosts, ['api.example.com']);
  vault.close();
});

for (const terms of [
  '{"form":{"kind":"bearer"},"hosts":["evil.example.com"]}',
  '',
  '{"form":{"kind":"channel"},"hosts":[]}',
]) {
  test(`a secret whose terms were changed outside to ${terms || 'none'} does not open`, async () => {
    const { db, start } = place();
    const vault = await start();
    vault.set('token', VALUE, BEARER);
    vault.setNext('token', Buffer.from('fake-secret-next'));
    vault.close();
    change(db, `UPDATE secrets SET terms = '${terms}'`);
    const again = await start();
    assert.throws(() => again.read('token'), { code: 'storage', message: /changed outside/ });
    again.promote('token');
    assert.throws(() => again.read('token'), { code: 'storage' }, 'nor does its next value');
    again.close();
  });
}

/** Envelopes of the first version of this vault, under a key of 32 sevens. */
const BEFORE_KINDS = {
  canary:
    'AfdtZ7lxnIptWj8rfJV2ASf5QUaW/VZ19vfgxhxfMSlER3LdPqc+fZrZia3qhGhjmO7MTxNZ4TGVprQZ7x/WoFmVuO242GwZP9yQklJifXQPkqg+IxqXMJv69RYTUxwm580TZ32Dyf56V2Ng28oJcqo9857ttxs=',
  anthropic:
    'AfdtZ7lxnIpta1GzScyJ92MnSx8UGzzxE99X+LkXhvIfMGAcEGcZK5c5ZDSerGvlOJsNcIEWSHGh9EC7x8yT9zIUMbKu7UEfhBYIOfTJj8ILRVvFrhnVKXMOmfzgrjWb++O4jsrK3yFix6c+RUM7GcPm',
};

test('a vault from before there were kinds opens, and its secrets are for models only', async () => {
  const { db, key, start } = place();
  writeFileSync(key, Buffer.alloc(32, 7), { mode: 0o600 });
  const sealed = (envelope: string): string => `x'${Buffer.from(envelope, 'base64').toString('hex')}'`;
  change(
    db,
    `CREATE TABLE canary (one INTEGER PRIMARY KEY CHECK (one = 1), envelope BLOB NOT NULL) STRICT;
     CREATE TABLE secrets (name TEXT PRIMARY KEY, owner TEXT NOT NULL, envelope BLOB NOT NULL,
       created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
     INSERT INTO canary VALUES (1, ${sealed(BEFORE_KINDS.canary)});
     INSERT INTO secrets VALUES ('anthropic', 'install', ${sealed(BEFORE_KINDS.anthropic)}, 1, 1);
     PRAGMA user_version = 1`,
  );
  const vault = await start();
  assert.deepEqual(vault.read('anthropic'), {
    terms: { form: { kind: 'model' }, hosts: [] },
    value: VALUE,
    next: null,
  });
  vault.close();
});

test('a next value waits beside the current one, is swapped with it, and back, and removed', async () => {
  const vault = await place().start();
  const next = Buffer.from('fake-secret-next');
  assert.throws(() => vault.setNext('token', next), { code: 'not_found' });
  vault.set('token', VALUE, BEARER);
  assert.throws(() => vault.promote('token'), { code: 'conflict' });
  assert.throws(() => vault.setNext('token', Buffer.from('short')), { code: 'usage' });
  vault.setNext('token', next);
  assert.deepEqual([vault.read('token')!.value, vault.read('token')!.next], [VALUE, next]);
  assert.equal(vault.list()[0]!.next, true);
  vault.promote('token');
  assert.deepEqual([vault.read('token')!.value, vault.read('token')!.next], [next, VALUE]);
  vault.promote('token');
  assert.equal(vault.removeNext('token'), true);
  assert.equal(vault.removeNext('token'), false);
  assert.deepEqual(vault.read('token'), { terms: BEARER, value: VALUE, next: null });
  vault.close();
});

test('a value is replaced only where it is still the one that was seen', async () => {
  const vault = await place().start();
  vault.set('token', VALUE, BEARER);
  const other = Buffer.from('fake-secret-other');
  assert.equal(vault.replace('token', other, other), false);
  assert.equal(vault.replace('token', VALUE, other), true);
  assert.equal(vault.replace('nothing', VALUE, other), false);
  assert.deepEqual(vault.read('token')!.value, other);
  vault.close();
});

test('a row that does not open is left as it is by a rotation, and told', async () => {
  const { db, start } = place();
  const vault = await start();
  vault.set('first', VALUE);
  vault.set('second', VALUE);
  vault.close();
  change(db, "UPDATE secrets SET owner = 'somebody' WHERE name = 'first'");
  const again = await start();
  assert.deepEqual(await again.rotate(), { rewrapped: 1, damaged: 1, left: null });
  assert.deepEqual(again.read('second')!.value, VALUE);
  assert.throws(() => again.read('first'), { code: 'storage' });
  again.close();
});

test('a rotation whose key cannot be put in place stays open, and is ended by the next one', async () => {
  const { db, key } = place();
  const file = fileKeySource(key, PLAIN);
  let broken = true;
  const source = { ...file, settle: async () => (broken ? Promise.reject(new Error('the disk')) : file.settle()) };
  const vault = await Vault.unlock(db, source, systemClock, noFaults);
  vault.set('first', VALUE);
  await assert.rejects(vault.rotate(), { message: 'the disk' });
  vault.set('second', VALUE);
  assert.deepEqual([vault.read('first')!.value, vault.read('second')!.value], [VALUE, VALUE]);
  broken = false;
  assert.deepEqual(await vault.rotate(), { rewrapped: 0, damaged: 0, left: null });
  vault.close();
  const again = await Vault.unlock(db, file, systemClock, noFaults);
  assert.deepEqual([again.read('first')!.value, again.read('second')!.value], [VALUE, VALUE]);
  again.close();
});

test('every table of a fresh vault is STRICT', async () => {
  const { db, start } = place();
  (await start()).close();
  const raw = new DatabaseSync(db, { readOnly: true });
  assert.deepEqual(looseTables(raw), []);
  raw.close();
});
