import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { KEY_BYTES, kekOf, open, rewrap, seal } from '../../src/vault/seal.ts';

const kek = kekOf(randomBytes(KEY_BYTES));
const scope = { secret: 'anthropic', owner: 'install', terms: '{"kind":"bearer"}' };
const value = Buffer.from('fake-secret-value');

test('what was sealed opens, and twice the same value looks different', () => {
  const first = seal(kek, scope, value);
  const second = seal(kek, scope, value);
  assert.ok(!first.equals(second));
  const opened = open(kek, scope, first);
  assert.ok(opened.ok);
  assert.deepEqual(opened.value, value);
  assert.ok(!first.includes(value));
});

test('another key is told apart from damage', () => {
  const other = kekOf(randomBytes(KEY_BYTES));
  assert.deepEqual(open(other, scope, seal(kek, scope, value)), { ok: false, reason: 'other_key' });
});

test('an envelope does not open for another name, owner or terms', () => {
  const envelope = seal(kek, scope, value);
  assert.deepEqual(open(kek, { ...scope, secret: 'openai' }, envelope), { ok: false, reason: 'damaged' });
  assert.deepEqual(open(kek, { ...scope, owner: 'group' }, envelope), { ok: false, reason: 'damaged' });
  for (const terms of ['', '{"kind":"model"}'])
    assert.deepEqual(open(kek, { ...scope, terms }, envelope), { ok: false, reason: 'damaged' });
});

test('no single changed byte, and no shortened envelope, opens', () => {
  const envelope = seal(kek, scope, value);
  for (let at = 0; at < envelope.length; at += 1) {
    const changed = Buffer.from(envelope);
    changed[at]! ^= 1;
    assert.equal(open(kek, scope, changed).ok, false, `byte ${at}`);
    assert.equal(open(kek, scope, envelope.subarray(0, at)).ok, false, `length ${at}`);
  }
});

test('the layout is the documented one', () => {
  const envelope = seal(kek, scope, value);
  assert.equal(envelope.length, 1 + 8 + 12 + 32 + 16 + 12 + value.length + 16);
  assert.equal(envelope[0], 1);
  assert.deepEqual(envelope.subarray(1, 9), kek.id);
});

test('re-wrapped, an envelope opens under the other key only, and everything but the wrap is as it was', () => {
  const other = kekOf(randomBytes(KEY_BYTES));
  const envelope = seal(kek, scope, value);
  const moved = rewrap(kek, other, scope, envelope)!;
  const opened = open(other, scope, moved);
  assert.ok(opened.ok && opened.value.equals(value));
  assert.deepEqual(open(kek, scope, moved), { ok: false, reason: 'other_key' });
  const innerAt = 1 + 8 + 12 + 32 + 16;
  assert.deepEqual(moved.subarray(innerAt), envelope.subarray(innerAt), 'the sealed value, byte for byte');
  assert.equal(rewrap(other, kek, scope, envelope), null, 'not under that key');
  assert.equal(rewrap(kek, other, { ...scope, secret: 'openai' }, envelope), null, 'of another row');
});

test('a value that is damaged is re-wrapped as it is: nobody looks at it', () => {
  const envelope = seal(kek, scope, value);
  envelope[envelope.length - 1]! ^= 1;
  const other = kekOf(randomBytes(KEY_BYTES));
  const moved = rewrap(kek, other, scope, envelope)!;
  assert.equal(moved.at(-1), envelope.at(-1));
  assert.deepEqual(open(other, scope, moved), { ok: false, reason: 'damaged' });
});
