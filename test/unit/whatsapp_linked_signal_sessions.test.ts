import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CHAINS_MAX } from '../../src/channels/whatsapp-linked/limits.ts';
import { dropOldChains, spareOthers } from '../../src/channels/whatsapp-linked/signal_sessions.ts';

/** Which sessions are put back after a message was tried with each, by when they were used; which of their chains stay. */

const record = (sessions: Record<string, [used: number, chain: string]>) => ({
  _sessions: Object.fromEntries(
    Object.entries(sessions).map(([key, [used, chain]]) => [key, { indexInfo: { used }, chain }]),
  ),
});

test('what did not read the message is as it was before, and what read it has moved on', () => {
  const after = record({ wrong: [1, 'moved'], right: [9, 'moved'] });
  spareOthers(after, record({ wrong: [1, 'before'], right: [2, 'before'] }));
  assert.deepEqual(after, record({ wrong: [1, 'before'], right: [9, 'moved'] }));
});

test('a session that is new or gone since is left so', () => {
  const after = record({ old: [1, 'moved'], new: [9, 'made'] });
  spareOthers(after, record({ old: [1, 'before'], gone: [3, 'before'] }));
  assert.deepEqual(after, record({ old: [1, 'before'], new: [9, 'made'] }));
});

test('when none is known to have read it, in the millisecond of the last use, all stay moved on', () => {
  const after = record({ one: [5, 'moved'], two: [1, 'moved'] });
  spareOthers(after, record({ one: [5, 'before'], two: [1, 'before'] }));
  assert.deepEqual(after, record({ one: [5, 'moved'], two: [1, 'moved'] }));
});

test('without a record before or after nothing is done', () => {
  const after = record({ one: [9, 'moved'] });
  for (const before of [undefined, null, {}]) spareOthers(after, before);
  spareOthers(null, after);
  assert.deepEqual(after, record({ one: [9, 'moved'] }));
});

const WRITING = { chainType: 1 };
const READING = { chainType: 2 };

test('of the chains that messages are read from the latest stay, and the one that we write with', () => {
  const old = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`old${at}`, READING]));
  const latest = Object.fromEntries(Array.from({ length: CHAINS_MAX }, (_, at) => [`latest${at}`, READING]));
  const indexInfo = { used: 1 };
  const other = { indexInfo, _chains: { one: READING, ours: WRITING } };
  const kept = { _sessions: { long: { indexInfo, _chains: { ours: WRITING, ...old, ...latest } }, other } };
  dropOldChains(kept);
  assert.deepEqual(kept, { _sessions: { long: { indexInfo, _chains: { ours: WRITING, ...latest } }, other } });
  for (const nothing of [undefined, null, {}]) dropOldChains(nothing);
});
