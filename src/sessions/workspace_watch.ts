import { existsSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import {
  SANDBOX_DISK_WRITE_BYTES,
  SANDBOX_SHM_BYTES,
  STATE_BYTES,
  STATE_MEASURE_MS,
  STATE_UNSEEN_BYTES,
  STATE_UNSEEN_LOOKS,
  WORKSPACE_BLIND_MAX,
  WORKSPACE_BYTES_PER_FILE,
  WORKSPACE_MEASURE_MS,
  WORKSPACE_MEASURE_NEAR_MS,
  WORKSPACE_MEASURED_MS,
  WORKSPACE_REPORT_BYTES_MAX,
} from '../base/limits/sandbox.ts';
import { showSize } from '../base/text.ts';
import type { Runtime, SandboxSpec } from '../runtimes/runtime.ts';

/**
 * The cap of a workspace that no file system caps: it is measured again and again while a sandbox of the group lives, and
 * those sandboxes end once it is over. A turn may begin all the same, so that the agent can clean up; what is over may then
 * only get less.
 *
 * The measuring is done by a sealed sandbox of the same account that has nothing but the workspace, read-only: the host
 * walks no folder that an agent can write.
 */
export interface Usage {
  bytes: number;
  files: number;
}

/** What is measured, as a sentence names it, and what it may hold. */
export interface Watched {
  name: string;
  limit: Usage;
  /** Pure: milliseconds until the next look. */
  wait(now: Usage): number;
}

/** Resolves with a sentence when it could not measure, and never rejects. */
export type Look = () => Promise<Usage | string>;

/** `over`: why it must end; null: it may go on. `ceiling` is what the next measurement is held against. */
export interface Judgement {
  over: string | null;
  ceiling: Usage;
}

/** Pure. `ceiling` null: the first look, which only says where it stands. */
export function judge({ name, limit }: Pick<Watched, 'name' | 'limit'>, ceiling: Usage | null, now: Usage): Judgement {
  const may = ceiling ?? { bytes: Math.max(limit.bytes, now.bytes), files: Math.max(limit.files, now.files) };
  const next = {
    bytes: Math.max(limit.bytes, Math.min(may.bytes, now.bytes)),
    files: Math.max(limit.files, Math.min(may.files, now.files)),
  };
  if (now.bytes > may.bytes) return { over: `${name} is larger than ${showSize(limit.bytes)}`, ceiling: next };
  if (now.files > may.files) return { over: `${name} has more than ${limit.files} files`, ceiling: next };
  return { over: null, ceiling: next };
}

/** Pure: milliseconds until the next look. */
export function nextLook(limit: Usage, now: Usage): number {
  const near = now.bytes > limit.bytes / 2 || now.files > limit.files / 2;
  return near ? WORKSPACE_MEASURE_NEAR_MS : WORKSPACE_MEASURE_MS;
}

export function limitOf(bytes: number): Usage {
  return { bytes, files: Math.floor(bytes / WORKSPACE_BYTES_PER_FILE) };
}

/** Measures until it is stopped, then never calls again. `onOver` may be called more than once. */
export class WorkspaceWatch {
  readonly #watched: Watched;
  readonly #measure: Look;
  readonly #onOver: (reason: string) => void;
  #ceiling: Usage | null;
  #blind = 0;
  #timer: NodeJS.Timeout | null = null;
  #stopped = false;

  /** `ceiling` as `judge` has it. */
  constructor(watched: Watched, measure: Look, onOver: (reason: string) => void, ceiling: Usage | null = null) {
    this.#watched = watched;
    this.#ceiling = ceiling;
    this.#measure = measure;
    this.#onOver = onOver;
  }

  start(): void {
    void this.#look();
  }

  stop(): void {
    this.#stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  async #look(): Promise<void> {
    const found = await this.#measure();
    if (this.#stopped) return;
    const wait_ms = typeof found === 'string' ? this.#unseen(found) : this.#seen(found);
    this.#timer = setTimeout(() => void this.#look(), wait_ms).unref();
  }

  #seen(now: Usage): number {
    this.#blind = 0;
    const { over, ceiling } = judge(this.#watched, this.#ceiling, now);
    this.#ceiling = ceiling;
    if (over !== null) this.#onOver(over);
    return this.#watched.wait(now);
  }

  /** An agent can close its own folders: what cannot be measured is not allowed for long. */
  #unseen(why: string): number {
    this.#blind += 1;
    if (this.#blind >= WORKSPACE_BLIND_MAX) this.#onOver(`${this.#watched.name} cannot be measured (${why})`);
    return WORKSPACE_MEASURE_NEAR_MS;
  }
}

/**
 * Spares the measurements that would find the same again: while the disk is hardly fuller than at the last one, its answer
 * is given again, up to a number of times, because what others remove hides what is written. `known`: what is there
 * already; null: nobody knows.
 */
export function whenWritten(free: () => number, known: Usage | null, look: Look): Look {
  let before = free();
  let spared = 0;
  return async () => {
    const now = free();
    spared += 1;
    if (known !== null && spared < STATE_UNSEEN_LOOKS && now > before - STATE_UNSEEN_BYTES) return known;
    [before, spared] = [now, 0];
    const found = await look();
    known = typeof found === 'string' ? null : found;
    return found;
  };
}

/** The watch of a session's state. It has the cap from the beginning: what is over is set aside, not cleaned up. */
export function stateWatch(runtime: Runtime, spec: SandboxSpec, state: string, onOver: (reason: string) => void) {
  const limit = limitOf(STATE_BYTES);
  const known = existsSync(state) ? null : { bytes: 0, files: 0 };
  const look: Look = () => measure(runtime, { ...spec, session: `${spec.session}-state` }, state);
  const free = (): number => freeBytes(dirname(dirname(state)));
  const watched = { name: 'the session’s state', limit, wait: () => STATE_MEASURE_MS };
  return new WorkspaceWatch(watched, whenWritten(free, known, look), onOver, limit);
}

function freeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize;
}

/** Measures a folder of a session's spec. Resolves with a sentence when it could not. Never rejects. */
export async function measure(runtime: Runtime, session: SandboxSpec, folder: string): Promise<Usage | string> {
  let report = '';
  try {
    const sandbox = await runtime.start(measureSpec(session, folder), (chunk) => {
      if (report.length < WORKSPACE_REPORT_BYTES_MAX) report += chunk.toString('latin1');
    });
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      sandbox.kill();
    }, WORKSPACE_MEASURED_MS);
    await sandbox.exited;
    clearTimeout(timer);
    return late ? `not within ${WORKSPACE_MEASURED_MS / 1000} s` : readReport(report);
  } catch {
    return 'the measuring sandbox could not start';
  }
}

/** Blocks on the disk, each file once, and no other file system: what is counted is what fills the disk. */
const MEASURE = 'du -sx --block-size=1 /workspace; du -sx --inodes /workspace; echo measured';

function measureSpec(session: SandboxSpec, folder: string): SandboxSpec {
  return {
    ...session,
    session: `${session.session}-size`,
    binds: [{ source: folder, target: '/workspace', access: 'read' }],
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
    argv: ['/bin/sh', '-c', MEASURE],
    cwd: '/',
    limits: { ...MEASURE_LIMITS },
  };
}

/** A list of hard links is what `du` needs memory for; the processor is half of one, beside the session's own. */
const MEASURE_LIMITS = {
  memory_bytes: 256 * 2 ** 20,
  pids: 16,
  cpus: 0.5,
  tmp_bytes: 2 ** 20,
  shm_bytes: SANDBOX_SHM_BYTES,
  open_files: 256,
  disk_write_bytes: SANDBOX_DISK_WRITE_BYTES,
};

/** Pure. A file that goes away meanwhile is no failure; a folder that is closed hides what it holds. */
export function readReport(report: string): Usage | string {
  const [bytes, files] = [...report.matchAll(/^(\d+)\t\/workspace$/gm)].map((line) => Number(line[1]));
  if (/: Permission denied$/m.test(report)) return 'a folder in it is closed to its own account';
  if (bytes === undefined || files === undefined || !report.endsWith('measured\n'))
    return 'the measuring was cut short';
  return { bytes, files };
}
