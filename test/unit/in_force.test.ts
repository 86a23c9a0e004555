import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AuthorityRow } from '../../src/ledger/authorities.ts';
import type { LimitState } from '../../src/runtimes/runtime.ts';
import { checkControls } from '../../src/sessions/in_force.ts';

function limit(state: LimitState['state']): LimitState {
  return { name: 'memory_bytes', state, reason: 'a reason' };
}

function applied(...controls: LimitState[]): AuthorityRow {
  return {
    ...{
      id: 1,
      group_name: 'assistant',
      hash: 'f'.repeat(64),
      object: '{}',
      image: null,
      applied_by: 'ann',
      applied_ms: 0,
    },
    controls: JSON.stringify(controls),
  };
}

const SCENARIOS: [then: LimitState['state'], now: LimitState['state'] | null, starts: boolean][] = [
  ['enforced', 'enforced', true],
  ['enforced', 'watched', false],
  ['enforced', 'absent', false],
  ['enforced', null, false],
  ['watched', 'enforced', true],
  ['watched', 'watched', true],
  ['watched', 'absent', false],
  ['absent', 'absent', true],
  ['absent', null, true],
  ['absent', 'enforced', true],
];

for (const [then, now, starts] of SCENARIOS)
  test(`a limit that was ${then} and is ${now ?? 'unknown'} now ${starts ? 'lets' : 'does not let'} a group start`, () => {
    const check = (): void => checkControls(applied(limit(then)), now === null ? [] : [limit(now)]);
    if (starts) check();
    else
      assert.throws(check, {
        code: 'refused',
        message: new RegExp(`memory_bytes was ${then}.*is ${now ?? 'absent'} now`),
      });
  });
