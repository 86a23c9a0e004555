import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Faults } from '../base/faults.ts';
import { ServerResponse as Answer } from '../base/http.ts';
import { SESSION_REQUESTS_MAX } from '../base/limits/gateway.ts';
import type { CutCall } from '../protocol/gateway.ts';
import { type Admission, bodyTooLarge, Gate, isFree, nameOf } from './admission.ts';
import { type Asked, NOTHING, type Outcome, type Running } from './audit.ts';
import { askedBody, hasBody, isSmall } from './body.ts';
import type { Budgets, Reservation } from './budget.ts';
import type { CertificateAuthority } from './ca.ts';
import { type Deadlines, forward } from './forward.ts';
import { requestHeaders } from './headers.ts';
import { type Holds, withheld } from './holds.ts';
import type { Injector } from './inject.ts';
import { bodyProblem } from './json_rules.ts';
import type { Answering } from './listen.ts';
import type { Meter } from './meter.ts';
import type { SessionPolicy } from './policy.ts';
import type { Amount, Prices } from './prices.ts';
import type { Rates } from './rates.ts';
import { type RefusalContext, Refusals } from './refusals.ts';
import { endWithRefusal, isMalformed, refusal, sendRefusal } from './refuse.ts';
import type { Refusal } from './route.ts';
import { hostsOf, judgeConnect, type Place } from './service_request.ts';
import { openTunnel } from './tunnel.ts';
import type { Pools } from './upstreams.ts';

/**
 * What one session may do on its egress socket. Who asks is known by the socket alone. Requests come on the socket itself
 * (the model) or in a tunnel to a service, whose TLS ends here; the same server parses both. Order of a request: headers,
 * route or rules, running requests, size, secret, body, a person where one is asked, rate, audit row, then the first byte
 * leaves. Whatever fails on the way, refuses.
 */

/** What all sessions share. */
export interface EgressContext extends RefusalContext {
  injector: Injector;
  holds: Holds;
  authority: CertificateAuthority;
  rates: Rates;
  budgets: Budgets;
  prices: Prices;
  faults: Faults;
  deadlines: Deadlines;
}

export class EgressSession implements Answering {
  readonly #context: EgressContext;
  readonly #session: string;
  readonly #group: string;
  readonly #policy: SessionPolicy;
  readonly meter: Meter;
  readonly #gate: Gate;
  readonly #refusals: Refusals;
  readonly #answering = new WeakMap<Duplex, ServerResponse>();
  /** Connections that sent something malformed: answered once, then deaf. */
  readonly #malformed = new WeakSet<Duplex>();
  /** Where the connection that came out of a tunnel leads. */
  readonly #places = new WeakMap<Duplex, Place>();
  /** Connections that became tunnels: the server no longer knows them. */
  readonly #tunnels = new Set<Duplex>();
  /** Requests that wait for a person; they do not run. */
  readonly #held = new Set<string>();
  /** What is under way to an endpoint. */
  readonly #calls = new Set<Asked>();
  #running = 0;
  #closed = false;

  constructor(
    context: EgressContext,
    session: string,
    group: string,
    { policy, meter }: { policy: SessionPolicy; meter: Meter },
    pools: Pools,
  ) {
    this.#context = context;
    this.#session = session;
    this.#group = group;
    this.#policy = policy;
    this.meter = meter;
    this.#refusals = new Refusals(context, session);
    this.#gate = new Gate({ policy, meter }, context, pools, (error) => this.#refusals.storageFailed(error));
  }

  /** Calls that have begun to leave, and have not ended. */
  get running(): CutCall[] {
    return [...this.#calls].map(({ method, host, path }) => ({ method, host, path }));
  }

  /** Answers everything that can arrive at `server`. */
  serve(server: Server): void {
    server.on('request', (request, response) => this.#handle(request, response));
    // Refused before the body is sent; an allowed one is told to go on.
    server.on('checkContinue', (request, response) => this.#handle(request, response));
    server.on('connect', (request, socket, head) => this.#connect(server, request, { socket, head }));
    server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket as Socket, head));
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => this.#unreadable(error, socket));
  }

  /** Where an answer is still to come, or nothing may follow, it is a request like any other. */
  upgrades(request: IncomingMessage): boolean {
    const { socket } = request;
    const place = this.#places.get(socket);
    if (place === undefined || this.#malformed.has(socket) || this.#isAnswering(socket)) return false;
    return this.#gate.upgrades(request, place);
  }

  /** Ends its tunnels, at once; nothing that waits leaves any more. */
  close(): void {
    this.#closed = true;
    for (const hold of this.#held) this.#context.holds.end(hold, 'session ended');
    for (const socket of this.#tunnels) socket.destroy();
  }

  #connect(server: Server, request: IncomingMessage, { socket, head }: { socket: Duplex; head: Buffer }): void {
    socket.on('error', () => socket.destroy());
    const asked = this.#asked(this.#places.get(socket), 'CONNECT', request.url ?? '');
    const refuse = (why: Refusal, on: Duplex | null): void => {
      // A handshake that its session's end has cut is nobody's attempt.
      if (!this.#closed) this.#refusals.record(asked, why);
      if (on !== null) endWithRefusal(on, why);
    };
    if (asked.host !== '') return refuse(NO_NESTING, socket);
    if (this.#isAnswering(socket)) {
      // The rest of that answer would be written between the bytes of TLS.
      refuse(TOO_SOON, null);
      socket.destroy();
      return;
    }
    const version = versionProblem(request);
    if (version !== null) return refuse(version, socket);
    const place = judgeConnect(asked.path, hostsOf(request.rawHeaders), this.#policy.egress);
    if (!place.allow) return refuse(place, socket);
    if (hasBody(request))
      return refuse(refusal(400, 'malformed request', 'CONNECT has no body', 'leave it out'), socket);
    this.#tunnels.add(socket);
    socket.on('close', () => this.#tunnels.delete(socket));
    const { authority, deadlines } = this.#context;
    openTunnel({ socket, head, place, tls_ms: deadlines.tls_ms }, authority, {
      open: (tls) => {
        this.#places.set(tls, place);
        server.emit('connection', tls);
      },
      refused: refuse,
    });
  }

  /**
   * The server is done with the connection: it has one answer of our own, and ends with it. Whatever comes behind a handshake that
   * is refused is read by nobody.
   */
  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const response = new Answer(request);
    response.shouldKeepAlive = false;
    response.assignSocket(socket);
    socket.on('drain', () => response.emit('drain'));
    socket.on('end', () => socket.destroy());
    response.on('finish', () => {
      socket.resume();
      socket.destroySoon();
    });
    if (head.length > 0) socket.unshift(head);
    this.#handle(request, response, true);
  }

  #handle(request: IncomingMessage, response: ServerResponse, upgraded = false): void {
    if (this.#malformed.has(request.socket)) return; // Its connection is being closed.
    this.#answering.set(request.socket, response);
    const place = this.#places.get(request.socket);
    const asked = this.#asked(place, request.method ?? '', request.url ?? '');
    const busy = this.#running < SESSION_REQUESTS_MAX ? null : BUSY;
    const admitted =
      versionProblem(request) ??
      (place === undefined ? this.#gate.model(request, busy) : this.#gate.service(request, place, busy, upgraded));
    if (!admitted.allow) return void this.#refuse({ request, response, asked }, admitted);
    const { host, path, rule, service } = admitted;
    const exchange = { request, response, asked: { ...asked, host, path, rule, service } };
    if (admitted.fetch === null) this.#proceed(exchange, admitted);
    else void this.#fetchThenProceed(exchange, admitted, admitted.fetch);
  }

  /** The secret's token has to be got first. Never rejects. */
  async #fetchThenProceed(exchange: Exchange, admitted: Admission, fetch: Fetch): Promise<void> {
    this.#running += 1;
    const injection = await fetch();
    this.#running -= 1;
    if (this.#closed || exchange.response.destroyed) return;
    if ('status' in injection) this.#refuse(exchange, injection);
    // A token that was got may have changed what the vault holds.
    else this.#proceed(exchange, { ...admitted, injection, vault: this.#context.injector.generation });
  }

  #proceed(exchange: Exchange, admitted: Admission): void {
    const { request } = exchange;
    const reads = admitted.approve || (hasBody(request) && (admitted.denyJson.length > 0 || isSmall(request)));
    if (reads) void this.#readThenSend(exchange, admitted);
    else void this.#markThenSend(exchange, admitted, null);
  }

  /** The body is read before anything leaves: it decides too, or is small. Never rejects. */
  async #readThenSend(exchange: Exchange, admitted: Admission): Promise<void> {
    this.#running += 1;
    const { request, response } = exchange;
    const body = hasBody(request) ? await askedBody(request, response, admitted.bodyBytesMax) : null;
    this.#running -= 1;
    // The agent has gone, or its session has been closed meanwhile.
    if (body === 'gone' || this.#closed || exchange.response.destroyed) return;
    const problem = body === 'too large' ? bodyTooLarge(admitted) : bodyProblem(body, admitted.denyJson);
    if (body === 'too large' || problem !== null) this.#refuse(exchange, problem!);
    else if (admitted.approve) this.#hold(exchange, admitted, body);
    else await this.#markThenSend(exchange, admitted, body);
  }

  /** What its session is marked with is on record before it leaves; what has become known meanwhile may ask for a person. Never rejects. */
  async #markThenSend(exchange: Exchange, admitted: Admission, body: Buffer | null): Promise<void> {
    const { method, host, path } = exchange.asked;
    this.#running += 1;
    const ready = this.meter.admit(admitted.marks, `${method} ${host}${path.split('?', 1)[0]}`);
    const why = ready instanceof Promise ? await ready : ready;
    this.#running -= 1;
    if (this.#closed || exchange.response.destroyed) return;
    if (why === null) this.#send(exchange, admitted, body);
    else this.#refuse(exchange, why);
  }

  /** Waits for a person. What leaves then is what they were shown, under the rules and secrets that it was held under. */
  #hold(exchange: Exchange, admitted: Admission, body: Buffer | null): void {
    const { holds, injector } = this.#context;
    const { rule, vault, marks, two } = admitted;
    const { rawHeaders, headers } = exchange.request;
    const asked = {
      ...{ ...exchange.asked, service: admitted.service!, policy: this.#policy.hash, body },
      headers: requestHeaders(rawHeaders, headers.connection, admitted.injection !== null),
      ...{ marks: this.meter.missing(marks), rule_of_two: two },
    };
    const hold = holds.hold(asked, (why) => {
      this.#held.delete(hold as string);
      if (why !== null) return this.#refuse(exchange, why);
      if (this.#running >= SESSION_REQUESTS_MAX) return this.#refuse(exchange, BUSY);
      if (vault !== null && vault !== injector.generation)
        return this.#refuse(exchange, withheld(rule, 'secrets changed', 'the secrets changed'));
      this.meter.know(marks); // recorded with the decision
      return this.#send(exchange, admitted, body);
    });
    if (typeof hold !== 'string') return void this.#refuse(exchange, hold);
    this.#held.add(hold);
    exchange.response.on('close', () => holds.end(hold, 'agent gone'));
  }

  /** Returns why it has not left; null: it is on its way. */
  #send(exchange: Exchange, admitted: Admission, body: Buffer | null): Refusal | null {
    const { audit, deadlines, faults } = this.#context;
    const { request, response, asked } = exchange;
    const { secret, injection } = admitted;
    let row: Running;
    let reservation: Reservation | null = null;
    try {
      const used = this.#context.rates.take(this.#group, admitted.limits);
      if (used !== null) return this.#refuse(exchange, tooOften(used));
      const reserved = this.#context.budgets.reserve(this.#group, this.#policy.budget, admitted.estimate);
      if ('allow' in reserved) return this.#refuse(exchange, reserved);
      reservation = reserved;
      row = audit.begin(asked, injection === null ? null : secret, admitted.estimate);
    } catch (error) {
      if (reservation !== null) this.#context.budgets.settle(reservation, NOTHING);
      this.#refusals.storageFailed(error);
      sendRefusal(response, NO_RECORD);
      return NO_RECORD;
    }
    if (request.headers.expect !== undefined && body === null) response.writeContinue();
    if (admitted.marks.includes('C') && (admitted.ws || (body === null && hasBody(request))))
      this.meter.acting(request, admitted.ws);
    this.#running += 1;
    this.#calls.add(asked);
    forward({
      ...admitted,
      ...{ request, response, body, deadlines, faults },
      count: () => this.#count(admitted),
      ended: (outcome) => {
        this.#calls.delete(asked);
        this.#ended({ row, reservation: reservation! }, admitted, outcome);
      },
    });
    return null;
  }

  /** Another frame of a WebSocket's messages costs what its handshake did. */
  #count({ limits }: Admission): Refusal | null {
    try {
      const used = this.#context.rates.take(this.#group, limits);
      return used === null ? null : tooOften(used);
    } catch (error) {
      this.#refusals.storageFailed(error);
      return NO_RECORD;
    }
  }

  /** Until the server has taken the last answer off the connection: a moment after its last byte. */
  #isAnswering(socket: Duplex): boolean {
    const last = this.#answering.get(socket);
    return last !== undefined && (!last.writableFinished || last.socket !== null);
  }

  #ended(
    { row, reservation }: { row: Running; reservation: Reservation },
    { host, secret, kind, path }: Admission,
    outcome: Outcome,
  ): void {
    this.#running -= 1;
    const used = kind === 'model' && !isFree(path) ? this.#usedBy(outcome) : NOTHING;
    this.#context.budgets.settle(reservation, used);
    try {
      this.#context.audit.end(row, outcome, used);
    } catch (error) {
      this.#refusals.storageFailed(error);
    }
    if (outcome.redacted === 0) return;
    this.#context.alert('secret_echo', this.#session, `${host} sent the secret "${secret}" back; it was masked`);
  }

  /** What a model did not answer is not charged. */
  #usedBy(outcome: Outcome): Amount {
    const { request_bytes: up, response_bytes: down, status } = outcome;
    if (down === 0 || status === null || status >= 400) return NOTHING;
    const { provider, name } = this.#policy.model;
    return this.#context.prices.of(provider, name, outcome, { up, down });
  }

  #refuse({ request, response, asked }: Exchange, why: Refusal): Refusal {
    if (isMalformed(why)) this.#malformed.add(request.socket);
    this.#refusals.record(asked, why);
    sendRefusal(response, why);
    return why;
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
    const status = unreadableStatus(error.code);
    const why = refusal(status, 'malformed request', 'this is no acceptable HTTP', 'send HTTP/1.1');
    this.#refusals.record(this.#asked(this.#places.get(socket), '', ''), why);
    endWithRefusal(socket, why);
    // Node loses the error of an earlier write into TLS: to an agent that has gone, the answer would wait for ever.
    if (error.code === 'HPE_INVALID_EOF_STATE') setImmediate(() => socket.destroy());
  }

  #asked(place: Place | undefined, method: string, path: string): Asked {
    const host = place === undefined ? '' : nameOf(place);
    const service = place?.service ?? null;
    return { session: this.#session, group: this.#group, method, host, path, rule: '', service };
  }
}

/** One request, its answer, and its row. */
interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  asked: Asked;
}

type Fetch = NonNullable<Admission['fetch']>;

const NO_NESTING = refusal(405, 'default deny', 'a tunnel leads to one place only', 'open another tunnel');
const TOO_SOON = refusal(400, 'malformed request', 'CONNECT came before the last answer', 'wait for the answer');
const NO_RECORD = refusal(503, 'audit', 'the request could not be recorded', 'tell your operator');
const BUSY = refusal(
  429,
  'concurrency',
  `${SESSION_REQUESTS_MAX} requests of this session are running`,
  'wait for one to end',
);

function tooOften({ limit, wait_s }: NonNullable<ReturnType<Rates['take']>>): Refusal {
  const { service, rate } = limit;
  return refusal(429, `${service}: rate ${rate}`, `${service} may be asked ${rate}`, `wait ${wait_s} s`);
}

/** Node's parser takes a line of HTTP/2.0 or 0.9 for a request like any other. */
function versionProblem({ httpVersion }: IncomingMessage): Refusal | null {
  if (httpVersion === '1.1' || httpVersion === '1.0') return null;
  return refusal(505, 'malformed request', `HTTP ${httpVersion} is not spoken here`, 'send HTTP/1.1');
}

function unreadableStatus(code: string | undefined): number {
  if (code === 'HPE_HEADER_OVERFLOW') return 431;
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
}
