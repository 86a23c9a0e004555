import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GUARDED, type Guarded, type GuardFacts, guard } from '../../src/authority/guard.ts';
import { ASKS_PENDING_MAX } from '../../src/base/limits/talk.ts';

/** Nothing stands in the way of asking; each scenario changes one fact. */
const ASK: GuardFacts = { standing: 'ask', refusal: 'no', waits: false, refused_ms: null, pending: 0, now: 1_000_000 };

for (const kind of Object.keys(GUARDED) as Guarded[]) {
  const { noun, waits_ms, refused_ms } = GUARDED[kind];
  const table: [name: string, facts: Partial<GuardFacts>, verdict: object][] = [
    ['nothing speaks against asking', {}, { verdict: 'hold', kind, expires_ms: ASK.now + waits_ms }],
    ['it stands allowed', { standing: 'allow', pending: 999 }, { verdict: 'allow' }],
    ['it stands refused', { standing: 'deny' }, { verdict: 'deny', rule: 'no' }],
    ['the same waits', { waits: true }, { verdict: 'deny', rule: `${noun} that waits for approval already` }],
    ['it was just refused', { refused_ms: ASK.now }, { verdict: 'deny', rule: `${noun} that was refused before` }],
    [
      'the last moment in which a refusal stands',
      { refused_ms: ASK.now - refused_ms + 1 },
      { verdict: 'deny', rule: `${noun} that was refused before` },
    ],
    [
      'it was refused long ago',
      { refused_ms: ASK.now - refused_ms },
      { verdict: 'hold', kind, expires_ms: ASK.now + waits_ms },
    ],
    ['too many wait', { pending: ASKS_PENDING_MAX }, { verdict: 'deny', rule: 'too many wait for approval' }],
    [
      'there is room for one',
      { pending: ASKS_PENDING_MAX - 1 },
      { verdict: 'hold', kind, expires_ms: ASK.now + waits_ms },
    ],
    ['a standing that nobody knows', { standing: 'maybe' as 'ask' }, { verdict: 'deny', rule: 'no' }],
  ];
  for (const [name, facts, verdict] of table)
    test(`${kind}: ${name}`, () => assert.deepEqual(guard(kind, { ...ASK, ...facts }), verdict));
}
