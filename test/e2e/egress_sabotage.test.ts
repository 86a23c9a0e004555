import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ATTACKS as HTTP_ATTACKS } from '../fakes/approval_attacks.ts';
import { type Attack, AttackBench, expectedOf } from '../fakes/attack_bench.ts';
import { type Patch, PatchedTree } from '../fakes/patched_tree.ts';
import { WEBSOCKET_ATTACKS } from '../fakes/websocket_attacks.ts';

/** Each guard is taken out of a copy of the code: the attack that it is there for must then come out differently. */

interface Sabotage {
  without: string;
  patch: Patch;
  attack: string;
}

const ATTACKS = [...HTTP_ATTACKS, ...WEBSOCKET_ATTACKS];
const HEADERS = 'src/gateway/headers.ts';
const REQUEST = 'src/gateway/service_request.ts';
const SESSION = 'src/gateway/session.ts';
const ADMISSION = 'src/gateway/admission.ts';
const HOLDS = 'src/gateway/holds.ts';
const HANDSHAKE = 'src/gateway/handshake.ts';
const FRAMES = 'src/gateway/frames.ts';
const RELAY = 'src/gateway/websocket.ts';

const SABOTAGES: readonly Sabotage[] = [
  {
    without: 'the list of claims',
    patch: [HEADERS, 'CLAIMS.has(name) || ', ''],
    attack: 'another method in a header',
  },
  {
    without: 'the pattern of credential headers',
    patch: [HEADERS, 'CREDENTIAL.test(name) || ', ''],
    attack: 'credentials under other names',
  },
  {
    without: 'the list of headers that the connection drops',
    patch: [HEADERS, "startsWith('x-forwarded-') || dropped?.has(name)", "startsWith('x-forwarded-')"],
    attack: 'headers that the connection is to drop',
  },
  {
    without: 'the guard against claims of identity',
    patch: [HEADERS, "if (name.startsWith('x-forwarded-') || ", 'if ('],
    attack: 'claims of identity',
  },
  {
    without: 'the guard against ranges',
    patch: [HEADERS, "credentialed && (name === 'range'", "false && (name === 'range'"],
    attack: 'a range, to read a secret by its bytes',
  },
  {
    without: 'the wish for a plain reply',
    patch: [HEADERS, "kept.push('accept-encoding', 'identity')", "kept.push('accept-encoding', 'gzip')"],
    attack: 'a wish for compression',
  },
  {
    without: 'the guard against upgrades',
    patch: [HEADERS, "if (!upgrade && name === 'upgrade') {", 'if (false) {'],
    attack: 'a WebSocket',
  },
  {
    without: 'the count of host headers',
    patch: [HEADERS, 'return hosts === 1 ? null', 'return hosts >= 1 ? null'],
    attack: 'two host headers',
  },
  {
    without: 'the guard against compressed bodies',
    patch: [HEADERS, "!compressed && name === 'content-encoding'", "false && name === 'content-encoding'"],
    attack: 'a compressed body',
  },
  {
    without: 'the hard floor of metadata services',
    patch: [REQUEST, 'if (isMetadata(place.host))', 'if (false)'],
    attack: 'CONNECT to a metadata service that a service names',
  },
  {
    without: 'the list of places',
    patch: [
      REQUEST,
      'if (first === undefined) return notHere',
      "if (first === undefined) return { allow: true, ...place, service: 'x' };\n  if (first === undefined) return notHere",
    ],
    attack: 'CONNECT to another host',
  },
  {
    without: 'the comparison of CONNECT with its host header',
    patch: [REQUEST, 'return hosts.length === 0 || isSamePlace(hosts[0]!, place)', 'return true'],
    attack: 'CONNECT with another host header',
  },
  {
    without: 'the comparison of the host header with the tunnel',
    patch: [REQUEST, 'return value !== undefined && isSamePlace(value, place)', 'return true'],
    attack: 'another host header',
  },
  {
    without: 'the guard against credentials in a query',
    patch: [REQUEST, 'if (CREDENTIAL_KEYS.has(name) &&', 'if (false &&'],
    attack: 'a credential in the query',
  },
  {
    without: 'the guard against another method in a query',
    patch: [REQUEST, "if (name === '_method')", 'if (false)'],
    attack: 'another method in the query',
  },
  {
    without: 'the question to a person',
    patch: [REQUEST, '      approve,\n', '      approve: false,\n'],
    attack: 'what a person would be asked',
  },
  {
    without: 'the comparison of the rules in force',
    patch: [HOLDS, 'if (event.policy !== policy)', 'if (false)'],
    attack: 'rules that changed meanwhile',
  },
  {
    without: 'the comparison of the vault',
    patch: [SESSION, 'if (vault !== null && vault !== injector.generation)', 'if (false)'],
    attack: 'a secret that changed meanwhile',
  },
  {
    without: 'the comparison of the body',
    patch: [HOLDS, '|| event.body_sha256 !== body_sha256', '|| false'],
    attack: 'an approval of another body',
  },
  {
    without: 'the comparison of the session',
    patch: [HOLDS, 'if (event.session !== session ||', 'if (false ||'],
    attack: 'an approval for another session',
  },
  {
    without: 'the end of what was decided',
    patch: [HOLDS, 'this.#pending.delete(hold);', ''],
    attack: 'two approvals of one request',
  },
  {
    without: 'the bound on what waits',
    patch: [HOLDS, 'if (waiting >= APPROVALS_PENDING_MAX)', 'if (false)'],
    attack: 'a fourth request that waits',
  },
  {
    without: 'the bound on a body that a person sees',
    patch: [ADMISSION, 'approve ? APPROVAL_BODY_BYTES_MAX : unheld', 'unheld'],
    attack: 'a body of 5 MB for a person',
  },
  {
    without: 'the refusal of bodies that nobody could see',
    patch: [REQUEST, 'approve ? headerProblem(raw) : null', 'null'],
    attack: 'a compressed body for a person',
  },
  {
    without: 'the look at deny_json before a person is asked',
    patch: [SESSION, 'bodyProblem(body, admitted.denyJson)', 'null'],
    attack: 'a forbidden key where a person would be asked',
  },
  {
    without: 'the end of what waits with its session',
    patch: [SESSION, 'for (const hold of this.#held)', 'for (const hold of [])'],
    attack: 'a host that goes away meanwhile',
  },
  {
    without: 'the end of what waits with its agent',
    patch: [SESSION, "exchange.response.on('close', () => holds.end(hold, 'agent gone'))", ''],
    attack: 'an agent that goes away meanwhile',
  },
  {
    without: 'the escapes of what a person sees',
    patch: [HOLDS, 'return visible(cutBytes', 'return String(cutBytes'],
    attack: 'a body that draws its own card',
  },
  {
    without: 'the masks of what a person sees',
    patch: [HOLDS, 'redact(body.subarray', 'String(body.subarray'],
    attack: 'a credential in what a person is shown',
  },
  {
    without: 'the cut of what a person sees',
    patch: [HOLDS, 'visible(cutBytes(text, APPROVAL_PREVIEW_BYTES_MAX))', 'visible(text)'],
    attack: 'a body of which only the beginning can be shown',
  },
  {
    without: 'the bytes that were kept',
    patch: [SESSION, 'return this.#send(exchange, admitted, body);', 'return this.#send(exchange, admitted, null);'],
    attack: 'what a person allows',
  },
  {
    without: 'the refusal of TRACE',
    patch: [REQUEST, "if (method === 'TRACE')", 'if (false)'],
    attack: 'TRACE, where any method is allowed',
  },
  {
    without: 'the judgement of a target’s form',
    patch: ['src/authority/decide.ts', 'if (problem !== null) return denied', 'if (false) return denied'],
    attack: 'the target /items/%2e%2e/other',
  },
  {
    without: 'the order of deny before allow',
    patch: [
      'src/authority/decide.ts',
      "const ORDER = ['deny', 'approve', 'allow']",
      "const ORDER = ['allow', 'approve', 'deny']",
    ],
    attack: 'a rule that denies',
  },
  {
    without: 'the comparison of TLS with CONNECT',
    patch: ['src/gateway/tunnel.ts', 'otherName ||= name', 'otherName = false && name'],
    attack: 'another name in TLS',
  },
  {
    without: 'the look at addresses',
    patch: [
      'src/gateway/addresses.ts',
      'isPublic(address) || isWithinRanges(address, ranges)',
      'true || isWithinRanges(address, ranges)',
    ],
    attack: 'a name with a private address',
  },
  {
    without: 'the guard against tunnels in tunnels',
    patch: [SESSION, "if (asked.host !== '') return", 'if (false) return'],
    attack: 'a tunnel in the tunnel',
  },
  {
    without: 'the guard against other versions of HTTP',
    patch: [SESSION, "if (httpVersion === '1.1' ||", 'if (true ||'],
    attack: 'a line of HTTP/2',
  },
  {
    without: 'the look into bodies',
    patch: [SESSION, 'bodyProblem(body, admitted.denyJson)', 'bodyProblem(body, [])'],
    attack: 'a forbidden key in the body',
  },
  {
    without: 'the look for keys that stand twice',
    patch: ['src/gateway/json_rules.ts', 'if (keys.has(key)) return', 'if (false) return'],
    attack: 'a key twice in the body',
  },
  {
    without: 'the word of its service that opens a WebSocket',
    patch: [REQUEST, 'services.some(({ ws }) => ws)', 'true'],
    attack: 'a WebSocket where the path has none',
  },
  {
    without: 'the one name that an upgrade may have',
    patch: [HANDSHAKE, "upgrade?.toLowerCase() === 'websocket'", 'true'],
    attack: 'an upgrade to something else',
  },
  {
    without: 'the method of a handshake',
    patch: [HANDSHAKE, "method === 'GET'", 'true'],
    attack: 'a handshake by POST',
  },
  {
    without: 'the form of a key',
    patch: [HANDSHAKE, "KEY.test(headers['sec-websocket-key'] ?? '')", 'true'],
    attack: 'a key that is too short',
  },
  {
    without: 'the version of a handshake',
    patch: [HANDSHAKE, "headers['sec-websocket-version'] === '13'", 'true'],
    attack: 'another version of WebSocket',
  },
  {
    without: 'the refusal of a handshake with a body',
    patch: [HANDSHAKE, '!hasBody(request)', 'true'],
    attack: 'a handshake with a body',
  },
  {
    without: 'the refusal of credentials as protocols',
    patch: [HANDSHAKE, "!CREDENTIAL.test(headers['sec-websocket-protocol'] ?? '')", 'true'],
    attack: 'the agent’s own credential as a protocol',
  },
  {
    without: 'the comparison of what accepts with what was asked',
    patch: [HANDSHAKE, "headers['sec-websocket-accept'] === accept", 'true'],
    attack: 'a service that accepts another handshake',
  },
  {
    without: 'the refusal of a page for a handshake',
    patch: ['src/gateway/forward.ts', 'if (ws && (status === 101', 'if (false && (status === 101'],
    attack: 'a service that answers a handshake with a page',
  },
  {
    without: 'the drop of extensions',
    patch: [HEADERS, "  'sec-websocket-extensions',", ''],
    attack: 'a wish for compressed frames',
  },
  {
    without: 'the masks in frames',
    patch: [RELAY, "redactor === null || part === 'head'", 'true'],
    attack: 'a secret that comes back in a frame',
  },
  {
    without: 'the look for reserved bits',
    patch: [FRAMES, '(first & 0x70) !== 0', 'false'],
    attack: 'a frame with a reserved bit',
  },
  {
    without: 'the look for masks',
    patch: [FRAMES, 'second >= 0x80 !== this.#masked', 'false'],
    attack: 'a frame without a mask',
  },
  {
    without: 'the list of kinds of frames',
    patch: [FRAMES, '!OPCODES.has(opcode)', 'false'],
    attack: 'a frame of no known kind',
  },
  {
    without: 'the bounds of control frames',
    patch: [FRAMES, 'control && (!final ||', 'false && (!final ||'],
    attack: 'a ping that is too long',
  },
  {
    without: 'the order of frames',
    patch: [FRAMES, '!control && this.#open !== (opcode === CONTINUATION)', 'false'],
    attack: 'the rest of a message that never began',
  },
  {
    without: 'the end after the last frame',
    patch: [FRAMES, 'if (this.#closed)', 'if (false)'],
    attack: 'a frame after the last one',
  },
  {
    without: 'the count of messages',
    patch: [RELAY, "part === 'head' && data ? this.#input.count() : null", 'null'],
    attack: 'more messages than the rate has',
  },
];

/** An attack that gets its tunnel waits for the handshake that it never begins, one that gets a WebSocket for frames. */
const IMPATIENT: readonly Patch[] = [
  ['src/base/limits/gateway.ts', 'AGENT_TLS_MS = 10 * SECOND_MS', 'AGENT_TLS_MS = SECOND_MS / 2'],
  ['src/base/limits/gateway.ts', 'WEBSOCKET_IDLE_MS = 10 * MINUTE_MS', 'WEBSOCKET_IDLE_MS = SECOND_MS / 2'],
];

for (const { without, patch, attack } of SABOTAGES) {
  test(`without ${without}, "${attack}" comes out differently`, async () => {
    const found = ATTACKS.find(({ name }) => name === attack);
    assert.ok(found !== undefined, `there is no attack "${attack}"`);
    assert.notDeepEqual(await outcomeWith([patch, ...IMPATIENT], found), expectedOf(found));
  });
}

test('with every guard in place the same bench gives the expected outcome', async () => {
  const found = ATTACKS.find(({ name }) => name === 'credentials under other names')!;
  assert.deepEqual(await outcomeWith([...IMPATIENT], found), expectedOf(found));
});

async function outcomeWith(patches: Patch[], attack: Attack) {
  using tree = new PatchedTree(patches);
  const bench = new AttackBench(tree.root);
  try {
    await bench.start();
    return await bench.outcome(attack);
  } finally {
    await bench.dispose();
  }
}
