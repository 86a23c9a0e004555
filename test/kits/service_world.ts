import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../../src/base/paths.ts';
import type { Trace } from '../../src/evidence/trace.ts';
import { gitHandler, makeRepository } from '../fakes/git_service.ts';
import { Install } from '../fakes/install.ts';
import { type FakeModel, startModel } from '../fakes/model.ts';
import { remove } from '../fakes/remove.ts';
import { bearerFor, namesEnv, TestAuthority, Upstream } from '../fakes/upstream.ts';
import { requireHarness } from './harness_bench.ts';

/** Of both services; no sandbox may ever hold it. */
export const SECRET = 'fake-token-of-the-operator';

export interface WorldOptions {
  /** More lines of `glass.yaml` and of `group.yaml`. */
  install?: string;
  group?: string;
  /** More of the environment of the install's processes. */
  env?: NodeJS.ProcessEnv;
}

/**
 * An install whose group `assistant` does in a real sandbox what a message says, and three places on a little internet: a
 * service with items, one with a git repository of three commits, and one that no rule names.
 */
export class ServiceWorld {
  readonly api: Upstream;
  readonly code: Upstream;
  readonly other: Upstream;
  readonly install: Install;
  /** Of all three places. */
  readonly authority = new TestAuthority();
  readonly #folder = mkdtempSync(join(tmpdir(), 'ge-'));
  readonly #options: WorldOptions;
  #model: FakeModel | null = null;

  constructor(options: WorldOptions = {}) {
    this.#options = options;
    this.api = new Upstream('api.example.com', this.authority);
    this.code = new Upstream('code.example.com', this.authority);
    this.other = new Upstream('other.example.com', this.authority);
    const names = Object.fromEntries(this.#places.map(({ host }) => [host, ['127.0.0.1']]));
    this.install = new Install(tmpdir(), ROOT, { ...namesEnv(names), ...options.env });
  }

  get model(): FakeModel {
    return this.#model!;
  }

  get #places(): Upstream[] {
    return [this.api, this.code, this.other];
  }

  async start(): Promise<void> {
    await requireHarness('native');
    await Promise.all(this.#places.map((place) => place.listen()));
    makeRepository(this.#folder, 'app.git', 3);
    this.#model = await startModel();
    const { install, api, code } = this;
    install.install(`upstream_ca: ${this.authority.write(this.#folder)}\n${this.#options.install ?? ''}`);
    install.group('assistant', this.group('native'));
    await install.start();
    await install.secret('anthropic', 'sk-scripted-0123456789');
    await install.secret('api-token', SECRET, bearerFor(api.place));
    await install.secret('git-token', SECRET, { form: { kind: 'basic', user: 'x-access-token' }, hosts: [code.place] });
  }

  /** Before each test: nothing has been asked yet, and the services answer as usual. */
  reset(): void {
    for (const place of this.#places) {
      place.received.length = 0;
      place.connections = 0;
    }
    this.api.handler = (_request, response, { body }) => void response.end(`{"items":${body.length || 3}}`);
    this.code.handler = gitHandler(this.#folder);
  }

  group(harness: string): string {
    return `harness: ${harness}
model: {upstream: "${this.model.origin}"}
secrets: [api-token, git-token]
${this.#options.group ?? ''}egress:
  api:
    host: api.example.com
    port: ${this.api.port}
    private: [127.0.0.0/8]
    use: api-token
    allow: [GET /items/**, POST /items, GET /is-number]
  live:
    host: api.example.com
    port: ${this.api.port}
    private: [127.0.0.0/8]
    use: api-token
    ws: true
    allow: [GET /live/**]
  code:
    host: code.example.com
    port: ${this.code.port}
    private: [127.0.0.0/8]
    use: git-token
    allow: [GET /app.git/info/refs, POST /app.git/git-upload-pack]
    query: [service=git-upload-pack]
`;
  }

  /** What the trace of the newest message says of requests to services. */
  async requests(): Promise<unknown[]> {
    const { steps } = await this.install.control.call<Trace>('trace', { message: 'latest' });
    return steps
      .filter(({ kind }) => kind === 'egress.request')
      .map(({ data }) => [data['decision'], data['status'], data['to'], data['secret']]);
  }

  async stop(): Promise<void> {
    await this.install.stop();
    await this.#model?.close();
    await Promise.all(this.#places.map((place) => place.close()));
    remove(this.#folder);
  }
}
