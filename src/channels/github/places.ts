/** Where something was said, as GitHub and as the host names it. */

export interface Repo {
  owner: string;
  repo: string;
}

export interface Chat extends Repo {
  number: number;
}

export const MESSAGE_KINDS = ['issue', 'review', 'review_comment', 'comment'] as const;
export type MessageKind = (typeof MESSAGE_KINDS)[number];

export function readRepo(name: string): Repo {
  const [owner, repo] = name.split('/');
  return { owner: owner!, repo: repo! };
}

export function showChat(repo: string, number: number): string {
  return `${repo}#${number}`;
}

/** Null: not one of these repositories. */
export function readChat(shown: string, repos: readonly string[]): Chat | null {
  const [, name, number] = /^([^#]+)#(\d{1,10})$/.exec(shown) ?? [];
  const repo = repos.find((each) => each === name);
  return repo === undefined ? null : { ...readRepo(repo), number: Number(number) };
}

/** Ids count by kind: a comment and an issue may have the same. */
export function showMessage(kind: MessageKind, id: number): string {
  return `${kind}:${id}`;
}

export function readMessage(shown: string): { kind: MessageKind; id: number } | null {
  const [, named, id] = /^(\w+):(\d{1,16})$/.exec(shown) ?? [];
  const kind = MESSAGE_KINDS.find((each) => each === named);
  return kind === undefined ? null : { kind, id: Number(id) };
}
