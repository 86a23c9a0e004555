import { MINUTE_MS, SECOND_MS } from '../../base/limits/units.ts';

/** Bounds that are Telegram's own, and those of our calls to it. */

/** UTF-16 units of a text, after its entities: the platform's. Counted with its markup here, so never beyond it. */
export const TEXT_CHARS_MAX = 4096;
/** The same of the text beside a file. What is longer goes before the file, as a message of its own. */
export const CAPTION_CHARS_MAX = 1024;
/** Bytes of a file that a bot may send: 50 MB. */
export const UPLOAD_BYTES_MAX = 50_000_000;
/** Bytes of a picture that is shown as one. */
export const PHOTO_BYTES_MAX = 10_000_000;
/** Characters of what a person who presses a button is shown. */
export const TOAST_CHARS_MAX = 200;
/** Updates of one answer: the platform's most. */
export const UPDATES_MAX = 100;
/** A poll without news is answered after this: proxies end what is silent for a minute. */
export const POLL_S = 30;
/** Over a webhook Telegram is asked so often whether it reaches us: soon after it was set, then with waits that double. */
export const HOOK_LOOK_FIRST_MS = 5 * SECOND_MS;
export const HOOK_LOOK_MS = 3 * MINUTE_MS;
/** After a conflict: a poll that nobody has ended for so long says that the other program is gone. */
export const ALONE_S = 3;
/** One call; below what delivery waits (`SEND_MS`), so that its outcome is known as one of ours. */
export const CALL_S = 50;
/** First wait after a failure; doubles with each. */
export const BACKOFF_MS = SECOND_MS;
export const BACKOFF_MAX_MS = 5 * MINUTE_MS;
/** Who has pressed is shown the outcome, if it comes within this; else only that the press was noticed. */
export const PRESS_MS = SECOND_MS;
/** One file that a person sent, and how often it is tried before the message goes on without. */
export const DOWNLOAD_MS = MINUTE_MS;
export const DOWNLOAD_ATTEMPTS = 3;
/** Texts that arrived while their file did not: remembered, so that a repetition does not say them twice. */
export const HALVES_MAX = 100;
