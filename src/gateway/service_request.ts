import { decide, type EgressRequest, servicesAt, servicesFor, wayOf } from '../authority/decide.ts';
import type { EgressService } from '../authority/egress.ts';
import { requestMarks } from '../authority/rule_of_two.ts';
import { EGRESS_TARGET_BYTES_MAX } from '../base/limits/gateway.ts';
import type { Mark } from '../protocol/gateway.ts';
import { isMetadata } from './addresses.ts';
import { headerProblem } from './headers.ts';
import type { Limit } from './rates.ts';
import { refusal } from './refuse.ts';
import type { Refusal } from './route.ts';

/**
 * Decides about CONNECT and about each request in a tunnel. Pure; whatever is not clearly allowed is refused. The rules
 * themselves are `authority/decide.ts`; here is what HTTP adds to them: who is meant, twice said, and where credentials hide.
 */

/** Where a tunnel leads: what the agent named, in lower case, and what a service has. */
export interface Place {
  allow: true;
  host: string;
  port: number;
  /** The first service there: what a refused request in the tunnel is recorded with. */
  service: string;
}

/** One request that its rules let out, and what else must hold before it goes. */
export interface ServiceAllowed {
  allow: true;
  service: string;
  /** For the audit row. */
  rule: string;
  secret: string | null;
  /** It goes through OneCLI. */
  chained: boolean;
  /** A person is asked before it leaves. */
  approve: boolean;
  networks: readonly string[];
  denyJson: readonly string[];
  limits: readonly Limit[];
  /** It asks for a WebSocket. */
  ws: boolean;
  /** What its session is marked with. */
  marks: Mark[];
}

type Egress = Record<string, EgressService>;
type HostAndPort = Pick<Place, 'host' | 'port'>;

const AUTHORITY = /^([A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?):([1-9]\d{0,4})$/;
const RULES_SHOWN = 6;

/** `host:port` of a CONNECT. Nothing is resolved here: a name that no service has is never asked for. */
export function judgeConnect(authority: string, hosts: readonly string[], egress: Egress): Place | Refusal {
  const malformed = (reason: string): Refusal => refusal(400, 'malformed request', reason, 'CONNECT host:443');
  const found = AUTHORITY.exec(authority);
  if (/^\[[0-9A-Fa-f:.]+\]:\d{1,5}$/.test(authority)) return notHere('an address instead of a name', egress);
  if (found === null) return malformed('CONNECT takes a plain host name and a port, and nothing else');
  const place = { host: found[1]!.toLowerCase(), port: Number(found[2]) };
  if (hosts.length > 1) return malformed(`${hosts.length} host headers`);
  if (isMetadata(place.host)) return notHere('a metadata service', egress);
  const [first] = servicesAt(egress, place);
  if (first === undefined) return notHere(`${place.host}:${place.port}`, egress);
  return hosts.length === 0 || isSamePlace(hosts[0]!, place)
    ? { allow: true, ...place, service: first[0] }
    : refusal(421, 'authority', 'the host header names another place than CONNECT', 'send the same in both');
}

function notHere(what: string, egress: Egress): Refusal {
  const places = Object.values(egress).map(({ host, port }) => `${host}:${port}`);
  const hint = places.length === 0 ? 'POST /model/default/…' : `one of ${shown([...new Set(places)])}`;
  return refusal(403, 'default deny', `no service of this group is at ${what}`, hint);
}

/** Whether a WebSocket may be asked for there: not where a body would be looked into, as nobody looks into frames. */
export function opensWebSocket(request: EgressRequest, egress: Egress): boolean {
  const services = servicesFor(egress, request).map(([, service]) => service);
  if (services.some(({ deny_json }) => deny_json.length > 0)) return false;
  return services.some(({ ws }) => ws) && decide(egress, request).decision === 'allow';
}

/** A request as it came. */
export interface RawRequest {
  method: string;
  /** Byte for byte. */
  target: string;
  /** Names and values of its headers. */
  raw: readonly string[];
  /** Whether it is the handshake of a WebSocket. */
  handshake: boolean;
}

export function judgeRequest(
  { host, port }: HostAndPort,
  { method, target, raw, handshake }: RawRequest,
  egress: Egress,
): ServiceAllowed | Refusal {
  const request = { method, host, port, target };
  const services = servicesFor(egress, request);
  const denyJson = services.flatMap(([, service]) => service.deny_json);
  const ws = handshake && opensWebSocket(request, egress);
  const problem = headerProblem(raw, denyJson.length === 0, ws) ?? hostProblem(raw, { host, port });
  if (problem !== null) return problem;
  if (target.length > EGRESS_TARGET_BYTES_MAX)
    return refusal(414, 'malformed request', 'the request target is too long', 'send a shorter one');
  const { decision, service, rule, reason } = decide(egress, request);
  // It would send back what was injected.
  if (method === 'TRACE')
    return refusal(403, 'default deny', 'TRACE is never let out', hintFor(egress, { host, port }));
  if (rule === 'target') return refusal(400, 'malformed request', reason, 'send the plain form of it');
  const hint = hintFor(egress, { host, port });
  if (decision === 'deny' || service === null)
    return refusal(403, service === null ? 'default deny' : `${service}: never ${rule}`, reason, hint);
  const approve = decision === 'approve';
  // Nobody could see what they allow.
  const hidden = approve ? headerProblem(raw) : null;
  if (hidden !== null) return hidden;
  const { use, via, query, private: networks } = egress[service]!;
  return (
    queryProblem(target, use !== undefined || via !== undefined, query ?? []) ?? {
      allow: true,
      service,
      rule: `${service}: ${rule}${wayOf({ via })}`,
      secret: use ?? null,
      chained: via !== undefined,
      approve,
      networks,
      denyJson,
      limits: services.flatMap(([name, { rate }]) => (rate === undefined ? [] : [{ service: name, rate }])),
      ws,
      marks: requestMarks(
        services.map(([, one]) => one),
        method,
        ws,
      ),
    }
  );
}

function hostProblem(raw: readonly string[], place: HostAndPort): Refusal | null {
  const [value] = hostsOf(raw);
  if (value === '') return refusal(400, 'malformed request', 'the host header is empty', 'name the host');
  return value !== undefined && isSamePlace(value, place)
    ? null
    : refusal(421, 'authority', 'the host header names another place than the tunnel', 'open a tunnel to that place');
}

/** Values of the host headers. */
export function hostsOf(raw: readonly string[]): string[] {
  return raw.filter((_, at) => at % 2 === 1 && raw[at - 1]!.toLowerCase() === 'host');
}

function isSamePlace(value: string, { host, port }: HostAndPort): boolean {
  const given = value.toLowerCase();
  return given === `${host}:${port}` || (port === 443 && given === host);
}

/** Parameters in which services take a credential, or another method than the one that was judged. */
const CREDENTIAL_KEYS = new Set(
  `access_token accesstoken auth_token authtoken oauth_token private_token job_token token key api_key apikey app_key appkey
   access_key client_secret secret password passwd auth authorization sig signature x_amz_signature x_amz_credential
   x_amz_security_token x_goog_signature x_goog_credential awsaccesskeyid`.split(/\s+/),
);

/** An agent's own credential is refused where a secret is injected; elsewhere the operator may have listed its key. */
function queryProblem(target: string, credentialed: boolean, listed: readonly string[]): Refusal | null {
  const mark = target.indexOf('?');
  for (const part of mark === -1 ? [] : target.slice(mark + 1).split(/[&;]/)) {
    const key = part.split('=')[0]!;
    const name = plainKey(key);
    const why = (reason: string): Refusal => refusal(400, 'query', reason, 'leave it out');
    if (name === null) return why('the query has an escape that is no UTF-8');
    if (name === '_method') return why('the query names another method');
    if (CREDENTIAL_KEYS.has(name) && (credentialed || !listed.some((one) => one.split('=')[0] === key)))
      return why(`the query has a credential (${name}), and credentials are never the agent's own`);
  }
  return null;
}

/** Whether a query has a parameter, however its name is written. */
export function namesParameter(target: string, parameter: string): boolean {
  const mark = target.indexOf('?');
  const name = plainKey(parameter);
  const keys = mark === -1 ? [] : target.slice(mark + 1).split(/[&;]/);
  return keys.some((part) => plainKey(part.split('=')[0]!) === name);
}

function plainKey(key: string): string | null {
  try {
    return decodeURIComponent(key.replaceAll('+', ' ')).replace(/\[.*$/s, '').trim().toLowerCase().replaceAll('-', '_');
  } catch {
    return null;
  }
}

function hintFor(egress: Egress, place: HostAndPort): string {
  return shown(servicesAt(egress, place).flatMap(([, service]) => service.allow)) || 'nothing else';
}

function shown(list: string[]): string {
  return list.length <= RULES_SHOWN
    ? list.join(', ')
    : `${list.slice(0, RULES_SHOWN).join(', ')} and ${list.length - RULES_SHOWN} more`;
}
