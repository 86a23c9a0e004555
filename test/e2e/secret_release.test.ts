import assert from 'node:assert/strict';
import { createConnection } from 'node:net';
import { after, before, test } from 'node:test';
import { gatewayRequest } from '../../src/protocol/gateway.ts';
import { GatewayProcess } from '../fakes/gateway_process.ts';
import { bearerFor } from '../fakes/upstream.ts';

/**
 * What the host can get of a secret: everything that `gateway.sock` can be asked is asked, and the bytes of its answers are looked
 * at. The table is the one that the gateway validates by, so that an operation cannot be forgotten here.
 */

const SECRETS = {
  anthropic: 'fake-secret-of-the-model',
  'api-token': 'fake-secret-of-a-service',
  'api-next': 'fake-secret-that-comes-next',
  'chat-bot': 'fake-token-of-a-channel',
  'chat-next': 'fake-token-that-comes-next',
};
const WAIT_MS = 5000;
const gateway = new GatewayProcess();
let policy: string;

before(async () => {
  await gateway.start();
  policy = gateway.group('assistant', 'secrets: [api-token]\n');
  await gateway.setSecret('anthropic', SECRETS.anthropic);
  await gateway.setSecret('api-token', SECRETS['api-token'], bearerFor('api.example.com'));
  await gateway.setSecret('chat-bot', SECRETS['chat-bot'], { form: { kind: 'channel' }, hosts: [] });
  const operator = await gateway.operator();
  await operator.request({ op: 'set', name: 'api-token', value: SECRETS['api-next'], next: true }, WAIT_MS);
  await operator.request({ op: 'set', name: 'chat-bot', value: SECRETS['chat-next'], next: true }, WAIT_MS);
});
after(() => gateway.dispose());

/** Raw lines to the socket of the host, and every byte that comes back until as many answers are there. */
function say(lines: object[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection({ path: gateway.paths.gatewaySocket });
    let seen = '';
    socket.on('error', reject);
    socket.on('data', (part) => {
      seen += part;
      if ((seen.match(/"ok":/g) ?? []).length < lines.length) return;
      socket.destroy();
      resolve(seen);
    });
    for (const line of lines) socket.write(`${JSON.stringify(line)}\n`);
  });
}

const OPS = gatewayRequest.options.map((option) => option.shape.op.value);

test('no operation of the host’s socket gives away the value of a secret, but for the token of a channel', async () => {
  const session = 's1';
  const socket = gateway.paths.session(session).egress;
  const fields = {
    session,
    group: 'assistant',
    policy,
    socket,
    from_ms: 0,
    to_ms: 1,
    since_ms: 0,
    at_ms: 0,
    limit: 1,
    from: 0,
  };
  const decision = { anchors: [], hold: 'none', body_sha256: policy, allow: true, reason: '' };
  const evidence = { marks: ['A'], event: 1, hash: policy, to: 'webhook', body: '' };
  const cut = { day: '2020-01-01', through: 1, seq: 1, hash: policy, count: 1 };
  for (const op of OPS.filter((one) => one !== 'release')) {
    const { shape } = gatewayRequest.options.find((option) => option.shape.op.value === op)!;
    const known = Object.entries({ ...fields, ...decision, ...evidence, cut: op === 'cut' ? cut : null }).filter(
      ([name]) => name in shape,
    );
    const answer = await say([{ id: 1, op, ...Object.fromEntries(known) }]);
    assert.ok(!answer.includes('invalid_'), `${op}: ${answer}`);
    for (const value of Object.values(SECRETS)) assert.ok(!answer.includes(value), `${op}: ${answer}`);
  }
  assert.deepEqual(
    [...OPS].sort(),
    [
      ...[
        'audit',
        'body',
        'check',
        'close',
        'cut',
        'decide',
        'head',
        'health',
        'log',
        'marks',
        'names',
        'open',
        'post',
      ],
      ...['release', 'signer', 'spoken', 'usage'],
    ],
    'each one is looked at here',
  );
});

test('the token of a channel is released, and no secret of another kind', async () => {
  // Each time as a host of its own: the raw connection below takes the place of the one before.
  const release = async (name: string) =>
    (await gateway.host()).request<{ value: string }>({ op: 'release', name }, WAIT_MS);
  assert.equal((await release('chat-bot')).value, SECRETS['chat-bot']);
  for (const name of ['anthropic', 'api-token']) {
    await assert.rejects(release(name), { code: 'refused', message: /only a channel's token is released/ });
    const answer = await say([{ id: 1, op: 'release', name }]);
    for (const value of Object.values(SECRETS)) assert.ok(!answer.includes(value), answer);
  }
  await assert.rejects(release('nothing'), { code: 'not_found' });
  const log = gateway.log();
  assert.match(log, /"event":"release refused","name":"api-token","kind":"bearer"/);
  for (const value of Object.values(SECRETS)) assert.ok(!log.includes(value));
});

test('what the operator can ask gives no value away either', async () => {
  const operator = await gateway.operator();
  const answers = [
    await operator.request<object>({ op: 'list' }, WAIT_MS),
    await operator.request<object>({ op: 'promote', name: 'api-token' }, WAIT_MS),
    await operator.request<object>({ op: 'rotate' }, WAIT_MS),
    await operator.request<object>({ op: 'remove', name: 'api-token', next: true }, WAIT_MS),
  ];
  for (const value of Object.values(SECRETS)) assert.ok(!JSON.stringify(answers).includes(value));
});
