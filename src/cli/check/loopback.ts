import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer } from '../../base/http.ts';

/** A server on this machine that stands for a model, or for a platform: it answers, refuses, or is not there at all. */
export class Loopback {
  readonly #answer: (request: IncomingMessage) => [status: number, body: object];
  #server: Server | null = null;
  #port = 0;

  constructor(answer: (request: IncomingMessage) => [status: number, body: object]) {
    this.#answer = answer;
  }

  get port(): number {
    return this.#port;
  }

  /** Always at the same port. */
  async open(): Promise<void> {
    const server = createServer((request: IncomingMessage, response: ServerResponse) => {
      request.resume().on('end', () => {
        const [status, body] = this.#answer(request);
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      });
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, '127.0.0.1', resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** Resolves when nobody listens there any more. */
  close(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server === null) return Promise.resolve();
    return new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  }
}

/** As a model of the provider `openai` answers. */
export function modelServer(): Loopback {
  const answer = {
    id: 'check',
    object: 'chat.completion',
    choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content: 'hello' } }],
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
  };
  return new Loopback(() => [200, answer]);
}

/** As Meta's Graph answers who we are; `refuses`: the token counts no more. */
export function graphServer(refuses: () => boolean): Loopback {
  const error = { message: 'Error validating access token', type: 'OAuthException', code: 190 };
  return new Loopback(() =>
    refuses() ? [401, { error }] : [200, { id: '10000', display_phone_number: '+1 555 0100', verified_name: 'check' }],
  );
}
