import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EgressService, egressSchema } from '../../src/authority/egress.ts';
import { judgeConnect, judgeRequest } from '../../src/gateway/service_request.ts';

const EGRESS: Record<string, EgressService> = egressSchema.parse({
  api: {
    host: 'api.example.com',
    use: 'api-token',
    allow: ['GET /items/**', 'POST /items'],
    approve: ['DELETE /items/**'],
    deny: ['GET /items/hidden'],
    deny_json: ['secret'],
    rate: '10/min',
  },
  both: { host: 'api.example.com', allow: ['POST /items', 'POST /raw'], rate: '5/min', private: ['10.0.0.0/8'] },
  odd: { host: 'odd.example.com', port: 8443, allow: ['GET /**'], query: ['token', 'page=1'] },
  live: { host: 'live.example.com', allow: ['GET /**'], deny: ['GET /hidden'], ws: true },
  read: { host: 'live.example.com', allow: ['GET /items/**'], deny_json: ['secret'] },
  asked: { host: 'live.example.com', approve: ['GET /asked'] },
  star: { host: '*.pages.example.com', wildcard: true, allow: ['GET /**'] },
});

function connect(authority: string, ...hosts: string[]): string {
  const judged = judgeConnect(authority, hosts, EGRESS);
  return judged.allow ? `${judged.service} ${judged.host}:${judged.port}` : `${judged.status}`;
}

for (const [authority, hosts, expected] of [
  ['api.example.com:443', ['api.example.com:443'], 'api api.example.com:443'],
  ['api.example.com:443', ['API.example.com'], 'api api.example.com:443'],
  ['API.Example.COM:443', [], 'api api.example.com:443'],
  ['odd.example.com:8443', ['odd.example.com:8443'], 'odd odd.example.com:8443'],
  ['a.pages.example.com:443', [], 'star a.pages.example.com:443'],
  ['api.example.com:443', ['odd.example.com'], '421'],
  ['odd.example.com:8443', ['odd.example.com'], '421'],
  ['api.example.com:443', ['api.example.com', 'api.example.com'], '400'],
  ['api.example.com:443', [''], '421'],
  ['api.example.com:80', [], '403'],
  ['api.example.com:8443', [], '403'],
  ['odd.example.com:443', [], '403'],
  ['api.example.com', [], '400'],
  ['api.example.com:', [], '400'],
  ['api.example.com:0443', [], '400'],
  ['api.example.com:443:443', [], '400'],
  ['api.example.com.:443', [], '400'],
  ['user@api.example.com:443', [], '400'],
  ['api.example.com:443/path', [], '400'],
  ['https://api.example.com:443', [], '400'],
  ['api.ex\u00e4mple.com:443', [], '400'],
  ['a%2eb.example.com:443', [], '400'],
  ['', [], '400'],
  ['evil.com:443', [], '403'],
  ['xapi.example.com:443', [], '403'],
  ['api.example.com.evil.com:443', [], '403'],
  ['a.b.pages.example.com:443', [], '403'],
  ['pages.example.com:443', [], '403'],
  ['xn--80ak6aa92e.com:443', [], '403'],
  ['127.0.0.1:443', [], '403'],
  ['127.1:443', [], '403'],
  ['2130706433:443', [], '403'],
  ['0x7f000001:443', [], '403'],
  ['[::1]:443', [], '403'],
  ['169.254.169.254:80', [], '403'],
  ['metadata.google.internal:80', [], '403'],
] as const) {
  test(`CONNECT ${authority} with ${JSON.stringify(hosts)} is ${expected}`, () =>
    assert.equal(connect(authority, ...hosts), expected));
}

test('a metadata service is never a place, whatever the rules say', () => {
  const rules = { meta: { host: 'metadata.google.internal', allow: ['GET /**'], private: ['0.0.0.0/0'] } };
  assert.equal(judgeConnect('metadata.google.internal:443', [], egressSchema.parse(rules)).allow, false);
});

function request(line: string, headers: string[] = [], place = 'api.example.com:443', handshake = false) {
  const [host, port] = place.split(':') as [string, string];
  const [method, target] = line.split(' ') as [string, string];
  const raw = headers.length === 0 ? ['Host', host] : headers;
  return judgeRequest({ host, port: Number(port) }, { method, target, raw, handshake }, EGRESS);
}

function outcome(...words: Parameters<typeof request>): string {
  const judged = request(...words);
  return judged.allow ? judged.rule : `${judged.status} ${judged.rule}`;
}

for (const [line, expected] of [
  ['GET /items/3', 'api: GET /items/**'],
  ['GET /items/3?a=b', 'api: GET /items/**'],
  ['GET /items/hidden', '403 api: never GET /items/hidden'],
  ['DELETE /items/3', 'api: DELETE /items/**'],
  ['POST /raw', 'both: POST /raw'],
  ['GET /other', '403 default deny'],
  ['get /items/3', '403 default deny'],
  ['GET /Items/3', '403 default deny'],
  ['PROPFIND /items/3', '403 default deny'],
  ['GET https://api.example.com/items/3', '400 malformed request'],
  ['OPTIONS *', '400 malformed request'],
  ['GET /items/../3', '400 malformed request'],
  ['GET /items/%2e%2e/3', '400 malformed request'],
  ['GET /items/%252e', '400 malformed request'],
  ['GET /items//3', '400 malformed request'],
  ['GET /items/3;x', '400 malformed request'],
  ['GET /items/\u00ff', '400 malformed request'],
  [`GET /items/${'x'.repeat(8200)}`, '414 malformed request'],
  ['GET /items/3?access_token=x', '400 query'],
  ['GET /items/3?a=b&Api-Key=x', '400 query'],
  ['GET /items/3?a=b;key=x', '400 query'],
  ['GET /items/3?%6bey=x', '400 query'],
  ['GET /items/3?token[]=x', '400 query'],
  ['GET /items/3?_method=DELETE', '400 query'],
  ['GET /items/3?%ff=x', '400 query'],
  ['GET /items/3?pageToken=x&monkey=y', 'api: GET /items/**'],
] as const) {
  test(`${line.slice(0, 60)} is ${expected}`, () => assert.equal(outcome(line), expected));
}

test('where no secret is injected a listed key may be in the query', () => {
  const place = 'odd.example.com:8443';
  const host = ['Host', place];
  assert.equal(outcome('GET /a?token=x&page=1', host, place), 'odd: GET /**');
  assert.equal(outcome('GET /a?page=2', host, place), '403 default deny');
});

for (const [headers, expected] of [
  [['Host', 'api.example.com:443'], 'api: GET /items/**'],
  [['HOST', 'Api.Example.Com'], 'api: GET /items/**'],
  [['Host', 'api.example.com:8443'], '421 authority'],
  [['Host', 'odd.example.com'], '421 authority'],
  [['Host', 'api.example.com.'], '421 authority'],
  [['Host', ''], '400 malformed request'],
  [['X-A', 'b'], '400 malformed request'],
  [['Host', 'api.example.com', 'host', 'evil.com'], '400 malformed request'],
  [['Host', 'api.example.com', 'Upgrade', 'websocket'], '403 default deny'],
  [['Host', 'api.example.com', 'Transfer-Encoding', 'chunked, identity'], '400 malformed request'],
] as [string[], string][]) {
  test(`headers ${JSON.stringify(headers.slice(0, 4))} are ${expected}`, () =>
    assert.equal(outcome('GET /items/3', headers), expected));
}

test('the conditions of every service that lets a request out hold, and the secret is the deciding one’s', () => {
  const judged = request('POST /items');
  assert.ok(judged.allow);
  assert.deepEqual(
    [judged.service, judged.secret, judged.networks, judged.denyJson, judged.limits],
    [
      'api',
      'api-token',
      [],
      ['secret'],
      [
        { service: 'api', rate: '10/min' },
        { service: 'both', rate: '5/min' },
      ],
    ],
  );
  const raw = request('POST /raw');
  assert.ok(raw.allow);
  assert.deepEqual([raw.secret, raw.networks, raw.denyJson], [null, ['10.0.0.0/8'], []]);
});

for (const [line, handshake, expected] of [
  ['GET /stream/a', true, 'live: GET /**'],
  ['GET /stream/a', false, '403 default deny'],
  ['GET /items/3', true, '403 default deny'],
  ['GET /asked', true, '403 default deny'],
  ['GET /hidden', true, '403 default deny'],
  ['GET /../a', true, '403 default deny'],
] as const) {
  test(`${line} with${handshake ? '' : 'out'} the handshake of a WebSocket is ${expected}`, () => {
    const place = 'live.example.com:443';
    const headers = ['Host', 'live.example.com', 'Upgrade', 'websocket'];
    assert.equal(outcome(line, headers, place, handshake), expected);
  });
}

test('a compressed body passes only where nobody has to look into it', () => {
  const headers = ['Host', 'api.example.com', 'Content-Encoding', 'gzip'];
  assert.equal(outcome('POST /raw', headers), 'both: POST /raw');
  assert.equal(outcome('POST /items', headers), '403 default deny');
});
