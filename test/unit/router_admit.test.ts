import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MESSAGE_TEXT_BYTES_MAX } from '../../src/base/limits/messages.ts';
import type { WiringRow } from '../../src/ledger/chats.ts';
import { type AdmitFacts, admit } from '../../src/router/admit.ts';

function wiring(group_name: string, engage: WiringRow['engage'] = 'always'): WiringRow {
  return { id: 1, chat_id: 1, group_name, engage };
}

/** Facts of which each alone refuses; a scenario gives what it needs. */
const NOTHING: AdmitFacts = {
  text: '',
  files: 0,
  addressed: false,
  command: false,
  person: null,
  wirings: [],
  mayUse: () => false,
};
const MEMBER: AdmitFacts = {
  text: 'hello',
  files: 0,
  addressed: true,
  command: false,
  person: 7,
  wirings: [wiring('assistant')],
  mayUse: () => true,
};

const LONGEST = 'x'.repeat(MESSAGE_TEXT_BYTES_MAX);

const SCENARIOS: { name: string; facts: Partial<AdmitFacts>; ends: string | string[]; tells?: true }[] = [
  { name: 'a member in a wired chat', facts: {}, ends: ['assistant'] },
  { name: 'a file without a text', facts: { text: ' ', files: 1 }, ends: ['assistant'] },
  { name: 'no wiring', facts: { wirings: [] }, ends: 'no group is wired to this chat' },
  { name: 'a sender nobody knows', facts: { person: null }, ends: 'unknown sender' },
  {
    name: 'a sender nobody knows, who claims a role',
    facts: { person: null, mayUse: () => true },
    ends: 'unknown sender',
  },
  {
    name: 'a person without a role',
    facts: { mayUse: () => false },
    ends: 'the sender has no role in any group of this chat',
  },
  {
    name: 'a role in one of two groups',
    facts: { wirings: [wiring('work'), wiring('home')], mayUse: (group) => group === 'home' },
    ends: ['home'],
  },
  { name: 'two groups', facts: { wirings: [wiring('work'), wiring('home')] }, ends: ['work', 'home'] },
  {
    name: 'a mention is asked for, and is there',
    facts: { wirings: [wiring('work', 'mention')] },
    ends: ['work'],
  },
  {
    name: 'a mention is asked for, and is not there',
    facts: { wirings: [wiring('work', 'mention')], addressed: false },
    ends: 'not addressed to an agent',
  },
  {
    name: 'one group listens, the other waits for a mention',
    facts: { wirings: [wiring('work', 'mention'), wiring('home')], addressed: false },
    ends: ['home'],
  },
  { name: 'an empty text', facts: { text: '' }, ends: 'empty', tells: true },
  { name: 'a text of white space', facts: { text: ' \n\t\u00a0' }, ends: 'empty', tells: true },
  { name: 'the longest text', facts: { text: LONGEST }, ends: ['assistant'] },
  { name: 'a byte more than that', facts: { text: `${LONGEST}x` }, ends: 'too long', tells: true },
  {
    name: 'as many characters, but more bytes',
    facts: { text: `${LONGEST.slice(1)}é` },
    ends: 'too long',
    tells: true,
  },
  {
    name: 'an empty text that is not addressed is not answered with a sentence',
    facts: { text: '', addressed: false, wirings: [wiring('work', 'mention')] },
    ends: 'not addressed to an agent',
  },
  {
    name: 'a long text of a stranger is not answered with a sentence',
    facts: { text: `${LONGEST}x`, person: null },
    ends: 'unknown sender',
  },
];

for (const { name, facts, ends, tells } of SCENARIOS) {
  test(`${name}: ${Array.isArray(ends) ? `delivered to ${ends.join(', ')}` : `ignored, ${ends}`}`, () => {
    const admission = admit({ ...MEMBER, ...facts });
    if (admission.kind === 'deliver') {
      assert.deepEqual(
        admission.wirings.map((row) => row.group_name),
        ends,
      );
    } else {
      assert.ok(admission.kind === 'ignore');
      assert.equal(admission.rule, ends);
      assert.equal(admission.tell !== null, tells === true);
    }
  });
}

test('deny is what remains when nothing speaks for the message', () => {
  assert.equal(admit(NOTHING).kind, 'ignore');
  for (const key of ['text', 'person', 'wirings', 'mayUse'] as const)
    assert.equal(admit({ ...MEMBER, [key]: NOTHING[key] }).kind, 'ignore', `without ${key}`);
});

test('a rule that the code does not know engages nobody', () => {
  const unknown = { ...wiring('work'), engage: 'whenever' as WiringRow['engage'] };
  assert.equal(admit({ ...MEMBER, wirings: [unknown] }).kind, 'ignore');
});

test('a command is for the groups that its person may use, whether or not they were addressed', () => {
  const wirings = [wiring('work', 'mention'), wiring('home')];
  const facts = { ...MEMBER, command: true, addressed: false, wirings };
  assert.deepEqual(admit(facts), { kind: 'command', groups: ['work', 'home'] });
  assert.deepEqual(admit({ ...facts, mayUse: (group) => group === 'work' }), { kind: 'command', groups: ['work'] });
});

const REFUSED: [who: string, facts: Partial<AdmitFacts>][] = [
  ['a stranger', { person: null }],
  ['somebody without a role', { mayUse: () => false }],
  ['somebody in a chat of no group', { wirings: [] }],
];

for (const [who, facts] of REFUSED) {
  test(`a command of ${who} is ignored like any other word`, () => {
    assert.equal(admit({ ...MEMBER, command: true, ...facts }).kind, 'ignore');
  });
}
