import { KIB, MIB, MINUTE_MS, SECOND_MS } from './units.ts';

/**
 * Bounds of what a message passes: chats, hatch, delivery, ledger, control socket. As all of this folder: a name, a unit, a reason.
 * A limit that is not in this folder does not exist; a number in other code that bounds something belongs here.
 */

// --- Messages ---------------------------------------------------------------------------------------------------

/** UTF-8 bytes of one inbound message: four times the longest text a supported platform lets a person send. */
export const MESSAGE_TEXT_BYTES_MAX = 256 * KIB;
/** UTF-8 bytes of one reply or send: what a person would still read; a longer result belongs in a file. */
export const OUTBOUND_TEXT_BYTES_MAX = 256 * KIB;
/** Free bytes of the home's disk below which it counts as nearly full: a day of logs and a model's files. */
export const DISK_FREE_BYTES_MIN = 1024 * MIB;
/** Files of one message: what a person picks at once. */
export const MESSAGE_FILES_MAX = 5;
/** Bytes of all files of one message: a few photos or a long PDF, within what a model's endpoint takes at once. */
export const MESSAGE_FILES_BYTES_MAX = 8 * MIB;
/** UTF-8 bytes of a file's name as a person gives it: what Linux file systems take. */
export const FILE_NAME_BYTES_MAX = 255;
/** UTF-8 bytes of a file's name as an agent sees it: readable in a line of a prompt. */
export const SHOWN_NAME_BYTES_MAX = 100;
/** Characters of a sender's or a chat's name, as platforms let people choose them. */
export const NAME_CHARS_MAX = 200;
/** Messages handed to one turn: bounds the frame and the prompt; the rest waits for the next turn. */
export const TURN_MESSAGES_MAX = 50;
/** UTF-8 bytes of all texts handed to one turn, so that a batch of long messages still fits one frame. */
export const TURN_TEXT_BYTES_MAX = 512 * KIB;
/** Bytes of all files handed to one turn: in base64 they still fit one request to the model. */
export const TURN_INBOX_BYTES_MAX = 16 * MIB;
/** Sends committed by one turn: an agent in a loop must not flood a chat. */
export const TURN_SENDS_MAX = 100;
/** Sandboxes that may die over one turn, or one message: the third death says that the message itself is the cause. */
export const TURN_DEATHS_MAX = 3;
/** From this death on, a turn of several messages is taken apart, so that one poisonous message fails alone. */
export const TURN_DEATHS_SPLIT = 2;
/** Tool reports of one turn: each is a row; a busy turn has a few hundred. */
export const TURN_TOOLS_MAX = 5000;
/** UTF-8 bytes of one message that an earlier attempt sent, as the next one is told it. */
export const PRIOR_TEXT_BYTES_MAX = 2 * KIB;
/** Messages of one turn with those that joined it while it ran. */
export const TURN_JOINED_MAX = 200;
/** Longest run of one turn before it is interrupted. */
export const TURN_DEADLINE_MS = 15 * MINUTE_MS;
/** From an interrupt to the end of the sandbox, if the harness does not stop by itself. */
export const INTERRUPT_GRACE_MS = 5 * SECOND_MS;
/** Longest duration that a file may set: a timer of the runtime holds 2^31 - 1 ms. */
export const DURATION_MAX_MS = 24 * 24 * 60 * MINUTE_MS;
/** Planned shutdown: how long running turns may go on before they are interrupted. */
export const DRAIN_MS = 10 * SECOND_MS;
/** A live sandbox without work is ended after this; its next message starts it cold. */
export const SESSION_IDLE_MS = 10 * MINUTE_MS;
/** From the start of a sandbox to its `ready`: docker with a cold page cache needs seconds. */
export const SANDBOX_READY_MS = 60 * SECOND_MS;
/** How long a start keeps others from beginning: several times what the slowest runtime needs alone. */
export const START_HOLDS_UP_MS = 5 * SECOND_MS;
/** Sandboxes alive at once: about 60 MB each on a small machine. */
export const SANDBOXES_MAX = 40;
/** Messages (person, agent, tool names) given to a harness that starts without its own memory of the session. */
export const RESEED_ENTRIES_MAX = 60;
/** UTF-8 bytes of such a reseed. */
export const RESEED_BYTES_MAX = 64 * KIB;
/** UTF-8 bytes of one text in it: a pasted log must leave room for what was said around it. */
export const RESEED_ENTRY_BYTES_MAX = 8 * KIB;
/** Messages that may wait in one session; beyond it a person is told instead of being queued for hours. */
export const SESSION_QUEUE_MAX = 500;

// --- Hatch ------------------------------------------------------------------------------------------------------

/** One frame of the host: a turn of the largest texts, each control character of which is six bytes of JSON. */
export const HOST_FRAME_BYTES_MAX = 8 * MIB;
/** One frame of a sandbox: its largest text, in JSON escapes. */
export const RUNNER_FRAME_BYTES_MAX = 2 * MIB;
/** UTF-8 bytes of a file's path in a frame: /inbox, the message and the longest shown name. */
export const FRAME_PATH_BYTES_MAX = 400;
/** Names of platform tools in a frame: several times as many as there are. */
export const FRAME_TOOLS_MAX = 100;
/** UTF-8 bytes of a name, a notice or a summary in a frame. */
export const FRAME_NAME_BYTES_MAX = 4 * KIB;
/** UTF-8 bytes of a group's AGENTS.md: every turn pays for it. */
export const INSTRUCTIONS_BYTES_MAX = 128 * KIB;
/** Bytes of a tool call's input. */
export const CALL_INPUT_BYTES_MAX = 300 * KIB;
/** Unread bytes towards one sandbox before it counts as stuck. */
export const HATCH_BACKLOG_BYTES_MAX = 16 * MIB;
/** Frames per second from one sandbox: ten times what a busy streaming harness sends. */
export const FRAMES_PER_SECOND_MAX = 2000;
/** Bytes of them per second, after which they wait: a file of the largest size takes two seconds. Read by the host's one thread. */
export const HATCH_BYTES_PER_SECOND_MAX = 32 * MIB;
/** Between two reports of what there is of an answer: twice as often as a chat shows it. */
export const DELTA_EVERY_MS = 500;
/** UTF-8 bytes of such a report: the longest first message of a platform, each character of it four bytes. */
export const DELTA_BYTES_MAX = 16 * KIB;
/** Such reports in a second: five times what a runner sends. */
export const DELTAS_PER_SECOND_MAX = 10;
/** Tool calls of one sandbox waiting for their receipt. */
export const CALLS_PENDING_MAX = 32;
/** Calls of platform tools in one turn: each is a query or a write of the host, and at most `CALL_INPUT_BYTES_MAX` to read. */
export const TURN_CALLS_MAX = 1000;
/** Second connections to one hatch that are refused and recorded; then nobody can connect any more. */
export const HATCH_REFUSALS_MAX = 5;
/** From connection to a valid `hello`. */
export const HELLO_MS = 10 * SECOND_MS;
/** Bytes of one file chunk before base64: small enough to interleave with messages. */
export const FILE_CHUNK_BYTES_MAX = 128 * KIB;
/** Bytes of one file over the hatch. */
export const FILE_BYTES_MAX = 50 * MIB;
/** Files of one turn: each is a write to the disk, and a row. */
export const TURN_FILES_MAX = 100;
/** Bytes of all files of one turn. */
export const TURN_FILES_BYTES_MAX = 200 * MIB;
/** Files of one sandbox that are open at once. */
export const FILES_OPEN_MAX = 4;

// --- Delivery ---------------------------------------------------------------------------------------------------

/** Attempts at one outbound row before it is rejected: with the back-off below, about ten minutes. */
export const SEND_ATTEMPTS_MAX = 8;
/** First wait of the back-off; doubles with each attempt. */
export const SEND_BACKOFF_MS = 2 * SECOND_MS;
/** Longest wait of the back-off. */
export const SEND_BACKOFF_MAX_MS = 5 * MINUTE_MS;
/** One call of `channel.send`. */
export const SEND_MS = 60 * SECOND_MS;
/** A local client must acknowledge within this, or the message waits for the next client. */
export const LOCAL_ACK_MS = 5 * SECOND_MS;
/** Past messages shown to a terminal that connects. */
export const LOCAL_HISTORY_MAX = 50;
/** UTF-8 bytes of a reaction: an emoji of several parts, or the name of one. */
export const REACTION_BYTES_MAX = 100;
/** Characters of an answer before the chat shows what there is of it: a short one comes whole. */
export const DRAFT_CHARS_MIN = 80;
/** From the first word of an answer until the chat shows what there is of it: a quick one comes whole. */
export const DRAFT_DELAY_MS = SECOND_MS;
/** Between two edits of what is shown: most platforms take one message or edit a second in a chat. */
export const DRAFT_EVERY_MS = SECOND_MS;
/** From the beginning of a turn until its chat shows that somebody is busy: a quick answer needs no sign. */
export const TYPING_DELAY_MS = 250;
/** Between two such signs: on most platforms one lasts 5 s. */
export const TYPING_EVERY_MS = 4 * SECOND_MS;
/** A driver's call for such a sign before the next one is made all the same. */
export const TYPING_CALL_MS = 30 * SECOND_MS;
/** Terminals of one chat at once. */
export const LOCAL_CLIENTS_MAX = 32;
/** Characters that are read as Markdown at once: its lexer can need the square of it. */
export const DIALECT_PARSE_CHARS_MAX = 4096;
/** Marks (`*`, `[`, `<` …) among them: a hundred bold words. What has more is cut between two lines; one line is sent as text. */
export const DIALECT_MARKS_MAX = 400;
/** Lists and quotes within one another, in one line. */
export const DIALECT_NESTING_MAX = 20;

// --- Ledger -----------------------------------------------------------------------------------------------------

/** Backstop sweep for a lost wake-up. It counts how often it was needed; that number should stay 0. */
export const SWEEP_MS = 30 * SECOND_MS;
/** A row in a state that should be short-lived is overdue after this. */
export const OVERDUE_MS = 20 * MINUTE_MS;
/** Jobs of one group commit, without those that they ask for: bounds the time that one transaction holds the event loop. */
export const GROUP_COMMIT_MAX = 256;
/** Bytes of a ledger all of which is checked at a start: that takes 0.3 s. Of a larger one the indexes of messages are (decision 0062). */
export const LEDGER_CHECKED_BYTES_MAX = 32 * MIB;

// --- Emergency stop ---------------------------------------------------------------------------------------------

/** Killed sandboxes are gone within a tenth of this; what is not is told of as uncertain. */
export const STOP_WAIT_MS = 5 * SECOND_MS;
/** Evidence that the gateway gives later is left out of the receipt: it stays in the audit. */
export const STOP_EVIDENCE_MS = 3 * SECOND_MS;

// --- Control ----------------------------------------------------------------------------------------------------

/** Unread bytes of a stream before its reader counts as gone. */
export const CONTROL_BACKLOG_BYTES_MAX = 16 * MIB;
/** Refused requests of the control socket that a second of the log says. */
export const CONTROL_REFUSALS_LOGGED_MAX = 10;
/** Body of one control request: the longest text in JSON escapes and the largest files in base64. */
export const CONTROL_BODY_BYTES_MAX = 13 * MIB;
/** Rows of one answer. */
export const CONTROL_ROWS_MAX = 1000;
/** Matches of a search among texts: what a person looks through. */
export const TRACE_MATCHES_MAX = 20;
/** Texts that a search reads before others get their turn: some milliseconds. */
export const TRACE_PORTION = 1000;
/** Texts that a search reads that is not told how far back: a second or two of a processor. */
export const TRACE_SEARCHED_MAX = 200_000;
/** Characters of a text that is shown to be recognised. */
export const TRACE_TEXT_CHARS_MAX = 200;

// --- Output kept ------------------------------------------------------------------------------------------------

/** Sandbox output kept per session; then one line says that it was cut. */
export const SESSION_LOG_BYTES_MAX = 4 * MIB;
/** Bytes of one output stream of a sandbox that are read in a second: a runner prints some lines an hour. */
export const OUTPUT_BYTES_PER_SECOND_MAX = MIB;
/** A log file of the host or the gateway before it is rotated; one older file is kept. */
export const LOG_BYTES_MAX = 32 * MIB;

// --- Files kept -------------------------------------------------------------------------------------------------

/** From one prune of files and of what conversations left to the next: what is kept is counted in days. */
export const PRUNE_EVERY_MS = 24 * 60 * MINUTE_MS;
/** Files that have been there for less are never removed: whoever has stored them may still be about to name them. */
export const FILE_YOUNG_MS = 24 * 60 * MINUTE_MS;
/** Files whose rows are marked in one transaction: bounds the time that it holds the event loop. */
export const PRUNE_FILES_MAX = 10_000;
/** How long the bytes of files are kept, unless `glass.yaml` says otherwise: a quarter of a year, for questions about it. */
export const FILES_KEEP_DAYS = 90;
/** Bytes of all files kept, unless `glass.yaml` says otherwise: a few months of photos, on the disk of a small server. */
export const FILES_ROOM_BYTES = 10 * 1024 * MIB;
/**
 * How long hops and requests are kept, unless `glass.yaml` says otherwise: a year, and the month in which somebody reviews it. At a
 * thousand messages a day that is about a gigabyte.
 */
export const EVENTS_KEEP_DAYS = 400;
/** The least: budgets, rates and requests that still run look back a day, and whoever is to look into something needs some. */
export const EVENTS_KEEP_DAYS_MIN = 7;
/** Hops that are checked, or requests that are checked or removed, before others get their turn: some milliseconds. */
export const EVENTS_AT_ONCE = 500;
/** Hops that are removed in one transaction: some twenty milliseconds of it. */
export const EVENTS_CUT_AT_ONCE = 2000;
/** A log gets a head of the two chains this often at most: some three hundred kilobytes a day. */
export const ANCHOR_LOGGED_MS = MINUTE_MS;

// --- Conversations put into summaries ---------------------------------------------------------------------------

/** UTF-8 bytes of a summary: two thousand words, a fraction of what it replaces. */
export const COMPACT_SUMMARY_BYTES_MAX = 16 * KIB;
/** Summaries of one turn: a long one may fill a model's context more than once. */
export const TURN_COMPACTIONS_MAX = 10;

/** UTF-8 bytes of the index of an agent's notes that each conversation begins with: two pages. */
export const MEMORY_INDEX_BYTES_MAX = 8 * KIB;

// --- Tasks ------------------------------------------------------------------------------------------------------

/** Tasks of one group that are not removed: what a person can still oversee. */
export const TASKS_MAX = 100;
/** UTF-8 bytes of what a task asks, and of its gate. */
export const TASK_TEXT_BYTES_MAX = 16 * KIB;
/** The shortest interval of a task: below it an agent would never be idle. */
export const TASK_EVERY_MS_MIN = MINUTE_MS;
/** The farthest time of a task. */
export const TASK_AHEAD_MS_MAX = 10 * 366 * 24 * 60 * MINUTE_MS;
/** A task that skips what it missed still runs when it is late by less: a restart of the host is no miss. */
export const TASK_LATE_MS = 2 * MINUTE_MS;
/** Times that were missed while the host was down and are made up for one by one; of more of them, one. */
export const TASK_CATCH_UP_MAX = 24;
/** First wait after a run that failed; doubles with each. */
export const TASK_BACKOFF_MS = 2 * MINUTE_MS;
export const TASK_BACKOFF_MAX_MS = 60 * MINUTE_MS;
/** Runs that fail in a row before a task is paused and its people are told. */
export const TASK_FAILURES_MAX = 8;
/** Between two looks at the clock while a time is awaited: somebody may have set it. */
export const TASK_CLOCK_MS = MINUTE_MS;
/** Runs of a task that are kept in its log. */
export const TASK_RUNS_KEPT = 50;
/** From the start of a gate to its end. */
export const TASK_GATE_MS = MINUTE_MS;
/** UTF-8 bytes of a gate's output that the agent is shown. */
export const TASK_GATE_OUTPUT_BYTES_MAX = 16 * KIB;
