import { type Comment, type Issue, REPO, type Review } from './world.ts';

/** Rows of the fake as the REST API shows them, without most of what it shows besides. */

const API = 'https://api.github.com/repos';

export function shownComment({ isReview, number, id, ...comment }: Comment): object {
  const base = { id, node_id: `C_${id}`, author_association: 'MEMBER', ...comment };
  if (!isReview) return { ...base, issue_url: `${API}/${REPO}/issues/${number}` };
  const place = { path: 'roses.txt', line: 1, diff_hunk: '@@ -1 +1 @@', commit_id: 'c'.repeat(40) };
  return { ...base, ...place, pull_request_url: `${API}/${REPO}/pulls/${number}` };
}

export function shownIssue({ isPull, ...issue }: Issue): object {
  const pull = isPull ? { pull_request: { url: `${API}/${REPO}/pulls/${issue.number}`, merged_at: null } } : {};
  return { ...issue, state: 'open', labels: [], assignees: [], ...pull };
}

export function shownReview({ number, ...review }: Review): object {
  return { ...review, state: 'COMMENTED', pull_request_url: `${API}/${REPO}/pulls/${number}` };
}
