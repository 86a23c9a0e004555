import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  DELTAS_PER_SECOND_MAX,
  TURN_CALLS_MAX,
  TURN_COMPACTIONS_MAX,
  TURN_FILES_BYTES_MAX,
  TURN_FILES_MAX,
  TURN_TOOLS_MAX,
} from '../../src/base/limits/messages.ts';
import { Run } from '../../src/sessions/run.ts';

/** What one turn may send over the hatch in all: each kind of frame has an end, so that no turn goes on for ever. */

function run(): Run {
  return new Run({
    id: 1,
    attempt: 1,
    messages: [],
    prior: [],
    notices: [],
    context: [],
    gate: null,
    compact: false,
    transcript: [],
  });
}

/** How often `frame` is let through before it ends the sandbox. */
function admitted(frame: () => string | null, max: number): number {
  for (let count = 0; count <= max; count += 1) if (frame() !== null) return count;
  return Number.POSITIVE_INFINITY;
}

test('a turn may call platform tools, report tools and send files so often, and not once more', () => {
  const calls = run();
  const call = (): string | null => {
    const answer = calls.call('history_search');
    calls.receipt({ ok: true, value: '' });
    return typeof answer === 'string' ? answer : null;
  };
  assert.equal(admitted(call, TURN_CALLS_MAX), TURN_CALLS_MAX);
  const reports = run();
  assert.equal(
    admitted(() => reports.tool('bash'), TURN_TOOLS_MAX),
    TURN_TOOLS_MAX,
  );
  const summaries = run();
  const compaction = { t: 'compacted' as const, turn: 1, before: 2, after: 1, unit: 'bytes' as const, summary: 's' };
  assert.equal(
    admitted(() => summaries.compacted(compaction), TURN_COMPACTIONS_MAX),
    TURN_COMPACTIONS_MAX,
  );
  assert.equal(summaries.end('answered', 'x', 0).compactions.length, TURN_COMPACTIONS_MAX + 1);
  assert.deepEqual(summaries.end('failed', 'x', 0).compactions, [], 'a turn that failed has changed no conversation');
  const files = run();
  assert.equal(
    admitted(() => files.file(1), TURN_FILES_MAX),
    TURN_FILES_MAX,
  );
});

test('the files of a turn are bounded in bytes as well as in number', () => {
  const files = run();
  assert.equal(files.file(TURN_FILES_BYTES_MAX), null);
  assert.match(files.file(1)!, /files of more than/);
});

test('a sandbox may report what there is of its answer so often in a second, and again in the next one', () => {
  const turn = run();
  assert.equal(
    admitted(() => turn.delta(500), DELTAS_PER_SECOND_MAX),
    DELTAS_PER_SECOND_MAX,
  );
  assert.equal(turn.delta(2000), null);
});
