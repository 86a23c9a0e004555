import { EGRESS_TARGET_BYTES_MAX } from '../base/limits/gateway.ts';
import type { EgressService } from './egress.ts';

/**
 * What the egress section of an authority says of one request. Pure, and total: whatever is not clearly allowed is denied.
 * Nothing is normalised: a target that could be read in two ways is refused, so that the bytes that were matched are the
 * bytes that are sent. deny > approve > allow, over all services of the host.
 */
export interface EgressRequest {
  method: string;
  /** As the client named it; without port. */
  host: string;
  port: number;
  /** The raw request target: path and query. */
  target: string;
}

export interface Decision {
  decision: 'allow' | 'approve' | 'deny';
  /** Which service's rule decided; null: none has anything to say. */
  service: string | null;
  /** The rule, or what stands in for one: `default`, `target`. */
  rule: string;
  /** One sentence for the agent and the operator. */
  reason: string;
}

const ORDER = ['deny', 'approve', 'allow'] as const;

export function decide(egress: Record<string, EgressService>, request: EgressRequest): Decision {
  const problem = problemOfTarget(request.target);
  if (problem !== null) return denied('target', `the request target ${problem}`);
  const services = servicesAt(egress, request);
  if (services.length === 0) return denied('default', `no service of this group is at ${request.host}:${request.port}`);
  for (const decision of ORDER) {
    for (const [service, rules] of services) {
      const rule = rules[decision].find((one) => matches(one, rules, request, decision));
      if (rule !== undefined) return { decision, service, rule, reason: WORDS[decision](service, rule, wayOf(rules)) };
    }
  }
  return denied('default', `no rule for ${request.host} allows ${request.method} ${pathOf(request.target)}`);
}

/** The services at one place, in their order. */
export function servicesAt(
  egress: Record<string, EgressService>,
  place: { host: string; port: number },
): [name: string, service: EgressService][] {
  return Object.entries(egress).filter(([, service]) => isHostOf(service, place));
}

/** The services that would let a request through, of which each one's own conditions hold. */
export function servicesFor(
  egress: Record<string, EgressService>,
  request: EgressRequest,
): [name: string, service: EgressService][] {
  const lets = (service: EgressService): boolean =>
    (['approve', 'allow'] as const).some((kind) => service[kind].some((rule) => matches(rule, service, request, kind)));
  return servicesAt(egress, request).filter(([, service]) => lets(service));
}

const WORDS = {
  deny: (service: string, rule: string): string => `${service} denies ${rule}`,
  approve: (service: string, rule: string, way: string): string => `${service} asks a person before ${rule}${way}`,
  allow: (service: string, rule: string, way: string): string => `${service} allows ${rule}${way}`,
};

/** What stands behind a rule whose requests go another way than straight. */
export function wayOf({ via }: Pick<EgressService, 'via'>): string {
  return via === undefined ? '' : ' via OneCLI';
}

function denied(rule: string, reason: string): Decision {
  return { decision: 'deny', service: null, rule, reason };
}

/** Forms that some server reads as another path than we do. Null: there is only one way to read it. */
function problemOfTarget(target: string): string | null {
  if (Buffer.byteLength(target) > EGRESS_TARGET_BYTES_MAX) return `is longer than ${EGRESS_TARGET_BYTES_MAX} bytes`;
  if (!target.startsWith('/')) return 'does not begin with a slash';
  if (!/^[!-~]*$/.test(target)) return 'holds something else than visible ASCII';
  const path = pathOf(target);
  if (/[\\;#]/.test(path)) return 'holds a backslash, a semicolon or a fragment';
  if (/\/\//.test(path)) return 'holds an empty segment';
  if (/(?:^|\/)\.{1,2}(?:\/|$)/.test(path)) return 'holds a segment of dots';
  const escapes = path.match(/%.{0,2}/g) ?? [];
  if (escapes.some((part) => !/^%[0-9a-f]{2}$/i.test(part))) return 'holds a broken escape';
  if (escapes.some((part) => /^%(?:2[ef5]|5c|3b|0|1|7f)/i.test(part)))
    return 'holds an escape of a dot, a slash, a percent sign or a control';
  return isUtf8Path(path) ? null : 'is not UTF-8 behind its escapes';
}

function isUtf8Path(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}

function pathOf(target: string): string {
  const end = target.indexOf('?');
  return end === -1 ? target : target.slice(0, end);
}

/** Host names are compared without case; nothing else about them is forgiven. */
function isHostOf(service: EgressService, { host, port }: { host: string; port: number }): boolean {
  if (service.port !== port) return false;
  const name = host.toLowerCase();
  if (!service.wildcard) return name === service.host;
  const domain = service.host.slice(1);
  return name.endsWith(domain) && /^[a-z0-9-]+$/.test(name.slice(0, -domain.length));
}

function matches(
  rule: string,
  service: EgressService,
  request: EgressRequest,
  decision: Decision['decision'],
): boolean {
  const space = rule.indexOf(' ');
  const [method, pattern] = [rule.slice(0, space), rule.slice(space + 1)];
  if (method !== '*' && method !== request.method) return false;
  if (!pathMatches(pattern.split('/'), pathOf(request.target).split('/'))) return false;
  // What denies, denies with any query.
  return decision === 'deny' || queryFits(service.query, request.target);
}

/** `*` is one segment that is not empty, `**` at the end the rest, of one segment or more. */
function pathMatches(pattern: string[], path: string[]): boolean {
  if (pattern.at(-1) === '**') {
    const head = pattern.slice(0, -1);
    return path.length >= pattern.length && path[head.length] !== '' && pathMatches(head, path.slice(0, head.length));
  }
  return (
    pattern.length === path.length &&
    pattern.every((segment, at) => (segment === '*' ? path[at] !== '' : segment === path[at]))
  );
}

/** Every key of the query must be listed, with its value where one is; without a list any query fits. */
function queryFits(listed: string[] | undefined, target: string): boolean {
  if (listed === undefined) return true;
  const query = target.slice(pathOf(target).length + 1);
  if (query === '') return true;
  return query.split('&').every((part) => listed.includes(part) || listed.includes(part.split('=')[0]!));
}

/** Which of a policy's own examples does not come out as it says; null: all do. */
export function brokenExample(egress: Record<string, EgressService>): string | null {
  for (const [name, service] of Object.entries(egress)) {
    const host = service.wildcard ? `example${service.host.slice(1)}` : service.host;
    for (const expected of ORDER) {
      for (const example of service.expect[expected]) {
        const [method, target] = example.split(' ') as [string, string];
        const found = decide(egress, { method, host, port: service.port, target });
        if (found.decision !== expected)
          return `egress.${name}.expect: ${example} comes out as ${found.decision} (${found.reason}), not as ${expected}`;
      }
    }
  }
  return null;
}
