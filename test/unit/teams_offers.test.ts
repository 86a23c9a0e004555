import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { OFFER_MS, OFFERS_BYTES_MAX, OFFERS_MAX } from '../../src/channels/teams/limits.ts';
import { Offers } from '../../src/channels/teams/offers.ts';

const FILE = { id: 'o1', name: 'a.txt', type: 'text/plain', sha256: '' };

function begin(context: TestContext) {
  const folder = mkdtempSync(join(tmpdir(), 'gg-'));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'source');
  writeFileSync(path, 'bytes');
  const offers = new Offers(folder);
  const keep = (key: string, bytes = 5): Promise<string> => offers.keep(key, 'a:chat', { ...FILE, path, bytes });
  return { offers, keep, path, kept: () => readdirSync(join(folder, 'offers')), place: join(folder, 'offers') };
}

test('an offer is found by its word in its chat, also when the host has let go of the file', async (context) => {
  const { offers, keep, path } = begin(context);
  const word = await keep('one');
  rmSync(path);
  const found = offers.find(word, 'a:chat');
  assert.equal(readFileSync(found!.path, 'utf8'), 'bytes');
  assert.equal(offers.find(word, 'a:other'), null);
  for (const strange of ['', '..', '../source', `${word}/..`, word.toUpperCase()])
    assert.equal(offers.find(strange, 'a:chat'), null);
});

test('the same send has the same word, and is there once', async (context) => {
  const { keep, kept } = begin(context);
  assert.equal(await keep('one'), await keep('one'));
  assert.equal(kept().length, 1);
});

test('what is too old is not found, and goes', async (context) => {
  const { offers, keep, kept } = begin(context);
  context.mock.timers.enable({ apis: ['Date'], now: Date.now() });
  const word = await keep('one');
  context.mock.timers.tick(OFFER_MS - 1);
  assert.notEqual(offers.find(word, 'a:chat'), null);
  context.mock.timers.tick(1);
  assert.equal(offers.find(word, 'a:chat'), null);
  const other = await keep('two');
  assert.deepEqual(kept(), [other]);
});

test('the oldest make room: for a number, and for bytes', async (context) => {
  const { offers, keep, kept } = begin(context);
  context.mock.timers.enable({ apis: ['Date'], now: Date.now() });
  const words: string[] = [];
  for (let at = 0; at < OFFERS_MAX + 2; at += 1) {
    words.push(await keep(`k${at}`));
    context.mock.timers.tick(1);
  }
  assert.equal(kept().length, OFFERS_MAX);
  assert.deepEqual(
    words.slice(0, 3).map((word) => offers.find(word, 'a:chat') === null),
    [true, true, false],
  );
  const big = await keep('big', OFFERS_BYTES_MAX);
  assert.deepEqual(kept(), [big]);
});

test('what is half made goes at the next start, and what cannot be read with the next offer', async (context) => {
  const { offers, keep, kept, place } = begin(context);
  const word = await keep('one');
  mkdirSync(join(place, `${'0'.repeat(32)}.new`));
  mkdirSync(join(place, 'f'.repeat(32)));
  offers.sweep();
  assert.deepEqual(kept().toSorted(), [word, 'f'.repeat(32)].toSorted());
  const two = await keep('two');
  assert.deepEqual(kept().toSorted(), [word, two].toSorted());
});
