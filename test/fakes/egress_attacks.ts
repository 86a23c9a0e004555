import { type Attack, type Places, SECRET } from './attack_bench.ts';

/** Hostile bytes around CONNECT, TLS and requests in a tunnel, each with its correct outcome. */

const END = 'Connection: close\r\n\r\n';

/** A request to the service with a secret; `more`: further header lines. */
function get(target: string, more = '', method = 'GET'): Attack['bytes'] {
  return ({ api }) => `${method} ${target} HTTP/1.1\r\nHost: ${api}\r\n${more}${END}`;
}

function refused(name: string, bytes: Attack['bytes'], status: number): Attack {
  return { name, on: 'api', bytes, statuses: [status], rows: [`deny ${status}`] };
}

function connect(name: string, line: (places: Places) => string, status: number): Attack {
  return {
    name,
    on: 'socket',
    bytes: (places) => `${line(places)}\r\n\r\n`,
    statuses: [status],
    rows: [`deny ${status}`],
  };
}

/** Passes, but without what it should not have. */
function stripped(name: string, more: string, headers: Record<string, string[]>): Attack {
  const base = { authorization: [`Bearer ${SECRET}`], ...headers };
  return {
    ...{ name, on: 'api', bytes: get('/items/1', more), statuses: [200] },
    ...{ received: ['GET /items/1'], headers: base, rows: ['allow 200'] },
  };
}

const TUNNEL: Attack[] = [
  connect('CONNECT to an address', () => 'CONNECT 127.0.0.1:443 HTTP/1.1', 403),
  connect('CONNECT to a number', () => 'CONNECT 2130706433:443 HTTP/1.1', 403),
  connect('CONNECT to IPv6', () => 'CONNECT [::1]:443 HTTP/1.1', 403),
  connect(
    'CONNECT to a metadata service that a service names',
    () => 'CONNECT metadata.google.internal:443 HTTP/1.1',
    403,
  ),
  connect('CONNECT to another host', () => 'CONNECT evil.example.com:443 HTTP/1.1', 403),
  connect('CONNECT to another port', () => 'CONNECT api.example.com:22 HTTP/1.1', 403),
  connect('CONNECT without a port', () => 'CONNECT api.example.com HTTP/1.1', 400),
  connect('CONNECT with a user', ({ api }) => `CONNECT user@${api} HTTP/1.1`, 400),
  connect('CONNECT with a dot behind', ({ api }) => `CONNECT ${api.replace(':', '.:')} HTTP/1.1`, 400),
  connect('CONNECT with a blank', ({ api }) => `CONNECT ${api} x HTTP/1.1`, 400),
  connect('CONNECT with another host header', ({ api }) => `CONNECT ${api} HTTP/1.1\r\nHost: evil.example.com`, 421),
  connect('CONNECT with two host headers', ({ api }) => `CONNECT ${api} HTTP/1.1\r\nHost: ${api}\r\nHost: ${api}`, 400),
  connect('CONNECT with a body', ({ api }) => `CONNECT ${api} HTTP/1.1\r\nContent-Length: 5`, 400),
  connect(
    'plain http through the proxy',
    ({ api }) => `GET http://${api}/items/1 HTTP/1.1\r\nHost: ${api}\r\nConnection: close`,
    400,
  ),
  connect(
    'https in absolute form',
    ({ api }) => `GET https://${api}/items/1 HTTP/1.1\r\nHost: ${api}\r\nConnection: close`,
    400,
  ),
  {
    ...{ name: 'another name in TLS', on: 'api', sni: 'plain.example.com', careless: true, bytes: get('/items/1') },
    ...{ statuses: [421], rows: ['deny 421'] },
  },
  {
    ...{ name: 'no name in TLS', on: 'api', sni: '', bytes: get('/items/1') },
    ...{ statuses: [200], received: ['GET /items/1'], rows: ['allow 200'] },
  },
  {
    ...{ name: 'a name with a private address', on: 'closed', statuses: [403], rows: ['deny 403'] },
    bytes: ({ closed }) => `GET /a HTTP/1.1\r\nHost: ${closed}\r\n${END}`,
  },
];

const HTTP: Attack[] = [
  refused('another host header', ({ plain }) => `GET /items/1 HTTP/1.1\r\nHost: ${plain}\r\n${END}`, 421),
  refused('another port in the host header', () => `GET /items/1 HTTP/1.1\r\nHost: api.example.com:1\r\n${END}`, 421),
  refused('two host headers', get('/items/1', 'Host: evil.example.com\r\n'), 400),
  refused('an empty host header', () => `GET /items/1 HTTP/1.1\r\nHost:\r\n${END}`, 400),
  refused('no host header', () => `GET /items/1 HTTP/1.1\r\n${END}`, 400),
  refused(
    'absolute form in the tunnel',
    ({ api }) => `GET https://${api}/items/1 HTTP/1.1\r\nHost: ${api}\r\n${END}`,
    400,
  ),
  refused(
    'absolute form of plain http',
    ({ api }) => `GET http://evil.example.com/ HTTP/1.1\r\nHost: ${api}\r\n${END}`,
    400,
  ),
  refused('a tunnel in the tunnel', ({ plain }) => `CONNECT ${plain} HTTP/1.1\r\nHost: ${plain}\r\n\r\n`, 405),
  refused('a length and chunks', get('/items', 'Content-Length: 3\r\nTransfer-Encoding: chunked\r\n', 'POST'), 400),
  refused('two lengths', get('/items', 'Content-Length: 3\r\nContent-Length: 4\r\n', 'POST'), 400),
  refused('a strange encoding of the transfer', get('/items', 'Transfer-Encoding: xchunked\r\n', 'POST'), 400),
  refused('two encodings of the transfer', get('/items', 'Transfer-Encoding: gzip, chunked\r\n', 'POST'), 400),
  refused('a space before the colon', get('/items/1', 'X-A : b\r\n'), 400),
  refused('a folded header', get('/items/1', 'X-A: b\r\n c\r\n'), 400),
  refused('a zero byte', get('/items/1', 'X-A: b\0c\r\n'), 400),
  refused('bare line feeds', ({ api }) => `GET /items/1 HTTP/1.1\nHost: ${api}\n\n`, 400),
  refused('HTTP/0.9', () => 'GET /items/1\r\n\r\n', 505),
  refused('a line of HTTP/2', ({ api }) => `GET /items/1 HTTP/2.0\r\nHost: ${api}\r\n${END}`, 505),
  refused('a line of HTTP/0.9', ({ api }) => `GET /items/1 HTTP/0.9\r\nHost: ${api}\r\n${END}`, 505),
  connect('CONNECT in HTTP/2.0', ({ api }) => `CONNECT ${api} HTTP/2.0`, 505),
  refused('the preface of HTTP/2', () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400),
  refused('an upgrade to HTTP/2', get('/items/1', 'Upgrade: h2c\r\nHTTP2-Settings: x\r\n'), 403),
  refused('a WebSocket', get('/items/1', 'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n'), 403),
  refused('64 KiB of headers', get('/items/1', `X-A: ${'b'.repeat(65_536)}\r\n`), 431),
  refused('150 headers', get('/items/1', 'a: b\r\n'.repeat(150)), 431),
  refused('a target of 9 KiB', get(`/items/${'x'.repeat(9000)}`), 414),
  refused('another method', get('/items/1', '', 'PUT'), 403),
  refused('a method in lower case', get('/items/1', '', 'get'), 400),
  {
    ...{ name: 'TRACE, where any method is allowed', on: 'plain', statuses: [403], rows: ['deny 403'] },
    bytes: ({ plain }) => `TRACE /a HTTP/1.1\r\nHost: ${plain}\r\n${END}`,
  },
  refused('another case of the path', get('/Items/1'), 403),
  refused('a rule that denies', get('/items/hidden'), 403),
];

const TARGETS: Attack[] = [
  ...['/items/../other', '/items/.', '/items/%2e%2e/other', '/items/%2E./other', '/items/a%2fb', '/items/a%5cb'].map(
    (target) => refused(`the target ${target}`, get(target), 400),
  ),
  ...[
    '/items/a\\b',
    '/items//a',
    '//items/a',
    '/items/a;b',
    '/items/%00',
    '/items/a#b',
    '/items/%252e',
    '/items/%c0%ae',
  ].map((target) => refused(`the target ${target}`, get(target), 400)),
  refused('a target that is no UTF-8', get('/items/%ff'), 400),
  refused('a credential in the query', get('/items/1?access_token=mine'), 400),
  refused('a credential in the query, escaped', get('/items/1?a=b&api%5Fkey=mine'), 400),
  refused('another method in the query', get('/items/1?_method=DELETE'), 400),
  {
    ...{ name: 'a query that is fine, byte for byte', on: 'api', bytes: get('/items/a%20b?q=%2e%2E&r=/..//&s') },
    ...{ statuses: [200], received: ['GET /items/a%20b?q=%2e%2E&r=/..//&s'], rows: ['allow 200'] },
  },
];

const HEADERS: Attack[] = [
  stripped(
    'credentials of the agent',
    'Authorization: Bearer mine\r\nauthorization: Basic bWluZQ==\r\nX-API-KEY: mine\r\n',
    {
      'x-api-key': [],
    },
  ),
  stripped(
    'credentials under other names',
    'Cookie: a=b\r\nPrivate-Token: mine\r\nX-Goog-Api-Key: mine\r\nX-Vault-Token: mine\r\nProxy-Authorization: mine\r\n',
    { cookie: [], 'private-token': [], 'x-goog-api-key': [], 'x-vault-token': [], 'proxy-authorization': [] },
  ),
  stripped('headers that the connection is to drop', 'Connection: authorization, x-kept\r\nX-Kept: b\r\n', {
    'x-kept': [],
  }),
  stripped('claims of identity', 'X-Forwarded-For: 1.1.1.1\r\nForwarded: for=x\r\nX-Group-Id: other\r\n', {
    ...{ 'x-forwarded-for': [], forwarded: [], 'x-group-id': [] },
  }),
  stripped('another method in a header', 'X-HTTP-Method-Override: DELETE\r\nX-Method-Override: DELETE\r\n', {
    ...{ 'x-http-method-override': [], 'x-method-override': [] },
  }),
  stripped('a range, to read a secret by its bytes', 'Range: bytes=0-3\r\nIf-Range: x\r\n', {
    range: [],
    'if-range': [],
  }),
  stripped('a wish for compression', 'Accept-Encoding: gzip, br\r\n', { 'accept-encoding': ['identity'] }),
  stripped('a placeholder, which is text', 'X-Note: {{SECRET:api-token}} __API_TOKEN__\r\n', {
    'x-note': ['{{SECRET:api-token}} __API_TOKEN__'],
  }),
  {
    ...{ name: 'an allowed request and a denied one in one segment', on: 'api' },
    bytes: ({ api }) => `GET /items/1 HTTP/1.1\r\nHost: ${api}\r\n\r\nPUT /items/1 HTTP/1.1\r\nHost: ${api}\r\n${END}`,
    ...{ statuses: [200, 403], received: ['GET /items/1'], rows: ['allow 200', 'deny 403'] },
  },
  {
    ...{ name: 'a body that ends early and goes on as a request', on: 'plain' },
    bytes: ({ plain }) =>
      `POST /a HTTP/1.1\r\nHost: ${plain}\r\nContent-Length: 4\r\n\r\nbodyPOST /hidden HTTP/1.1\r\nHost: ${plain}\r\n${END}`,
    // The second is refused at once, while the first waits for the end of its body.
    ...{ statuses: [200, 403], received: ['POST /a'], rows: ['deny 403', 'allow 200'] },
  },
  refused('a forbidden key in the body', bodyOf('{"mcp_servers":[]}'), 403),
  refused('a key twice in the body', bodyOf('{"mcp_servers2":1,"a":1,"a":2}'), 400),
  refused('a body that is no JSON', bodyOf('mcp_servers=1'), 400),
  refused('a compressed body', bodyOf('{}', 'Content-Encoding: gzip\r\n'), 403),
];

function bodyOf(body: string, more = ''): Attack['bytes'] {
  const head = get('/items', `Content-Length: ${body.length}\r\n${more}`, 'POST');
  return (places) => head(places) + body;
}

export const REQUEST_ATTACKS: readonly Attack[] = [...TUNNEL, ...HTTP, ...TARGETS, ...HEADERS];
