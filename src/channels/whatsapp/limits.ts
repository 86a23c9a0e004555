import { FILE_BYTES_MAX } from '../../base/limits/messages.ts';
import { MINUTE_MS, SECOND_MS } from '../../base/limits/units.ts';

/** Bounds that are WhatsApp's own, and those of our calls to it. */

/** Characters of a text message. */
export const TEXT_CHARS_MAX = 4096;
/** Of the text beside a file. What is longer goes before the file, as a message of its own. */
export const CAPTION_CHARS_MAX = 1024;
/** Of a text that has buttons. */
export const INTERACTIVE_CHARS_MAX = 1024;
/** Of the one parameter of a template. */
export const PARAMETER_CHARS_MAX = 1024;
/** Buttons below one message. */
export const BUTTONS_MAX = 3;
/** Characters of a button's title. */
export const TITLE_CHARS_MAX = 20;
/** Bytes of a file that goes out. WhatsApp takes documents of 100 MB; the host has its own bound below that. */
export const UPLOAD_BYTES_MAX = FILE_BYTES_MAX;
/** Bytes of a picture: 5 MB, as a document too. */
export const PICTURE_BYTES_MAX = 5_000_000;
/** A person's message opens the chat for free texts of ours for so long. */
export const WINDOW_MS = 24 * 60 * MINUTE_MS;

/** One call. A text, an upload and the message with the file stay together below what delivery waits (`SEND_MS`). */
export const CALL_MS = 15 * SECOND_MS;
export const UPLOAD_MS = 25 * SECOND_MS;
/** One file that a person sent; WhatsApp calls again after a while without an answer, and we then know the message. */
export const DOWNLOAD_MS = 20 * SECOND_MS;
export const DOWNLOAD_ATTEMPTS = 2;
/** Messages that are fetched and committed at once, of all chats: each may hold a file of 8 MiB. */
export const TAKEN_AT_ONCE = 16;
/** First wait after a failure; doubles with each. */
export const BACKOFF_MS = SECOND_MS;
export const BACKOFF_MAX_MS = 5 * MINUTE_MS;
/** To one person WhatsApp takes a message in six seconds, after a burst of 45. */
export const PAIR_PAUSE_MS = 6 * SECOND_MS;
/** Characters of what WhatsApp says in a refusal, as far as it is shown. */
export const SAID_CHARS_MAX = 200;

/** Chats whose last message is remembered, and reactions: the latest so many. */
export const CHATS_MAX = 2000;
/** When a person last wrote is kept so coarsely, and of so many people whose numbers end alike. */
export const HEARD_SAVE_MS = 10 * MINUTE_MS;
export const HEARD_CHATS_MAX = 40;
/** Files whose text went before them: what becomes of the file is said of the text. */
export const PARTS_MAX = 1000;
/** Texts that arrived while their file did not: remembered, so that a repetition does not say them twice. */
export const HALVES_MAX = 100;
