import { type Attack, SECRET } from './attack_bench.ts';
import { type FrameOptions, frame, handshake, KEY } from './websocket.ts';

/** Hostile handshakes and frames, in the words of the other table. */

const MASKED = `Bearer ${'*'.repeat(SECRET.length)}`;
const CLOSE = frame('', { opcode: 8 });
/** What somebody would smuggle behind a handshake. */
const SMUGGLED = 'GET /still HTTP/1.1\r\nHost: live.example.com\r\nConnection: close\r\n\r\n';

function refused(name: string, bytes: Attack['bytes']): Attack {
  return { name, on: 'live', bytes, statuses: [403], rows: ['deny 403'] };
}

/** A handshake in which something is otherwise. */
function but(from: string | RegExp, to: string): Attack['bytes'] {
  return ({ live }) => handshake(live, '/ws/a').replace('keep-alive, ', 'close, ').replace(from, to);
}

/** Frames right behind a handshake for `target`. */
function sent(target: string, ...frames: (string | Buffer)[]): Attack['bytes'] {
  const bytes = Buffer.concat(frames.map((one) => Buffer.from(one))).toString('latin1');
  return ({ live }) => handshake(live, target) + bytes;
}

/** Is cut when it comes, and reaches nobody. */
function cut(name: string, what: string, ...frames: (string | Buffer)[]): Attack {
  return {
    ...{ name, on: 'live', bytes: sent('/ws/a', ...frames), statuses: [101], received: ['GET /ws/a'] },
    ...{ rows: ['error 101'], rules: [`websocket: ${what}`], bodies: [''], frames: [] },
  };
}

function odd(options: FrameOptions, payload = 'odd'): Buffer {
  return frame(payload, options);
}

/** A service that answers a handshake in its own way. */
function answered(name: string, target: string, status: number, row: string): Attack {
  const bytes: Attack['bytes'] = ({ live }) => handshake(live, target) + SMUGGLED;
  return { name, on: 'live', bytes, statuses: [status], received: [`GET ${target}`], rows: [row] };
}

const HANDSHAKES: Attack[] = [
  refused('an upgrade to something else', but('WebSocket', 'foo')),
  refused('an upgrade to two things', but('WebSocket', 'websocket, h2c')),
  refused('two upgrades', but('Upgrade: WebSocket', 'Upgrade: websocket\r\nUpgrade: h2c')),
  refused('an upgrade to HTTP/2 of a service with WebSockets', but('WebSocket', 'h2c')),
  refused('an upgrade that the connection does not name', but(', Upgrade', '')),
  refused('another version of WebSocket', but('Version: 13', 'Version: 8')),
  refused('no version of WebSocket', but('Sec-WebSocket-Version: 13\r\n', '')),
  refused('a key that is too short', but(KEY, 'c2hvcnQ=')),
  refused('two keys', but(`Key: ${KEY}`, `Key: ${KEY}\r\nSec-WebSocket-Key: ${KEY}`)),
  refused('a handshake with a body', but('Upgrade: WebSocket', 'Content-Length: 3\r\nUpgrade: websocket')),
  refused('a handshake by POST', but('GET', 'POST')),
  refused('a handshake in HTTP/1.0', but('HTTP/1.1', 'HTTP/1.0')),
  refused('a WebSocket where the path has none', but('/ws/a', '/still')),
  refused('a WebSocket where no rule lets it out', but('/ws/a', '/other')),
  refused(
    'the agent’s own credential as a protocol',
    but('Upgrade: WebSocket', 'Sec-WebSocket-Protocol: realtime, api-key.mine\r\nUpgrade: websocket'),
  ),
  {
    ...{ name: 'a WebSocket to a service without', on: 'plain', statuses: [403], rows: ['deny 403'] },
    bytes: ({ plain }) => handshake(plain, '/a').replace('keep-alive', 'close'),
  },
  {
    ...{ name: 'a credential in the query of a WebSocket', on: 'live', statuses: [400], rows: ['deny 400'] },
    bytes: ({ live }) => handshake(live, '/ws/a?access_token=mine') + SMUGGLED,
  },
  {
    ...{ name: 'another host in a handshake, and more behind it', on: 'live', statuses: [421], rows: ['deny 421'] },
    bytes: ({ plain }) => handshake(plain, '/ws/a') + SMUGGLED,
  },
  {
    ...{ name: 'a handshake that does not wait for the answer before it', on: 'live' },
    bytes: (places) => `GET /ws/plain HTTP/1.1\r\nHost: ${places.live}\r\n\r\n${but('', '')(places)}`,
    ...{ statuses: [200, 403], received: ['GET /ws/plain'], rows: ['allow 200', 'deny 403'] },
  },
  {
    ...{ name: 'a handshake right behind what is refused', on: 'live' },
    bytes: (places) => `GET /other HTTP/1.1\r\nHost: ${places.live}\r\n\r\n${but('', '')(places)}`,
    ...{ statuses: [403, 403], rows: ['deny 403', 'deny 403'] },
  },
  answered('a service that refuses a WebSocket', '/ws/refused', 401, 'allow 401'),
  answered('a service that answers a handshake with a page', '/ws/plain', 502, 'error 502'),
  answered('a service that upgrades to something else', '/ws/foo', 502, 'error 502'),
  answered('a service that upgrades to nothing', '/ws/bare', 502, 'error 502'),
  answered('a service that accepts another handshake', '/ws/other', 502, 'error 502'),
];

const FRAMES: Attack[] = [
  {
    ...{ name: 'what a WebSocket may carry', on: 'live', bytes: sent('/ws/a', frame('hello'), CLOSE) },
    ...{ statuses: [101], received: ['GET /ws/a'], rows: ['allow 101'], rules: ['live: GET /ws/**'] },
    ...{ bodies: ['hello'], frames: ['hello', ''], headers: { authorization: [`Bearer ${SECRET}`] } },
  },
  {
    ...{ name: 'a wish for compressed frames', on: 'live', statuses: [101], received: ['GET /ws/a'] },
    bytes: ({ live }) =>
      handshake(live, '/ws/a', 'Sec-WebSocket-Extensions: permessage-deflate\r\nAuthorization: mine\r\n') +
      Buffer.concat([frame('hello'), CLOSE]).toString('latin1'),
    ...{ rows: ['allow 101'], bodies: ['hello'], frames: ['hello', ''] },
    headers: { 'sec-websocket-extensions': [], authorization: [`Bearer ${SECRET}`] },
  },
  {
    ...{ name: 'a secret that comes back in a frame', on: 'live', bytes: sent('/ws/a', frame('authorization'), CLOSE) },
    ...{ statuses: [101], received: ['GET /ws/a'], rows: ['allow 101'], frames: [MASKED, ''] },
  },
  cut('HTTP behind a handshake', 'a frame with a reserved bit', SMUGGLED),
  cut('a frame without a mask', 'a frame without a mask', odd({ masked: false })),
  cut('a frame with a reserved bit', 'a frame with a reserved bit', odd({ reserved: 4 })),
  cut('a frame of no known kind', 'a frame of no known kind', odd({ opcode: 3 })),
  cut('a ping that is too long', 'a control frame that is too long or split', odd({ opcode: 9 }, 'x'.repeat(126))),
  cut('a ping in two parts', 'a control frame that is too long or split', odd({ opcode: 9, final: false })),
  cut('the rest of a message that never began', 'a frame out of order', odd({ opcode: 0 })),
  cut('a frame after the last one', 'a frame after the last one', CLOSE, odd({})),
  {
    ...{ name: 'more messages than the rate has', on: 'live', statuses: [101], received: ['GET /paced'] },
    ...{ bytes: sent('/paced', ...Array(3).fill(frame('one'))), rows: ['error 101'], rules: ['paced: rate 3/hour'] },
    ...{ bodies: [''], frames: [] },
  },
  ...(['noise', 'masked', 'deflate'] as const).map((kind): Attack => {
    const name = `a service that sends ${kind} instead of frames`;
    const bytes = sent(`/ws/${kind}`);
    return { name, on: 'live', bytes, statuses: [101], received: [`GET /ws/${kind}`], rows: ['error 101'], frames: [] };
  }),
];

export const WEBSOCKET_ATTACKS: readonly Attack[] = [...HANDSHAKES, ...FRAMES];
