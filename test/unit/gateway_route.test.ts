import assert from 'node:assert/strict';
import { test } from 'node:test';
import { headerProblem, replyHeaders, requestHeaders } from '../../src/gateway/headers.ts';
import { route } from '../../src/gateway/route.ts';

const M = '/model/default';

for (const [provider, target, rest] of [
  ['anthropic', `${M}/v1/messages`, '/v1/messages'],
  ['anthropic', `${M}/v1/messages?beta=true`, '/v1/messages?beta=true'],
  ['anthropic', `${M}/v1/messages/count_tokens?beta=true`, '/v1/messages/count_tokens?beta=true'],
  ['openai', `${M}/chat/completions`, '/chat/completions'],
  ['openai', `${M}/responses`, '/responses'],
  ['ollama', `${M}/api/chat`, '/api/chat'],
  ['ollama', `${M}/v1/chat/completions`, '/v1/chat/completions'],
] as const) {
  test(`${provider}: POST ${target} is allowed, byte for byte`, () => {
    const decided = route('POST', target, provider);
    assert.ok(decided.allow);
    assert.equal(decided.rest, rest);
  });
}

const REFUSED: [status: number, method: string, target: string, provider?: 'openai'][] = [
  [403, 'GET', '/'],
  [403, 'POST', '/v1/messages'],
  [403, 'POST', '/model'],
  [400, 'POST', '/model/'],
  [403, 'POST', '/model/default'],
  [403, 'POST', '/model/other/v1/messages'],
  [403, 'POST', `${M}/v1/files`],
  [403, 'POST', `${M}/v1/messages/batches`],
  [403, 'POST', `${M}/v1/Messages`],
  [403, 'POST', `${M}/chat/completions`],
  [403, 'POST', `${M}/v1/messages`, 'openai'],
  [405, 'GET', `${M}/v1/messages`],
  [405, 'DELETE', `${M}/v1/messages`],
  [405, 'post', `${M}/v1/messages`],
  [403, 'POST', `${M}/v1/messages?beta=false`],
  [403, 'POST', `${M}/v1/messages?`],
  [403, 'POST', `${M}/v1/messages?beta=true&key=x`],
  [403, 'POST', `${M}/chat/completions?beta=true`, 'openai'],
  [400, 'POST', `${M}/v1/messages/`],
  [400, 'POST', `${M}//v1/messages`],
  [400, 'POST', `${M}/v1/../v1/messages`],
  [400, 'POST', `${M}/v1/./messages`],
  [400, 'POST', `${M}/v1/%6dessages`],
  [400, 'POST', `${M}/%2e%2e/v1/messages`],
  [400, 'POST', `${M}/v1%2fmessages`],
  [400, 'POST', `${M}/v1\\messages`],
  [400, 'POST', `${M}/v1/messages;x=1`],
  [400, 'POST', `${M}/v1/messages#x`],
  [400, 'POST', `${M}/v1/messagés`],
  [400, 'POST', `http://api.anthropic.com/v1/messages`],
  [400, 'OPTIONS', '*'],
  [400, 'CONNECT', 'api.anthropic.com:443'],
  [400, 'POST', ''],
  [414, 'POST', `/${'a'.repeat(9000)}`],
];

for (const [status, method, target, provider] of REFUSED) {
  test(`${method} ${target.slice(0, 60)} is refused with ${status}`, () => {
    const decided = route(method, target, provider ?? 'anthropic');
    assert.ok(!decided.allow);
    assert.equal(decided.status, status);
    assert.notEqual(decided.reason, '');
  });
}

test('credentials, claims of identity and hop-by-hop headers of the agent do not pass', () => {
  const raw = [
    ...[
      'Authorization',
      'x',
      'X-Api-Key',
      'x',
      'x-api-key',
      'y',
      'API-KEY',
      'x',
      'Cookie',
      'x',
      'Proxy-Authorization',
      'x',
    ],
    ...['X-Goog-Api-Key', 'x', 'Private-Token', 'x', 'X-Forwarded-For', 'x', 'x-forwarded-host', 'x', 'Forwarded', 'x'],
    ...['Connection', 'keep-alive, X-Injected', 'X-Injected', 'x', 'Keep-Alive', 'x', 'TE', 'x', 'Trailer', 'x'],
    ...['Transfer-Encoding', 'chunked', 'Upgrade', 'x', 'Expect', '100-continue', 'Host', 'h', 'Content-Length', '3'],
    ...['Accept-Encoding', 'gzip', 'Content-Type', 'application/json', 'Anthropic-Version', '2023-06-01'],
  ];
  assert.deepEqual(requestHeaders(raw, 'keep-alive, X-Injected', false), [
    'content-type',
    'application/json',
    'anthropic-version',
    '2023-06-01',
    'accept-encoding',
    'identity',
  ]);
});

test('a reply loses its cookies and hop-by-hop headers', () => {
  const headers = {
    'set-cookie': ['a=b'],
    connection: 'x-hop',
    'x-hop': '1',
    'transfer-encoding': 'chunked',
    'content-length': '3',
    location: 'https://x/?k=s',
  };
  assert.deepEqual(replyHeaders(headers), ['content-length', '3', 'location', 'https://x/?k=s']);
});

for (const [name, raw, status] of [
  ['no host', [], 400],
  ['two hosts', ['Host', 'a', 'host', 'b'], 400],
  ['an upgrade', ['Host', 'a', 'Upgrade', 'websocket'], 403],
  ['a strange transfer encoding', ['Host', 'a', 'Transfer-Encoding', 'chunked, identity'], 400],
  ['a compressed body', ['Host', 'a', 'Content-Encoding', 'gzip'], 403],
] as const) {
  test(`${name} is refused`, () => assert.equal(headerProblem(raw)?.status, status));
}

test('one host is fine', () => assert.equal(headerProblem(['Host', 'a']), null));
