import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { noFaults } from '../../src/base/faults.ts';
import { ROOT } from '../../src/base/paths.ts';
import { keyringSource } from '../../src/vault/key_keyring.ts';
import type { KeySource } from '../../src/vault/key_source.ts';
import { systemdKeySource } from '../../src/vault/key_systemd.ts';
import { Vault } from '../../src/vault/vault.ts';

/** Where the vault's key may come from besides a file. Azure's, which is asked over TLS, has a process of its own: `key_azure`. */

const root = mkdtempSync(join(tmpdir(), 'keys-'));
after(() => rmSync(root, { recursive: true }));
const VALUE = Buffer.from('fake-secret-value');

function folder(): string {
  return mkdtempSync(join(root, 'k'));
}

function start(home: string, source: KeySource): Promise<Vault> {
  return Vault.unlock(join(home, 'vault.db'), source, systemClock, noFaults);
}

interface Keyring {
  place: string;
  source: KeySource;
}

function keyring(): Keyring {
  const [bin, place] = [folder(), folder()];
  copyFileSync(join(ROOT, 'test/fakes/secret-tool'), join(bin, 'secret-tool'));
  return { place, source: keyringSource('install', { PATH: `${bin}:/usr/bin:/bin`, FAKE_KEYRING: place }) };
}

test('keyring: the key is made, found again, replaced by a rotation, and never an argument', async () => {
  const { place, source } = keyring();
  const home = folder();
  const first = await start(home, source);
  first.set('a', VALUE);
  first.close();
  const old = readFileSync(join(place, 'current'), 'utf8');
  const second = await start(home, source);
  assert.deepEqual(second.read('a')?.value, VALUE);
  assert.deepEqual(await second.rotate(), { rewrapped: 1, damaged: 0, left: null });
  second.close();
  const now = readFileSync(join(place, 'current'), 'utf8');
  assert.notEqual(now, old);
  assert.deepEqual(readdirSync(place).sort(), ['calls', 'current']);
  const third = await start(home, source);
  assert.deepEqual(third.read('a')?.value, VALUE);
  third.close();
  const calls = readFileSync(join(place, 'calls'), 'utf8');
  for (const key of [old, now])
    for (const form of [key, Buffer.from(key, 'base64').toString('hex')]) assert.ok(!calls.includes(form));
  assert.match(calls, /^lookup application glassclaw install install slot current$/m);
  assert.deepEqual(
    readdirSync(home).filter((name) => name.includes('key')),
    [],
    'no file holds it',
  );
});

test('keyring: locked, missing or without the program, it is a sentence and no new key', async () => {
  const { place, source } = keyring();
  const home = folder();
  (await start(home, source)).close();
  writeFileSync(join(place, 'locked'), '');
  await assert.rejects(start(home, source), {
    code: 'unavailable',
    message: 'the keyring cannot be asked (secret-tool: Cannot prompt for the password)',
  });
  await assert.rejects(start(folder(), source), { code: 'unavailable' }, 'nor for a vault that is still empty');
  rmSync(join(place, 'locked'));
  rmSync(join(place, 'current'));
  await assert.rejects(start(home, source), { message: /the key in the keyring is missing, and the vault/ });
  writeFileSync(join(place, 'current'), 'c2hvcnQ=');
  await assert.rejects(start(home, source), { message: /has 5 bytes instead of 32/ });
  await assert.rejects(start(home, keyringSource('install', { PATH: folder() })), {
    message: 'secret-tool is not installed',
    fix: 'apt-get install libsecret-tools',
  });
  assert.ok(!readFileSync(join(place, 'calls'), 'utf8').match(/store/g)!.slice(1).length, 'one key was ever made');
});

function credential(place: string, name: string): void {
  writeFileSync(join(place, name), randomBytes(32), { mode: 0o400 });
}

test('systemd: the credential opens the vault, and a second one takes its place', async () => {
  const [home, place] = [folder(), folder()];
  credential(place, 'vault-key');
  const source = systemdKeySource(place, 'vault-key');
  const first = await start(home, source);
  first.set('a', VALUE);
  await assert.rejects(first.rotate(), { code: 'config', message: 'there is no systemd credential vault-key.next' });
  credential(place, 'vault-key.next');
  const { rewrapped, left } = await first.rotate();
  assert.equal(rewrapped, 1);
  assert.match(left!, /under the name vault-key, and take vault-key\.next away/);
  first.close();
  const second = await start(home, source);
  assert.deepEqual(second.read('a')?.value, VALUE, 'before the operator has done it');
  second.close();
  rmSync(join(place, 'vault-key'));
  copyFileSync(join(place, 'vault-key.next'), join(place, 'vault-key'));
  rmSync(join(place, 'vault-key.next'));
  const third = await start(home, source);
  assert.deepEqual(third.read('a')?.value, VALUE, 'and after it');
  third.close();
});

test('systemd: outside of a unit, without the credential, or with one that others can read, nothing starts', async () => {
  const [home, place] = [folder(), folder()];
  await assert.rejects(start(home, systemdKeySource(undefined, 'vault-key')), {
    code: 'config',
    message: /CREDENTIALS_DIRECTORY is not set/,
  });
  const source = systemdKeySource(place, 'vault-key');
  await assert.rejects(start(home, source), { message: 'there is no systemd credential vault-key' });
  credential(place, 'vault-key');
  chmodSync(join(place, 'vault-key'), 0o444);
  await assert.rejects(start(home, source), { message: /is no credential of this unit/ });
  rmSync(join(place, 'vault-key'), { force: true });
  mkdirSync(join(place, 'vault-key'));
  await assert.rejects(start(home, source), { message: /is no credential of this unit/ });
  assert.ok(!existsSync(join(home, 'vault.key')), 'and no other key is tried');
});
