import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Authority } from '../authority/authority.ts';
import type { HarnessName } from '../base/config.ts';
import { messageOf, OperatingError } from '../base/errors.ts';
import { type Faults, guarded } from '../base/faults.ts';
import { SANDBOX_READY_MS } from '../base/limits/messages.ts';
import type { Paths } from '../base/paths.ts';
import type { HostFrame, RunnerFrame } from '../protocol/frames.ts';
import { type LimitHits, limitHits } from '../runtimes/limit_hits.ts';
import type { Runtime, Sandbox, SandboxExit, SandboxSpec } from '../runtimes/runtime.ts';
import type { Egress, EgressSession } from './egress.ts';
import { prepareFolders } from './folders.ts';
import { Hatch } from './hatch.ts';
import { SessionOutput } from './output.ts';
import type { WorkspaceKeeper } from './workspaces.ts';

/**
 * One sandbox from its start to its end: its folders, its two sockets, its process and its output. It has one end, which
 * is told once, after nothing of it is left, so that no next attempt ever runs beside it.
 */
export interface LiveSandboxInput {
  paths: Paths;
  /** Shown id: `s7`. */
  session: string;
  authority: Authority;
  harness: HarnessName;
  spec: SandboxSpec;
  egress: EgressSession;
  welcome: HostFrame;
}

export interface LiveSandboxHandlers {
  /** A checked frame. Returns the reason when it is out of place; then the sandbox ends. */
  onFrame(frame: RunnerFrame): string | null;
  onRefused(reason: string): void;
  /** Once, when everything of it is gone. */
  onEnd(reason: string): void;
}

export class LiveSandbox {
  readonly #input: LiveSandboxInput;
  readonly #handlers: LiveSandboxHandlers;
  readonly #egress: Egress;
  readonly #workspaces: WorkspaceKeeper;
  readonly #hatch: Hatch;
  readonly #output: SessionOutput;
  #sandbox: Sandbox | null = null;
  #reason: string | null = null;
  #ready: NodeJS.Timeout | null = null;
  #leave: () => void = () => {};
  #hits: LimitHits = { oom_kills: 0, forks_refused: 0 };
  readonly #up = Promise.withResolvers<void>();
  readonly #over = Promise.withResolvers<void>();

  constructor(input: LiveSandboxInput, egress: Egress, workspaces: WorkspaceKeeper, handlers: LiveSandboxHandlers) {
    this.#input = input;
    this.#egress = egress;
    this.#workspaces = workspaces;
    this.#handlers = handlers;
    this.#output = new SessionOutput(input.paths.session(input.session).log);
    this.#hatch = new Hatch(input.paths.session(input.session).hatch, input.welcome, {
      onFrame: (frame) => this.#frame(frame),
      onEnd: (reason) => this.end(reason),
      onRefused: handlers.onRefused,
    });
  }

  /**
   * Resolves when it is ready (which comes as a frame), or has ended before. Rejects with `OperatingError`; then nothing is left
   * and `onEnd` is not called.
   */
  async start(runtime: Runtime, faults: Faults): Promise<void> {
    try {
      const { authority, spec } = this.#input;
      const use = { group: authority.group, bytes: authority.limits.workspace, spec, runtime };
      this.#leave = await guarded(faults, 'workspace.prepare', () =>
        this.#workspaces.enter(use, (reason) => this.end(reason)),
      );
      prepareFolders(this.#input.paths, this.#input.session, authority.group, spec.uid);
      await Promise.all([this.#hatch.listen(), this.#egress.open(this.#input.egress)]);
      const sandbox = await guarded(faults, 'sandbox.start', () =>
        runtime.start(this.#input.spec, (chunk) => this.#output.write(chunk)),
      );
      this.#adopt(sandbox);
      await this.#up.promise;
    } catch (error) {
      this.#reason = 'start failed';
      this.#cleanUp();
      if (error instanceof OperatingError) throw error;
      throw new OperatingError('unavailable', `the sandbox could not start: ${messageOf(error)}`, undefined, error);
    }
  }

  get pid(): number | null {
    return this.#sandbox?.pid ?? null;
  }

  /** It is on its way out: nothing should be given to it any more. */
  get ending(): boolean {
    return this.#reason !== null;
  }

  /** Resolves when nothing of it is left, also of one that did not start. */
  get gone(): Promise<void> {
    return this.#over.promise;
  }

  /** What its limits have stopped in it since this was asked last; null: nothing. */
  limited(): LimitHits | null {
    if (this.#sandbox === null) return null;
    const [before, now] = [this.#hits, limitHits(this.#sandbox.pid)];
    const oom_kills = now.oom_kills - before.oom_kills;
    const forks_refused = now.forks_refused - before.forks_refused;
    if (oom_kills <= 0 && forks_refused <= 0) return null;
    this.#hits = now;
    return { oom_kills, forks_refused };
  }

  send(frame: HostFrame): void {
    this.#hatch.send(frame);
  }

  /** Before it is shown anything, the gateway knows what that makes of its session. False: it does not, and this ends. */
  async marked(): Promise<boolean> {
    try {
      await this.#egress.marked(this.#input.session);
      return true;
    } catch (error) {
      this.end(`the gateway does not know what it has seen: ${messageOf(error)}`);
      return false;
    }
  }

  /** Ends it, now. The first reason counts. */
  end(reason: string): void {
    if (this.#reason !== null) return;
    this.#reason = reason;
    this.#hatch.end(reason);
    this.#sandbox?.kill();
  }

  #adopt(sandbox: Sandbox): void {
    this.#sandbox = sandbox;
    const { paths, session } = this.#input;
    writeFileSync(pidFile(paths, session), `${sandbox.pid}\n`);
    this.#ready = setTimeout(() => this.end(`not ready after ${SANDBOX_READY_MS / 1000} s`), SANDBOX_READY_MS);
    void sandbox.exited.then((exit) => this.#exited(exit));
    if (this.#reason !== null) sandbox.kill();
  }

  #frame(frame: RunnerFrame): string | null {
    if (frame.t === 'ready' && this.#ready !== null) {
      clearTimeout(this.#ready);
      this.#ready = null;
      this.#up.resolve();
    }
    return this.#handlers.onFrame(frame);
  }

  #exited(exit: SandboxExit): void {
    const own = this.#reason;
    const natural = own === null || own === 'the sandbox closed the hatch';
    this.#reason = natural ? describeExit(exit) : own;
    this.#hatch.end(this.#reason);
    this.#cleanUp();
    this.#handlers.onEnd(this.#reason);
  }

  #cleanUp(): void {
    if (this.#ready !== null) clearTimeout(this.#ready);
    const { paths, session } = this.#input;
    this.#hatch.end('ended');
    this.#leave();
    this.#egress.close(session);
    this.#output.close();
    rmSync(pidFile(paths, session), { force: true });
    rmSync(paths.session(session).run, { recursive: true, force: true });
    this.#up.resolve();
    this.#over.resolve();
  }
}

/** Where the host notes the pid of a sandbox: for the operator, and for the crash matrix. */
function pidFile(paths: Paths, session: string): string {
  return join(paths.run, `sandbox-${session}.pid`);
}

function describeExit(exit: SandboxExit): string {
  if (exit.reason !== null) return exit.reason;
  if (exit.signal !== null) return `ended by ${exit.signal}`;
  return exit.code === 0 ? 'ended by itself' : `ended with code ${exit.code}`;
}
