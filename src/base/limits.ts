/**
 * Every bound of the trusted code: a name, a unit, a reason. A limit that is not here does not exist;
 * a number in other code that bounds something belongs here.
 */

const KIB = 1024;
const MIB = 1024 * KIB;
const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;

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
/** Sandboxes alive at once: about 60 MB each on a small machine. */
export const SANDBOXES_MAX = 40;
/** Messages (person, agent, tool names) given to a harness that starts without its own memory of the session. */
export const RESEED_ENTRIES_MAX = 60;
/** UTF-8 bytes of such a reseed. */
export const RESEED_BYTES_MAX = 64 * KIB;
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
/** Terminals of one chat at once. */
export const LOCAL_CLIENTS_MAX = 32;

// --- Ledger -----------------------------------------------------------------------------------------------------

/** Backstop sweep for a lost wake-up. It counts how often it was needed; that number should stay 0. */
export const SWEEP_MS = 30 * SECOND_MS;
/** A row in a state that should be short-lived is overdue after this. */
export const OVERDUE_MS = 20 * MINUTE_MS;
/** Jobs of one group commit, without those that they ask for: bounds the time that one transaction holds the event loop. */
export const GROUP_COMMIT_MAX = 256;

// --- Control ----------------------------------------------------------------------------------------------------

/** Unread bytes of a stream before its reader counts as gone. */
export const CONTROL_BACKLOG_BYTES_MAX = 16 * MIB;
/** Body of one control request: the longest text in JSON escapes and the largest files in base64. */
export const CONTROL_BODY_BYTES_MAX = 13 * MIB;
/** Rows of one answer. */
export const CONTROL_ROWS_MAX = 1000;

// --- Output kept ------------------------------------------------------------------------------------------------

/** Sandbox output kept per session; then one line says that it was cut. */
export const SESSION_LOG_BYTES_MAX = 4 * MIB;
/** Bytes of one output stream of a sandbox that are read in a second: a runner prints some lines an hour. */
export const OUTPUT_BYTES_PER_SECOND_MAX = MIB;
/** A log file of the host or the gateway before it is rotated; one older file is kept. */
export const LOG_BYTES_MAX = 32 * MIB;

// --- Sandbox (defaults; a group.yaml may lower or raise them) ---------------------------------------------------

export const SANDBOX_MEMORY_BYTES = 1024 * MIB;
export const SANDBOX_PIDS = 256;
export const SANDBOX_CPUS = 1;
export const SANDBOX_TMP_BYTES = 256 * MIB;
export const SANDBOX_OPEN_FILES = 4096;
/** POSIX shared memory of one sandbox: Docker's own default; it counts towards the memory limit. */
export const SANDBOX_SHM_BYTES = 64 * MIB;
/** Bytes of a group's workspace, shared by its sessions: a few checkouts with their packages. */
export const WORKSPACE_BYTES = 2048 * MIB;
/** The smallest workspace: below it, the tables of its file system would be most of it. */
export const WORKSPACE_BYTES_MIN = 16 * MIB;
/** One file for so many bytes of a workspace's size: ext4's own ratio, 131,072 files in 2 GiB. */
export const WORKSPACE_BYTES_PER_FILE = 16 * KIB;
/** Between two measurements of a workspace that no file system caps: each is a sandbox of its own, 50 ms of a processor. */
export const WORKSPACE_MEASURE_MS = 10 * SECOND_MS;
/** The same from half of the limit on: what a disk can write meanwhile is what goes over. */
export const WORKSPACE_MEASURE_NEAR_MS = 2 * SECOND_MS;
/** One measurement: as many files as are allowed, from a cold disk, take some seconds. */
export const WORKSPACE_MEASURED_MS = 30 * SECOND_MS;
/** Measurements that may fail in a row: one may be the machine's load, the second ends the sandbox. */
export const WORKSPACE_BLIND_MAX = 2;
/** Output of one measurement: two numbers, and complaints about files that went away meanwhile. */
export const WORKSPACE_REPORT_BYTES_MAX = 64 * KIB;
/** One program on a workspace's image; a mount with a long journal takes a second. */
export const IMAGE_TOOL_MS = MINUTE_MS;
/** Requests of one workspace that its disk has at once; see `runtimes/loop_mount.ts` for what more of them cost the others. */
export const LOOP_REQUESTS = 4;
/** KiB of one such request: at 128 the others wait half as long again, and at 16 the agent writes a third slower. */
export const LOOP_REQUEST_KIB = 32;
/** What the kernel gives a loop device. */
export const LOOP_REQUESTS_DEFAULT = 128;
/** From an unmount to its loop device being free; longer only while a sandbox that outlives its host has it. */
export const LOOP_GONE_MS = SECOND_MS;
/** A workspace's files are moved, or its image is repaired: gigabytes on a slow disk. */
export const WORKSPACE_MOVE_MS = 15 * MINUTE_MS;
/** The list of a workspace's files, for comparing a copy: the longest names that its number of files allows. */
export const IMAGE_LISTING_BYTES_MAX = 256 * MIB;
/** Mounts of one group, and places that may be written: more cannot be read by a reviewer. */
export const MOUNTS_MAX = 32;
/** Names at the top of a folder that are looked at before it is mounted. */
export const MOUNT_ENTRIES_MAX = 10_000;
/** Self-checks of one group that are kept: three weeks of daily ones. */
export const PROOFS_KEPT = 21;
/** A group's boundary is proven in full once in this time. */
export const PROOF_EVERY_MS = 24 * 60 * MINUTE_MS;
/** Between two looks whether a proof is due: a start of the host must not be slowed by it. */
export const PROOF_LOOK_MS = 60 * MINUTE_MS;
/** What a sandbox may write to a disk in a second: beyond it, its syncs are what the ledger's wait for. */
export const SANDBOX_DISK_WRITE_BYTES = 20 * MIB;
/** Below it, a sandbox would need minutes to write what its programs need to start. */
export const DISK_WRITE_BYTES_MIN = MIB;
/** One write for so many bytes of it: 320 writes a second of any size beside 20 MiB. */
export const DISK_WRITE_UNIT_BYTES = 64 * KIB;
/** From being ready to the collection of what the start, its warm-up and its first proof have left. */
export const START_GARBAGE_MS = 3 * SECOND_MS;
/** Bytes of a reply, or a request, for one token where nobody understood its usage: three for text of any kind. */
export const METERED_BYTES_PER_TOKEN = 3;
/** What is reserved for a request to a model: its body up to a whole context of text, and an answer of some pages. */
export const ESTIMATED_BODY_BYTES = 600 * KIB;
export const ESTIMATED_OUTPUT_TOKENS = 4096;
/** Processor time is granted in slices of this many microseconds: the kernel's default. */
export const CPU_PERIOD_US = 100_000;
/** From SIGKILL to the last process of a sandbox being gone; after it the end is reported all the same. */
export const SANDBOX_GONE_MS = 5 * SECOND_MS;
/** The trial run that `check` makes of a runtime. */
export const RUNTIME_CHECK_MS = 10 * SECOND_MS;
/** An answer of the container engine: the list of all containers of a busy machine. */
export const ENGINE_ANSWER_BYTES_MAX = 8 * MIB;
/** Between two questions to a container engine that went away. */
export const ENGINE_RETRY_MS = SECOND_MS;
/** One call on the way to a running container: gVisor never answered when its process limit was too small. */
export const ENGINE_START_MS = 30 * SECOND_MS;
/** Added to a container's process limit under another OCI runtime: gVisor's own threads count; with 160 forks failed inside. */
export const OCI_RUNTIME_PIDS = 256;
/** RLIMIT_NPROC of a container's user, over all sandboxes of its group: what one may have (`pids`), as the highest setting. */
export const CONTAINER_USER_PROCESSES = 32_768;
/** Packages of one group's image, of each kind. */
export const PACKAGES_MAX = 100;
/** Building an image or a root: some hundred megabytes over a slow line. */
export const IMAGE_BUILD_MS = 30 * MINUTE_MS;
/** Highest inherited descriptor that is kept out of sandboxes; beyond it a start is refused. */
export const INHERITED_FD_MAX = 1023;
/** Sandbox output kept to explain a start that failed. */
export const START_OUTPUT_BYTES_MAX = 4 * KIB;
/** Groups' own host uids, when the host runs as root. Above every range a distribution hands out. */
export const GROUP_UID_FIRST = 2_000_000_000;
export const GROUP_UID_COUNT = 10_000;

// --- Gateway and vault ------------------------------------------------------------------------------------------

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
/** From asking to the refusal: a person with a phone at hand; below the longest turn, which would end it anyway. */
export const APPROVAL_MS = 10 * MINUTE_MS;
/** Characters of one header of a held request that are shown: the longest of those that name an operation. */
export const APPROVAL_HEADER_CHARS_MAX = 300;
/** UTF-8 bytes of a held body that are shown. */
export const APPROVAL_PREVIEW_BYTES_MAX = 2 * KIB;
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

// --- Self-check -------------------------------------------------------------------------------------------------

/** UTF-8 bytes of one observation of the self-check: the mount table of a sandbox with a hundred mounts. */
export const OBSERVATION_BYTES_MAX = 64 * KIB;
/** UTF-8 bytes of an observation's name, or of why it could not be made. */
export const OBSERVATION_KEY_BYTES_MAX = 300;
/** Output of one sandbox of the self-check: ten times what it says. */
export const INSPECTION_OUTPUT_BYTES_MAX = 512 * KIB;
/** From the start of a sandbox of the self-check to its end: ten times what a busy small machine needs. */
export const INSPECTION_MS = 20 * SECOND_MS;
/** What a limit is lowered to before the self-check exhausts it: enough for Node, and soon reached. */
export const EXHAUST_MEMORY_BYTES = 128 * MIB;
export const EXHAUST_PIDS = 48;
export const EXHAUST_TMP_BYTES = 8 * MIB;
export const EXHAUST_SHM_BYTES = 4 * MIB;
export const EXHAUST_OPEN_FILES = 256;

// --- A session's state ------------------------------------------------------------------------------------------

/** Bytes of what a harness and the agent's programs keep for one session: transcripts of years, and some caches. */
export const STATE_BYTES = 256 * MIB;
/** Between two looks at it: one costs 50 ms of a processor, with 20 sessions 3 % of one; a container's costs 200. */
export const STATE_MEASURE_MS = 30 * SECOND_MS;
/** While less than this was written to the disk since the last measurement, a look does not measure. */
export const STATE_UNSEEN_BYTES = 32 * MIB;
/** Looks in a row that do not measure at most: what others remove hides what is written. Ten are five minutes. */
export const STATE_UNSEEN_LOOKS = 10;
