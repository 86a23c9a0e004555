import { KIB, MIB, MINUTE_MS, SECOND_MS } from './units.ts';

/** Bounds of sandboxes, of what they are made from, and of the self-check. */

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
/** Processor time is granted in slices of this many microseconds: the kernel's default. */
export const CPU_PERIOD_US = 100_000;
/** From SIGKILL to the last process of a sandbox being gone; after it the end is reported all the same. */
export const SANDBOX_GONE_MS = 5 * SECOND_MS;
/** The trial run that `check` makes of a runtime. */
export const RUNTIME_CHECK_MS = 10 * SECOND_MS;
/** An answer of the container engine: the list of all containers of a busy machine. */
export const ENGINE_ANSWER_BYTES_MAX = 8 * MIB;
/** A question to a container engine, which it answers from memory, in milliseconds on a busy machine; one that hangs takes it and is silent. */
export const ENGINE_QUESTION_MS = 10 * SECOND_MS;
/** Between two questions to a container engine that went away. */
export const ENGINE_RETRY_MS = SECOND_MS;
/** That memory was used up reaches an engine by another way than that a container has ended, and may come second. */
export const ENGINE_OOM_MS = 200;
/** One call on the way to a running container: gVisor never answered when its process limit was too small. */
export const ENGINE_START_MS = 30 * SECOND_MS;
/** Added to a container's process limit under another OCI runtime: gVisor's own threads count; with 160 forks failed inside. */
export const OCI_RUNTIME_PIDS = 256;
/** RLIMIT_NPROC of a container's user, over all sandboxes of its group: what one may have (`pids`), as the highest setting. */
export const CONTAINER_USER_PROCESSES = 32_768;
/** Packages of one group's image, of each kind. */
export const PACKAGES_MAX = 100;
/** Servers of tools of one group: each is a process or more in its sandbox. */
export const MCP_SERVERS_MAX = 10;
/** Building an image or a root: some hundred megabytes over a slow line. */
export const IMAGE_BUILD_MS = 30 * MINUTE_MS;
/** Highest inherited descriptor that is kept out of sandboxes; beyond it a start is refused. */
export const INHERITED_FD_MAX = 1023;
/** Sandbox output kept to explain a start that failed. */
export const START_OUTPUT_BYTES_MAX = 4 * KIB;
/** Groups' own host uids, when the host runs as root. Above every range a distribution hands out. */
export const GROUP_UID_FIRST = 2_000_000_000;
export const GROUP_UID_COUNT = 10_000;
/** Ranges that installs of one machine begin in, by the hash of their home; all below 2^31, where some programs end. */
export const GROUP_UID_RANGES = 14_000;

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
