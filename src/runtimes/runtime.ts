/**
 * The contract of a sandbox runtime: how a sealed process is started, ended and found again.
 *
 * The spec is data; each implementation turns it into an argv or a request by a pure function that tests can read.
 * Whatever the implementation, the process inside has: no network but loopback, no capabilities, no_new_privs, our
 * seccomp filter, its own pid, mount, net, ipc and uts namespaces, a uid that is not the host's root, a read-only
 * root, and exactly the binds, environment and limits of the spec.
 */

export interface Bind {
  /** Absolute path on the host. */
  source: string;
  /** Absolute path in the sandbox. */
  target: string;
  access: 'read' | 'write';
}

export interface SandboxLimits {
  memory_bytes: number;
  pids: number;
  /** Share of processors; 1 is one whole core. */
  cpus: number;
  /** Size of `/tmp`. */
  tmp_bytes: number;
  /** Size of `/dev/shm`. */
  shm_bytes: number;
  open_files: number;
  /** Written to each disk in a second, at most. */
  disk_write_bytes: number;
}

/**
 * Where a sandbox's system files come from: the host's own `/usr` with a generated `/etc`, or an image. `ref` is what the
 * runtime knows it by: an image's id for an engine, the absolute path of an unpacked root for bubblewrap.
 */
export type UserlandChoice = { kind: 'host' } | { kind: 'image'; ref: string };

export interface SandboxSpec {
  /** This home's short name; `reap` ends only sandboxes that carry it. */
  install: string;
  /** Unique among the install's sandboxes. */
  session: string;
  /** Host uid (and gid) of the group when the host is root; null: the host's own uid in a user namespace. */
  uid: number | null;
  binds: Bind[];
  /** The whole environment: nothing is inherited. */
  env: Record<string, string>;
  /** Absolute path of the program in the sandbox, and its arguments. */
  argv: string[];
  cwd: string;
  userland: UserlandChoice;
  /** An engine's OCI runtime (`runsc`); null: its default. Bubblewrap has none. */
  oci_runtime: string | null;
  limits: SandboxLimits;
}

export interface SandboxExit {
  code: number | null;
  signal: string | null;
  /** Why, where the runtime knows: `out of memory`, `start failed: …`. */
  reason: string | null;
}

export interface Sandbox {
  /** Host pid whose death by SIGKILL ends everything inside; for pid files and reports. */
  readonly pid: number;
  /** Id of the image that it was made of, as its engine says; without an engine there is none. */
  readonly image?: string;
  /** Resolves once, when nothing of the sandbox is left. Never rejects. */
  readonly exited: Promise<SandboxExit>;
  /** Ends everything inside, at once. Safe to call twice, and after the end. */
  kill(): void;
}

/**
 * How a limit holds on this machine: `enforced` by the kernel, `watched` by the host, which ends the session some time
 * after it was passed, or `absent`. The reason says by what, with which delay, or why not.
 */
export interface LimitState {
  name: keyof SandboxLimits | 'workspace_bytes' | 'state_bytes' | 'turn_ms' | 'output_bytes';
  state: 'enforced' | 'watched' | 'absent';
  reason: string;
}

export interface Runtime {
  readonly name: 'bubblewrap' | 'docker' | 'podman';
  /**
   * What stops this runtime on this machine, as sentences with the fix; empty when it can start. May take a second:
   * called when the host starts and by `status`, not per sandbox.
   */
  check(): Promise<string[]>;
  /** What the engine said of itself when it was last asked; null: there is none, or it has not answered yet. */
  engine(): string | null;
  /** Which of the resource limits hold on this machine. Never rejects: what cannot be found out is `absent`. */
  limits(): Promise<LimitState[]>;
  /**
   * Starts a sandbox. Resolves when its first process has been started (not when it is ready); rejects with
   * `OperatingError('unavailable')` when that cannot be. `onOutput` gets its standard output and error, in order.
   */
  start(spec: SandboxSpec, onOutput: (chunk: Buffer) => void): Promise<Sandbox>;
  /**
   * Ends what an earlier host of this install left behind: processes, containers, control groups, staging mounts.
   * Returns how many sandboxes it ended. Never touches another install's.
   */
  reap(install: string): Promise<number>;
}
