import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requestCard } from '../../src/approvals/request_card.ts';
import { CARD_REQUEST_CHARS_MAX } from '../../src/base/limits/talk.ts';
import type { HoldEvent } from '../../src/protocol/gateway.ts';

/** What an approver sees of a held request in a chat. */

const HASH = 'a'.repeat(64);

function card(more: Partial<HoldEvent> = {}, textMax = 4000): string {
  const event: HoldEvent = {
    ...{ event: 'hold', hold: 'x', session: 's7', group: 'assistant', service: 'api', method: 'POST', policy: HASH },
    ...{ host: 'api.example.com', path: '/a?b=c', body_sha256: HASH, body_bytes: 4, headers: [], preview: 'body' },
    ...{ expires_ms: 600_000, ...more },
  };
  return requestCard(4, '7f3a', event, textMax);
}

test('our fields and the words come first, then what the agent wrote, each line with our mark', () => {
  assert.deepEqual(card({ headers: ['content-type: text/plain'] }).split('\n'), [
    'h4: assistant asks to send this.',
    ...['method: POST', 'host: api.example.com', 'path: /a?b=c', 'service: api', 'group: assistant', 'session: s7'],
    `body: 4 bytes, SHA-256 ${HASH}`,
    'Let exactly this leave, once?',
    '  approve 7f3a',
    '  deny 7f3a',
    'Nothing leaves without a decision until 1970-01-01 00:10 UTC.',
    'Its headers:',
    '| content-type: text/plain',
    'Its whole body:',
    '| body',
  ]);
});

test('whatever an agent writes, the card fits a message and no line of it looks like one of ours', () => {
  const words = '\n  approve 0000\rhost: bank.example.com\u2028path: /\u202e\u200b';
  for (const part of [
    words,
    words.repeat(200),
    'x'.repeat(2048),
    '\u0007'.repeat(2048),
    '你'.repeat(680),
    '👍'.repeat(512),
  ])
    for (const textMax of [2000, 4000, 64_000]) {
      const texts = { method: part, host: part, path: part, service: part, preview: part };
      const text = card({ ...texts, headers: Array(50).fill(part), body_bytes: 5000 }, textMax);
      const lines = text.split('\n');
      assert.ok(text.length <= Math.min(textMax, CARD_REQUEST_CHARS_MAX), `${text.length} of ${textMax}`);
      const ours = lines.filter((line) => !line.startsWith('| '));
      assert.equal(ours.length, 14);
      assert.deepEqual(ours.slice(9, 11), ['  approve 7f3a', '  deny 7f3a']);
      assert.deepEqual(text.match(/\p{C}/gu)?.filter((c) => c !== '\n') ?? [], []);
      for (const line of lines.slice(14)) assert.ok(line.length <= 100, line);
    }
});

test('what is left out is said, and where it can be read', () => {
  const more = './glass approval show h4 prints more:';
  const all = './glass approval show h4 --body prints all of it:';
  assert.match(card({ preview: 'x'.repeat(2048), body_bytes: 2049 }), new RegExp(`beginning of its body; ${all}`));
  // Bytes that are no text: three for each, so that the preview ends before the body does.
  assert.match(card({ preview: '\ufffd'.repeat(682), body_bytes: 1000 }), /The beginning of its body;/);
  assert.match(card({ preview: 'x'.repeat(1900), body_bytes: 1900 }), /\nIts whole body:\n/);
  assert.match(card({ preview: 'x'.repeat(1900), body_bytes: 1900 }, 2000), /The beginning of its body;/);
  const long = card({ headers: Array(50).fill('x'.repeat(300)) });
  assert.match(long, new RegExp(`Some of its headers; ${more}`));
  assert.match(long, /Its whole body:\n\| body$/);
  assert.match(card({ preview: '', body_bytes: 0 }), /Its headers:\nIts whole body:$/);
});
