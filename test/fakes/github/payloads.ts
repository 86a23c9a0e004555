import { type Comment, type Issue, REPO, type Review, type User } from './world.ts';

/** Rows of the fake as the REST API shows them. */

const ROOT = 'https://api.github.com';
const API = `${ROOT}/repos/${REPO}`;
const PAGE = `https://github.com/${REPO}`;
const NO_REACTIONS = { '+1': 0, '-1': 0, laugh: 0, hooray: 0, confused: 0, heart: 0, rocket: 0, eyes: 0 };

export function shownUser<U extends User | null>(user: U): object | null {
  if (user === null) return null;
  const { id, login } = user;
  const addresses = { url: `${ROOT}/users/${login}`, html_url: `https://github.com/${login}` };
  return { ...user, node_id: `U_${id}`, avatar_url: '', gravatar_id: '', ...addresses, site_admin: false };
}

export function shownComment({ isReview, number, id, user, ...comment }: Comment): object {
  const base = { id, node_id: `C_${id}`, author_association: 'MEMBER', user: shownUser(user), ...comment };
  const url = `${API}/${isReview ? 'pulls' : 'issues'}/comments/${id}`;
  if (!isReview)
    return {
      ...{
        ...base,
        url,
        html_url: `${PAGE}/issues/${number}#issuecomment-${id}`,
        issue_url: `${API}/issues/${number}`,
      },
      ...{ performed_via_github_app: null, reactions: { url: `${url}/reactions`, total_count: 0, ...NO_REACTIONS } },
    };
  const commit = 'c'.repeat(40);
  const place = { path: 'roses.txt', line: 1, start_line: null, side: 'RIGHT', diff_hunk: '@@ -1 +1 @@' };
  const commits = { commit_id: commit, original_commit_id: commit, position: 1, original_position: 1 };
  const html_url = `${PAGE}/pull/${number}#discussion_r${id}`;
  const pull = { pull_request_url: `${API}/pulls/${number}`, pull_request_review_id: 1 };
  return { ...base, url, html_url, ...place, ...commits, ...pull };
}

export function shownIssue({ isPull, user, ...issue }: Issue): object {
  const { id, number } = issue;
  const pull = isPull ? { pull_request: { url: `${API}/pulls/${number}`, merged_at: null } } : {};
  return {
    ...{ ...issue, user: shownUser(user), node_id: `I_${id}`, url: `${API}/issues/${number}`, repository_url: API },
    ...{ state: 'open', state_reason: null, labels: [], assignee: null, assignees: [], milestone: null, comments: 0 },
    ...{ active_lock_reason: null, closed_at: null, author_association: 'MEMBER', ...pull },
  };
}

export function shownReview({ number, user, ...review }: Review): object {
  const { id } = review;
  return {
    ...{ ...review, user: shownUser(user), node_id: `R_${id}`, state: 'COMMENTED', author_association: 'MEMBER' },
    ...{ html_url: `${PAGE}/pull/${number}#pullrequestreview-${id}`, pull_request_url: `${API}/pulls/${number}` },
    commit_id: 'c'.repeat(40),
  };
}
