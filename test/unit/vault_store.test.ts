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
import { SECRET_BYTES_MAX } from '../../src/base/limits.ts';
import { fileKeySource, PLAIN } from '../../src/vault/key_file.ts';
import { Vault } from '../../src/vault/vault.ts';

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
      raw.exec(`UPDATE canary SET envelope = CAST(substr(envelope, 1, length(envelope) - 1) || x'00' AS BLOB)`);
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
