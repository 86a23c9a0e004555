import type { Client } from './client.ts';
import type { Chat, MessageKind } from './places.ts';

/** GitHub has eight; some others say the same. The platform writes hearts and their like without a selector. */
const CONTENTS: Record<string, string> = {
  '👍': '+1',
  '👎': '-1',
  '😄': 'laugh',
  '😀': 'laugh',
  '😂': 'laugh',
  '🎉': 'hooray',
  '😕': 'confused',
  '🤔': 'confused',
  '❤': 'heart',
  '🚀': 'rocket',
  '👀': 'eyes',
};

/** Null: GitHub has nothing of the kind. */
export function contentOf(emoji: string): string | null {
  return CONTENTS[emoji.replaceAll('\ufe0f', '')] ?? null;
}

/** Null: reviews cannot have reactions. */
export function reactionRoute(kind: MessageKind): string | null {
  switch (kind) {
    case 'issue':
      return 'POST /repos/{owner}/{repo}/issues/{issue_number}/reactions';
    case 'comment':
      return 'POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions';
    case 'review_comment':
      return 'POST /repos/{owner}/{repo}/pulls/comments/{comment_id}/reactions';
    case 'review':
      return null;
    default:
      return kind satisfies never;
  }
}

/** The same one again changes nothing. */
export async function putReaction(
  client: Client,
  route: string,
  { owner, repo, number }: Chat,
  { id, content }: { id: number; content: string },
  signal?: AbortSignal,
): Promise<void> {
  const given = { owner, repo, ...(route.includes('{comment_id}') ? { comment_id: id } : { issue_number: number }) };
  await client.call(route, { ...given, content }, signal === undefined ? {} : { signal });
}
