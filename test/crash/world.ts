import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { SANDBOX_READY_MS } from '../../src/base/limits/messages.ts';
import { type Paths, pathsOf } from '../../src/base/paths.ts';
import { ControlClient } from '../../src/cli/control_client.ts';
import { LineClient } from '../../src/protocol/lines_client.ts';
import { DockerRuntime } from '../../src/runtimes/docker.ts';
import { engineSocket } from '../../src/runtimes/engine.ts';
import { applyGroup } from '../fakes/authorities.ts';
import { keptCodeOf } from '../fakes/code_cache.ts';
import { remove } from '../fakes/remove.ts';
import { keepWarmCode, takeWarmCode } from '../fakes/sandbox_code.ts';
import { TokenPlace } from '../fakes/token_place.ts';
import { openTunnel } from '../fakes/tunnel.ts';

/**
 * One install with everything around it: home, gateway and host as real processes that are started again whenever they
 * die, the fake platform that judges, and a service whose tokens have to be got first. A life is what a process does until its death; each life has its own fault.
 */
export interface FaultPlan {
  point: string;
  hit: number;
  kill: string[];
}

export interface WorldOptions {
  /** The checkout whose code runs: this one, or a sabotaged copy. */
  root: string;
  runtime: 'bubblewrap' | 'docker';
  /** Upstream of the group `thinker`, and what answers there. */
  modelOrigin: string;
  thinker: 'probe' | 'native' | 'claude';
  /** One entry a life; a life without one runs unharmed. */
  faults: { host: (FaultPlan | null)[]; gateway: (FaultPlan | null)[] };
  /** The first host is there to look at only. */
  safe?: boolean;
  /** Nobody is killed; which points are passed is written down. */
  watched?: boolean;
}

export interface Journal {
  /** With `message`: something was done to that one. */
  updates: { id: number; chat: string; text: string; message?: number }[];
  sent: { id: number; chat: string; text: string; key: string; buttons?: { token: string }[] }[];
  acknowledged: number;
}

/** Of a group that is broken first, and of one whose agent writes to that one's. What its service allows, it allows after approval only. */
export const FLAKY_YAML = `harness: probe
limits: {idle: 10m}
egress: {api: {host: api.example.com, approve: [GET /held]}}
`;

export class World {
  readonly paths: Paths;
  readonly options: WorldOptions;
  readonly faultLog: string;
  readonly control: ControlClient;
  readonly #home: string;
  readonly #passed: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #service = new TokenPlace();
  #platformUrl = '';
  #platform: ChildProcess | null = null;
  #parts = new Map<string, Part>();

  constructor(options: WorldOptions) {
    this.options = options;
    this.#home = mkdtempSync(join(tmpdir(), 'gc-'));
    this.#env = {
      PATH: process.env['PATH'],
      HOME: this.#home,
      GLASS_HOME: this.#home,
      DOCKER_HOST: process.env['DOCKER_HOST'],
    };
    this.paths = pathsOf(this.#home, this.#env);
    this.faultLog = join(this.#home, 'faults.txt');
    this.control = new ControlClient(this.paths.controlSocket);
    this.#passed = join(this.#home, 'passed.txt');
    for (const file of [this.faultLog, this.#passed]) writeFileSync(file, '');
  }

  async start(): Promise<void> {
    await this.#service.listen();
    takeWarmCode(this.paths);
    this.#platform = spawn(
      process.execPath,
      [join(this.options.root, 'test/fakes/platform.ts'), join(this.#home, 'journal.txt')],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    const port = await firstLine(this.#platform);
    this.#platformUrl = `http://127.0.0.1:${port}`;
    this.#writeHome();
    const { host, gateway } = this.options.faults;
    this.#parts.set('gateway', this.#part('src/gateway.ts', gateway, this.#service.env));
    this.#parts.set('host', this.#part('test/fakes/host.ts', host));
  }

  /** Where the platform is. */
  get platform(): string {
    return this.#platformUrl;
  }

  /** A person writes on the platform. */
  async say(chat: string, text: string, from = 'alice'): Promise<number> {
    return this.#people('/people/say', { chat, from, text });
  }

  /** The author edits a message, by the platform's number of it. */
  async edit(chat: string, message: number, edit: string): Promise<void> {
    await this.#people('/people/change', { chat, from: 'alice', message, edit });
  }

  async press(chat: string, token: string): Promise<void> {
    await this.#people('/people/press', { chat, from: 'alice', token });
  }

  async #people(path: string, what: object): Promise<number> {
    const response = await fetch(`${this.#platformUrl}${path}`, { method: 'POST', body: JSON.stringify(what) });
    return ((await response.json()) as { id: number }).id;
  }

  async journal(): Promise<Journal> {
    return (await (await fetch(`${this.#platformUrl}/journal`)).json()) as Journal;
  }

  /** Asks the vault as the CLI does, again and again until the gateway is there. */
  async vault(fields: { op: string } & Record<string, unknown>): Promise<void> {
    await eventually(`vault ${fields.op}`, async () => {
      const client = await LineClient.connect(this.paths.vaultSocket, 1000, { peer: 'the gateway' });
      try {
        await client.request(fields, 2000);
      } finally {
        client.close();
      }
    });
  }

  /** A request that the gateway refuses, on the egress socket of whichever session is live at each try: the one before may have died. */
  async refusedRequest(live: () => Promise<string>): Promise<void> {
    await eventually('a refused request', async () => {
      const socket = connect(this.paths.session(await live()).egress);
      await new Promise<void>((resolve, reject) => {
        socket.on('error', reject);
        socket.on('data', () => resolve());
        socket.on('close', () => reject(new Error('closed')));
        socket.write('GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n');
      });
      socket.destroy();
    });
  }

  /** The credentials of the service, for the group with the model. */
  async setService(): Promise<void> {
    await this.vault({ op: 'set', ...this.#service.secret });
  }

  /** A request to the service, which is asked for a token first. Again and again until it is answered, by whoever is live at each try. */
  async serviceRequest(live: () => Promise<string>): Promise<void> {
    await eventually('the service answers', async () => {
      const { status } = await this.#service.ask(this.paths.session(await live()).egress, this.paths);
      if (status !== 200) throw new Error(`it was answered ${status}`);
    });
  }

  /** A request that waits until a person has decided, or its agent has given up. Rejects when it has gone with its session meanwhile. */
  async heldRequest(session: string, end: 'approve' | 'deny' | 'leave'): Promise<void> {
    const ca = readFileSync(this.paths.caCertificate, 'utf8');
    const place = end === 'approve' ? this.#service.place : 'api.example.com:443';
    const agent = await openTunnel(this.paths.session(session).egress, { ca, place });
    agent.on('error', () => {});
    agent.write(`GET /held HTTP/1.1\r\nHost: ${place.replace(/:443$/, '')}\r\n\r\n`);
    const decided = async (): Promise<void> => {
      const { approvals } = await this.control.call<{ approvals: { id: string; state: string }[] }>('approvals');
      const waits = approvals.find(({ state }) => state === 'pending');
      if (waits === undefined) throw new Error('nothing waits');
      if (end === 'leave') agent.destroy();
      else await this.control.call('approval_decide', { approval: waits.id, allow: end === 'approve' });
    };
    await eventually(`a held request: ${end}`, decided, HELD_MS).finally(() => agent.destroy());
  }

  /** Says yes to what of this kind waits, through restarts, until it is done. */
  async approve(kind: 'sender' | 'authority'): Promise<void> {
    const approved = async (): Promise<void> => {
      const { questions } = await this.control.call<{
        questions: { id: string; kind: string; state: string; reason: string }[];
      }>('approvals');
      const question = questions.find((one) => one.kind === kind);
      if (question?.state === 'done') return;
      if (question?.state === 'pending')
        await this.control.call('approval_decide', { approval: question.id, allow: true });
      throw new Error(`not yet: ${question?.state ?? 'nobody waits'} ${question?.reason ?? ''}`);
    };
    await eventually(`a ${kind} is approved`, approved, COLD_MS);
  }

  /** Something happens while no gateway runs. */
  async withoutGateway(act: () => Promise<unknown>): Promise<void> {
    const gateway = this.#parts.get('gateway')!;
    await gateway.end();
    await act().finally(() => gateway.again());
  }

  /** The operator asks for a planned stop; the host is started again by its supervisor. */
  async restartHost(): Promise<void> {
    this.#parts.get('host')?.terminate();
  }

  group(name: string, yaml: string): void {
    const { folder, yaml: file, workspace } = this.paths.group(name);
    mkdirSync(folder, { recursive: true });
    mkdirSync(workspace, { recursive: true });
    writeFileSync(file, yaml);
  }

  /** The operator puts a group's file in force, through restarts. */
  async apply(name: string): Promise<void> {
    await eventually(`${name} is in force`, () => applyGroup(this.control, name));
  }

  /** One line for each kill that has happened. */
  kills(): string[] {
    return linesOf(this.faultLog);
  }

  /** Looks of the sweep, of any host, that found a wake-up which was lost. */
  lostWakeUps(): string[] {
    return linesOf(join(this.paths.logs, 'host.log')).filter((line) => line.includes('"event":"sweep.needed"'));
  }

  /** When it is watched: the points in the order in which each was first passed. */
  passed(): string[] {
    return linesOf(this.#passed);
  }

  /** Ends every process of this world and, if nothing was found, removes its home. */
  async end(keep: boolean): Promise<void> {
    this.control.close();
    for (const part of [...this.#parts.values()].reverse()) await part.end();
    this.#platform?.kill('SIGKILL');
    await this.#service.close();
    // A container survives a host that is killed for good: nobody else looks for this home's.
    if (this.options.runtime === 'docker')
      await new DockerRuntime({ ...this.paths, socket: engineSocket(process.env) })
        .reap(this.paths.install)
        .catch(() => 0);
    keepWarmCode(this.paths);
    remove(this.paths.run);
    if (!keep) remove(this.#home);
  }

  get home(): string {
    return this.#home;
  }

  #part(file: string, faults: (FaultPlan | null)[], more: NodeJS.ProcessEnv = {}): Part {
    return new Part(join(this.options.root, file), join(this.#home, 'output.txt'), (life) => ({
      ...this.#env,
      ...more,
      GLASS_TEST_PLATFORM: this.#platformUrl,
      GLASS_FAULT_LOG: this.faultLog,
      ...keptCodeOf(this.options.root),
      ...(faults[life] ? { GLASS_FAULT: JSON.stringify(faults[life]) } : {}),
      ...(this.options.watched ? { GLASS_FAULT_PASSED: this.#passed } : {}),
      ...(this.options.safe && life === 0 ? { GLASS_SAFE: '1' } : {}),
    }));
  }

  #writeHome(): void {
    const told = `{command: [/bin/true], webhook: "${this.#platformUrl}/alerts", heartbeat: "${this.#platformUrl}/alerts"}`;
    const service = this.#service.config(this.#home);
    writeFileSync(this.paths.config, `runtime: ${this.options.runtime}\n${service}alerts: ${told}\n`);
    this.group('assistant', `${FLAKY_YAML}agents: {flaky: allow}\n`);
    this.group('flaky', 'this is not a group\n');
    this.group(
      'thinker',
      `harness: ${this.options.thinker}\nmodel: {provider: anthropic, name: scripted, upstream: "${this.options.modelOrigin}", secret: anthropic}
${this.#service.group}`,
    );
  }
}

/** A restart takes less; after it nothing waits any more. */
const HELD_MS = 5000;

/** A process that is started again whenever it dies, until it is ended on purpose. */
class Part {
  readonly #file: string;
  readonly #output: string;
  readonly #envOf: (life: number) => NodeJS.ProcessEnv;
  #child: ChildProcess;
  #life = 0;
  #ending = false;

  constructor(file: string, output: string, envOf: (life: number) => NodeJS.ProcessEnv) {
    this.#file = file;
    this.#output = output;
    this.#envOf = envOf;
    this.#child = this.#start();
  }

  terminate(): void {
    this.#child.kill('SIGTERM');
  }

  end(): Promise<void> {
    this.#ending = true;
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return Promise.resolve();
    return new Promise((resolve) => {
      this.#child.on('exit', () => resolve());
      this.#child.kill('SIGKILL');
    });
  }

  /** After `end`. */
  again(): void {
    this.#ending = false;
    this.#child = this.#start();
  }

  #start(): ChildProcess {
    const child = spawn(process.execPath, [this.#file], {
      env: this.#envOf(this.#life),
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child.stderr!.on('data', (chunk) => appendFileSync(this.#output, chunk));
    child.on('exit', () => {
      this.#life += 1;
      setTimeout(() => {
        // Unless it was ended, and is there again already.
        if (!this.#ending && this.#child === child) this.#child = this.#start();
      }, 20);
    });
    return child;
  }
}

function linesOf(file: string): string[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '');
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    createInterface({ input: child.stdout! }).once('line', resolve);
    child.once('exit', () => reject(new Error('it ended before it said anything')));
  });
}

/** For what needs a sandbox: as long as one may take to be ready. What only the sweep has found is judged by itself. */
export const COLD_MS = SANDBOX_READY_MS;

/** Tries until it works; a bounded loop. */
export async function eventually<T>(what: string, attempt: () => Promise<T>, within_ms = 20_000): Promise<T> {
  const until = performance.now() + within_ms;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > until) throw new Error(`${what}: not within ${within_ms / 1000} s (${error})`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
