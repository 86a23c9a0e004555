import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide } from '../../src/authority/decide.ts';
import { type EgressService, egressSchema } from '../../src/authority/egress.ts';
import { OperatingError } from '../../src/base/errors.ts';
import { parseYaml } from '../../src/base/yaml.ts';
import { requestHeaders } from '../../src/gateway/headers.ts';
import { route } from '../../src/gateway/route.ts';
import { judgeConnect, judgeRequest } from '../../src/gateway/service_request.ts';
import { fuzzOf, Mutations } from '../fakes/mutations.ts';
import { randomOf } from '../fakes/random.ts';

/**
 * Thousands of hostile variants of what is valid. None may throw, and what comes through is held against a second opinion
 * that shares no code with the first: how an ordinary server would read it.
 */
const { seed, cases } = fuzzOf(12_000);

const EGRESS: Record<string, EgressService> = egressSchema.parse({
  api: {
    ...{ host: 'api.example.com', use: 'api-token', allow: ['GET /items/**', 'POST /items', 'GET /one/*/end'] },
    ...{ deny: ['GET /items/hidden', '* /items/closed/**'], query: ['page', 'sort=asc'] },
  },
  odd: { host: 'odd.example.com', port: 8443, allow: ['* /**'], deny: ['* /hidden'] },
  star: { host: '*.pages.example.com', wildcard: true, allow: ['GET /**'] },
});

function fuzz(share: number, each: (mutations: Mutations) => void): void {
  const mutations = new Mutations(randomOf(seed));
  for (let i = 0; i < cases * share; i += 1) each(mutations);
}

/** A rule as a regular expression over a path that has been read in the usual way. */
function expressionOf(rule: string): RegExp {
  const path = rule.slice(rule.indexOf(' ') + 1);
  const parts = path.split('/').map((part) => {
    if (part === '**') return '[^/].*';
    return part === '*' ? '[^/]+' : part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  });
  return new RegExp(`^${parts.join('/')}$`, 's');
}

function isUnder(rules: readonly string[], method: string, path: string): boolean {
  return rules.some((rule) => ['*', method].includes(rule.split(' ')[0]!) && expressionOf(rule).test(path));
}

/** As servers do it: dots resolved, slashes joined, parameters dropped, escapes undone. */
function asServersRead(target: string): string {
  const path = new URL(`https://h${target}`).pathname;
  return decodeURIComponent(path)
    .replaceAll('\\', '/')
    .replace(/;[^/]*/g, '')
    .replace(/\/+/g, '/');
}

test(`CONNECT lines lead to the place of a service, or nowhere (seed ${seed})`, () => {
  let allowed = 0;
  const places = ['api.example.com:443', 'odd.example.com:8443', 'a.pages.example.com:443', '169.254.169.254:80'];
  fuzz(0.25, (mutations) => {
    const place = mutations.pick(places);
    const [authority, host] = [mutations.of(place), mutations.of(place, 1)];
    const hosts = [[], [host], [host, place]][mutations.below(3)]!;
    const judged = judgeConnect(authority, hosts, EGRESS);
    if (!judged.allow) return assert.ok([400, 403, 421].includes(judged.status));
    allowed += 1;
    const named = authority.toLowerCase();
    assert.equal(named, `${judged.host}:${judged.port}`);
    const listed = named === places[0] || named === places[1] || /^[a-z0-9-]+\.pages\.example\.com:443$/.test(named);
    assert.ok(listed, JSON.stringify(authority));
    assert.ok(
      hosts.every((one) => [named, named.replace(/:443$/, '')].includes(one.toLowerCase())) && hosts.length < 2,
    );
  });
  assert.ok(allowed > cases / 100, `${allowed} were allowed`);
});

test(`requests come through as an ordinary server would read them, and never what is denied (seed ${seed})`, () => {
  let allowed = 0;
  const targets = [
    '/items/1',
    '/items/a/b',
    '/items',
    '/one/x/end',
    '/items/hidden',
    '/items/closed/1',
    '/items/1?page=2',
  ];
  fuzz(0.35, (mutations) => {
    const [name, port] = mutations.pick([
      ['api', 443],
      ['odd', 8443],
    ] as const);
    const host = `${name}.example.com`;
    const method = mutations.pick(['GET', 'GET', 'POST', 'DELETE', 'TRACE', 'get']);
    const target = mutations.of(mutations.pick(targets));
    const raw = [
      'Host',
      mutations.chance(0.9) ? `${host}:${port}` : mutations.of(host),
      'X-Own',
      mutations.of('value'),
    ];
    const judged = judgeRequest({ host, port }, { method, target, raw, handshake: false }, EGRESS);
    if (!judged.allow) return assert.ok([400, 403, 414, 421].includes(judged.status));
    allowed += 1;
    const service = EGRESS[name]!;
    const shown = JSON.stringify([method, target]);
    assert.match(target, /^\/[!-~]*$/);
    assert.equal(asServersRead(target), decodeURIComponent(target.split('?')[0]!), shown);
    assert.ok(isUnder(service.allow, method, asServersRead(target)), shown);
    assert.ok(!isUnder(service.deny, method, target.split('?')[0]!), shown);
    assert.equal(judged.secret, name === 'api' ? 'api-token' : null);
    if (name === 'api') {
      const keys = [...new URLSearchParams(target.split('?')[1] ?? '').keys()];
      assert.ok(
        keys.every((key) => ['page', 'sort', ''].includes(key)),
        shown,
      );
    }
  });
  assert.ok(allowed > cases / 100, `${allowed} were allowed`);
});

test(`headers lose every credential, claim of identity and hop-by-hop name, however they are written (seed ${seed})`, () => {
  const names = [
    ...[
      'Authorization',
      'X-Api-Key',
      'Cookie',
      'Proxy-Authorization',
      'X-Goog-Api-Key',
      'Private-Token',
      'X-Auth-Token',
    ],
    ...[
      'X-Forwarded-For',
      'X-Group-Id',
      'Connection',
      'Transfer-Encoding',
      'Expect',
      'Host',
      'TE',
      'Upgrade',
      'Accept',
    ],
    ...['X-HTTP-Method-Override', 'Accept-Encoding', 'Range', 'X-Own', 'Content-Type'],
  ];
  fuzz(0.15, (mutations) => {
    const own = mutations.some(names, 0.4).map((name) => (mutations.chance(0.3) ? name.toLowerCase() : name));
    const raw = own.flatMap((name) => [name, mutations.of('own-value')]);
    const named = mutations.of('keep-alive, X-Own', 1);
    const kept = requestHeaders(raw, named, true).filter((_, at) => at % 2 === 0);
    const forbidden =
      /auth|api-?key|cookie|token|forwarded|group-id|method-override|^(connection|transfer-encoding|expect|host|te|upgrade|range)$/;
    assert.deepEqual(
      kept.filter((name) => forbidden.test(name)),
      [],
    );
    assert.equal(kept.filter((name) => name === 'accept-encoding').length, 1);
    if (/(^|,)\s*x-own\s*(,|$)/i.test(named)) assert.ok(!kept.includes('x-own'));
  });
});

test(`model routes are the listed ones, byte for byte (seed ${seed})`, () => {
  fuzz(0.1, (mutations) => {
    const target = mutations.of('/model/default/v1/messages?beta=true');
    const judged = route(mutations.pick(['POST', 'GET']), target, 'anthropic');
    if (judged.allow) assert.match(target, /^\/model\/default\/v1\/messages(\/count_tokens)?(\?beta=true)?$/);
  });
});

const YAML = `
api:
  host: api.example.com
  use: api-token
  allow: [GET /items/**, POST /items]
  deny: ["* /items/hidden"]
  query: [page, sort=asc]
  rate: 10/min
  private: [10.0.0.0/8]
  expect: {deny: [GET /other]}
pages: {host: "*.pages.example.com", wildcard: true, allow: [GET /**]}
`;

/** Refused as it stands. */
const NEVER = `${YAML}never: {host: "*.example.com", wildcard: true, use: api-token, allow: [GET /**]}\n`;

test(`policy files are read or refused in a sentence, and a secret goes only where a rule has it (seed ${seed})`, () => {
  let read = 0;
  fuzz(0.15, (mutations) => {
    let policy: Record<string, EgressService>;
    try {
      policy = parseYaml(mutations.of(mutations.pick([YAML, NEVER]), 4), 'group.yaml', egressSchema);
    } catch (error) {
      assert.ok(error instanceof OperatingError, String(error));
      return;
    }
    read += 1;
    for (const service of Object.values(policy)) {
      assert.ok(service.use === undefined || !service.host.includes('*'), 'a wildcard with a secret');
      assert.match(service.host, /^(\*\.)?[a-z0-9-]+(\.[a-z0-9-]+)+$/);
    }
    for (const host of ['api.example.com', 'a.pages.example.com', 'evil.example.com', '10.0.0.1']) {
      const target = mutations.of('/items/1');
      const { decision, service } = decide(policy, { method: 'GET', host, port: 443, target });
      if (decision !== 'allow') continue;
      const found = policy[service!]!;
      assert.ok(found.host === host || (found.use === undefined && host.endsWith(found.host.slice(1))), target);
    }
  });
  assert.ok(read > cases / 1000, `${read} were read`);
});
