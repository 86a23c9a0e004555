import type { Guarded, Verdict } from '../authority/guard.ts';
import { unreachable } from '../base/errors.ts';
import { MESSAGE_TEXT_BYTES_MAX } from '../base/limits/messages.ts';
import type { ChatPolicy, WiringRow } from '../ledger/chats.ts';
import { matches } from './pattern.ts';

/** What may be asked about a message. */
export type Asked = Extract<Guarded, 'sender' | 'chat'>;

/**
 * Who may have a message answered, and by which groups. A pure function of facts; deny is what remains when nothing
 * speaks for the message.
 */
export interface AdmitFacts {
  text: string;
  /** How many came with it. */
  files: number;
  addressed: boolean;
  /** `self`: we wrote it; `bot`: another program did. */
  by: 'person' | 'bot' | 'self';
  /** Null: a sender nobody knows. */
  person: number | null;
  wirings: WiringRow[];
  policy: ChatPolicy;
  /** Whether the person has a role in a group. */
  mayUse: (group: string) => boolean;
  /** Whether the person administers a group. */
  administers: (group: string) => boolean;
  /** Whether a wiring listens on in this thread after a mention. */
  sticks: (wiring: WiringRow) => boolean;
  /** Whether a sender without a role has written more in a public chat than is answered. */
  floods: () => boolean;
  /** What is decided about a sender without a role, or a chat without a group. */
  guard: (kind: Asked, refusal: string) => Verdict;
}

export type Admission =
  /** `open`: only because the chat is open to all. */
  | { kind: 'deliver'; rule: string; open: boolean; wirings: WiringRow[]; keep: WiringRow[] }
  | { kind: 'hold'; what: Asked; expires_ms: number }
  /** `tell`: a sentence for the chat, where silence would look like a fault. `keep`: who is shown it later. */
  | { kind: 'ignore'; rule: string; tell: string | null; keep: WiringRow[] };

export function admit(facts: AdmitFacts): Admission {
  if (facts.by === 'self') return ignore('our own message');
  if (facts.by === 'bot') return ignore('written by a program');
  if (facts.wirings.length === 0) return askOrRefuse(facts, 'chat', 'no group is wired to this chat');
  const allowed = facts.wirings.filter((wiring) => maySpeak(wiring, facts));
  if (allowed.length === 0) return withoutStanding(facts);
  if (facts.policy === 'public' && !allowed.some((wiring) => hasRole(wiring, facts)) && facts.floods())
    return ignore('a sender without a role who writes too much');
  const engaged = allowed.filter((wiring) => engages(wiring, facts));
  const keep = allowed.filter((wiring) => !engaged.includes(wiring) && wiring.context === 'accumulate');
  if (engaged.length === 0)
    return ignore('not addressed to an agent', null, isBlank(facts) || isLong(facts) ? [] : keep);
  const open = !engaged.some((wiring) => hasRole(wiring, facts));
  const rule = `${open ? 'public chat' : 'member'}, ${engaged.map((wiring) => wiring.engage).join(', ')}`;
  const bad = whole(facts);
  // A stranger is told nothing: it would count for nothing, and could go on for ever.
  if (bad !== null) return open && bad.kind === 'ignore' ? { ...bad, tell: null } : bad;
  return { kind: 'deliver', rule, open, wirings: engaged, keep };
}

/** Nobody may be engaged by this sender: they may be let in. */
function withoutStanding(facts: AdmitFacts): Admission {
  const open = facts.wirings.filter((wiring) => wiring.senders === 'anyone' && !hasRole(wiring, facts));
  const refusal = facts.person === null ? 'unknown sender' : 'the sender has no role in any group of this chat';
  if (open.length === 0) return ignore(facts.person === null ? refusal : 'not among the senders of this chat');
  if (!open.some((wiring) => engages(wiring, facts))) return ignore(refusal);
  return askOrRefuse(facts, 'sender', refusal);
}

function askOrRefuse(facts: AdmitFacts, what: Asked, refusal: string): Admission {
  const bad = whole(facts);
  // Nobody is told how a message must be whom nobody answers.
  if (bad !== null) return ignore(refusal);
  const verdict = facts.guard(what, refusal);
  switch (verdict.verdict) {
    case 'hold':
      return { kind: 'hold', what, expires_ms: verdict.expires_ms };
    case 'deny':
      return ignore(verdict.rule);
    case 'allow':
      return ignore(refusal); // an action of these kinds is done by a decision only
    default:
      return unreachable(verdict);
  }
}

/** Null: there is something to answer, and it can be read. */
function whole(facts: AdmitFacts): Admission | null {
  if (isBlank(facts)) return ignore('empty', 'That message has no text, so there is nothing to answer.');
  if (!isLong(facts)) return null;
  return ignore(
    'too long',
    `That message is longer than ${MESSAGE_TEXT_BYTES_MAX / 1024} KiB and was not read. Please send it in parts or as a file.`,
  );
}

function isBlank({ text, files }: AdmitFacts): boolean {
  return text.trim() === '' && files === 0;
}

function isLong({ text }: AdmitFacts): boolean {
  return Buffer.byteLength(text) > MESSAGE_TEXT_BYTES_MAX;
}

function hasRole(wiring: WiringRow, { person, mayUse }: AdmitFacts): boolean {
  return person !== null && mayUse(wiring.group_name);
}

/** What one wiring makes of a message. */
export function judgeWiring(wiring: WiringRow, facts: AdmitFacts): { heard: boolean; engages: boolean } {
  return { heard: maySpeak(wiring, facts), engages: engages(wiring, facts) };
}

/** Whether the sender is one that the wiring listens to. */
function maySpeak(wiring: WiringRow, facts: AdmitFacts): boolean {
  switch (wiring.senders) {
    case 'anyone':
      return facts.policy === 'public' || hasRole(wiring, facts);
    case 'admins':
      return facts.person !== null && facts.administers(wiring.group_name);
    case 'listed':
      return hasRole(wiring, facts) && (JSON.parse(wiring.listed) as number[]).includes(facts.person!);
    default:
      wiring.senders satisfies never;
      return false;
  }
}

function engages(wiring: WiringRow, facts: AdmitFacts): boolean {
  switch (wiring.engage) {
    case 'always':
      return true;
    case 'pattern':
      return matches(wiring.pattern, facts.text);
    case 'mention':
      return facts.addressed;
    case 'mention-sticky':
      return facts.addressed || facts.sticks(wiring);
    default:
      wiring.engage satisfies never;
      return false;
  }
}

function ignore(rule: string, tell: string | null = null, keep: WiringRow[] = []): Admission {
  return { kind: 'ignore', rule, tell, keep };
}
