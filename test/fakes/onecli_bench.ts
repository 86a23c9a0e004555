import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { AuditRow, GatewayEvent } from '../../src/protocol/gateway.ts';
import type { LineClient } from '../../src/protocol/lines_client.ts';
import type { SecretTerms } from '../../src/protocol/secrets.ts';
import { GatewayProcess, type Reply } from './gateway_process.ts';
import { FakeOneCli } from './onecli.ts';
import { type AskOptions, askService } from './tunnel.ts';
import { bearerFor, namesEnv, TestAuthority, Upstream } from './upstream.ts';

/** A gateway beside an OneCLI, set up as OPERATIONS says, and a group with services that go through it and one that does not. */

/** What OneCLI holds, and what our own vault holds. */
export const THEIRS = 'credential-that-onecli-has';
export const OURS = 'fake-token-of-the-operator';

export interface Case {
  name: string;
  /** Before the request, in the same session. */
  arrange?: (bench: OneCliBench) => unknown;
  /** Puts things back. */
  restore?: (bench: OneCliBench) => unknown;
  target?: string;
  ask?: AskOptions;
  expected: Partial<Outcome>;
}

export interface Outcome {
  /** Null: no answer at all. */
  status: number | null;
  /** Of a refusal, in the gateway's own form. */
  refusal: string | null;
  body: string;
  /** What the service got, and its connections, whoever made them. */
  received: string[];
  connections: number;
  /** Value of `authorization` that the service got last. */
  authorization: string | null;
  /** Headers with a credential that came out of the tunnel at OneCLI. */
  inside: string[];
  /** User and token of each CONNECT. */
  connects: string[];
  /** Headers of OneCLI's own that arrived there, and that came back to the agent. */
  obeyed: string[];
  told: string[];
  /** Decision, status, rule, secret of the last row. */
  row: string;
}

const TOKEN_TERMS = { kind: 'basic', user: 'x' } as const;
/** Until an answer that does not come is given up. */
const LATE_MS = 4000;

/** What `expected` of a case speaks of. */
export async function outcomeOf(bench: OneCliBench, one: Case): Promise<Partial<Outcome>> {
  const outcome = await bench.outcome(one);
  return Object.fromEntries(Object.keys(one.expected).map((key) => [key, outcome[key as keyof Outcome]]));
}

export class OneCliBench {
  readonly internet = new TestAuthority();
  readonly api = new Upstream('api.example.com', this.internet);
  readonly own = new Upstream('own.example.com', this.internet);
  readonly onecli = new FakeOneCli(this.internet, [this.api, this.own]);
  readonly gateway: GatewayProcess;
  host!: LineClient;
  /** What the host has heard. */
  readonly events: GatewayEvent[] = [];
  policy = '';
  #agent = '';
  #secret = '';
  #sessions = 0;
  session = '';
  socket = '';

  /** `root`: the checkout that runs. */
  constructor(root?: string) {
    const hosts = ['api.example.com', 'own.example.com', 'metadata.google.internal'];
    this.gateway = new GatewayProcess(namesEnv(Object.fromEntries(hosts.map((name) => [name, ['127.0.0.1']]))), root);
  }

  async start(): Promise<this> {
    await Promise.all([this.api.listen(), this.own.listen(), this.onecli.listen()]);
    const { paths } = this.gateway;
    this.#agent = (await this.call<{ id: string }>('POST', 'agents', { name: 'Glass', identifier: 'glass' })).id;
    await this.grant();
    const { caCertificate } = await this.call<{ caCertificate: string }>('GET', 'container-config?agent=glass');
    writeFileSync(join(paths.home, 'onecli-ca.pem'), caCertificate);
    this.configure();
    await this.gateway.start();
    await this.setToken(await this.token());
    await this.gateway.setSecret('api-token', OURS, bearerFor(this.api.place, this.own.place));
    const form = { kind: 'oauth2', token_url: `https://${this.api.place}/items/oauth/token` } as const;
    const credentials = {
      client_id: 'fake-client',
      client_secret: 'fake-client-secret',
      refresh_token: 'fake-refresh',
    };
    await this.gateway.setSecret('login', JSON.stringify(credentials), { form, hosts: [this.api.place] });
    this.policy = this.gateway.group('assistant', this.#group());
    this.host = await this.gateway.host((event) => void this.events.push(event as GatewayEvent));
    return this;
  }

  /** One call of OneCLI's API. */
  async call<T>(method: string, path: string, body?: object): Promise<T> {
    const reply = await fetch(`${this.onecli.dashboard}/v1/${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await reply.text();
    return reply.headers.get('content-type') === 'application/json' && text !== '' ? JSON.parse(text) : (text as T);
  }

  /** The agent's token, out of the address that containers get. */
  async token(): Promise<string> {
    const { env } = await this.call<{ env: Record<string, string> }>('GET', 'container-config?agent=glass');
    return new URL(env['HTTPS_PROXY']!).password;
  }

  async regenerate(): Promise<void> {
    await this.call('POST', `agents/${this.#agent}/regenerate-token`);
  }

  /** The secret that OneCLI puts into what goes to the service. */
  async grant(): Promise<void> {
    const injectionConfig = { headerName: 'Authorization', valueFormat: 'Bearer {value}' };
    const secret = { name: 'api', type: 'generic', value: THEIRS, hostPattern: this.api.host, injectionConfig };
    this.#secret = (await this.call<{ id: string }>('POST', 'secrets', secret)).id;
  }

  async revoke(): Promise<void> {
    await this.call('DELETE', `secrets/${this.#secret}`);
  }

  async setToken(value: string, form: SecretTerms['form'] = TOKEN_TERMS, hosts?: string[]): Promise<void> {
    await this.gateway.setSecret('onecli-token', value, { form, hosts: hosts ?? [`127.0.0.1:${this.onecli.port}`] });
  }

  async removeToken(): Promise<void> {
    const operator = await this.gateway.operator();
    await operator.request({ op: 'remove', name: 'onecli-token', next: false }, LATE_MS);
    operator.close();
  }

  /** `glass.yaml`, with OneCLI or without. */
  configure(onecli = true): void {
    const { paths } = this.gateway;
    const ca = join(paths.home, 'onecli-ca.pem');
    const lines = onecli ? `onecli: {gateway: "${this.onecli.gateway}", token: onecli-token, ca: ${ca}}\n` : '';
    writeFileSync(paths.config, `upstream_ca: ${this.internet.write(paths.home)}\n${lines}`);
  }

  /** The gateway ends and is there again, with what `glass.yaml` says by then. */
  async restart(): Promise<void> {
    await this.gateway.end('SIGTERM');
    await this.gateway.start();
    this.host = await this.gateway.host((event) => void this.events.push(event as GatewayEvent));
    await this.open();
  }

  #group(): string {
    const at = `host: api.example.com, port: ${this.api.port}, via: onecli`;
    return `secrets: [api-token]
egress:
  api: {${at}, allow: [GET /items/**, POST /items], approve: [DELETE /items/**], deny: [GET /items/hidden], deny_json: [mcp_servers]}
  paced: {${at}, rate: 1/hour, allow: [GET /paced]}
  listed: {${at}, query: [key], allow: [GET /listed]}
  own: {host: own.example.com, port: ${this.own.port}, private: [127.0.0.0/8], use: api-token, allow: [GET /**]}
  meta: {host: metadata.google.internal, via: onecli, allow: [GET /**]}
`;
  }

  /** What really happens. The session is closed again, and with it every tunnel. */
  async outcome({ arrange, restore, target = '/items/1', ask }: Case): Promise<Outcome> {
    const { api, own, onecli } = this;
    for (const list of [api.received, own.received, onecli.connects, onecli.requests]) list.length = 0;
    api.connections = 0;
    api.handler = (_request, response) => void response.end('ok');
    onecli.behaviour = 'ordinary';
    await this.open();
    try {
      await arrange?.(this);
      const reply = await this.ask(target, ask);
      const [row] = (await this.gateway.audit(this.host, this.session)).slice(-1);
      return { ...this.#seen(reply, await this.token()), row: row === undefined ? '' : rowWords(row) };
    } finally {
      await restore?.(this);
      await this.host.request({ op: 'close', session: this.session }, LATE_MS);
    }
  }

  /** One request of the agent to the service; null: nothing came in time. */
  async ask(target: string, ask: AskOptions = {}, place = this.api.place): Promise<Reply | null> {
    const options = { ca: readFileSync(this.gateway.paths.caCertificate, 'utf8'), place };
    const asked = askService(this.socket, options, target, ask).catch(() => null);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<null>((resolve) => {
      timer = setTimeout(resolve, LATE_MS, null);
    });
    return Promise.race([asked, late]).finally(() => clearTimeout(timer));
  }

  #seen(reply: Reply | null, token: string): Omit<Outcome, 'row'> {
    const { api, own, onecli } = this;
    const isOurs = reply?.headers['x-glass-refused'] === 'true';
    const { rule, reason } = isOurs ? JSON.parse(reply.body) : {};
    const inside = onecli.requests.at(-1)?.rawHeaders ?? [];
    const names = inside.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase());
    return {
      status: reply?.status ?? null,
      refusal: isOurs ? `${rule}: ${reason}`.replace(`127.0.0.1:${onecli.port}`, 'PLACE') : null,
      body: reply?.body ?? '',
      received: [...api.received, ...own.received].map(({ method, target }) => `${method} ${target}`),
      connections: api.connections,
      authorization: api.values('authorization').join() || null,
      inside: names.filter((name) => /authorization|api-key/.test(name)),
      connects: onecli.connects.map(({ credential }) => credential?.replace(token, 'current') ?? 'nobody'),
      obeyed: names.filter((name) => name.startsWith('x-onecli-')),
      told: Object.keys(reply?.headers ?? {}).filter((name) => name.startsWith('x-onecli-')),
    };
  }

  /** A new session of the agent. */
  async open(): Promise<void> {
    this.session = `s${++this.#sessions}`;
    this.socket = await this.gateway.open(this.host, this.session, 'assistant', this.policy);
  }

  async dispose(): Promise<void> {
    await this.gateway.dispose();
    await Promise.all([this.api.close(), this.own.close(), this.onecli.close()]);
  }
}

function rowWords({ decision, status, rule, secret }: AuditRow): string {
  return `${decision} ${status}, ${rule}, ${secret ?? 'no secret'}`;
}
