import type { IncomingMessage, ServerResponse } from 'node:http';
import { LoopbackServer } from '../loopback_server.ts';

/** A call, on its way to an emulator. */
export interface Asked {
  method: string;
  /** With its query. */
  path: string;
  headers: Record<string, string>;
  body: Buffer;
}

export interface Answered {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
}

export interface RelayHooks {
  /** What the emulator is asked for instead. */
  as?(path: string): string;
  /** What the emulator has no answer to is answered here; null: it is asked. `gone`: who asked does not wait any more. */
  instead?(asked: Asked, gone: AbortSignal): Promise<Answered | null>;
  /** Once the emulator has answered, and before that is known to who asked: what is looked at here is never behind. */
  passed?(asked: Asked, answered: Answered): Promise<Answered | undefined>;
  /** Whether this call writes a message: those can be cut. */
  writes(asked: Asked): boolean;
}

/** Between a driver and an emulator: it can cut a connection and go away, which no emulator does by itself. */
export class Relay {
  /** Where the emulator is. */
  target = '';
  readonly #hooks: RelayHooks;
  readonly #server = new LoopbackServer((request, response) => this.#answer(request, response));
  #isCut = false;

  constructor(hooks: RelayHooks) {
    this.#hooks = hooks;
  }

  get url(): string {
    return this.#server.url;
  }

  listen(): Promise<void> {
    return this.#server.listen();
  }

  drop(): void {
    this.#server.drop();
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  /** The next call that writes is done, and its connection ends without an answer. */
  cutNext(): void {
    this.#isCut = true;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.on('close', () => gone.abort());
    try {
      const asked = await askedOf(request);
      const answered = (await this.#hooks.instead?.(asked, gone.signal)) ?? (await this.#pass(asked));
      if (this.#isCut && this.#hooks.writes(asked)) {
        this.#isCut = false;
        request.socket.destroy();
      } else if (!response.destroyed) response.writeHead(answered.status, answered.headers).end(answered.body);
    } catch {
      response.destroy();
    }
  }

  async #pass(asked: Asked): Promise<Answered> {
    const { method, path, headers, body } = asked;
    const sent = method === 'GET' || method === 'HEAD' ? {} : { body };
    const url = `${this.target}${this.#hooks.as?.(path) ?? path}`;
    const response = await fetch(url, { method, headers, ...sent, redirect: 'manual' });
    const answered = {
      status: response.status,
      headers: lessOf(Object.fromEntries(response.headers)),
      body: Buffer.from(await response.arrayBuffer()),
    };
    return (await this.#hooks.passed?.(asked, answered)) ?? answered;
  }
}

async function askedOf(request: IncomingMessage): Promise<Asked> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  const headers = Object.entries(request.headers).map(([name, value]) => [name, String(value)]);
  const { method = 'GET', url = '/' } = request;
  return { method, path: url, headers: lessOf(Object.fromEntries(headers)), body: Buffer.concat(parts) };
}

/** What belongs to one connection, and to how bytes were packed on it. */
const OWN = ['host', 'connection', 'keep-alive', 'content-length', 'transfer-encoding', 'content-encoding', 'expect'];

function lessOf(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !OWN.includes(name)));
}

export function jsonAnswer(value: unknown, status = 200): Answered {
  return { status, headers: { 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify(value)) };
}
