import { KIB, MINUTE_MS, SECOND_MS } from './units.ts';

/** Bounds of who may talk and to whom: pairing, people who ask to be let in, wirings. */

// --- Pairing ----------------------------------------------------------------------------------------------------

/** From `glass pair` to the code in the chat: somebody with a phone in their hand. */
export const PAIRING_MS = 10 * MINUTE_MS;
/** Codes of one channel that are open at once: each message that names one is compared with all of them. */
export const PAIRINGS_OPEN_MAX = 10;
/** Characters of a code, of an alphabet of 32: 40 bits, against the tries that follow. */
export const PAIRING_CODE_CHARS = 8;
/** Wrong codes of one sender in an hour, then no answer until it is over: a person mistypes two or three times. */
export const PAIRING_TRIES_MAX = 5;
/** Wrong codes of all senders of a channel in an hour: then no code works there until it is over. */
export const PAIRING_TRIES_ALL_MAX = 60;
/** The hour in which tries are counted. */
export const TRIES_MS = 60 * MINUTE_MS;

// --- People -----------------------------------------------------------------------------------------------------

/** People in one list. */
export const PEOPLE_SHOWN_MAX = 1000;
/** Messages in an hour of somebody without a role that are answered in a public chat: a long talk, not a flood. */
export const PUBLIC_PER_HOUR_MAX = 30;

// --- Asking -----------------------------------------------------------------------------------------------------

/** A stranger's message, or one in a new chat, waits this long for a decision: whoever decides may be asleep. */
export const ASK_MS = 24 * 60 * MINUTE_MS;
/** Senders and chats that wait at once: a person who is asked more often stops reading. */
export const ASKS_PENDING_MAX = 20;
/** Who was refused is not asked about again for this long. */
export const ASK_AGAIN_MS = 7 * 24 * 60 * MINUTE_MS;
/** Characters of a message that a card shows. */
export const CARD_TEXT_CHARS_MAX = 300;
/** Files of a message that a card names: each is a line on a phone. */
export const CARD_FILES_MAX = 5;
/** Characters of a name or a title on a card. */
export const CARD_NAME_CHARS_MAX = 60;
/** Characters of the card of a held request; less where a platform's messages have less. */
export const CARD_REQUEST_CHARS_MAX = 3500;
/** Characters in a line of it that the agent wrote: a phone's app breaks longer ones itself. */
export const CARD_LINE_CHARS_MAX = 48;
/** Groups that a card offers to choose from; it says when there are more. */
export const CARD_CHOICES_MAX = 9;
/** A platform's answer to who can be written to alone. */
export const OPEN_DM_MS = 10 * SECOND_MS;

// --- What agents ask for ----------------------------------------------------------------------------------------

/** Characters of why an agent wants more: two or three sentences on a phone. */
export const WISH_REASON_CHARS_MAX = 500;
/** Packages of a kind, mounts, secrets, services, servers in one request: what a person reads before they say yes. */
export const WISH_THINGS_MAX = 10;
/** Rules of a service in one request. */
export const WISH_RULES_MAX = 20;
/** Requests of a group that wait at once: more than a few nobody reads. */
export const WISHES_PENDING_MAX = 3;
/** What was refused is not asked for again for this long. */
export const WISH_AGAIN_MS = 24 * 60 * MINUTE_MS;
/** Characters of what a request would change and of its reason: they are shown whole, on the smallest platform. */
export const WISH_CARD_CHARS_MAX = 1400;
/** Requests of a group in an hour, those that were refused at once too: what is refused says a little about the host. */
export const WISHES_PER_HOUR_MAX = 12;

// --- Agents that write to agents --------------------------------------------------------------------------------

/** Agents that a message comes through, answers too: three questions and their answers. Two that thank each other end here. */
export const AGENT_HOPS_MAX = 6;
/** Messages of a group to other agents in an hour: a loop over new conversations ends here. */
export const AGENT_MESSAGES_PER_HOUR_MAX = 60;

// --- What agents ask and show ------------------------------------------------------------------------------------

/** Characters of a question: what a person reads on a phone before they answer. */
export const ASK_QUESTION_CHARS_MAX = 1000;
/** Options of a question: each is one digit to type. */
export const ASK_OPTIONS_MAX = 9;
/** Characters of an option: what fits on a button. */
export const ASK_OPTION_CHARS_MAX = 60;
/** UTF-8 bytes of an answer; what is longer is a message of its own. */
export const ASK_ANSWER_BYTES_MAX = 16 * KIB;
/** A question waits so long unless its agent says otherwise: somebody at lunch. */
export const ASK_MINUTES = 60;
/** The longest that one waits, and that the deadline of a turn stands still: somebody asleep. */
export const ASK_MINUTES_MAX = 24 * 60;
/** The shortest: one second. */
export const ASK_MINUTES_MIN = 1 / 60;
/** Questions of one turn. */
export const TURN_ASKS_MAX = 20;
/** Questions that wait in one chat at once: beyond it nobody knows which one an answer is to. */
export const CHAT_ASKS_MAX = 5;
/** Characters of a card's title, and of the name of one of its fields. */
export const CARD_TITLE_CHARS_MAX = 120;
/** Characters of a card's text. */
export const CARD_BODY_CHARS_MAX = 1500;
/** Fields of a card: a screen of a phone. */
export const CARD_FIELDS_MAX = 20;
/** Characters of a field's value. */
export const CARD_VALUE_CHARS_MAX = 300;

// --- Wirings ----------------------------------------------------------------------------------------------------

/** Characters of a pattern. */
export const PATTERN_CHARS_MAX = 200;
/** Characters of a message that a pattern is held against: with the one above, a millisecond at most. */
export const PATTERN_TEXT_CHARS_MAX = 4000;
/** Chats without a group in one list. */
export const UNWIRED_SHOWN_MAX = 50;
/** People that a wiring lists. */
export const LISTED_MAX = 100;
/** Without threads, an agent that was mentioned listens on for this long. */
export const STICKY_MS = 30 * MINUTE_MS;
/** Messages of others that a turn is shown: with those of a reseed they fit one frame. */
export const CONTEXT_MESSAGES_MAX = 30;
/** UTF-8 bytes of them. */
export const CONTEXT_BYTES_MAX = 16 * KIB;
