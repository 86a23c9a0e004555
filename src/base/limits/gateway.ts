import { KIB, MIB, MINUTE_MS, SECOND_MS } from './units.ts';

/** Bounds of the gateway, the vault and the record of requests. */

/** A secret's value: the largest service-account JSON files are below this. */
export const SECRET_BYTES_MAX = 64 * KIB;
/** One question to what keeps the vault's key: a keyring that asks its person for a password takes longer, and is asked again. */
export const KEY_SERVICE_MS = 10 * SECOND_MS;
/** Secrets whose key is wrapped anew in one transaction: 2 ms, in which no request is served. */
export const ROTATION_BATCH = 50;
/** A token service answers within this, with a token and some words about it. */
export const OAUTH_REPLY_MS = 15 * SECOND_MS;
export const OAUTH_REPLY_BYTES_MAX = 64 * KIB;
/** Life of an access token whose service does not say: what most of them give. */
export const OAUTH_LIVES_S = 3600;
/** An access token is no longer given out so long before its end: the longest request that may still be on its way. */
export const OAUTH_EARLY_MS = MINUTE_MS;
/** Between a token service's failure, or a new token's refusal, and the next question: agents repeat what failed. */
export const OAUTH_RETRY_MS = 5 * SECOND_MS;
/** Request body on a model route: a prompt with images. */
export const MODEL_BODY_BYTES_MAX = 32 * MIB;
/** Header bytes of one request. */
export const HEADER_BYTES_MAX = 32 * KIB;
/** A model endpoint that sends no first byte for this long counts as hanging. */
export const MODEL_FIRST_BYTE_MS = 5 * MINUTE_MS;
/** A model stream that pauses for this long counts as cut. */
export const MODEL_IDLE_MS = 2 * MINUTE_MS;
/** Requests of one session at once. */
export const SESSION_REQUESTS_MAX = 16;
/** One line on gateway.sock or vault.sock. */
export const GATEWAY_LINE_BYTES_MAX = 256 * KIB;
/** The host waits this long for the gateway before a start of a sandbox counts as failed. */
export const GATEWAY_READY_MS = 15 * SECOND_MS;
/** A secret's shortest value: a shorter one would be found by accident in every reply that is searched for it. */
export const SECRET_BYTES_MIN = 8;
/** Secrets of one install: bounds the answer of `secret list` to one line. */
export const SECRETS_MAX = 500;
/** Headers of one request: four times what the busiest model client sends. */
export const HEADERS_MAX = 100;
/** Bytes of a request target; every allowed one is below 100. */
export const TARGET_BYTES_MAX = 8 * KIB;
/** Characters of a target kept in an audit row: enough to recognise an attempt, too few to fill the disk with one. */
export const AUDIT_PATH_CHARS_MAX = 512;
/** Rows of one `audit` answer, so that it fits one line. */
export const AUDIT_ROWS_MAX = 200;
/** Connections of one session's egress socket: running requests, and as many idle ones again, twice. */
export const SESSION_CONNECTIONS_MAX = 64;
/** Refusals per minute of one session that get a row of their own: an agent in a loop must not fill the disk. */
export const SESSION_REFUSALS_PER_MINUTE = 300;
/** From connection to the end of the headers: a local client needs milliseconds. */
export const AGENT_HEADERS_MS = 15 * SECOND_MS;
/** From the first to the last byte of a request: the largest body over a local socket takes below a second. */
export const AGENT_REQUEST_MS = 2 * MINUTE_MS;
/** How often an agent's connections are looked at for these: Node's own 30 s would make 15 into 45. */
export const AGENT_CHECK_MS = SECOND_MS;
/** An idle connection of an agent: longer than the pauses between two requests of a turn. */
export const AGENT_KEEP_ALIVE_MS = MINUTE_MS;
/** An idle connection to a model endpoint: below the idle limits of the large providers. */
export const MODEL_KEEP_ALIVE_MS = 30 * SECOND_MS;
/** Name, TCP and TLS of a new connection to a model endpoint. */
export const MODEL_CONNECT_MS = 10 * SECOND_MS;
/** Connections of one group to its model endpoint: four sessions at their limit. */
export const GROUP_CONNECTIONS_MAX = 64;
/** Informational (1xx) replies before one answer; more is an endpoint that misbehaves. */
export const MODEL_INFORMATIONAL_MAX = 8;
/** UTF-8 bytes of a model's name, as a reply states it. */
export const MODEL_NAME_BYTES_MAX = 200;
/** Connections of the operator's socket at once. */
export const VAULT_CONNECTIONS_MAX = 8;
/** Operations of one connection that run at once. */
export const SOCKET_REQUESTS_MAX = 256;
/** Unread bytes towards one peer of gateway.sock or vault.sock before it counts as stuck. */
export const SOCKET_BACKLOG_BYTES_MAX = 4 * MIB;
/** UTF-8 bytes of a request target that egress looks at: what servers take in a request line. */
export const EGRESS_TARGET_BYTES_MAX = 8 * KIB;
/** A body up to this, whose length is known, is read before its request leaves. */
export const SMALL_BODY_BYTES = 64 * KIB;
/** Pages of audit.db's log before they are moved: at SQLite's 1000, one request in 200 waited 4 ms for the disk. */
export const AUDIT_WAL_PAGES = 4000;
/** While requests are made, the head of the audit's chain is written into the ledger this often. */
export const AUDIT_ANCHOR_MS = MINUTE_MS;
/** The newest of those heads that a check compares: each vouches for all that came before it. */
export const AUDIT_ANCHORS_MAX = 200;
/** A request that began longer before the newest one cannot have been running at a crash: no turn is near as long. */
export const AUDIT_OPEN_MS = 24 * 60 * MINUTE_MS;

/** What `usd_per_idle_hour` means by an hour. */
export const IDLE_HOUR_MS = 60 * MINUTE_MS;
/** That people speak to a group is told to the gateway this often: once for a talk of many messages. */
export const SPOKEN_TOLD_MS = MINUTE_MS;

/** Request body towards a service: a push of a large repository. It streams, so that it costs no memory. */
export const EGRESS_BODY_BYTES_MAX = 512 * MIB;
/** Bytes of a WebSocket in each direction: as much as of a body. */
export const WEBSOCKET_BYTES_MAX = 512 * MIB;
/** Bytes that a control frame carries at most, by RFC 6455. */
export const WEBSOCKET_CONTROL_BYTES_MAX = 125;
/** A WebSocket on which nothing is sent either way for this long is closed: the large providers' own figure. */
export const WEBSOCKET_IDLE_MS = 10 * MINUTE_MS;
/** A WebSocket is closed after this, and its client connects again: with its secret of today, and within `AUDIT_OPEN_MS`. */
export const WEBSOCKET_AGE_MS = 120 * MINUTE_MS;
/** From the end of one side to the end of the other, which may still have to read. */
export const WEBSOCKET_CLOSE_MS = 5 * SECOND_MS;
/** A body that has to be read before it leaves (`deny_json`): sixteen of them wait in memory for one session. */
export const EGRESS_JSON_BYTES_MAX = 4 * MIB;
/** A body that waits for a person's decision, whole and in memory: what a person can still judge by its beginning. */
export const APPROVAL_BODY_BYTES_MAX = MIB;
/** Requests of one group that wait for a decision at once: a person who is asked more often stops reading. */
export const APPROVALS_PENDING_MAX = 3;
/** Questions to a person of one group in an hour: one who asks and takes back in a loop must not flood the chat. */
export const APPROVALS_PER_HOUR_MAX = 30;
/** Characters of what has marked a session: method, host and the beginning of a path. */
export const MARK_CAUSE_CHARS_MAX = 200;
/** From a request that marks its session to the host's word that this is on record: a commit, on a disk in trouble. */
export const MARK_RECORD_MS = 10 * SECOND_MS;
/** From asking to the refusal: a person with a phone at hand; below the longest turn, which would end it anyway. */
export const APPROVAL_MS = 10 * MINUTE_MS;
/** Characters of one header of a held request that are shown: the longest of those that name an operation. */
export const APPROVAL_HEADER_CHARS_MAX = 300;
/** UTF-8 bytes of a held body that are shown. */
export const APPROVAL_PREVIEW_BYTES_MAX = 2 * KIB;
/** Characters of a held body in one line to the host, as they are shown: beside what JSON makes of them there is room in a line. */
export const APPROVAL_BODY_PART_CHARS = 32 * KIB;
/** Held requests in one list, those that wait first. */
export const APPROVALS_SHOWN_MAX = 50;
/** Characters of an address in a line of a chat; the whole is in what `approval show` prints. */
export const APPROVAL_PLACE_CHARS_MAX = 200;
/** Characters of the reason that comes with a decision: one sentence. */
export const APPROVAL_REASON_CHARS_MAX = 300;
/** Levels of such a body: what deeper programs write by hand is an attempt. */
export const JSON_DEPTH_MAX = 100;
/** From CONNECT to the end of the TLS handshake: a local client needs milliseconds. */
export const AGENT_TLS_MS = 10 * SECOND_MS;
/** The certificate that sandboxes trust: as long as an install lives, and renewed long before its end. */
export const CA_LIVES_MS = 10 * 365 * 24 * 60 * MINUTE_MS;
export const CA_RENEWED_MS = 90 * 24 * 60 * MINUTE_MS;
/** A certificate for one host: short, because nobody can take it back. */
export const LEAF_LIVES_MS = 4 * 24 * 60 * MINUTE_MS;
/** Hosts with a certificate at once: a wildcard has any number of names, and each certificate is some KiB. */
export const LEAVES_KEPT_MAX = 512;
/** Bytes of a reply, or a request, for one token where nobody understood its usage: three for text of any kind. */
export const METERED_BYTES_PER_TOKEN = 3;
/** Of an event of a streamed reply, what is not its text: names, types and numbers. */
export const STREAM_EVENT_BYTES = 120;
/** What is reserved for a request to a model: its body up to a whole context of text, and an answer of some pages. */
export const ESTIMATED_BODY_BYTES = 600 * KIB;
export const ESTIMATED_OUTPUT_TOKENS = 4096;

/** Requests to a model, of one group and the newest, that failed one after the other: its endpoint is down. */
export const MODEL_FAILS_MAX = 3;
/** How far back they are looked for, and in how many rows: a busy hour. */
export const MODEL_FAILS_WINDOW_MS = 60 * MINUTE_MS;
export const MODEL_FAILS_ROWS_MAX = 500;
