import { mkdirSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { Authority } from '../../src/authority/authority.ts';
import { TOOLS } from '../../src/authority/schema.ts';
import { systemClock } from '../../src/base/clock.ts';
import { noFaults } from '../../src/base/faults.ts';
import { HOST_FRAME_BYTES_MAX } from '../../src/base/limits/messages.ts';
import { silentLog } from '../../src/base/log.ts';
import { pathsOf } from '../../src/base/paths.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { hasMarks } from '../../src/ledger/marks.ts';
import type { SessionRow } from '../../src/ledger/sessions.ts';
import { isStopped } from '../../src/ledger/stops.ts';
import { HATCH_VERSION, type HostFrame, parseHostFrame } from '../../src/protocol/frames.ts';
import { encodeFrame, frameReader } from '../../src/protocol/framing.ts';
import type { Runtime, Sandbox, SandboxExit } from '../../src/runtimes/runtime.ts';
import { Tasks } from '../../src/scheduler/tasks.ts';
import { Asks } from '../../src/sessions/asks.ts';
import { Egress } from '../../src/sessions/egress.ts';
import type { SessionServices } from '../../src/sessions/services.ts';
import { Session } from '../../src/sessions/session.ts';
import { GatewayLines } from './gateway_lines.ts';
import { freshLedger, queueMessage, seedChat, TAKES, temporaryFolder } from './ledger_kit.ts';

/** One real session on a real ledger and a real hatch; the test itself is the sandbox. */

export const AUTHORITY: Authority = {
  version: 2,
  group: 'assistant',
  harness: 'probe',
  model: { provider: 'anthropic', name: 'm', upstream: 'https://api.example.com', secret: null },
  runtime: 'bubblewrap',
  oci_runtime: null,
  userland: 'host',
  packages: { apt: [], npm: [], pip: [] },
  mounts: [],
  egress: {},
  secrets: [],
  tools: [...TOOLS],
  budget: {},
  limits: {
    memory: 2 ** 30,
    pids: 64,
    cpus: 1,
    tmp: 2 ** 20,
    shm: 2 ** 20,
    workspace: 2 ** 30,
    files: 256,
    disk_write: 2 ** 20,
    turn: 60_000,
    idle: 60_000,
  },
};

/** A sandbox without a process: the test connects to its hatch, and says when it is gone. */
export class FakeSandbox implements Sandbox {
  readonly pid = 2 ** 22 + 1; // beyond every pid
  readonly exited: Promise<SandboxExit>;
  readonly heard: HostFrame[] = [];
  killed = false;
  /** False: `kill` is only noted, and the test calls `exit`. */
  exitsWhenKilled = true;
  exit: (reason?: string) => void;
  readonly #hatch: string;
  #socket: Socket | null = null;

  constructor(hatch: string) {
    this.#hatch = hatch;
    const { promise, resolve } = Promise.withResolvers<SandboxExit>();
    this.exited = promise;
    this.exit = (reason) => {
      this.#socket?.destroy();
      resolve({ code: 0, signal: null, reason: reason ?? null });
    };
  }

  kill(): void {
    this.killed = true;
    if (this.exitsWhenKilled) this.exit();
  }

  /** Connects and says hello and ready, as an honest runner does. */
  async ready(steer = false, resumed = true): Promise<void> {
    const socket = connect(this.#hatch);
    this.#socket = socket;
    socket.on('error', () => {});
    const read = frameReader(
      HOST_FRAME_BYTES_MAX,
      (bytes) => {
        const parsed = parseHostFrame(bytes);
        if (!parsed.ok) throw new Error(`the host sent what no runner takes: ${parsed.reason}`);
        return this.heard.push(parsed.frame) > 0;
      },
      (reason) => {
        throw new Error(reason);
      },
    );
    socket.on('data', read);
    await new Promise<void>((resolve) => socket.once('connect', resolve));
    this.send({ t: 'hello', v: HATCH_VERSION }, { t: 'ready', steer, resumed });
  }

  /** Several frames go out as one write: the host sees them together. */
  send(...frames: object[]): void {
    this.#socket!.write(Buffer.concat(frames.map(encodeFrame)));
  }

  turn(): Extract<HostFrame, { t: 'turn' }> | undefined {
    return this.heard.find((frame) => frame.t === 'turn');
  }
}

export interface SessionWorld {
  /** What the host says to the gateway, and what that answers. */
  gateway: GatewayLines;
  asks: Asks;
  ledger: Ledger;
  row: SessionRow;
  session: Session;
  /** What the session is made with. */
  services: SessionServices;
  sandboxes: FakeSandbox[];
  /** Kinds of what was raised. */
  alerts: string[];
  /** Queues a message and wakes the session; its inbound key. */
  say(text: string): number;
  /** The next sandbox that is started, once it is. */
  sandbox(number: number): Promise<FakeSandbox>;
}

interface Cleaned {
  after(clean: () => unknown): void;
}

export async function sessionWorld(context: Cleaned, authority: Partial<Authority> = {}): Promise<SessionWorld> {
  const home = temporaryFolder(context);
  const paths = pathsOf(home, { XDG_RUNTIME_DIR: home });
  for (const folder of [paths.run, paths.blobs, `${paths.logs}/sessions`, dirname(paths.ledger)])
    mkdirSync(folder, { recursive: true });
  const ledger = await freshLedger(context);
  const row = await ledger.write('seed', (db) => seedChat(db));
  const gateway = new GatewayLines(paths.gatewaySocket);
  await gateway.listen();
  const egress = new Egress(gateway.path, silentLog, {
    ...{ alert: () => {}, connected: () => {}, anchor: () => {}, secrets: () => {} },
    ...{ refused: () => {}, held: () => {}, heldEnded: () => {}, lost: () => {}, mark: () => {} },
    marks: (session) => hasMarks(ledger.db, Number(session.slice(1))),
    stopped: (group) => isStopped(ledger.db, group),
  });
  egress.start();
  const sandboxes: FakeSandbox[] = [];
  const alerts: string[] = [];
  const runtime: Runtime = {
    name: 'bubblewrap',
    check: async () => [],
    engine: () => null,
    limits: async () => [],
    reap: async () => 0,
    start: async (spec) => {
      sandboxes.push(new FakeSandbox(paths.session(spec.session).hatch));
      return sandboxes.at(-1)!;
    },
  };
  const deliver = (): void => {};
  const asks = new Asks({ ledger, clock: systemClock, deliver });
  const shown = `s${row.id}`;
  const services: SessionServices = {
    ledger,
    clock: systemClock,
    log: silentLog,
    faults: noFaults,
    paths,
    egress,
    workspaces: { enter: async () => () => {} },
    tools: {
      log: silentLog,
      ledger,
      clock: systemClock,
      capabilities: () => ({ ...TAKES, file_bytes_max: 1000 }),
      deliver,
      asks,
      tasks: new Tasks({
        ...{ ledger, clock: systemClock, nudge: () => {}, zone: () => 'UTC' },
        scheduler: { look: () => {}, settle: () => {} },
      }).forAgents(),
      wish: async () => ({}),
      asked: () => {},
    },
    plan: async () => ({
      authority: { ...AUTHORITY, ...authority },
      harness: 'probe',
      runtime,
      controls: [],
      spec: {
        install: paths.install,
        session: shown,
        uid: null,
        binds: [],
        env: {},
        argv: [],
        cwd: '/',
        userland: { kind: 'host' },
        oci_runtime: null,
        limits: { memory_bytes: 0, pids: 0, cpus: 0, tmp_bytes: 0, shm_bytes: 0, open_files: 0, disk_write_bytes: 0 },
      },
      egress: { session: shown, group: 'assistant', policy: 'f'.repeat(64), socket: paths.session(shown).egress },
    }),
    start: (act) => act(),
    idle: () => {},
    released: () => {},
    takes: () => TAKES,
    claim: () => null,
    typing: { begin: () => {}, end: () => {} },
    drafts: null,
    deliver,
    alert: (kind) => alerts.push(kind),
    clear: () => {},
  };
  const session = new Session(row.id, services);
  context.after(async () => {
    asks.stop();
    session.drain(false);
    for (const sandbox of sandboxes) sandbox.exit();
    await session.abandon();
    egress.stop();
    await gateway.die();
    rmSync(paths.run, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  });
  return {
    asks,
    gateway,
    ledger,
    row,
    session,
    services,
    sandboxes,
    alerts,
    say(text) {
      const id = queueMessage(ledger.db, row, text);
      session.wake();
      return id;
    },
    async sandbox(number) {
      await eventually(() => sandboxes.length >= number);
      return sandboxes[number - 1]!;
    },
  };
}

/** Waits for a condition; a bounded loop. */
export async function eventually(done: () => boolean): Promise<void> {
  for (let i = 0; i < 1000 && !done(); i += 1) await new Promise((resolve) => setTimeout(resolve, 5));
  if (!done()) throw new Error(`not within 5 s: ${done}`);
}
