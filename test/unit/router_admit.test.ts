import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MESSAGE_TEXT_BYTES_MAX } from '../../src/base/limits/messages.ts';
import type { WiringRow } from '../../src/ledger/chats.ts';
import { PLAIN_TERMS, type WiringTerms } from '../../src/ledger/wirings.ts';
import { type AdmitFacts, admit } from '../../src/router/admit.ts';

let wirings = 0;

function wiring(
  group_name: string,
  engage: WiringRow['engage'] = 'always',
  terms: Partial<WiringTerms> = {},
): WiringRow {
  return { id: ++wirings, chat_id: 1, group_name, ...PLAIN_TERMS, engage, ...terms };
}

/** Facts of which each alone refuses; a scenario gives what it needs. */
const NOTHING: AdmitFacts = {
  ...{ text: '', files: 0, addressed: false, by: 'bot', person: null, wirings: [], policy: 'strict' },
  ...{ mayUse: () => false, administers: () => false, sticks: () => false, floods: () => true },
  guard: (_kind, refusal) => ({ verdict: 'deny', rule: refusal }),
};
const MEMBER: AdmitFacts = {
  ...NOTHING,
  ...{ text: 'hello', addressed: true, by: 'person', person: 7, wirings: [wiring('assistant')], mayUse: () => true },
};
/** Whom no group knows, where somebody is asked about them. */
const STRANGER: Partial<AdmitFacts> = {
  ...{ person: null, mayUse: () => false, policy: 'ask' },
  guard: (kind) => ({ verdict: 'hold', kind, expires_ms: 1 }),
};
const PUBLIC: Partial<AdmitFacts> = { person: null, mayUse: () => false, policy: 'public', floods: () => false };
const QUIET = { addressed: false, text: 'lunch?' };

const LONGEST = 'x'.repeat(MESSAGE_TEXT_BYTES_MAX);

interface Scenario {
  name: string;
  facts: Partial<AdmitFacts>;
  /** Groups that answer, the rule that ignores it, or what is asked. */
  ends: string | string[] | { asks: string };
  tells?: true;
  /** Groups that keep it as context. */
  kept?: string[];
}

const SCENARIOS: Scenario[] = [
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
  { name: 'our own message, in a chat open to all', facts: { ...PUBLIC, by: 'self' }, ends: 'our own message' },
  { name: 'a message of another program', facts: { by: 'bot' }, ends: 'written by a program' },

  { name: 'a stranger where that is asked about', facts: STRANGER, ends: { asks: 'sender' } },
  { name: 'a person without a role there', facts: { ...STRANGER, person: 7 }, ends: { asks: 'sender' } },
  {
    name: 'a stranger who is not addressing anybody',
    facts: { ...STRANGER, ...QUIET, wirings: [wiring('work', 'mention')] },
    ends: 'unknown sender',
  },
  { name: 'a stranger with nothing to say', facts: { ...STRANGER, text: ' ' }, ends: 'unknown sender' },
  {
    name: 'a stranger where only admins are heard',
    facts: { ...STRANGER, wirings: [wiring('work', 'always', { senders: 'admins' })] },
    ends: 'unknown sender',
  },
  {
    name: 'a chat without a group',
    facts: { ...STRANGER, person: 7, mayUse: () => true, wirings: [] },
    ends: { asks: 'chat' },
  },
  { name: 'a stranger in a chat open to all', facts: PUBLIC, ends: ['assistant'] },
  {
    name: 'a stranger who floods a chat open to all',
    facts: { ...PUBLIC, floods: () => true },
    ends: 'a sender without a role who writes too much',
  },
  { name: 'a member who writes much in a chat open to all', facts: { policy: 'public' }, ends: ['assistant'] },
  {
    name: 'a stranger in a chat open to all, where only admins are heard',
    facts: { ...PUBLIC, wirings: [wiring('work', 'always', { senders: 'admins' })] },
    ends: 'unknown sender',
  },

  {
    name: 'admins are heard, and the sender is one',
    facts: { administers: () => true, wirings: [wiring('work', 'always', { senders: 'admins' })] },
    ends: ['work'],
  },
  {
    name: 'admins are heard, and the sender is a member',
    facts: { wirings: [wiring('work', 'always', { senders: 'admins' })] },
    ends: 'not among the senders of this chat',
  },
  {
    name: 'a list of people, and the sender is on it',
    facts: { wirings: [wiring('work', 'always', { senders: 'listed', listed: '[3,7]' })] },
    ends: ['work'],
  },
  {
    name: 'a list of people, and the sender is not on it',
    facts: { wirings: [wiring('work', 'always', { senders: 'listed', listed: '[3,77]' })] },
    ends: 'not among the senders of this chat',
  },
  {
    name: 'a list with somebody who has no role',
    facts: { mayUse: () => false, wirings: [wiring('work', 'always', { senders: 'listed', listed: '[7]' })] },
    ends: 'not among the senders of this chat',
  },

  {
    name: 'a pattern that matches',
    facts: { text: 'please Deploy it', wirings: [wiring('work', 'pattern', { pattern: '*deploy*' })] },
    ends: ['work'],
  },
  {
    name: 'a pattern that does not match, though addressed',
    facts: { wirings: [wiring('work', 'pattern', { pattern: '*deploy*' })] },
    ends: 'not addressed to an agent',
  },
  {
    name: 'a pattern that is none',
    facts: { wirings: [wiring('work', 'pattern', { pattern: '' })] },
    ends: 'not addressed to an agent',
  },
  {
    name: 'a mention that sticks, before it',
    facts: { ...QUIET, wirings: [wiring('work', 'mention-sticky')] },
    ends: 'not addressed to an agent',
  },
  {
    name: 'a mention that sticks, after it',
    facts: { ...QUIET, sticks: () => true, wirings: [wiring('work', 'mention-sticky')] },
    ends: ['work'],
  },
  {
    name: 'chatter that is kept',
    facts: { ...QUIET, wirings: [wiring('work', 'mention', { context: 'accumulate' })] },
    ends: 'not addressed to an agent',
    kept: ['work'],
  },
  {
    name: 'chatter of a stranger, where chatter is kept',
    facts: {
      ...QUIET,
      person: null,
      mayUse: () => false,
      wirings: [wiring('work', 'mention', { context: 'accumulate' })],
    },
    ends: 'unknown sender',
  },
  {
    name: 'chatter for one group that another one keeps',
    facts: { ...QUIET, wirings: [wiring('home'), wiring('work', 'mention', { context: 'accumulate' })] },
    ends: ['home'],
    kept: ['work'],
  },
];

for (const { name, facts, ends, tells, kept } of SCENARIOS) {
  test(`${name}: ${JSON.stringify(ends)}`, () => {
    const admission = admit({ ...MEMBER, ...facts });
    switch (admission.kind) {
      case 'deliver':
        assert.deepEqual(groupsOf(admission.wirings), ends);
        break;
      case 'hold':
        assert.deepEqual({ asks: admission.what }, ends);
        return;
      case 'ignore':
        assert.equal(admission.rule, ends);
        assert.equal(admission.tell !== null, tells === true);
    }
    assert.deepEqual(groupsOf(admission.keep), kept ?? []);
  });
}

const groupsOf = (rows: WiringRow[]): string[] => rows.map((row) => row.group_name);

test('deny is what remains when nothing speaks for the message', () => {
  assert.equal(admit(NOTHING).kind, 'ignore');
  for (const key of ['text', 'by', 'person', 'wirings', 'mayUse'] as const)
    assert.equal(admit({ ...MEMBER, [key]: NOTHING[key] }).kind, 'ignore', `without ${key}`);
});

test('a rule that the code does not know engages nobody', () => {
  for (const odd of [{ engage: 'whenever' }, { senders: 'whoever' }]) {
    const unknown = { ...wiring('work'), ...odd } as WiringRow;
    assert.equal(admit({ ...MEMBER, wirings: [unknown] }).kind, 'ignore');
  }
});

for (const text of ['', `${LONGEST}x`]) {
  test(`in a public chat a stranger hears nothing of a text of ${text.length} characters that cannot be answered`, () => {
    const facts: AdmitFacts = {
      ...MEMBER,
      text,
      person: null,
      mayUse: () => false,
      policy: 'public',
      floods: () => false,
    };
    const admission = admit(facts);
    assert.ok(admission.kind === 'ignore');
    assert.equal(admission.tell, null);
  });
}
