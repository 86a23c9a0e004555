import { MINUTE_MS, SECOND_MS } from './units.ts';

/** Bounds of what is exported to tools of others, and of what is collected for a person who helps. */

// --- Metrics and traces -----------------------------------------------------------------------------------------

/** Memory of the exporters' JavaScript: their packages need 30 MB; beyond it the thread ends, not the host. */
export const EXPORT_HEAP_MB = 128;
/** Spans that wait for the collector: some two thousand messages. What comes beyond it is counted and gone. */
export const EXPORT_SPANS_MAX = 20_000;
/** Spans of one request to the collector, and the longest wait until it leaves. */
export const EXPORT_BATCH_SPANS = 512;
export const EXPORT_BATCH_MS = 2 * SECOND_MS;
/** One request to the collector. */
export const EXPORT_REQUEST_MS = 10 * SECOND_MS;
/** No trace has gone through for so long: somebody is told. A collector's restart is nobody's. */
export const EXPORT_ALERT_MS = 10 * MINUTE_MS;
/** Between two lives of the thread: the first wait and the longest; it doubles. */
export const EXPORT_BACKOFF_MS = 5 * SECOND_MS;
export const EXPORT_BACKOFF_MAX_MS = 10 * MINUTE_MS;
/** How long the last spans may take to leave when the host ends. */
export const EXPORT_STOP_MS = 2 * SECOND_MS;
/** Messages whose trace has left, remembered so that none leaves twice. */
export const EXPORT_REMEMBERED_MAX = 10_000;
/** Messages whose trace is to be read yet: a gateway that is slow to answer must not fill the memory. */
export const EXPORT_UNREAD_MAX = 1000;
/** Events read in one look: the loop is the host's. */
export const EXPORT_EVENTS_MAX = 500;
/** Between two counts of all messages for the metrics: a count reads every row. */
export const METRICS_COUNT_MS = MINUTE_MS;
/** One scrape, the host's part in it. */
export const METRICS_SCRAPE_MS = 5 * SECOND_MS;

// --- The diagnostics bundle -------------------------------------------------------------------------------------

/** Bytes from the end of a log that a bundle has: some hundred lines. */
export const BUNDLE_LOG_BYTES_MAX = 128 * 1024;
/** Newest events in a bundle. */
export const BUNDLE_EVENTS_MAX = 500;
/** Characters of a string in it: a reason is one sentence. */
export const BUNDLE_STRING_CHARS_MAX = 300;

// --- Status and doctor ------------------------------------------------------------------------------------------

/** One question to a program about its version. */
export const VERSION_ASK_MS = 5 * SECOND_MS;
/** A command that mends: new units wait for a drain. */
export const MEND_COMMAND_MS = 2 * MINUTE_MS;
/** Files that the doctor looks at below the home: what lies in workspaces and states is the sandboxes'. */
export const DOCTOR_FILES_MAX = 20_000;
/** A time stamp that is farther ahead: the clock was set back since. */
export const CLOCK_AHEAD_MS = 2 * MINUTE_MS;
/** Descriptors that host and gateway need: forty sandboxes with five each, and their clients. */
export const OPEN_FILES_MIN = 1024;
/** Processes of an account: forty sandboxes of some fifty. */
export const PROCESSES_MIN = 2048;
/** `fs.inotify.max_user_instances`: a harness watches its files, in each of forty sandboxes. */
export const INOTIFY_INSTANCES_MIN = 128;
/** Free inodes of the home's disk. */
export const INODES_FREE_MIN = 10_000;
