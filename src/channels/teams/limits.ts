import { GIB, KIB, MIB, MINUTE_MS, SECOND_MS } from '../../base/limits/units.ts';

/** Bounds of the Teams driver: a name, a unit, a reason. */

/** Characters of one message: three bytes each, and 4 KiB for JSON and a card, within the 40 KB that Microsoft names. */
export const TEXT_CHARS_MAX = 12_200;
/** Buttons in one row of a card: Teams shows no more of one set. */
export const ROW_BUTTONS_MAX = 6;

/** From a call to its answer: Teams mostly answers within one second. */
export const CALL_MS = 20 * SECOND_MS;
/** Bytes of an answer that is read: an id, or an error. */
export const ANSWER_BYTES_MAX = 64 * KIB;
/** From the first to the last byte of a file: Teams waits fifteen seconds for our answer. */
export const FILE_MS = 10 * SECOND_MS;
/** Of a file to a person: Microsoft takes up to 60 MiB in one piece. */
export const OFFER_BYTES_MAX = 50 * MIB;
/** For how long a person may say yes to a file, and how much waits for that at most: the oldest go first. */
export const OFFER_MS = 7 * 24 * 60 * MINUTE_MS;
export const OFFERS_MAX = 100;
export const OFFERS_BYTES_MAX = GIB;
/** From the first to the last byte of a file that goes to its person. */
export const UPLOAD_MS = 2 * MINUTE_MS;
/** Texts that arrived while their file was not offered yet: remembered, so that a repetition does not say them twice. */
export const HALVES_MAX = 100;
/** First wait after a failure; doubles with each. */
export const BACKOFF_MS = SECOND_MS;
export const BACKOFF_MAX_MS = 5 * MINUTE_MS;
/** First wait before the host is given once more what it could not keep; doubles. */
export const KEEP_AGAIN_MS = 100;
export const KEEP_AGAIN_MAX_MS = 10 * SECOND_MS;
/** After this it is given up: it holds up its chat, and the host may be ill for longer. */
export const KEEP_MS = 5 * MINUTE_MS;

/** Difference between two clocks, either way: what Microsoft prescribes for its tokens. */
export const CLOCK_SKEW_S = 5 * 60;
/** Age of the keys that tokens are checked with: Microsoft changes them with a day's notice. */
export const KEYS_MS = 24 * 60 * MINUTE_MS;
/** Between two fetches for a key that nobody knows: whoever invents keys makes no more of them. */
export const KEYS_AGAIN_MS = MINUTE_MS;
/** Keys that are held: Microsoft has about ten. */
export const KEYS_MAX = 100;
/** Bytes of a list of keys with their certificates. */
export const KEYS_BYTES_MAX = 512 * KIB;
/** Characters of a token that are looked at: Microsoft's have about a thousand. */
export const TOKEN_CHARS_MAX = 8192;
/** So long before its end a token of ours is replaced. */
export const TOKEN_EARLY_MS = 5 * MINUTE_MS;
/** For how long a token is used that does not say. */
export const TOKEN_S = 10 * 60;

/** Messages of ours that began a thread of a channel, as far as we remember them. */
export const ROOTS_MAX = 2000;
