import { MINUTE_MS, SECOND_MS } from '../../base/limits/units.ts';

/** Bounds of the Slack driver: a name, a unit, a reason. */

/** Characters of one message: above it Slack shows one as several, and `chat.update` refuses it (`msg_too_long`). */
export const SLACK_TEXT_CHARS_MAX = 4000;
/** Characters of a section of blocks, by Slack's reference of Block Kit. */
export const SECTION_CHARS_MAX = 3000;
/** Fields of a section, likewise. */
export const SECTION_FIELDS_MAX = 10;
/** Characters of a field, likewise. */
export const FIELD_CHARS_MAX = 2000;
/** Characters of a button's label, likewise. */
export const BUTTON_CHARS_MAX = 75;
/** Buttons in one row, likewise. */
export const ROW_BUTTONS_MAX = 25;

/** From a call of the Web API to its answer: Slack mostly answers within one second. */
export const CALL_MS = 20 * SECOND_MS;
/** From the first to the last byte of a file. */
export const FILE_MS = 50 * SECOND_MS;
/** From the opening of a socket to its `hello`. */
export const SOCKET_HELLO_MS = 30 * SECOND_MS;
/** First wait after a failure; doubles with each. */
export const BACKOFF_MS = SECOND_MS;
export const BACKOFF_MAX_MS = 5 * MINUTE_MS;
/** First wait before the host is given once more what it could not keep; doubles, up to `BACKOFF_MAX_MS`. */
export const KEEP_AGAIN_MS = 100;
/** A socket that lasted for longer is followed by the next one at once. */
export const SOCKET_STABLE_MS = 10 * SECOND_MS;
/** Slack may count a socket that was cut for so long. */
export const SOCKET_GHOST_MS = 2 * MINUTE_MS;
/** A stop waits so long for the other side to close a socket too. */
export const SOCKET_CLOSE_MS = SECOND_MS;
/** First wait before another socket is opened to see whether we are alone by now; doubles, up to `BACKOFF_MAX_MS`. */
export const SHARED_CHECK_MS = 2 * SECOND_MS;

/** Age of a signed request, either way: what Slack advises against replays. */
export const SIGNED_AGE_S = 5 * 60;

/** How far back the history is read for what was missed, and for threads that go on: somebody's week. */
export const HISTORY_BACK_MS = 7 * 24 * 60 * MINUTE_MS;
/** Messages in one page of it: the most that Slack gives. */
export const HISTORY_PAGE = 999;
/** Pages of a chat or of a thread: a burst of a few thousand. */
export const HISTORY_PAGES_MAX = 5;
/** Threads of a chat that are read: each is a call, of which Slack takes fifty in a minute. */
export const HISTORY_THREADS_MAX = 50;
/** Chats whose history is read after a connection: likewise, in a few minutes. */
export const HISTORY_CHATS_MAX = 200;
/** Chats whose history is read at once. */
export const HISTORY_CHATS_AT_ONCE = 4;
/** Waits for a limit of Slack within one look into the history. */
export const HISTORY_WAITS_MAX = 20;
/** Waits of a look for a send of ours, all together: its outcome is being waited for. */
export const LOOK_MS = 10 * SECOND_MS;
/** Before the connection, of a chat that has no place yet: the clock of this machine may be ahead. */
export const SINCE_OVERLAP_MS = 10 * MINUTE_MS;

/** Names of people and of chats that are remembered. */
export const NAMES_MAX = 2000;
/** For how long: people rename themselves. */
export const NAME_MS = 60 * MINUTE_MS;
/** For how long it is remembered that one could not be had. */
export const NO_NAME_MS = MINUTE_MS;
/** People named in one message whose names are looked up; of more the ids are shown. */
export const MENTIONS_MAX = 20;
