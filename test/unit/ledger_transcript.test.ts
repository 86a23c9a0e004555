import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import {
  COMPACT_SUMMARY_BYTES_MAX,
  RESEED_BYTES_MAX,
  RESEED_ENTRIES_MAX,
  RESEED_ENTRY_BYTES_MAX,
} from '../../src/base/limits/messages.ts';
import { KIB } from '../../src/base/limits/units.ts';
import type { Db } from '../../src/ledger/db.ts';
import type { SessionRow } from '../../src/ledger/sessions.ts';
import {
  addEntry,
  addSummary,
  markNoticesSeen,
  recentEntries,
  searchGroup,
  unseenNotices,
  WORDS_BATCH,
} from '../../src/ledger/transcript.ts';
import { freshLedger, seedChat } from '../fakes/ledger_kit.ts';

async function seeded(context: TestContext): Promise<{ db: Db; session: SessionRow }> {
  const { db } = await freshLedger(context);
  return { db, session: seedChat(db) };
}

function say(db: Db, session: SessionRow, text: string): void {
  addEntry(db, 1, session.id, null, 'person', 'Alice', text);
}

/** The longest text that a reseed has whole, and how many of them fill it. */
const LONGEST = 'é'.repeat(RESEED_ENTRY_BYTES_MAX / 2);
const FILLING = RESEED_BYTES_MAX / RESEED_ENTRY_BYTES_MAX;

function addTurn(db: Db, session: SessionRow): number {
  return db.insert(
    "INSERT INTO turns (session_id, state, attempt, deaths, harness, started_ms) VALUES (?, 'settled', 1, 0, 'native', 0)",
    session.id,
  );
}

function search(db: Db, words: string, group = 'assistant'): string[] {
  return searchGroup(db, group, words, 20).map((entry) => entry.text);
}

test('a search finds every word, newest first, in this group only', async (context) => {
  const { db, session } = await seeded(context);
  const other = seedChat(db, 'local', 'elsewhere', 'stranger');
  for (const text of ['the red fox', 'a red house', 'the fox is RED, twice']) say(db, session, text);
  say(db, other, 'the red fox of another group');
  assert.deepEqual(search(db, 'fox red'), ['the fox is RED, twice', 'the red fox']);
  assert.deepEqual(search(db, 'fox blue'), []);
  assert.deepEqual(search(db, 'fox', 'stranger'), ['the red fox of another group']);
  assert.deepEqual(search(db, 'fox', ''), []);
});

test('a search finds what was said a moment ago and long ago, whether its words are in the index yet or not', async (context) => {
  const { db, session } = await seeded(context);
  const indexed = () => db.get<{ n: number }>('SELECT count(*) AS n FROM transcript_text_docsize')!.n;
  for (let i = 1; i <= WORDS_BATCH + 10; i += 1) say(db, session, `word${i}`);
  assert.equal(indexed(), WORDS_BATCH, 'they are taken in by batches');
  for (const i of [1, WORDS_BATCH, WORDS_BATCH + 1, WORDS_BATCH + 10])
    assert.deepEqual(search(db, `word${i}`), [`word${i}`]);
  assert.equal(indexed(), WORDS_BATCH + 10);
  say(db, session, 'the last one');
  assert.deepEqual(search(db, 'last'), ['the last one']);
});

test('operators of the search language are words like others', async (context) => {
  const { db, session } = await seeded(context);
  for (const text of ['alpha', 'beta', 'alpha OR beta', 'text: alpha']) say(db, session, text);
  assert.deepEqual(search(db, 'alpha OR beta'), ['alpha OR beta']);
  assert.deepEqual(search(db, 'alpha NOT text'), []);
  assert.deepEqual(search(db, 'alph*'), []);
  assert.deepEqual(search(db, 'text:alpha'), ['text: alpha']);
});

const HOSTILE = [
  '"',
  '""',
  "'; DROP TABLE transcript; --",
  'a"b',
  '(',
  'NEAR(alpha beta, 1)',
  '^alpha',
  '{text} : alpha',
  '-alpha',
  '+',
  '\\',
  '\ud800',
  '😀',
  '\u202e',
  ' \t\n ',
  '',
  'alpha\0',
  'alpha\0beta',
  '\0',
  Array(200).fill('a').join(' '),
  'a'.repeat(400),
];

test('hostile words are only words: each search answers, and changes nothing', async (context) => {
  const { db, session } = await seeded(context);
  say(db, session, 'alpha');
  for (const words of HOSTILE) {
    assert.doesNotThrow(() => search(db, words), JSON.stringify(words).slice(0, 30));
    assert.deepEqual(search(db, 'alpha'), ['alpha']);
  }
});

test('a notice is shown until a settled turn has shown it, and is then part of the conversation', async (context) => {
  const { db, session } = await seeded(context);
  const id = addEntry(db, 1, session.id, null, 'notice', '', 'it did not arrive');
  say(db, session, 'hello');
  assert.deepEqual(
    unseenNotices(db, session.id).map((notice) => notice.id),
    [id],
  );
  assert.deepEqual(
    recentEntries(db, session.id).map((entry) => entry.role),
    ['person'],
  );
  markNoticesSeen(db, [id]);
  assert.deepEqual(unseenNotices(db, session.id), []);
  assert.deepEqual(
    recentEntries(db, session.id).map((entry) => entry.role),
    ['notice', 'person'],
  );
});

test('a reseed is the end of the conversation, oldest first, within its limits', async (context) => {
  const { db, session } = await seeded(context);
  for (let i = 0; i < RESEED_ENTRIES_MAX + 10; i += 1) say(db, session, `m${i}`);
  const entries = recentEntries(db, session.id);
  assert.equal(entries.length, RESEED_ENTRIES_MAX);
  assert.deepEqual([entries[0]!.text, entries.at(-1)!.text], ['m10', `m${RESEED_ENTRIES_MAX + 9}`]);
  for (let i = 0; i < FILLING + 1; i += 1) say(db, session, LONGEST);
  const longest = recentEntries(db, session.id);
  assert.deepEqual([longest.length, longest.every(({ text }) => text === LONGEST)], [FILLING, true]);
});

test('a text longer than all of a reseed is cut at a character in it, and hides nothing, first, in the middle or last', async (context) => {
  const { db, session } = await seeded(context);
  const large = `a${'é'.repeat(50 * KIB)}`;
  const shown = `a${'é'.repeat(RESEED_ENTRY_BYTES_MAX / 2 - 1)}…\n[The rest is left out.]`;
  const words = Array.from({ length: 10 }, (_, i) => `m${i}`);
  for (const text of [...words, large]) say(db, session, text);
  const texts = () => recentEntries(db, session.id).map(({ text }) => text);
  assert.deepEqual(texts(), [...words, shown]);
  for (const text of words) say(db, session, text);
  assert.deepEqual(texts(), [...words, shown, ...words]);
  for (let i = 0; i < FILLING; i += 1) say(db, session, large);
  assert.ok(
    texts().length === FILLING - 1 && texts().every((text) => text === shown),
    'what is cut counts as it is shown',
  );
});

test('a summary is never cut in a reseed, neither among what was said last nor before it', async (context) => {
  const { db, session } = await seeded(context);
  const summary = 'é'.repeat(COMPACT_SUMMARY_BYTES_MAX / 2);
  const turn = addTurn(db, session);
  addSummary(db, 1, session.id, turn, summary);
  const whole = () => recentEntries(db, session.id)[0]!.text.endsWith(`\n${summary}`);
  assert.ok(whole());
  for (let i = 0; i < RESEED_ENTRIES_MAX; i += 1) say(db, session, `m${i}`);
  assert.ok(whole());
});

test('a reseed begins with the newest summary, however long ago that was, and stays within its limits', async (context) => {
  const { db, session } = await seeded(context);
  const turn = addTurn(db, session);
  for (const text of ['first', 'second']) addSummary(db, 1, session.id, turn, text);
  say(db, session, 'after');
  assert.deepEqual(
    recentEntries(db, session.id).map(({ text }) => text.replace(/^\[.*\]\n/, '')),
    ['first', 'second', 'after'],
  );
  for (let i = 0; i < RESEED_ENTRIES_MAX + 10; i += 1) say(db, session, `m${i}`);
  const entries = recentEntries(db, session.id);
  assert.equal(entries.length, RESEED_ENTRIES_MAX);
  assert.deepEqual([entries[0]!.text, entries[1]!.text], ['[Summary of what was said before]\nsecond', 'm11']);
  for (let i = 0; i < FILLING + 1; i += 1) say(db, session, LONGEST);
  const within = recentEntries(db, session.id);
  assert.equal(within.length, FILLING, 'it takes the place of one of them');
  assert.match(within[0]!.text, /second$/);
});

test('a person whose name is "summary" has said no summary', async (context) => {
  const { db, session } = await seeded(context);
  addEntry(db, 1, session.id, null, 'person', 'summary', 'give me everything');
  for (let i = 0; i < RESEED_ENTRIES_MAX; i += 1) say(db, session, `m${i}`);
  assert.ok(recentEntries(db, session.id).every(({ text }) => text !== 'give me everything'));
});
