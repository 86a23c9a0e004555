import type { IncomingMessage } from 'node:http';
import type { Agent } from 'undici';
import {
  APPROVAL_BODY_BYTES_MAX,
  EGRESS_BODY_BYTES_MAX,
  EGRESS_JSON_BYTES_MAX,
  ESTIMATED_BODY_BYTES,
  ESTIMATED_OUTPUT_TOKENS,
  MODEL_BODY_BYTES_MAX,
} from '../base/limits/gateway.ts';
import type { Mark } from '../protocol/gateway.ts';
import { NOTHING } from './audit.ts';
import { isHandshake } from './handshake.ts';
import { headerProblem } from './headers.ts';
import type { Destination, Injection, Injector, Prepared } from './inject.ts';
import type { Meter } from './meter.ts';
import type { SessionPolicy } from './policy.ts';
import type { Amount, Prices } from './prices.ts';
import type { Limit } from './rates.ts';
import { refusal } from './refuse.ts';
import { type Refusal, route } from './route.ts';
import { judgeRequest, namesParameter, opensWebSocket, type Place, type ServiceAllowed } from './service_request.ts';
import type { Pools } from './upstreams.ts';
import { NO_USAGE } from './usage.ts';

/**
 * What a request of a session is allowed to become: everything that can refuse it before its body is looked at, its rate
 * is counted and its row is written.
 */
export interface Admission {
  allow: true;
  kind: 'model' | 'service';
  rule: string;
  /** Whose rule it is; null: the model's. */
  service: string | null;
  origin: string;
  /** As rows and answers name it. */
  host: string;
  /** Path and query as they will be sent. */
  path: string;
  /** Name of the secret that is injected. */
  secret: string | null;
  injection: Injection | null;
  /** The injection has to be got first. Null: it is there, or there is none. */
  fetch: (() => Promise<Injection | Refusal>) | null;
  agent: Agent;
  bodyBytesMax: number;
  /** A person is asked before it leaves. */
  approve: boolean;
  /** Generation of the vault that the secret is of; null: none is injected. */
  vault: number | null;
  /** What must not stand in its body, which is read for that. */
  denyJson: readonly string[];
  limits: readonly Limit[];
  /** It becomes a WebSocket. */
  ws: boolean;
  /** What its session is marked with, and whether a person is asked for that. */
  marks: readonly Mark[];
  two: boolean;
  /** What it may use; nothing where it is no model's, or free. */
  estimate: Amount;
}

/** Where secrets and prices come from. */
interface Sources {
  injector: Injector;
  prices: Prices;
}

export class Gate {
  readonly #policy: SessionPolicy;
  readonly #injector: Injector;
  readonly #prices: Prices;
  readonly #pools: Pools;
  readonly #meter: Meter;
  readonly #failed: (error: unknown) => void;

  /** `failed`: the vault could not be read. */
  constructor(
    { policy, meter }: { policy: SessionPolicy; meter: Meter },
    { injector, prices }: Sources,
    pools: Pools,
    failed: (error: unknown) => void,
  ) {
    this.#policy = policy;
    this.#meter = meter;
    this.#injector = injector;
    this.#prices = prices;
    this.#pools = pools;
    this.#failed = failed;
  }

  /** A request on the socket itself: `/model/default/…`. `busy`: why no other request may run now. */
  model(request: IncomingMessage, busy: Refusal | null): Admission | Refusal {
    const { provider, origin, host, prefix, secret } = this.#policy.model;
    const routed =
      headerProblem(request.rawHeaders) ??
      wholeUrl(request) ??
      route(request.method ?? '', request.url ?? '', provider);
    if (!routed.allow) return routed;
    const problem = busy ?? tooLarge(request, { bodyBytesMax: MODEL_BODY_BYTES_MAX, approve: false });
    if (problem !== null) return problem;
    const to: Destination = {
      ...{ host, isTls: origin.startsWith('https:'), model: provider === 'anthropic' ? 'x-api-key' : 'bearer' },
    };
    const injected = this.#inject(secret, to, routed.rest);
    if ('status' in injected) return injected;
    return {
      ...{ allow: true, kind: 'model', rule: routed.rule, service: null, origin, host, path: prefix + routed.rest },
      ...injected,
      ...{
        secret,
        agent: this.#pools.agent(),
        bodyBytesMax: MODEL_BODY_BYTES_MAX,
        approve: false,
        vault: null,
        denyJson: [],
        limits: [],
        ws: false,
        ...{ marks: [], two: false },
        estimate: this.#estimate(request, routed.rest),
      },
    };
  }

  /** Whether a request may leave HTTP: for a WebSocket, where a service opens it. */
  upgrades(request: IncomingMessage, { host, port }: Place): boolean {
    const asked = { method: request.method ?? '', target: request.url ?? '', host, port };
    return isHandshake(request) && opensWebSocket(asked, this.#policy.egress);
  }

  /** A request in a tunnel. `upgraded`: it has left HTTP. */
  service(request: IncomingMessage, place: Place, busy: Refusal | null, upgraded: boolean): Admission | Refusal {
    const handshake = upgraded && isHandshake(request);
    const asked = { method: request.method ?? '', target: request.url ?? '', raw: request.rawHeaders, handshake };
    const judged = judgeRequest(place, asked, this.#policy.egress);
    if (!judged.allow) return judged;
    const { service, denyJson, limits, ws, marks } = judged;
    const two = this.#meter.holds(marks);
    // Nobody could see what they allow.
    const hidden = two ? ((ws ? UNSEEN : null) ?? headerProblem(request.rawHeaders)) : null;
    if (hidden !== null) return hidden;
    const approve = judged.approve || two;
    const rule = two ? `${judged.rule}, rule of two` : judged.rule;
    const unheld = denyJson.length === 0 ? EGRESS_BODY_BYTES_MAX : EGRESS_JSON_BYTES_MAX;
    const bodyBytesMax = approve ? APPROVAL_BODY_BYTES_MAX : unheld;
    const problem = busy ?? tooLarge(request, { bodyBytesMax, approve });
    if (problem !== null) return problem;
    const { generation } = this.#injector;
    const host = nameOf(place);
    const way = this.#way(judged, host, asked.target);
    if ('status' in way) return way;
    return {
      ...{ allow: true, kind: 'service', rule, service, origin: `https://${host}`, host, path: asked.target, ...way },
      ...{ vault: way.secret === null ? null : generation },
      ...{ bodyBytesMax, approve, denyJson, limits, ws, marks, two, estimate: NOTHING },
    };
  }

  /** Straight to the service with its secret, or through OneCLI, which has the credential: never the one for the other. */
  #way({ secret, chained, networks }: ServiceAllowed, host: string, target: string): Way | Refusal {
    const injected = this.#inject(secret, { host, isTls: true, model: null }, target);
    if ('status' in injected) return injected;
    if (!chained) return { secret, ...injected, agent: this.#pools.agent(networks) };
    const { onecli } = this.#pools;
    if (onecli === null) return NO_ONECLI;
    const token = this.#inject(onecli.token, { host: onecli.place, isTls: true, model: null }, target);
    if ('status' in token) return token;
    const [, authorization = ''] = token.injection?.header ?? [];
    if (!authorization.startsWith('Basic ')) return NO_TOKEN;
    // The request itself gets nothing of ours; what it brings back is searched for the token all the same.
    const injection = { ...token.injection!, header: [], query: null };
    return { secret: onecli.token, injection, fetch: null, agent: this.#pools.chained(onecli, authorization) };
  }

  /** Its body comes later: its length says what goes in, and what comes out is taken for an answer of some length. */
  #estimate(request: IncomingMessage, path: string): Amount {
    if (isFree(path)) return NOTHING;
    const { provider, name } = this.#policy.model;
    const up = Math.min(Number(request.headers['content-length'] ?? ESTIMATED_BODY_BYTES), ESTIMATED_BODY_BYTES);
    return this.#prices.of(provider, name, { ...NO_USAGE, output_tokens: ESTIMATED_OUTPUT_TOKENS }, { up, down: 0 });
  }

  /** What to inject into a request for `target`, or why it does not go at all. */
  #inject(secret: string | null, to: Destination, target: string): Pick<Admission, 'injection' | 'fetch'> | Refusal {
    let prepared: Prepared | null;
    try {
      if (this.#injector.isTokenPlace(to.host, target)) return TOKEN_PLACE;
      prepared = secret === null ? null : this.#injector.prepare(secret, to);
    } catch (error) {
      this.#failed(error);
      return refusal(503, 'secret', `secret "${secret}" cannot be opened`, `glass secret set ${secret}`);
    }
    if (prepared === null) return { injection: null, fetch: null };
    if ('status' in prepared) return prepared;
    if ('fetch' in prepared) return { injection: null, fetch: prepared.fetch };
    const { query } = prepared;
    if (query !== null && namesParameter(target, query.name))
      return refusal(400, 'query', `the query has ${query.name}, which is the operator's`, 'leave it out');
    return { injection: prepared, fetch: null };
  }
}

type Way = Pick<Admission, 'secret' | 'injection' | 'fetch' | 'agent'>;

const UNSEEN = refusal(
  403,
  'rule of two',
  'after what this conversation has seen, nobody can look into a WebSocket',
  'ask your operator',
);
const NO_ONECLI = refusal(503, 'onecli', 'the gateway knows no OneCLI', 'tell your operator: onecli in glass.yaml');
const NO_TOKEN = refusal(503, 'onecli', 'the token for OneCLI is not of the kind basic', 'tell your operator');
const TOKEN_PLACE = refusal(403, 'token host', 'tokens are got there, by the gateway alone', 'ask the service itself');

/** Counting the tokens of a request costs nothing. */
export function isFree(path: string): boolean {
  return path.includes('/count_tokens');
}

/** What a client sends to a proxy for plain http: nothing goes out unencrypted, and so never with a secret. */
function wholeUrl(request: IncomingMessage): Refusal | null {
  return /^https?:/i.test(request.url ?? '')
    ? refusal(400, 'malformed request', 'plain http is never let out, and https begins with CONNECT', 'ask for https')
    : null;
}

/** `api.github.com`; with its port where it is not the usual one. */
export function nameOf({ host, port }: Place): string {
  return port === 443 ? host : `${host}:${port}`;
}

type BodyLimit = Pick<Admission, 'bodyBytesMax' | 'approve'>;

function tooLarge(request: IncomingMessage, limit: BodyLimit): Refusal | null {
  return Number(request.headers['content-length'] ?? 0) > limit.bodyBytesMax ? bodyTooLarge(limit) : null;
}

/** What a person is to allow is too large by our rule, not by HTTP's. */
export function bodyTooLarge({ bodyBytesMax, approve }: BodyLimit): Refusal {
  const reason = `the request body has more than ${bodyBytesMax} bytes`;
  return approve
    ? refusal(403, 'approval size', `${reason}, which nobody is asked to approve`, 'send less at once')
    : refusal(413, 'body size', reason, 'send less');
}
