import { KIB, MIB, MINUTE_MS, SECOND_MS } from './units.ts';

/** Bounds of drivers, which run other people's packages, and of what comes in over HTTP. */

// --- A driver's thread ------------------------------------------------------------------------------------------

/** Memory of a driver's JavaScript: a large library's working set, ten times over; beyond it the thread ends, not the host. */
export const DRIVER_HEAP_MB = 256;
/** Of it, what a driver has just made: a message's worth, many times over. Node's own measure costs each thread 4 MB more. */
export const DRIVER_YOUNG_MB = 4;
/** From the thread's start to an open driver: large packages from a cold disk. */
export const DRIVER_OPEN_MS = 30 * SECOND_MS;
/** From `start` to its end: a platform that answers slowly; a longer one is given up and begun again. */
export const DRIVER_START_MS = 60 * SECOND_MS;
/** One call of the contract other than `send`, which delivery bounds. */
export const DRIVER_CALL_MS = 60 * SECOND_MS;
/** How often a driver must show that its loop turns, and after how much silence it is taken for hung. */
export const DRIVER_PING_MS = 5 * SECOND_MS;
export const DRIVER_HUNG_MS = 20 * SECOND_MS;
/** How long a driver may take to end in order. */
export const DRIVER_STOP_MS = 5 * SECOND_MS;
/** Calls to the host that have no answer yet: one that goes on without waiting for commits would fill the memory. */
export const DRIVER_CALLS_MAX = 256;
/** Of an event that no driver could read: bytes of its text, and how many a channel keeps. */
export const UNREADABLE_BYTES_MAX = 64 * 1024;
export const UNREADABLE_KEPT_MAX = 1000;
/** Characters of a reason or a detail that a driver gives. */
export const DRIVER_REASON_CHARS_MAX = 300;
/** Lines that a driver's packages print, kept in the log of one life. */
export const DRIVER_LINES_MAX = 200;

// --- Its lives --------------------------------------------------------------------------------------------------

/** Between two lives: the first wait and the longest; it doubles. */
export const DRIVER_BACKOFF_MS = SECOND_MS;
export const DRIVER_BACKOFF_MAX_MS = 5 * MINUTE_MS;
/** A life of this length was a good one: the next wait is the first again. */
export const DRIVER_GOOD_MS = 2 * MINUTE_MS;
/** Not connected for so long, somebody is told; a platform's short trouble is nobody's. */
export const CHANNEL_DEAF_MS = 15 * SECOND_MS;
/** Failed sends in a row, of any chats, that open the breaker; how long it stays open at first, and at most. */
export const BREAKER_FAILURES = 5;
export const BREAKER_OPEN_MS = 10 * SECOND_MS;
export const BREAKER_OPEN_MAX_MS = 10 * MINUTE_MS;
/** Channels of one install, drivers in threads: seven kinds, some twice. */
export const CHANNELS_MAX = 20;

/** `glass channel link`: from its start until somebody has scanned a picture, of which WhatsApp gives some for three minutes. */
export const CHANNEL_LINK_MS = 5 * MINUTE_MS;

// --- HTTP -------------------------------------------------------------------------------------------------------

/** Of one request: the largest event of a platform is some hundred KiB; files are fetched. */
export const WEBHOOK_BODY_BYTES_MAX = MIB;
export const WEBHOOK_HEADERS_BYTES_MAX = 16 * KIB;
/** From the first byte to the last. */
export const WEBHOOK_REQUEST_MS = 15 * SECOND_MS;
/** Requests that wait for their commit; more are told to come again. */
export const WEBHOOK_OPEN_MAX = 100;

// --- Trying one -------------------------------------------------------------------------------------------------

/** `glass channel test`: to be connected, to have a message taken, and for a person to answer it. */
export const CHANNEL_TEST_CONNECT_MS = 30 * SECOND_MS;
export const CHANNEL_TEST_SEND_MS = 30 * SECOND_MS;
export const CHANNEL_TEST_REPLY_MS = 2 * MINUTE_MS;
