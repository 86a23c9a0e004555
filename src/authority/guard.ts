import { ASK_AGAIN_MS, ASK_MS, ASKS_PENDING_MAX, WISH_AGAIN_MS } from '../base/limits/talk.ts';

/**
 * The one decision about a privileged action: done at once, held until a person has decided about exactly it, or refused.
 * A pure function of facts; a kind that is not in the table cannot be asked about, and what nothing speaks for is refused.
 */
export interface GuardedKind {
  /** What it is called in a refusal. */
  noun: string;
  /** How long it waits for a decision, in milliseconds. */
  waits_ms: number;
  /** For how long a refusal stands for the next one alike, in milliseconds. */
  refused_ms: number;
}

export const GUARDED = {
  /** Somebody without a role wants to be heard. */
  sender: { noun: 'a sender', waits_ms: ASK_MS, refused_ms: ASK_AGAIN_MS },
  /** A message in a chat that no group is wired to. */
  chat: { noun: 'a chat', waits_ms: ASK_MS, refused_ms: ASK_AGAIN_MS },
  /** An agent wants more in its `group.yaml`. */
  authority: { noun: 'a request', waits_ms: ASK_MS, refused_ms: WISH_AGAIN_MS },
  /** An agent writes to another one that its authority names with `approve`. */
  message: { noun: 'a message', waits_ms: ASK_MS, refused_ms: WISH_AGAIN_MS },
  /** What anybody may have written is for a conversation that reads what is private, and acts. */
  entry: { noun: 'a message', waits_ms: ASK_MS, refused_ms: WISH_AGAIN_MS },
} as const satisfies Record<string, GuardedKind>;

export type Guarded = keyof typeof GUARDED;

export interface GuardFacts {
  /** What stands for this action without asking anybody. */
  standing: 'allow' | 'ask' | 'deny';
  /** The rule that is recorded when it stands refused. */
  refusal: string;
  /** The same action waits already. */
  waits: boolean;
  /** When a person last refused the same, in milliseconds since the epoch; null: never. */
  refused_ms: number | null;
  /** How many actions of all kinds wait. */
  pending: number;
  now: number;
}

export type Verdict =
  | { verdict: 'allow' }
  | { verdict: 'hold'; kind: Guarded; expires_ms: number }
  | { verdict: 'deny'; rule: string };

export function guard(kind: Guarded, facts: GuardFacts): Verdict {
  if (facts.standing === 'allow') return { verdict: 'allow' };
  if (facts.standing !== 'ask') return deny(facts.refusal);
  const { noun, waits_ms, refused_ms } = GUARDED[kind];
  if (facts.waits) return deny(`${noun} that waits for approval already`);
  if (facts.refused_ms !== null && facts.now < facts.refused_ms + refused_ms)
    return deny(`${noun} that was refused before`);
  if (facts.pending >= ASKS_PENDING_MAX) return deny('too many wait for approval');
  return { verdict: 'hold', kind, expires_ms: facts.now + waits_ms };
}

function deny(rule: string): Verdict {
  return { verdict: 'deny', rule };
}
