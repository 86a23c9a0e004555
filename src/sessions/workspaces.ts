import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { OperatingError } from '../base/errors.ts';
import {
  STATE_BYTES,
  STATE_MEASURE_MS,
  WORKSPACE_MEASURE_MS,
  WORKSPACE_MEASURE_NEAR_MS,
} from '../base/limits/sandbox.ts';
import type { Paths } from '../base/paths.ts';
import { showSize } from '../base/text.ts';
import type { LimitState, Runtime, SandboxSpec } from '../runtimes/runtime.ts';
import { imagesProblem, mountWorkspace, unmountWorkspace } from '../runtimes/workspace_image.ts';
import { setStateAside } from './folders.ts';
import { limitOf, measure, nextLook, stateWatch, WorkspaceWatch } from './workspace_watch.ts';

/**
 * The cap on each group's workspace, by what the machine can do: an image that is mounted before the group's first sandbox
 * starts (`runtimes/workspace_image.ts`), else measurements while one lives (`workspace_watch.ts`). An image that exists and
 * cannot be mounted stops the group: an enforced cap never becomes a watched one by itself.
 *
 * A session's state is measured on every machine. It is nobody's work: one that is over its cap is set aside, and the
 * next sandbox is given the conversation by the ledger.
 */
export interface WorkspaceUse {
  group: string;
  /** `limits.workspace`, in bytes. */
  bytes: number;
  spec: SandboxSpec;
  runtime: Runtime;
}

export interface WorkspaceKeeper {
  /**
   * Before a sandbox of the group starts. Resolves with what to call when nothing of that sandbox is left; rejects with
   * `OperatingError` when it must not start. `end` is called with the reason when the workspace, or the session's state,
   * is over its cap.
   */
  enter(use: WorkspaceUse, end: (reason: string) => void): Promise<() => void>;
}

/** What is live of one group. */
interface Live {
  /** Ends of its sandboxes. */
  ends: Set<(reason: string) => void>;
  watch: WorkspaceWatch | null;
  /** Sandboxes of one group are prepared one after the other: an image is made once. */
  prepared: Promise<void>;
}

export interface WorkspacesInput {
  paths: Paths;
  /** A workspace has not the size that its group asks for. */
  alert(kind: string, subject: string, text: string): void;
  clear(kind: string, subject: string): void;
}

const ALERT = 'workspace.size';
const FULL = 'workspace.full';

export class Workspaces implements WorkspaceKeeper {
  readonly #input: WorkspacesInput;
  readonly #live = new Map<string, Live>();
  /** Sessions whose state went over its cap. */
  readonly #over = new Set<string>();
  /** Groups whose workspace is a file system of its own. */
  readonly #mounted = new Set<string>();
  #images: Promise<string | null> | null = null;

  constructor(input: WorkspacesInput) {
    this.#input = input;
  }

  /** How the caps hold on this machine. The first call takes some 100 ms where it makes a trial image. Never rejects. */
  async limits(): Promise<LimitState[]> {
    const problem = await this.#problem();
    const [far, near] = [WORKSPACE_MEASURE_MS / 1000, WORKSPACE_MEASURE_NEAR_MS / 1000];
    return [
      problem === null
        ? { name: 'workspace_bytes', state: 'enforced', reason: 'a file system of its own for each group' }
        : {
            name: 'workspace_bytes',
            state: 'watched',
            reason: `measured every ${far} s, from half of it on every ${near} s: ${problem}`,
          },
      {
        name: 'state_bytes',
        state: 'watched',
        reason: `measured every ${STATE_MEASURE_MS / 1000} s while the disk fills, and set aside over ${showSize(STATE_BYTES)}`,
      },
    ];
  }

  /** Without those of groups that have been removed. */
  mounted(): string[] {
    return [...this.#mounted].filter((group) => existsSync(this.#input.paths.group(group).image));
  }

  async enter(use: WorkspaceUse, end: (reason: string) => void): Promise<() => void> {
    const live = this.#of(use.group);
    const prepared = live.prepared.then(() => this.#prepare(use));
    live.prepared = prepared.catch(() => {});
    await prepared;
    const state = await this.#watchState(use, end);
    live.ends.add(end);
    if ((await this.#problem()) !== null) this.#watch(live, use);
    return () => {
      state.stop();
      live.ends.delete(end);
      if (live.ends.size > 0) return;
      live.watch?.stop();
      live.watch = null;
    };
  }

  /** The host stops in order, and no sandbox lives: what was mounted is unmounted, so that a home can be moved or removed. */
  async close(): Promise<void> {
    for (const { prepared } of this.#live.values()) await prepared;
    for (const name of readdirSync(this.#input.paths.groups)) {
      const { image, workspace } = this.#input.paths.group(name);
      if (existsSync(image)) await unmountWorkspace(workspace);
    }
  }

  #of(group: string): Live {
    const known = this.#live.get(group);
    if (known !== undefined) return known;
    const made: Live = { ends: new Set(), watch: null, prepared: Promise.resolve() };
    this.#live.set(group, made);
    return made;
  }

  async #prepare(use: WorkspaceUse): Promise<void> {
    const { image, workspace: folder } = this.#input.paths.group(use.group);
    if (!this.#mounted.has(use.group)) this.#input.clear(FULL, use.group);
    const problem = await this.#problem();
    if (problem === null && use.spec.uid !== null) {
      const notice = await mountWorkspace({ folder, image, uid: use.spec.uid, bytes: use.bytes });
      this.#mounted.add(use.group);
      if (notice === null) this.#input.clear(ALERT, use.group);
      else this.#input.alert(ALERT, use.group, notice);
    } else if (existsSync(image)) {
      throw new OperatingError(
        'unavailable',
        `The workspace is in ${image}, which cannot be mounted here (${problem})`,
      );
    }
  }

  #watch(live: Live, use: WorkspaceUse): void {
    if (live.watch !== null) return;
    const { workspace } = this.#input.paths.group(use.group);
    const limit = limitOf(use.bytes);
    live.watch = new WorkspaceWatch(
      { name: 'the workspace', limit, wait: (now) => nextLook(limit, now) },
      () => measure(use.runtime, use.spec, workspace),
      (reason) => {
        this.#input.alert(FULL, use.group, `The sandboxes of ${use.group} ended: ${reason}.`);
        for (const end of live.ends) end(reason);
      },
    );
    live.watch.start();
  }

  /** A measurement is 50 ms of a processor, a container's 200: idle sessions of a disk that nobody fills have one in five minutes. */
  async #watchState({ spec, runtime }: WorkspaceUse, end: (reason: string) => void): Promise<WorkspaceWatch> {
    const { paths } = this.#input;
    const { session } = spec;
    if (this.#over.delete(session)) await setStateAside(paths, session);
    const watch = stateWatch(runtime, spec, paths.session(session).state, (reason) => {
      this.#over.add(session);
      end(reason);
    });
    watch.start();
    return watch;
  }

  #problem(): Promise<string | null> {
    this.#images ??= imagesProblem(join(this.#input.paths.cache, 'image-trial'));
    return this.#images;
  }
}
