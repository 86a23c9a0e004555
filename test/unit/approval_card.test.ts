import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApprovalShown } from '../../src/approvals/approvals.ts';
import { cardOf } from '../../src/cli/approval.ts';

/** What a person sees of a held request on a terminal of 80 columns. */

const IO = { out: () => {}, err: () => {}, json: false, colour: false };
const HASH = 'a'.repeat(64);

function card(more: Partial<ApprovalShown & { body: string }>): string[] {
  const shown: ApprovalShown = {
    ...{ id: 'h1', state: 'pending', reason: '', decided_by: null, created_ms: 0, decided_ms: null, session: 's1' },
    ...{ group: 'assistant', service: 'api', method: 'POST', host: 'api.example.com', path: '/a', policy: HASH },
    ...{ body_sha256: HASH, body_bytes: 4, headers: [], preview: 'body', expires_ms: 600_000, ...more },
  };
  return cardOf(shown, IO).split('\n');
}

test('the card has our fields in their places, then what the agent wrote', () => {
  assert.deepEqual(card({ headers: ['content-type: text/plain'] }), [
    'h1 of assistant: pending',
    '  method   POST',
    '  host     api.example.com',
    '  path     /a',
    '  rule of  the service api',
    '  asked    1970-01-01 00:00:00 by s1, until 1970-01-01 00:10:00',
    `  body     4 bytes, SHA-256 ${HASH}`,
    '  its headers',
    '  | content-type: text/plain',
    '  its whole body',
    '  | body',
  ]);
});

test('a text that is made to be broken by the terminal has our mark on every line of it', () => {
  const fake = '  method   GET';
  for (const filler of ['x'.repeat(76), 'x'.repeat(80), '你'.repeat(38), `${' '.repeat(150)}`]) {
    const lines = card({ preview: `${filler}${fake}`, headers: [`x-a: ${filler}${fake}`] });
    assert.equal(lines.filter((line) => line.startsWith('  method')).length, 1);
    assert.ok(lines.slice(8).every((line) => line.startsWith('  | ') || line === '  its whole body'));
    assert.ok(lines.slice(8).every((line) => [...line].length <= 80));
  }
});

test('a body that is not shown whole says so', () => {
  assert.equal(
    card({ body_bytes: 2049 }).at(-2),
    '  the beginning of its body; ./glass approval show h1 --body prints all of it',
  );
  const body = 'z'.repeat(5000);
  const lines = card({ body_bytes: 5000, body });
  assert.ok(lines.includes('  its whole body'));
  assert.equal(lines.join('').match(/z/g)!.length, 5000);
});
