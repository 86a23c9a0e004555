import { FILE_BYTES_MAX } from '../../base/limits/messages.ts';
import { MINUTE_MS, SECOND_MS } from '../../base/limits/units.ts';

/** Bounds that are WhatsApp's own, and those of our part in it. */

/** Characters of a text message: its apps take more, and fold it. */
export const TEXT_CHARS_MAX = 4096;
/** Of the text beside a file. What is longer goes before the file, as a message of its own. */
export const CAPTION_CHARS_MAX = 1024;
/** Bytes of a file that goes out. WhatsApp takes documents of 2 GB; the host has its own bound below that. */
export const UPLOAD_BYTES_MAX = FILE_BYTES_MAX;
/** A reply that grows: each edit is a message to each of the other's devices, and who writes as no person does is banned. */
export const EDIT_EVERY_MS = 5 * SECOND_MS;

/** A question to WhatsApp that is part of a send: who is in a group, which devices somebody has. */
export const QUERY_MS = 15 * SECOND_MS;
export const UPLOAD_MS = 25 * SECOND_MS;
/** From its beginning to its acknowledgement by WhatsApp's server. A text and its file stay together below what delivery waits (`SEND_MS`). */
export const TEXT_MS = 20 * SECOND_MS;
export const FILE_MS = 35 * SECOND_MS;
/** One file that a person sent. */
export const DOWNLOAD_MS = 20 * SECOND_MS;
export const DOWNLOAD_ATTEMPTS = 2;

export interface Waits {
  /** After a connection that ended, and after a commit that failed; doubles with each. */
  first_ms: number;
  max_ms: number;
  /** After another program took our place: who comes back at once throws that one out, and so on. */
  replaced_ms: number;
  /** A send, for a connection that is being made. */
  connection_ms: number;
}
export const WAITS: Waits = {
  first_ms: SECOND_MS,
  max_ms: 5 * MINUTE_MS,
  replaced_ms: MINUTE_MS,
  connection_ms: 5 * SECOND_MS,
};
/** What Baileys' queue still holds when nothing has come out of it for so long is nothing that it tells of: it could not be read. */
export const QUEUE_STILL_MS = 30 * SECOND_MS;
/** Connections that WhatsApp asks for anew, one after the other, before a wait comes between them. */
export const RESTARTS_MAX = 3;

/** Messages that are decrypted and not yet committed; the next one stays undecrypted, and WhatsApp's, until there is room. */
export const INBOX_MAX = 256;
/** Messages that are fetched and committed at once, of all chats: each may hold a file of 8 MiB. */
export const TAKEN_AT_ONCE = 16;
/** Chains of a session that messages can still come from, as in Signal's own library (`MAX_RECEIVER_CHAINS`). */
export const CHAINS_MAX = 5;
/** Messages that can be quoted, and of ours that a device may ask for again: the latest so many. */
export const QUOTABLE_MAX = 2000;
export const RESENDABLE_MAX = 500;
/** Characters of a message that are shown where it is quoted. */
export const QUOTED_CHARS_MAX = 500;
/** Groups and reactions that are remembered; what is known of a group for so long. */
export const REMEMBERED_MAX = 2000;
export const GROUP_MS = 10 * MINUTE_MS;
/** Texts that arrived while their file did not: remembered, so that a repetition does not say them twice. */
export const HALVES_MAX = 100;
