import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Paths, pathsOf, ROOT } from '../../src/base/paths.ts';
import type { AuditRow } from '../../src/protocol/gateway.ts';
import { LineClient } from '../../src/protocol/lines_client.ts';
import type { SecretTerms } from '../../src/protocol/secrets.ts';
import { keptGroup } from './authorities.ts';
import { keptCodeOf } from './code_cache.ts';
import { remove } from './remove.ts';

/** A real gateway process on a home of its own, and the three kinds of peer that it has. */

const WAIT_MS = 10_000;
const END_MS = 3000;

export interface Reply {
  status: number;
  headers: IncomingHttpHeaders;
  body: string;
}

export class GatewayProcess {
  readonly paths: Paths;
  readonly env: NodeJS.ProcessEnv;
  readonly #root: string;
  #child: ChildProcess | null = null;
  #clients: LineClient[] = [];
  stderr = '';

  /** `root`: the checkout that runs. */
  constructor(env: NodeJS.ProcessEnv = {}, root = ROOT) {
    this.#root = root;
    const home = mkdtempSync(join(tmpdir(), 'gl-'));
    const place = { HOME: home, GLASS_HOME: home, XDG_RUNTIME_DIR: join(home, 'r') };
    this.env = { PATH: process.env['PATH'], ...place, ...keptCodeOf(root), ...env };
    this.paths = pathsOf(home, this.env);
  }

  /** Puts a group in force and returns the hash that `open` wants. */
  group(name: string, yaml: string): string {
    return keptGroup(this.paths, name, yaml);
  }

  /** Resolves when the ready line is there. */
  async start(): Promise<void> {
    const child = spawn(process.execPath, [join(this.#root, 'src/gateway.ts')], {
      env: this.env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child = child;
    const lines = createInterface({ input: child.stderr! });
    await new Promise<void>((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`the gateway ended with ${code}: ${this.stderr}`)));
      lines.on('line', (line) => {
        this.stderr += `${line}\n`;
        if (line.includes('"event":"ready"')) resolve();
      });
    });
  }

  get pid(): number {
    return this.#child!.pid!;
  }

  get isRunning(): boolean {
    return this.#child !== null && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Resolves with the exit code, or the signal's name. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | string> {
    const child = this.#child!;
    return new Promise((resolve) => {
      if (child.exitCode !== null || child.signalCode !== null) return resolve(child.exitCode ?? child.signalCode!);
      child.once('exit', (code, ended) => resolve(code ?? ended!));
      child.kill(signal);
    });
  }

  async host(onEvent: (event: unknown) => void = () => {}, onClose: () => void = () => {}): Promise<LineClient> {
    return this.#keep(LineClient.connect(this.paths.gatewaySocket, WAIT_MS, { peer: 'the gateway', onEvent, onClose }));
  }

  async operator(): Promise<LineClient> {
    return this.#keep(LineClient.connect(this.paths.vaultSocket, WAIT_MS, { peer: 'the gateway' }));
  }

  /** Without `terms`: a model's. */
  async setSecret(name: string, value: string, terms?: SecretTerms): Promise<void> {
    const operator = await this.operator();
    await operator.request({ op: 'set', name, value, terms }, WAIT_MS);
    operator.close();
  }

  /** Opens a session and returns its egress socket. With all marks, no request has to wait for a host that records them. */
  async open(
    host: LineClient,
    session: string,
    group: string,
    policy: string,
    marks: readonly string[] = ['A', 'B', 'C'],
  ): Promise<string> {
    const socket = this.paths.session(session).egress;
    mkdirSync(dirname(socket), { recursive: true });
    await host.request({ op: 'open', session, group, policy, socket, marks }, WAIT_MS);
    return socket;
  }

  /** The audit rows of a session, once none is running. */
  async audit(host: LineClient, session: string): Promise<AuditRow[]> {
    for (;;) {
      const window = { from_ms: 0, to_ms: Number.MAX_SAFE_INTEGER };
      const { rows } = await host.request<{ rows: AuditRow[] }>({ op: 'audit', session, ...window }, WAIT_MS);
      if (rows.every((row) => row.ended_ms !== null)) return rows;
    }
  }

  /** All rows of a session, also of requests that run, in as many answers as it takes. */
  async rows(host: LineClient, session: string): Promise<AuditRow[]> {
    const found = new Map<number, AuditRow>();
    for (let [from_ms, before] = [0, -1]; found.size > before; ) {
      before = found.size;
      const asked = { op: 'audit', session, from_ms, to_ms: Number.MAX_SAFE_INTEGER };
      const { rows } = await host.request<{ rows: AuditRow[] }>(asked, WAIT_MS);
      for (const row of rows) found.set(row.id, row);
      from_ms = rows.at(-1)?.at_ms ?? 0;
    }
    return [...found.values()];
  }

  log(): string {
    return readFileSync(join(this.paths.logs, 'gateway.log'), 'utf8');
  }

  async dispose(): Promise<void> {
    for (const client of this.#clients) client.close();
    if (this.#child !== null) await this.#endSoon(this.#child);
    remove(this.paths.home);
    remove(this.paths.run);
  }

  /** In order, so that its compiled code is kept; without it a gateway that no longer listens to that. */
  async #endSoon(child: ChildProcess): Promise<void> {
    const late = setTimeout(() => child.kill('SIGKILL'), END_MS);
    await this.end('SIGTERM');
    clearTimeout(late);
  }

  async #keep(connecting: Promise<LineClient>): Promise<LineClient> {
    const client = await connecting;
    this.#clients.push(client);
    return client;
  }
}

/** One request of an agent on its egress socket. */
export function ask(
  socketPath: string,
  path: string,
  options: { method?: string; headers?: Record<string, string | string[]>; body?: string | Buffer } = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const { method = 'POST', headers = {}, body = '{}' } = options;
    const sent = httpRequest({ socketPath, path, method, headers: { host: 'model', ...headers } }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part) => parts.push(part));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(parts).toString() }),
      );
    });
    sent.on('error', reject);
    sent.end(method === 'POST' ? body : undefined);
  });
}

/** Raw bytes in, raw bytes out, until the other side ends the connection. */
export function raw(path: string, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    const socket = createConnection({ path }, () => socket.write(bytes));
    socket.on('data', (part) => parts.push(part));
    socket.on('error', () => {});
    socket.on('close', () => resolve(Buffer.concat(parts).toString('latin1')));
  });
}
