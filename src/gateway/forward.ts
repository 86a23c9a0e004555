import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Agent, Dispatcher } from 'undici';
import { type Faults, guarded } from '../base/faults.ts';
import { MODEL_INFORMATIONAL_MAX } from '../base/limits/gateway.ts';
import type { Outcome } from './audit.ts';
import { CappedBody, hasBody } from './body.ts';
import { isAccepted } from './handshake.ts';
import { isEncoded, replyHeaders, requestHeaders } from './headers.ts';
import type { Injection } from './inject.ts';
import { Redactor } from './redact.ts';
import { refusal, sendRefusal, upstreamRefusal } from './refuse.ts';
import type { Refusal } from './route.ts';
import { NO_USAGE, UsageReader } from './usage.ts';
import { WebSocketRelay } from './websocket.ts';

/** How long an endpoint may be silent, and an agent take for TLS. */
export interface Deadlines {
  tls_ms: number;
  first_byte_ms: number;
  idle_ms: number;
  ws_idle_ms: number;
}

/** One request that was allowed and recorded, and where its end is told. */
export interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  agent: Agent;
  /** A model's reply is read for its usage. */
  kind: 'model' | 'service';
  /** `https://api.github.com` */
  origin: string;
  /** How the endpoint is called in a row and in an answer. */
  host: string;
  /** The upstream's own path and exactly what was matched. */
  path: string;
  /** The body, where it had to be read before; null: it streams. */
  body: Buffer | null;
  bodyBytesMax: number;
  injection: Injection | null;
  /** It asks for a WebSocket: the response has the agent's connection for itself. */
  ws: boolean;
  /** Counts one frame of a WebSocket's messages; why there may be no more, or null. Must not throw. */
  count: () => Refusal | null;
  deadlines: Deadlines;
  faults: Faults;
  /** Called once, after the last byte. Must not throw. */
  ended: (outcome: Outcome) => void;
}

/** Sends a request up and its reply down. Never throws; every failure is an answer to the agent and an outcome. */
export function forward(exchange: Exchange): void {
  new Forwarder(exchange).start();
}

/** Behind what was matched, and only on its way out: no row and no answer has it. */
function withParameter(path: string, injection: Injection | null): string {
  if (injection === null || injection.query === null) return path;
  return `${path}${path.includes('?') ? '&' : '?'}${injection.query.text}`;
}

const NO_WEBSOCKET = 'answered the handshake of a WebSocket with something else';

class Forwarder implements Dispatcher.DispatchHandler {
  readonly #exchange: Exchange;
  readonly #body: CappedBody | null;
  #controller: Dispatcher.DispatchController | null = null;
  #timer: NodeJS.Timeout | undefined;
  #redactor: Redactor | null = null;
  #usage: UsageReader | null = null;
  /** The reply has come to its end. */
  #whole = false;
  #webSocket: WebSocketRelay | null = null;
  #status: number | null = null;
  #informational = 0;
  #bytesDown = 0;
  #maskedInHead = 0;
  #done = false;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
    const { request, body, bodyBytesMax } = exchange;
    this.#body = body === null && hasBody(request) ? new CappedBody(request, bodyBytesMax) : null;
  }

  start(): void {
    const { request, response, agent, host, origin, path, body, injection, ws, deadlines, faults } = this.#exchange;
    // The agent's own header of that name goes, as those do that its connection header lists.
    const named = [request.headers.connection, injection?.header[0]].join(',');
    const headers = requestHeaders(request.rawHeaders, named, injection !== null);
    if (injection !== null) headers.push(...injection.header);
    const length = request.headers['content-length'];
    if (length !== undefined && this.#body !== null) headers.push('content-length', length);
    response.on('close', () => this.#agentGone());
    this.#timer = setTimeout(() => this.#late('sent no reply in time'), deadlines.first_byte_ms);
    const options = {
      origin,
      path: withParameter(path, injection),
      method: request.method as Dispatcher.HttpMethod, // a route has matched it
      headers,
      body: body ?? this.#body,
      upgrade: ws ? 'websocket' : null,
    };
    try {
      guarded(faults, 'model.request', () => agent.dispatch(options, this));
    } catch (error) {
      this.#fail(upstreamRefusal(error, host), 'error');
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // The agent may have gone, or the deadline passed, while the connection was being made.
    if (this.#done) controller.abort(new Error('nobody waits for the reply'));
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (this.#done) return;
    const { response, kind, injection, ws, deadlines } = this.#exchange;
    if (ws && (status === 101 || (status >= 200 && status < 300))) return this.#broken(NO_WEBSOCKET);
    if (status < 200) {
      this.#informational += 1;
      if (this.#informational > MODEL_INFORMATIONAL_MAX) this.#broken('sends informational replies without end');
      return;
    }
    if (status === 401 && this.#renews(controller)) return;
    if ((kind === 'model' || injection !== null) && isEncoded(headers)) {
      this.#broken('answered compressed although plain was asked for');
      return;
    }
    if (kind === 'model') this.#usage = new UsageReader(headers['content-type']);
    if (!this.#begin(status, replyHeaders(headers))) return;
    this.#arm(deadlines.idle_ms);
    // With the first bytes of the body if they are there already, else alone: a stream may begin with a pause.
    queueMicrotask(() => {
      if (this.#bytesDown === 0 && !this.#done && !controller.aborted) response.flushHeaders();
    });
  }

  /** The service has left HTTP, and its connection is nobody's but ours. */
  onRequestUpgrade(
    _controller: Dispatcher.DispatchController,
    _status: number,
    headers: IncomingHttpHeaders,
    upstream: Duplex,
  ): void {
    this.#controller = null;
    upstream.on('error', () => upstream.destroy());
    const { request, response, count, deadlines } = this.#exchange;
    if (!isAccepted(headers, request.headers['sec-websocket-key'] ?? '')) this.#broken(NO_WEBSOCKET);
    const kept = ['connection', 'upgrade', 'upgrade', 'websocket', ...replyHeaders(headers)];
    if (this.#done || !this.#begin(101, kept)) return void upstream.destroy();
    clearTimeout(this.#timer);
    response.flushHeaders();
    response.detachSocket(request.socket);
    this.#webSocket = new WebSocketRelay({
      ...{ agent: request.socket, upstream, redactor: this.#redactor, idle_ms: deadlines.ws_idle_ms, count },
      // Never `deny`: it has left, and counts.
      ended: (why) => this.#end(why === null ? 'allow' : 'error', why, 101),
    });
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#done) return;
    this.#timer?.refresh();
    this.#bytesDown += chunk.length;
    this.#usage?.push(chunk);
    const out = this.#redactor === null ? chunk : this.#redactor.push(chunk);
    if (out.length === 0 || this.#exchange.response.write(out)) return;
    controller.pause();
    this.#exchange.response.once('drain', () => controller.resume());
  }

  onResponseEnd(): void {
    if (this.#done) return;
    const rest = this.#redactor?.end();
    const { response } = this.#exchange;
    if (rest !== undefined && rest.length > 0) response.end(rest);
    else response.end();
    this.#whole = true;
    this.#end('allow', null, this.#status);
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.#done) return;
    const why = upstreamRefusal(error, this.#exchange.host);
    this.#fail(why, why.status === 403 || why.status === 413 ? 'deny' : 'error');
  }

  /** Answers the agent with the head of a reply, masked. False: it is none. */
  #begin(status: number, kept: string[]): boolean {
    const { response, injection, faults } = this.#exchange;
    const patterns = injection?.patterns ?? null;
    if (patterns !== null) this.#redactor = new Redactor(patterns);
    const masked = patterns?.mask(kept) ?? { lines: kept, count: 0 };
    this.#maskedInHead = masked.count;
    try {
      guarded(faults, 'model.reply', () => response.writeHead(status, masked.lines));
    } catch {
      this.#broken('sent a malformed header');
      return false;
    }
    this.#status = status;
    return true;
  }

  /** A token that may have been taken back is got anew, once, where the same request can be sent again. */
  #renews(controller: Dispatcher.DispatchController): boolean {
    const { injection, response } = this.#exchange;
    const renewing = injection?.renew?.() ?? null;
    // A body that has streamed by is gone: the next request has the new token.
    if (renewing === null || this.#body !== null) return false;
    this.#done = true;
    clearTimeout(this.#timer);
    controller.abort(new Error('it is asked again with another token'));
    void renewing.then((next) => {
      if (response.destroyed) return this.#end('allow', null, null);
      if (!('status' in next)) return forward({ ...this.#exchange, injection: { ...next, renew: null } });
      this.#end('error', next.rule, next.status);
      sendRefusal(response, next);
    });
    return true;
  }

  /** The endpoint answers in a way that must not go through. */
  #broken(what: string): void {
    const { host } = this.#exchange;
    this.#fail(refusal(502, 'upstream', `${host} ${what}`, 'tell your operator'), 'error');
  }

  #late(what: string): void {
    const { host } = this.#exchange;
    this.#fail(refusal(504, 'upstream deadline', `${host} ${what}`, 'try again later'), 'error');
  }

  /** Answers the agent if no answer has begun, else cuts the stream: half a reply must not look whole. */
  #fail(why: Refusal, decision: 'deny' | 'error'): void {
    if (this.#done) return;
    const { response } = this.#exchange;
    const begun = response.headersSent;
    this.#end(decision, why.rule, begun ? this.#status : why.status);
    this.#controller?.abort(new Error(why.reason));
    this.#body?.destroy();
    if (begun) response.destroy();
    else sendRefusal(response, why);
  }

  #agentGone(): void {
    if (this.#done) return;
    this.#end('allow', null, this.#status);
    this.#controller?.abort(new Error('the agent has gone'));
    this.#body?.destroy();
  }

  #arm(after_ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#late('stopped in the middle of its reply'), after_ms);
  }

  #end(decision: Outcome['decision'], rule: string | null, status: number | null): void {
    this.#done = true;
    clearTimeout(this.#timer);
    this.#exchange.ended({
      ...(this.#usage?.result(this.#whole) ?? NO_USAGE),
      decision,
      rule,
      status,
      request_bytes: this.#exchange.body?.length ?? this.#body?.bytes ?? this.#webSocket?.bytesUp ?? 0,
      response_bytes: this.#webSocket?.bytesDown ?? this.#bytesDown,
      redacted: this.#maskedInHead + (this.#redactor?.count ?? 0),
    });
  }
}
