import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, test } from 'node:test';
import { SealedStore } from '../../src/channels/whatsapp-linked/store.ts';
import { until } from '../fakes/install.ts';
import { randomOf } from '../fakes/random.ts';
import { remove } from '../fakes/remove.ts';

/** What a linked device keeps: sealed, whole or not at all, and never written over when it cannot be opened. */
const root = mkdtempSync(join(tmpdir(), 'sealed-'));
const KEY = randomBytes(32).toString('base64url');
let folders = 0;

after(() => remove(root));

function folder(): string {
  folders += 1;
  return join(root, `f${folders}`);
}

function bytesOf(place: string): Map<string, string> {
  return new Map(readdirSync(place).map((name) => [name, readFileSync(join(place, name)).toString('base64')]));
}

function kept(place: string): void {
  const store = SealedStore.open(place, KEY);
  for (let at = 0; at < 200; at += 1) store.set({ session: { [`4917000000${at}.0`]: randomBytes(500) } });
  store.close();
}

test('a thousand random states come back as they were', () => {
  const random = randomOf(51);
  const int = (below: number): number => Math.floor(random() * below);
  const place = folder();
  const states = Array.from({ length: 1000 }, (_, at) => stateOf(int, at));
  let store = SealedStore.open(place, KEY);
  for (const [at, state] of states.entries()) store.set({ [`type-${at % 7}`]: { [`id ${at}`]: state } });
  for (const round of ['in this life', 'in the next']) {
    for (const [at, state] of states.entries())
      assert.deepEqual(store.get(`type-${at % 7}`, `id ${at}`), state, `${at} ${round}`);
    if (round === 'in the next') break;
    store.close();
    store = SealedStore.open(place, KEY);
  }
  assert.deepEqual(
    store.all('type-3').map(([id]) => id),
    states.flatMap((_, at) => (at % 7 === 3 ? [`id ${at}`] : [])),
  );
  store.set({ 'type-0': { 'id 0': null } });
  assert.equal(store.get('type-0', 'id 0'), undefined);
  store.close();
});

/** Of each kind of value that Baileys keeps. */
function stateOf(int: (below: number) => number, at: number): unknown {
  const bytes = (): Buffer => Buffer.from(Array.from({ length: int(300) }, () => int(256)));
  const values = [
    () => bytes(),
    () => ({ public: bytes(), private: bytes() }),
    () => `text ${at} – ${String.fromCodePoint(0x1f600 + int(60))}`,
    () => Array.from({ length: int(9) }, () => String(int(1000))),
    () => ({ '1': 2, '30': 4 }), // Baileys' own way to write JSON makes bytes of this
    () => ({
      version: int(1e6),
      hash: bytes(),
      indexValueMap: { [bytes().toString('base64')]: { valueMac: bytes() } },
    }),
    () => ({ type: 'Buffer', data: 'no bytes' }),
    () => ({ nothing: undefined, no: null, big: 2 ** 53 - 1, deep: [[[{ x: bytes() }]]] }),
  ];
  return values[int(values.length)]!();
}

test('nothing of it can be read on the disk, neither what nor of whom', () => {
  const place = folder();
  const store = SealedStore.open(place, KEY);
  store.set({ session: { '491701234567.0': Buffer.from('a private key of somebody') } });
  const all = Buffer.concat(readdirSync(place).map((name) => readFileSync(join(place, name))));
  store.close();
  for (const secret of ['private key', '491701234567', KEY]) assert.ok(!all.includes(secret), secret);
  assert.ok(!all.includes(Buffer.from(KEY, 'base64url')));
});

test('the folder and each file are the account’s alone', () => {
  const place = folder();
  const store = SealedStore.open(place, KEY);
  store.set({ a: { b: 1 } });
  assert.equal(statSync(place).mode & 0o777, 0o700);
  for (const name of readdirSync(place)) assert.equal(statSync(join(place, name)).mode & 0o777, 0o600, name);
  store.close();
});

test('under another key it does not open, and stays as it is', () => {
  const place = folder();
  kept(place);
  const before = bytesOf(place);
  const other = randomBytes(32).toString('base64url');
  assert.throws(
    () => SealedStore.open(place, other),
    /^OperatingError: what this linked device keeps does not open under its key/,
  );
  assert.throws(() => SealedStore.open(place, 'short'), /its key is not 32 bytes/);
  assert.deepEqual(bytesOf(place), before);
  SealedStore.open(place, KEY).close();
});

test('cut anywhere or overwritten it does not open, and stays as it is', () => {
  const whole = folder();
  kept(whole);
  const bytes = readFileSync(join(whole, 'device.db'));
  const damages: [what: string, make: (file: string) => void][] = [
    ...[0, 1, 100, 512, 4096, 5000, bytes.length >> 1, bytes.length - 4096, bytes.length - 1].map(
      (length): [string, (file: string) => void] => [`cut to ${length}`, (file) => truncateSync(file, length)],
    ),
    ['another file', (file) => writeFileSync(file, 'this is no database, and never was one'.repeat(300))],
    ['one bit', (file) => writeFileSync(file, flipped(bytes))],
    ['zeros', (file) => writeFileSync(file, Buffer.alloc(bytes.length))],
  ];
  for (const [what, make] of damages) {
    const place = folder();
    mkdirSync(place);
    writeFileSync(join(place, 'device.db'), bytes);
    make(join(place, 'device.db'));
    const before = bytesOf(place);
    assert.throws(
      () => SealedStore.open(place, KEY),
      /^OperatingError: what this linked device keeps is damaged/,
      what,
    );
    assert.deepEqual(bytesOf(place), before, what);
  }
});

/** In the middle of the last value. */
function flipped(bytes: Buffer): Buffer {
  const other = Buffer.from(bytes);
  other[bytes.length - 100]! ^= 1;
  return other;
}

test('a value that is moved to another’s place, or changed, is refused when it is read', () => {
  const place = folder();
  const store = SealedStore.open(place, KEY);
  store.set({ session: { a: 'of a', b: 'of b' } });
  const raw = new DatabaseSync(join(place, 'device.db'));
  raw.exec('UPDATE kept SET sealed = (SELECT sealed FROM kept WHERE seq = 2) WHERE seq = 3');
  assert.throws(() => store.get('session', 'b'));
  assert.equal(store.get('session', 'a'), 'of a');
  raw.close();
  store.close();
});

test('of a write that fails half-way nothing is there', () => {
  const place = folder();
  const store = SealedStore.open(place, KEY);
  store.set({ session: { a: 1 } });
  assert.throws(() => store.set({ session: { a: 2 }, inbox: { x: () => 'no value' } }));
  assert.equal(store.get('session', 'a'), 1);
  assert.deepEqual(store.all('inbox'), []);
  store.set({ session: { a: 3 } });
  assert.equal(store.get('session', 'a'), 3);
  store.close();
});

test('what a first start left half-made is made anew', () => {
  const place = folder();
  mkdirSync(place);
  writeFileSync(join(place, 'device.new.db'), 'half');
  const store = SealedStore.open(place, KEY);
  assert.deepEqual(
    readdirSync(place).filter((name) => name.includes('new')),
    [],
  );
  store.close();
});

test('unlinked, all is gone but the messages that wait', () => {
  const store = SealedStore.open(folder(), KEY);
  store.set({ creds: { '': 1 }, session: { a: 1 }, inbox: { m: 'a message' } });
  store.clearBut('inbox');
  assert.equal(store.get('creds', ''), undefined);
  assert.deepEqual(store.all('inbox'), [['m', 'a message']]);
  store.close();
});

/** Says each number once it is on disk: in two places, by one write. */
const WRITER = `
import { SealedStore } from ${JSON.stringify(new URL('../../src/channels/whatsapp-linked/store.ts', import.meta.url).href)};
const store = SealedStore.open(process.argv[1], process.argv[2]);
const first = (store.get('session', 'n') ?? 0) + 1;
for (let n = first; ; n += 1) {
  store.set({ session: { n }, inbox: { n: { n, more: Buffer.alloc(3000) } } });
  process.stdout.write(n + '\\n');
}`;

test('a writer that is killed at any moment leaves all that it said, and both halves of it', async () => {
  const place = folder();
  let said = 0;
  for (let round = 0; round < 12; round += 1) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', WRITER, place, KEY], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const before = said;
    child.stdout.on('data', (part: Buffer) => {
      const lines = part.toString('utf8').trim().split('\n');
      said = Math.max(said, Number(lines.at(-1)));
    });
    await until('it writes', async () => assert.ok(said > before + 3 + round));
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));
    const store = SealedStore.open(place, KEY);
    const n = store.get('session', 'n') as number;
    assert.ok(n >= said, `${n} is on disk, ${said} was said`);
    assert.equal((store.get('inbox', 'n') as { n: number }).n, n, 'both, or neither');
    store.close();
  }
});
