import assert from 'node:assert/strict';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { LoopbackServer } from './loopback_server.ts';

/** A collector of OpenTelemetry: OTLP over HTTP in JSON, read as strictly as the protocol says. */

export interface ReceivedSpan {
  traceId: string;
  spanId: string;
  parentSpanId: string | undefined;
  name: string;
  kind: number;
  start: bigint;
  end: bigint;
  status: { code: number; message?: string };
  attributes: Record<string, string | number | boolean>;
  resource: Record<string, string | number | boolean>;
}

export class Collector {
  readonly server: LoopbackServer;
  readonly spans: ReceivedSpan[] = [];
  readonly bodies: string[] = [];
  readonly headers: IncomingHttpHeaders[] = [];
  /** What a request is answered with. */
  status = 200;

  constructor() {
    this.server = new LoopbackServer((request, response) => this.#answer(request, response));
  }

  /** Of one message. */
  of(message: string): ReceivedSpan[] {
    const root = this.spans.find(({ attributes }) => attributes['glass.message'] === message);
    return root === undefined ? [] : this.spans.filter(({ traceId }) => traceId === root.traceId);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk;
    this.bodies.push(body);
    this.headers.push(request.headers);
    if (this.status !== 200) return void response.writeHead(this.status).end();
    try {
      assert.equal(request.method, 'POST');
      assert.equal(request.url, '/v1/traces');
      assert.equal(request.headers['content-type'], 'application/json');
      this.spans.push(...spansIn(JSON.parse(body)));
      response.writeHead(200, { 'content-type': 'application/json' }).end('{"partialSuccess":{}}');
    } catch (error) {
      response.writeHead(400).end(String(error));
      throw error;
    }
  }
}

// biome-ignore lint/suspicious/noExplicitAny: a message of the protocol, looked at field by field
type Json = any;

function spansIn(body: Json): ReceivedSpan[] {
  return body.resourceSpans.flatMap((group: Json) =>
    group.scopeSpans.flatMap((scope: Json) => scope.spans.map((span: Json) => spanIn(span, group.resource))),
  );
}

/** Ids in hexadecimal, times as decimal strings, as the JSON of OTLP has them. */
function spanIn(span: Json, resource: Json): ReceivedSpan {
  assert.match(span.traceId, /^(?!0+$)[0-9a-f]{32}$/);
  assert.match(span.spanId, /^(?!0+$)[0-9a-f]{16}$/);
  if (span.parentSpanId !== undefined) assert.match(span.parentSpanId, /^[0-9a-f]{16}$/);
  for (const time of [span.startTimeUnixNano, span.endTimeUnixNano]) assert.match(time, /^\d{19}$/);
  const [start, end] = [BigInt(span.startTimeUnixNano), BigInt(span.endTimeUnixNano)];
  assert.ok(end >= start, `${span.name} ends before it begins`);
  assert.ok(Number.isInteger(span.kind) && span.kind >= 1 && span.kind <= 5);
  const { traceId, spanId, parentSpanId, name, kind, status } = span;
  const parts = { attributes: valuesIn(span.attributes), resource: valuesIn(resource.attributes) };
  return { traceId, spanId, parentSpanId, name, kind, start, end, status, ...parts };
}

function valuesIn(attributes: Json): Record<string, string | number | boolean> {
  return Object.fromEntries(
    attributes.map(({ key, value }: Json) => {
      const [[type, held], ...more] = Object.entries(value) as [[string, Json]];
      assert.equal(more.length, 0);
      if (type === 'intValue') return [key, Number(held)];
      assert.ok(['stringValue', 'doubleValue', 'boolValue'].includes(type), `${key} is a ${type}`);
      return [key, held];
    }),
  );
}
