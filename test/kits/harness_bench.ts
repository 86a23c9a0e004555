import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type {
  Harness,
  HarnessEvent,
  HarnessOptions,
  PlatformTools,
  ToolResult,
  TurnInput,
} from '../../sandbox/runner/harness.ts';
import { TOOL_DEFINITIONS } from '../../sandbox/tools/definitions.ts';
import type { HarnessName } from '../../src/base/config.ts';
import { installPackages } from '../../src/operations/package_install.ts';
import type { FrameFile, FrameMcp, FrameMessage, FrameModel } from '../../src/protocol/frames.ts';
import { packagesOf } from '../../src/sessions/harnesses.ts';

/** Opens a harness without a sandbox or a host, in temporary folders, and records everything that it reports. */

export type Done = Extract<HarnessEvent, { kind: 'done' }>;
export type Create = (options: HarnessOptions) => Harness;

const TURN_MS = 60_000;

/** Workspace and state of one session: outlives the harness instances that are opened on it. */
export class Place {
  readonly root = mkdtempSync(join(tmpdir(), 'glass-harness-'));
  readonly workspace = join(this.root, 'workspace');
  readonly state = join(this.root, 'state');

  constructor() {
    mkdirSync(this.workspace);
    mkdirSync(this.state);
  }

  /** Running processes that were given a folder of this place in their environment. */
  processes(): number[] {
    return readdirSync('/proc').flatMap((name) => {
      try {
        const here = /^\d+$/.test(name) && readFileSync(`/proc/${name}/environ`).includes(this.root);
        return here && Number(name) !== process.pid ? [Number(name)] : [];
      } catch {
        return [];
      }
    });
  }

  [Symbol.dispose](): void {
    // A harness has no end of its own: in a sandbox everything ends with it.
    for (const pid of this.processes()) process.kill(pid, 'SIGKILL');
    rmSync(this.root, { recursive: true, force: true, maxRetries: 5 });
  }
}

export interface OpenOptions {
  place: Place;
  create: Create;
  modelUrl: string | Promise<string>;
  model?: FrameModel;
  resume?: string | null;
  instructions?: string;
  mcp?: FrameMcp[];
  drafts?: boolean;
}

/** One opened harness. `turn` numbers count up; message ids are given by the test. */
export class Opened {
  readonly events: (HarnessEvent & { turn: number; at: number })[] = [];
  readonly tools = new FakeTools();
  readonly harness: Harness;
  resumed = false;
  #turn = 0;
  #waiting: ((end: Done | Error) => void) | null = null;

  private constructor(options: OpenOptions) {
    this.harness = options.create({
      model: options.model ?? { provider: 'anthropic', name: 'claude-sonnet-5', effort: null },
      instructions: options.instructions ?? '',
      resume: options.resume ?? null,
      modelUrl: async () => options.modelUrl,
      modelSocket: null,
      workspace: options.place.workspace,
      state: options.place.state,
      tools: this.tools,
      mcp: options.mcp ?? [],
      drafts: options.drafts ?? false,
      emit: (event) => this.#emit(event),
    });
  }

  static async open(options: OpenOptions): Promise<Opened> {
    const opened = new Opened(options);
    opened.resumed = (await opened.harness.open()).resumed;
    return opened;
  }

  /** Hands a turn over and resolves with its end. Rejects when the conversation is lost: a runner would end. */
  turn(messages: FrameMessage[], more: Partial<TurnInput> = {}): Promise<Done> {
    this.#turn += 1;
    const input = {
      turn: this.#turn,
      attempt: 1,
      messages,
      prior: [],
      notices: [],
      compact: false,
      transcript: [],
      ...more,
    };
    const done = new Promise<Done>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`turn ${input.turn} has no end`)), TURN_MS);
      this.#waiting = (end) => {
        clearTimeout(late);
        if (end instanceof Error) reject(end);
        else resolve(end);
      };
    });
    this.harness.start(input);
    return done;
  }

  /** Ids reported as taken, of one turn (by default the last one). */
  taken(turn: number = this.#turn): number[] {
    return this.events.flatMap((event) => (event.kind === 'taken' && event.turn === turn ? event.ids : []));
  }

  /** Resolves when something was reported that `found` accepts. */
  async until(found: (event: HarnessEvent) => boolean): Promise<void> {
    for (const end = Date.now() + TURN_MS; Date.now() < end; ) {
      if (this.events.some((event) => event.turn === this.#turn && found(event))) return;
      await pause(5);
    }
    throw new Error('what was waited for was not reported');
  }

  #emit(event: HarnessEvent): void {
    // The runner drops what a harness says between turns; here it shows up as an event of turn 0.
    this.events.push({ ...event, turn: this.#waiting === null ? 0 : this.#turn, at: performance.now() });
    if (event.kind !== 'done' && event.kind !== 'lost') return;
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.(event.kind === 'done' ? event : new Error('the conversation is lost'));
  }
}

/** The platform's tools without a host: records calls, answers at once. */
export class FakeTools implements PlatformTools {
  readonly definitions = TOOL_DEFINITIONS;
  readonly calls: { name: string; input: unknown }[] = [];
  /** The person who is asked. */
  onAsk: () => Promise<ToolResult> = async () => ({ ok: false, value: 'nobody answered' });

  async call(name: string, input: unknown): Promise<ToolResult> {
    this.calls.push({ name, input });
    return name === 'ask' ? this.onAsk() : { ok: true, value: `${name} done` };
  }

  async sendFile(path: string): Promise<ToolResult> {
    return { ok: false, value: `${path} cannot be opened` };
  }
}

export function message(id: number, text: string, files: FrameFile[] = []): FrameMessage {
  return { id, from: 'Ann', text, sent_ms: 1_780_000_000_000 + id * 1000, files };
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Installs a harness's packages when they are missing, so that its tests are never skipped. */
export async function requireHarness(name: HarnessName): Promise<void> {
  const root = join(import.meta.dirname, '../..');
  const packages = packagesOf(root, name);
  if (packages !== null) await installPackages(root, packages, (line) => process.stderr.write(`${line}\n`));
}
