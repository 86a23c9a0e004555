import { MIB, MINUTE_MS, SECOND_MS } from '../../base/limits/units.ts';

/** Bounds of the Discord driver: a name, a unit, a reason. */

/** Characters of one message of a bot. */
export const DISCORD_TEXT_CHARS_MAX = 2000;
/** Bytes of a file of a bot, on a server without boosts. */
export const UPLOAD_BYTES_MAX = 10 * MIB;
/** Characters of a button's label. */
export const BUTTON_CHARS_MAX = 80;
/** Buttons in one row. */
export const ROW_BUTTONS_MAX = 5;
/** Characters of a nonce. */
export const NONCE_CHARS_MAX = 25;
/** Characters of an embed's title, and of the name of one of its fields. */
export const EMBED_NAME_CHARS_MAX = 256;
/** Characters of an embed's text. */
export const EMBED_TEXT_CHARS_MAX = 4096;
/** Characters of a field's value. */
export const EMBED_VALUE_CHARS_MAX = 1024;
/** Characters of all that together: above it Discord refuses the message. */
export const EMBED_CHARS_MAX = 6000;
/** Characters of what the menu says of a command. */
export const SUMMARY_CHARS_MAX = 100;

/** From a call to its answer: Discord mostly answers within one second. */
export const CALL_MS = 20 * SECOND_MS;
/** The same where a file goes with it, and from the first to the last byte of one that comes. */
export const FILE_MS = 50 * SECOND_MS;
/** From the opening of a connection to each of its first words. */
export const HELLO_MS = 30 * SECOND_MS;
/** First wait after a failure; doubles with each. */
export const BACKOFF_MS = SECOND_MS;
export const BACKOFF_MAX_MS = 5 * MINUTE_MS;
/** First wait before the host is given once more what it could not keep; doubles, up to `BACKOFF_MAX_MS`. */
export const KEEP_AGAIN_MS = 100;
/** A connection that lasted for longer is followed by the next one at once. */
export const STABLE_MS = 10 * SECOND_MS;
/** Failures in a row after which a session is given up and the history read instead. */
export const RESUMES_MAX = 3;
/** A stop waits so long for the other side to close too. */
export const CLOSE_MS = SECOND_MS;

/** How far back a chat is read for what was missed: somebody's week. */
export const HISTORY_BACK_MS = 7 * 24 * 60 * MINUTE_MS;
/** Messages in one page of a history: the most that Discord gives. */
export const HISTORY_PAGE = 100;
/** Pages of a chat: a burst of a few thousand. */
export const HISTORY_PAGES_MAX = 30;
/** Chats of a server, and direct chats, that are read after a connection: Discord takes fifty calls in a second. */
export const HISTORY_CHATS_MAX = 200;
/** Chats that are read at once. */
export const HISTORY_CHATS_AT_ONCE = 4;
/** Pages in which a lost send is looked for: it was among the newest. */
export const LOOK_PAGES_MAX = 3;
/** Sends of ours whose echo is remembered, to find one whose answer was lost. */
export const ECHOES_MAX = 1000;

/** Characters of a thread's name: Discord takes 100, and its list of threads shows less. */
export const THREAD_NAME_CHARS_MAX = 60;
/** Minutes without a word after which Discord takes a thread off the list: a day. Whoever writes there brings it back. */
export const THREAD_IDLE_MINUTES = 1440;
/** Mentions of which is remembered what their threads are to be called, and that there is none. */
export const BEGUN_MAX = 1000;

/** Names of people that are remembered. */
export const NAMES_MAX = 2000;
/** Channels that are remembered: a large server has a few hundred, and threads. */
export const CHANNELS_MAX = 20_000;
