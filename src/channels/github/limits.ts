import { MINUTE_MS, SECOND_MS } from '../../base/limits/units.ts';

/** Bounds that are GitHub's own, and those of our calls to it. */

/** Characters of a comment: the platform's. */
const COMMENT_CHARS_MAX = 65_536;
/** Characters of the hidden mark below each comment, with its empty line. */
export const MARK_CHARS_MAX = 100;
export const TEXT_CHARS_MAX = COMMENT_CHARS_MAX - MARK_CHARS_MAX;
/** Repositories of one channel: each is asked by itself, three calls a round. */
export const REPOS_MAX = 20;
/** From one round of a repository to the next; answers without news do not count against GitHub's rate. */
export const POLL_S = 60;
export const POLL_S_MAX = 3600;
/** Entries of one page: the platform's most. */
export const PAGE_SIZE = 100;
/** Pages of one list in a round. Never fewer than one second's entries: GitHub takes some hundred comments an hour of an account. */
export const PAGES_MAX = 20;
/** Pages of reviews of one pull request, and of comments among which a lost send is looked for. */
export const REVIEW_PAGES_MAX = 10;
export const RECONCILE_PAGES_MAX = 3;
/** What GitHub lists late is found by reading so far back each time. */
export const OVERLAP_MS = 30 * SECOND_MS;
/** Entries of a repository whose text is remembered. One that is forgotten is handed over again, under its key. */
export const SEEN_MAX = 10_000;
/** Titles of a repository that are remembered. */
export const TITLES_MAX = 1000;
/** Who may write is asked again after this: somebody who was taken out is heard no longer than that. */
export const PERMISSION_MS = 5 * MINUTE_MS;
export const PERMISSIONS_MAX = 1000;
/** Reactions that say "seen" and wait for those before them; what is beyond it gets none. */
export const SEEN_WAITING_MAX = 10;
/** What is older than this was missed: it is answered, and not marked as seen first. */
export const SEEN_AGE_MS = 10 * MINUTE_MS;
/** One call, and all calls of one send; below what delivery waits (`SEND_MS`), so that its outcome is known as one of ours. */
export const CALL_MS = 20 * SECOND_MS;
export const OPERATION_MS = 50 * SECOND_MS;
/** Characters of GitHub's own words in a reason. */
export const SAID_CHARS_MAX = 200;
/** GitHub asks for this where it names no time. */
export const LIMITED_MS = MINUTE_MS;
/** First wait after a failure; doubles with each. */
export const BACKOFF_MS = SECOND_MS;
export const BACKOFF_MAX_MS = 5 * MINUTE_MS;
/** The longest wait that GitHub can ask of us: its limits begin anew each hour. */
export const LIMITED_MAX_MS = 60 * MINUTE_MS;
/** Of an app: a proof of who it is may be ten minutes long; a token is renewed when it has less than this left. */
export const PROOF_S = 9 * 60;
export const TOKEN_LEFT_MS = 5 * MINUTE_MS;
