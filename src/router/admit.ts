import { MESSAGE_TEXT_BYTES_MAX } from '../base/limits/messages.ts';
import type { WiringRow } from '../ledger/chats.ts';

/**
 * Who may have a message answered, and by which groups. A pure function of facts; deny is what remains when nothing
 * speaks for the message.
 */
export interface AdmitFacts {
  text: string;
  /** How many came with it. */
  files: number;
  addressed: boolean;
  /** It is for the platform, not for an agent. */
  command: boolean;
  /** Null: a sender nobody knows. */
  person: number | null;
  wirings: WiringRow[];
  /** Whether the person has a role in a group. */
  mayUse: (group: string) => boolean;
}

export type Admission =
  | { kind: 'deliver'; rule: string; wirings: WiringRow[] }
  /** Of a person who may use these groups. */
  | { kind: 'command'; groups: string[] }
  /** `tell`: a sentence for the chat, where silence would look like a fault. */
  | { kind: 'ignore'; rule: string; tell: string | null };

export function admit(facts: AdmitFacts): Admission {
  if (facts.wirings.length === 0) return ignore('no group is wired to this chat');
  if (facts.person === null) return ignore('unknown sender');
  const allowed = facts.wirings.filter((wiring) => facts.mayUse(wiring.group_name));
  if (allowed.length === 0) return ignore('the sender has no role in any group of this chat');
  if (facts.command) return { kind: 'command', groups: allowed.map((wiring) => wiring.group_name) };
  const engaged = allowed.filter((wiring) => engages(wiring, facts.addressed));
  if (engaged.length === 0) return ignore('not addressed to an agent');
  if (facts.text.trim() === '' && facts.files === 0)
    return ignore('empty', 'That message has no text, so there is nothing to answer.');
  if (Buffer.byteLength(facts.text) > MESSAGE_TEXT_BYTES_MAX) {
    return ignore(
      'too long',
      `That message is longer than ${MESSAGE_TEXT_BYTES_MAX / 1024} KiB and was not read. Please send it in parts or as a file.`,
    );
  }
  return { kind: 'deliver', rule: `member, ${engaged.map((wiring) => wiring.engage).join(', ')}`, wirings: engaged };
}

function engages(wiring: WiringRow, addressed: boolean): boolean {
  switch (wiring.engage) {
    case 'always':
      return true;
    case 'mention':
      return addressed;
    default:
      wiring.engage satisfies never;
      return false;
  }
}

function ignore(rule: string, tell: string | null = null): Admission {
  return { kind: 'ignore', rule, tell };
}
