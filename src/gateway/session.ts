import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Agent } from 'undici';
import type { Clock } from '../base/clock.ts';
import { messageOf } from '../base/errors.ts';
import type { Faults } from '../base/faults.ts';
import { MODEL_BODY_BYTES_MAX, SESSION_REFUSALS_PER_MINUTE, SESSION_REQUESTS_MAX } from '../base/limits.ts';
import type { Log } from '../base/log.ts';
import type { Asked, Audit, Outcome } from './audit.ts';
import { type Deadlines, forward } from './forward.ts';
import { headerProblem } from './headers.ts';
import type { Injection, Injector } from './inject.ts';
import type { ModelPolicy } from './policy.ts';
import { endWithRefusal, refusal, sendRefusal } from './refuse.ts';
import { type Refusal, route } from './route.ts';

/**
 * What one session may do on its egress socket. Who asks is known by the socket alone. Order of a request: headers,
 * route, running requests, size, secret, audit row, then the first byte leaves. Whatever fails on the way, refuses.
 */

/** What all sessions share. */
export interface EgressContext {
  audit: Audit;
  injector: Injector;
  clock: Clock;
  faults: Faults;
  log: Log;
  deadlines: Deadlines;
  /** Something the operator should see. */
  alert: (kind: string, subject: string, text: string) => void;
}

const MINUTE_MS = 60_000;

export class EgressSession {
  readonly #context: EgressContext;
  readonly #session: string;
  readonly #group: string;
  readonly #policy: ModelPolicy;
  readonly #agent: Agent;
  readonly #answering = new WeakMap<Duplex, ServerResponse>();
  /** Connections that sent something malformed: answered once, then deaf. */
  readonly #malformed = new WeakSet<Duplex>();
  #running = 0;
  #refusals = 0;
  #refusalsSince = 0;

  constructor(context: EgressContext, session: string, group: string, policy: ModelPolicy, agent: Agent) {
    this.#context = context;
    this.#session = session;
    this.#group = group;
    this.#policy = policy;
    this.#agent = agent;
  }

  /** Answers everything that can arrive at `server`. */
  serve(server: Server): void {
    server.on('request', (request, response) => this.#handle(request, response));
    // Refused before the body is sent; an allowed one is told to go on.
    server.on('checkContinue', (request, response) => this.#handle(request, response));
    server.on('connect', (request, socket) => {
      socket.on('error', () => socket.destroy());
      const why = refusal(403, 'default deny', 'only model routes are open', 'POST /model/default/…');
      this.#record(this.#asked(request.method ?? 'CONNECT', request.url ?? ''), why);
      endWithRefusal(socket, why);
    });
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => this.#unreadable(error, socket));
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    if (this.#malformed.has(request.socket)) return; // Its connection is being closed.
    this.#answering.set(request.socket, response);
    const asked = this.#asked(request.method ?? '', request.url ?? '');
    const admitted = this.#admit(request, asked);
    if ('status' in admitted) {
      // What follows malformed bytes on the same connection may be anybody's idea of a request.
      if (admitted.status === 400) this.#malformed.add(request.socket);
      this.#record(asked, admitted);
      sendRefusal(response, admitted);
      return;
    }
    const { host, prefix } = this.#policy;
    const full = { ...asked, host, path: prefix + admitted.rest, rule: admitted.rule };
    this.#forward(request, response, full, admitted.injection);
  }

  /** Everything that can refuse a request before it is recorded as allowed. */
  #admit(
    request: IncomingMessage,
    asked: Asked,
  ): Refusal | { rule: string; rest: string; injection: Injection | null } {
    const decided = headerProblem(request.rawHeaders) ?? route(asked.method, asked.path, this.#policy.provider);
    if (!decided.allow) return decided;
    if (this.#running >= SESSION_REQUESTS_MAX) {
      const reason = `${SESSION_REQUESTS_MAX} requests of this session are running`;
      return refusal(429, 'concurrency', reason, 'wait for one to end');
    }
    if (Number(request.headers['content-length'] ?? 0) > MODEL_BODY_BYTES_MAX) {
      const reason = `the request body has more than ${MODEL_BODY_BYTES_MAX} bytes`;
      return refusal(413, 'body size', reason, 'send a shorter conversation');
    }
    const injection = this.#inject();
    return injection !== null && 'status' in injection
      ? injection
      : { rule: decided.rule, rest: decided.rest, injection };
  }

  #forward(request: IncomingMessage, response: ServerResponse, asked: Asked, injection: Injection | null): void {
    const { audit, deadlines, faults } = this.#context;
    let id: number;
    try {
      id = audit.begin(asked, injection === null ? null : this.#policy.secret);
    } catch (error) {
      this.#storageFailed(error);
      sendRefusal(response, refusal(503, 'audit', 'the request could not be recorded', 'tell your operator'));
      return;
    }
    if (request.headers.expect !== undefined) response.writeContinue();
    this.#running += 1;
    forward({
      request,
      response,
      agent: this.#agent,
      policy: this.#policy,
      path: asked.path,
      injection,
      deadlines,
      faults,
      ended: (outcome) => this.#ended(id, outcome),
    });
  }

  #ended(id: number, outcome: Outcome): void {
    this.#running -= 1;
    try {
      this.#context.audit.end(id, outcome);
    } catch (error) {
      this.#storageFailed(error);
    }
    if (outcome.redacted === 0) return;
    const text = `${this.#policy.host} sent the secret "${this.#policy.secret}" back; it was masked`;
    this.#context.alert('secret_echo', this.#session, text);
  }

  /** The secret to inject, null for none, or why not. */
  #inject(): Injection | Refusal | null {
    const { secret, provider } = this.#policy;
    if (secret === null) return null;
    try {
      const prepared = this.#context.injector.prepare(secret, provider);
      return typeof prepared === 'string' ? refusal(403, 'secret', prepared, `glass secret set ${secret}`) : prepared;
    } catch (error) {
      this.#storageFailed(error);
      return refusal(503, 'secret', `secret "${secret}" cannot be opened`, `glass secret set ${secret}`);
    }
  }

  /** Bytes that are no request, or a request that stopped in the middle. */
  #unreadable(error: NodeJS.ErrnoException, socket: Duplex): void {
    if (this.#malformed.has(socket)) {
      socket.end();
      return;
    }
    this.#malformed.add(socket);
    const begun = this.#answering.get(socket);
    if (error.code === 'ECONNRESET' || (begun?.headersSent === true && !begun.writableEnded)) {
      socket.destroy();
      return;
    }
    const why = refusal(
      unreadableStatus(error.code),
      'malformed request',
      'this is no acceptable HTTP',
      'send HTTP/1.1',
    );
    this.#record(this.#asked('', ''), why);
    endWithRefusal(socket, why);
  }

  #record(asked: Asked, why: Refusal): void {
    const now = this.#context.clock.monotonic();
    if (now - this.#refusalsSince > MINUTE_MS) {
      this.#refusalsSince = now;
      this.#refusals = 0;
    }
    this.#refusals += 1;
    if (this.#refusals > SESSION_REFUSALS_PER_MINUTE) {
      if (this.#refusals === SESSION_REFUSALS_PER_MINUTE + 1)
        this.#context.alert(
          'refusals',
          this.#session,
          'so many requests are refused that the rest of the minute goes unrecorded',
        );
      return;
    }
    try {
      this.#context.audit.refused({ ...asked, rule: why.rule }, why.status);
    } catch (error) {
      this.#storageFailed(error);
    }
  }

  #storageFailed(error: unknown): void {
    this.#context.log.error('storage failed', { session: this.#session, reason: messageOf(error) });
    this.#context.alert(
      'storage',
      this.#session,
      `the gateway cannot read or write its databases: ${messageOf(error)}`,
    );
  }

  #asked(method: string, path: string): Asked {
    return { session: this.#session, group: this.#group, method, host: '', path, rule: '' };
  }
}

function unreadableStatus(code: string | undefined): number {
  if (code === 'HPE_HEADER_OVERFLOW') return 431;
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
}
