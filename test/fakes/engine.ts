import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import type { Server, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer } from '../../src/base/http.ts';
import { remove } from './remove.ts';

/** A container engine on a socket of its own: as much of the Docker Engine API as sandboxes and the building of their image need. */

interface FakeContainer {
  Id: string;
  name: string;
  labels: Record<string, string>;
  running: boolean;
  /** It runs on while the engine is away. */
  process: ChildProcess;
  /** Calls that are answered at its end. */
  waiting: ServerResponse[];
  attached: ServerResponse | null;
}

export class FakeEngine {
  readonly folder = mkdtempSync(join(tmpdir(), 'glass-engine-'));
  readonly socket = join(this.folder, 'engine.sock');
  readonly containers: FakeContainer[] = [];
  /** Method and path of each call, without the API's version, in order. */
  readonly asked: string[] = [];
  /** Such calls are cut without an answer, as by an engine that is going away. */
  away: RegExp | null = null;
  /** Such calls are taken and not answered, as by an engine that hangs: before the head of the answer, or after it. */
  silent: { calls: RegExp; after: 'nothing' | 'head' } | null = null;
  /** What it answers when a name is taken: Podman's service says 500. */
  taken: 409 | 500 = 409;
  /** It cannot make a container. */
  full = false;
  /** Images that a build can begin with: those of a registry that is reached, and what was imported. */
  readonly bases = new Set<string>();
  /** The arguments of each build. */
  readonly builds: Record<string, string>[] = [];
  /** What came as the system files of an image, by its name. */
  readonly imported = new Map<string, string>();
  #made = 0;
  readonly #server: Server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url!.replace(/^\/v[\d.]+/, ''), 'http://engine');
    const call = `${request.method} ${pathname}`;
    this.asked.push(call);
    if (this.away?.test(call)) return void request.socket.destroy();
    if (this.silent?.calls.test(call))
      return this.silent.after === 'head' ? response.writeHead(200).flushHeaders() : undefined;
    const chunks: Buffer[] = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => this.#answer(call, searchParams, Buffer.concat(chunks).toString(), response));
  });

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(this.socket, resolve));
  }

  close(): void {
    for (const { process } of this.containers) process.kill('SIGKILL');
    this.#server.close();
    this.#server.closeAllConnections();
    remove(this.folder);
  }

  /** A container that somebody made. */
  add(name: string, labels: Record<string, string>, running: boolean): FakeContainer {
    this.#made += 1;
    const process = spawn('sleep', ['60'], { stdio: 'ignore' });
    const container = { Id: `id${this.#made}`, name, labels, running, process, waiting: [], attached: null };
    this.containers.push(container);
    return container;
  }

  /** An engine that restarts cuts whoever waits, not the containers. */
  cut(): void {
    for (const { waiting } of this.containers) for (const response of waiting.splice(0)) response.destroy();
  }

  #answer(call: string, query: URLSearchParams, body: string, response: ServerResponse): void {
    const [, id = '', act = ''] = /^\w+ \/containers\/([^/]+)\/?(\w*)$/.exec(call) ?? [];
    if (call === 'GET /info') return send(response, 200, { MemoryLimit: true });
    if (call === 'POST /build') return this.#build(query, response);
    if (call === 'POST /images/create') return this.#import(query, body, response);
    if (call === 'POST /containers/create') return this.#create(query.get('name')!, JSON.parse(body), response);
    if (call === 'GET /containers/json') return this.#list(JSON.parse(query.get('filters')!), response);
    const container = this.containers.find(({ Id, name }) => Id === id || name === id);
    if (container === undefined) return send(response, 404, { message: `No such container: ${id}` });
    if (call.startsWith('DELETE ')) return this.#remove(container, response);
    this.#act(container, act, response);
  }

  #create(name: string, body: { Labels: Record<string, string> }, response: ServerResponse): void {
    if (this.full) return send(response, 500, { message: 'no space left on device' });
    if (this.containers.some((container) => container.name === name))
      return send(response, this.taken, { message: `Conflict. The container name "/${name}" is already in use` });
    send(response, 201, { Id: this.add(name, body.Labels, false).Id });
  }

  #list(filters: { label: string[] }, response: ServerResponse): void {
    const [key = '', value] = filters.label[0]!.split('=');
    send(
      response,
      200,
      this.containers.filter(({ labels }) => labels[key] === value).map(({ Id }) => ({ Id })),
    );
  }

  #remove(container: FakeContainer, response: ServerResponse): void {
    end(container);
    this.containers.splice(this.containers.indexOf(container), 1);
    send(response, 204);
  }

  #act(container: FakeContainer, act: string, response: ServerResponse): void {
    const State = { Pid: container.process.pid, ExitCode: container.running ? 0 : 137, OOMKilled: false, Error: '' };
    switch (act) {
      case 'json':
        return send(response, 200, {
          Id: container.Id,
          State,
          Image: 'sha256:1',
          Config: { Labels: container.labels },
        });
      case 'attach':
        container.attached = response;
        return response.writeHead(200).flushHeaders();
      case 'start':
        container.running = true;
        return send(response, 204);
      case 'wait':
        container.waiting.push(response);
        if (!container.running) end(container);
        return;
      case 'kill':
        if (!container.running) return send(response, 409, { message: 'is not running' });
        end(container);
        return send(response, 204);
      default:
        return send(response, 404, { message: 'page not found' });
    }
  }

  /** The head is 200 whatever happens then; a failure is a line of the stream. */
  #build(query: URLSearchParams, response: ServerResponse): void {
    const args = JSON.parse(query.get('buildargs')!) as Record<string, string>;
    this.builds.push(args);
    const error = 'Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host';
    send(response, 200, this.bases.has(args['BASE']!) ? { stream: 'Successfully built' } : { error });
  }

  #import(query: URLSearchParams, body: string, response: ServerResponse): void {
    const name = `${query.get('repo')}:${query.get('tag')}`;
    this.imported.set(name, body);
    this.bases.add(name);
    send(response, 200, { status: 'sha256:2' });
  }
}

function end(container: FakeContainer): void {
  container.running = false;
  container.process.kill('SIGKILL');
  container.attached?.end();
  for (const response of container.waiting.splice(0)) send(response, 200, { StatusCode: 137 });
}

function send(response: ServerResponse, status: number, body?: object): void {
  response.writeHead(status).end(body === undefined ? '' : JSON.stringify(body));
}
