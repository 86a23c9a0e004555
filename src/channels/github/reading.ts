import { createHash } from 'node:crypto';
import type { IncomingMessage } from '../channel.ts';
import type { Me } from './auth.ts';
import { isMarked } from './mark.ts';
import { mentions, withoutMention } from './mentions.ts';
import type { GhComment, GhIssue, GhReview, GhReviewComment, GhUser } from './payloads.ts';
import { MESSAGE_KINDS, type MessageKind, showChat, showMessage } from './places.ts';

/** What a list of GitHub says, in the host's words: pure. */

/** Something that was written, as it is now. */
export interface Entry {
  kind: MessageKind;
  id: number;
  /** Of its issue or pull request. */
  number: number;
  thread: string;
  /** Null: their account is gone. */
  user: GhUser | null;
  text: string;
  created_ms: number;
  updated_ms: number;
}

export function ofComment({ id, user, body, created_at, updated_at, issue_url }: GhComment): Entry {
  const text = body ?? '';
  return {
    ...{ kind: 'comment', id, user, text, number: issue_url, thread: '' },
    ...{ created_ms: created_at, updated_ms: updated_at },
  };
}

export function ofReviewComment(given: GhReviewComment): Entry {
  const { id, user, body, created_at, updated_at, pull_request_url, in_reply_to_id } = given;
  const thread = String(in_reply_to_id ?? id);
  return {
    ...{ kind: 'review_comment', id, user, text: body ?? '', number: pull_request_url, thread },
    ...{ created_ms: created_at, updated_ms: updated_at },
  };
}

/** Its title is the first line of what its author said. */
export function ofIssue({ id, number, title, user, body, created_at, updated_at }: GhIssue): Entry {
  const text = [title, body ?? ''].filter((part) => part !== '').join('\n\n');
  return { kind: 'issue', id, user, text, number, thread: '', created_ms: created_at, updated_ms: updated_at };
}

/** GitHub does not say when a review was edited. Null: it is not submitted yet. */
export function ofReview({ id, user, body, submitted_at }: GhReview, number: number): Entry | null {
  if (submitted_at === undefined) return null;
  const text = body ?? '';
  return { kind: 'review', id, user, text, number, thread: '', created_ms: submitted_at, updated_ms: submitted_at };
}

/** What is new counts from when it was written, what is another now from then. What answers something stands behind it. */
export function inOrder(entries: Entry[], floor_ms: number): Entry[] {
  const when = ({ created_ms, updated_ms }: Entry): number => (created_ms >= floor_ms ? created_ms : updated_ms);
  const rank = ({ kind }: Entry): number => MESSAGE_KINDS.indexOf(kind);
  return entries.toSorted((a, b) => when(a) - when(b) || rank(a) - rank(b) || a.id - b.id);
}

export type Speaker = 'person' | 'bot' | 'self';

export function speakerOf({ user }: Entry, me: Me): Speaker {
  if (user?.login.toLowerCase() === me.login.toLowerCase()) return 'self';
  // Organizations, and those who were imported, are nobody who could be asked.
  return user?.type === 'User' ? 'person' : 'bot';
}

/** What we have sent ourselves. */
export function isOurs(entry: Entry, me: Me): boolean {
  return speakerOf(entry, me) === 'self' && isMarked(entry.text);
}

export function textHash({ text }: Entry): string {
  return createHash('sha256').update(text).digest('base64').slice(0, 16);
}

export function keyOf(repo: string, kind: MessageKind, id: number): string {
  return `gh:${repo.toLowerCase()}:${kind}:${id}`;
}

export interface Told {
  repo: string;
  title: string;
  me: Me;
}

/** A name may be given up and taken by somebody else; the number never is. */
function senderOf(entry: Entry, me: Me): IncomingMessage['sender'] {
  const { user } = entry;
  if (user === null) return { handle: 'ghost', name: 'ghost', kind: 'bot' };
  const kind = speakerOf(entry, me);
  return { handle: String(user.id), name: user.login, ...(kind === 'person' ? {} : { kind }) };
}

export function messageOf(entry: Entry, { repo, title, me }: Told): IncomingMessage {
  return {
    dedupe_key: keyOf(repo, entry.kind, entry.id),
    chat: { platform_id: showChat(repo, entry.number), title },
    thread: entry.thread,
    sender: senderOf(entry, me),
    addressed: mentions(entry.text, me.name),
    platform_id: showMessage(entry.kind, entry.id),
    text: withoutMention(entry.text, me.name),
    files: [],
    sent_ms: entry.created_ms,
  };
}

export function editOf(entry: Entry, told: Told) {
  const { chat, sender, platform_id, text, dedupe_key } = messageOf(entry, told);
  const { updated_ms: sent_ms } = entry;
  return { dedupe_key: `${dedupe_key}:${sent_ms}`, chat, sender, platform_id, text, sent_ms };
}
