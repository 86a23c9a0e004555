import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { type Answer, anthropicReply, openaiReply } from './model_replies.ts';

/**
 * A scripted model endpoint: Anthropic Messages and OpenAI Chat Completions, streamed or not, on loopback http.
 * A script (a function of the request) says what to answer, at once; everything that arrives is recorded.
 *
 * `node test/fakes/model.ts --port 0 [--mode ok]` runs it alone and prints its port.
 */

/** What goes wrong: `hang` never answers, `cut` breaks the stream in the middle, `garbage` is no HTTP. */
export type Mode = 'ok' | 'hang' | 'cut' | '401' | '402' | '429' | '500' | 'garbage';

export interface ModelRequest {
  method: string;
  /** The raw request target, as it arrived. */
  target: string;
  headers: IncomingHttpHeaders;
  rawHeaders: string[];
  body: string;
  /** The parsed body, or an empty object when it is no JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: scripts and assertions look anywhere into a request
  json: any;
  /** Text of the newest message of the user, without tool results. */
  lastText: string;
  /** Results of tools that the newest message carries. */
  toolResults: string[];
}

/** The answer, a mode, or full control of the response. */
export type Script = (
  request: ModelRequest,
) => Answer | { mode: Mode } | { raw: (response: ServerResponse) => void | Promise<void> } | Promise<Answer>;

export interface FakeModel {
  readonly port: number;
  /** `http://127.0.0.1:<port>`: the upstream for `anthropic`; add `/v1` for `openai`. */
  readonly origin: string;
  readonly requests: ModelRequest[];
  /** Overrides the script for every following request. */
  mode: Mode;
  script: Script;
  close(): Promise<void>;
}

/**
 * The default script. `tool <name> <json>` in the newest message makes a call of that tool; results of tools are
 * repeated; any other text comes back behind `echo: `.
 */
export const echoScript: Script = (request) => {
  if (request.toolResults.length > 0) return { text: `tool said: ${request.toolResults.join(' | ')}` };
  const call = /(?:^|\n)tool (\S+) (\{.*\})\s*(?:<\/message>\s*)?$/s.exec(request.lastText);
  if (call !== null) return { tools: [{ name: call[1]!, input: JSON.parse(call[2]!) }] };
  return { text: `echo: ${request.lastText}` };
};

/** An answer that comes word by word, each when `next` has resolved. */
export function wordByWord(text: string, next: () => Promise<unknown>): Script {
  return ({ json }) => ({
    raw: async (response) => {
      const { type, chunks } = anthropicReply(json, { text });
      response.writeHead(200, { 'content-type': type });
      for (const chunk of chunks) {
        await next();
        response.write(chunk);
      }
      response.end();
    },
  });
}

export async function startModel(options: { port?: number; script?: Script; mode?: Mode } = {}): Promise<FakeModel> {
  const server = createServer((request, response) => {
    void serve(model, request, response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const port = (server.address() as AddressInfo).port;
  const model: FakeModel = {
    port,
    origin: `http://127.0.0.1:${port}`,
    requests: [],
    mode: options.mode ?? 'ok',
    script: options.script ?? echoScript,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return model;
}

async function serve(model: FakeModel, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  const request = await record(incoming).catch(() => null);
  if (request === null) return;
  model.requests.push(request);
  const scripted = model.mode === 'ok' ? await model.script(request) : { mode: model.mode };
  if ('raw' in scripted) return void scripted.raw(response);
  if ('mode' in scripted && scripted.mode !== 'cut') {
    if (scripted.mode !== 'ok') return misbehave(scripted.mode, response);
  }
  const answer: Answer = 'mode' in scripted ? { text: 'a stream that is cut' } : scripted;
  const path = request.target.split('?')[0]!;
  const reply = path.endsWith('/v1/messages')
    ? anthropicReply(request.json, answer)
    : path.endsWith('/chat/completions')
      ? openaiReply(request.json, answer)
      : path.endsWith('/v1/messages/count_tokens')
        ? { type: 'application/json', chunks: ['{"input_tokens":7}'] }
        : null;
  if (reply === null) return fail(response, 404, 'not_found_error', `no such path: ${path}`);
  response.writeHead(200, { 'content-type': reply.type, 'request-id': `req_${model.requests.length}` });
  if (!('mode' in scripted)) return void response.end(reply.chunks.join(''));
  response.write(reply.chunks.slice(0, 3).join('').slice(0, -2));
  setImmediate(() => response.destroy());
}

async function record(incoming: IncomingMessage): Promise<ModelRequest> {
  const parts: Buffer[] = [];
  for await (const part of incoming) parts.push(part as Buffer);
  const body = Buffer.concat(parts).toString('utf8');
  const json = parse(body);
  return {
    method: incoming.method ?? '',
    target: incoming.url ?? '',
    headers: incoming.headers,
    rawHeaders: incoming.rawHeaders,
    body,
    json,
    ...newest(json),
  };
}

// biome-ignore lint/suspicious/noExplicitAny: the shape of a client's request is what the tests look at
function parse(body: string): any {
  try {
    return JSON.parse(body) ?? {};
  } catch {
    return {};
  }
}

/** Text and tool results after the last message of the assistant, in either dialect. */
// biome-ignore lint/suspicious/noExplicitAny: two dialects of a client's request
function newest(json: any): { lastText: string; toolResults: string[] } {
  const messages = Array.isArray(json.messages) ? json.messages : [];
  // biome-ignore lint/suspicious/noExplicitAny: as above
  const since = messages.slice(messages.findLastIndex((message: any) => message.role === 'assistant') + 1);
  const texts: string[] = [];
  const toolResults: string[] = [];
  for (const message of since) {
    if (message.role === 'system') continue;
    if (message.role === 'tool') toolResults.push(flat(message.content));
    else if (typeof message.content === 'string') texts.push(message.content);
    else {
      for (const block of message.content ?? []) {
        if (block.type === 'text') texts.push(block.text);
        if (block.type === 'tool_result') toolResults.push(flat(block.content));
      }
    }
  }
  return { lastText: texts.at(-1) ?? '', toolResults };
}

function flat(content: unknown): string {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return JSON.stringify(content);
  return content.map((block) => block.text ?? `[${block.type}]`).join('');
}

const ERRORS: Record<'401' | '402' | '429' | '500', [type: string, message: string]> = {
  '401': ['authentication_error', 'invalid x-api-key'],
  '402': ['billing_error', 'credit balance is too low'],
  '429': ['rate_limit_error', 'too many requests'],
  '500': ['api_error', 'internal server error'],
};

function misbehave(mode: Exclude<Mode, 'ok' | 'cut'>, response: ServerResponse): void {
  if (mode === 'hang') return;
  if (mode === 'garbage') {
    response.socket?.end('this is no HTTP\r\n\r\n');
    return;
  }
  if (mode === '429') response.setHeader('retry-after', '1');
  fail(response, Number(mode), ...ERRORS[mode]);
}

function fail(response: ServerResponse, status: number, type: string, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ type: 'error', error: { type, message } }));
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { port: { type: 'string' }, mode: { type: 'string' } } });
  const model = await startModel({ port: Number(values.port ?? 0), mode: (values.mode ?? 'ok') as Mode });
  process.stdout.write(`${model.port}\n`);
}
