import assert from 'node:assert/strict';
import { test } from 'node:test';
import { noFaults } from '../../src/base/faults.ts';
import { Audit } from '../../src/gateway/audit.ts';
import { DAY_MS, isSigned } from '../../src/protocol/chain.ts';
import type { Anchor } from '../../src/protocol/gateway.ts';
import { GatewayProcess } from '../fakes/gateway_process.ts';

/** The gateway's part in the evidence: whose heads it keeps, what it signs, and with which key. */
const WAIT_MS = 20_000;
const HASH = 'a'.repeat(64);
const NOW_MS = Date.now();
const OLD_MS = NOW_MS - 500 * DAY_MS;
const day = (at_ms: number): string => new Date(at_ms).toISOString().slice(0, 10);

/** A gateway that the host has told of event 50 long ago, and of event 60 today. */
async function gatewayOf(context: { after(act: () => Promise<void>): void }): Promise<GatewayProcess> {
  const gateway = new GatewayProcess();
  context.after(() => gateway.dispose());
  for (const [at_ms, event] of [
    [OLD_MS, 50],
    [NOW_MS, 60],
  ] as const) {
    const clock = { now: () => at_ms, micros: () => at_ms * 1000, monotonic: () => 0 };
    const audit = new Audit(gateway.paths.audit, clock, noFaults);
    audit.hostHead({ event, hash: HASH });
    audit.close();
  }
  await gateway.start();
  return gateway;
}

const cut = (at_ms: number, through: number) => ({
  day: day(at_ms),
  through,
  seq: through,
  hash: HASH,
  count: through,
});

test('it signs a cut of what it knows to be old, and nothing else', async (context) => {
  const gateway = await gatewayOf(context);
  const host = await gateway.host();
  const asked = (of: object) => host.request<{ signature: string }>({ op: 'cut', cut: of }, WAIT_MS);
  const { key } = await host.request<{ key: string }>({ op: 'signer' }, WAIT_MS);
  const old = cut(OLD_MS, 50);
  const { signature } = await asked(old);
  assert.ok(isSigned('events', { ...old, signature }, key));
  assert.ok(!isSigned('requests', { ...old, signature }, key));
  assert.ok(!isSigned('events', { ...old, count: 51, signature }, key));
  for (const young of [cut(NOW_MS, 50), cut(NOW_MS - 399 * DAY_MS, 50), cut(OLD_MS, 51)])
    await assert.rejects(asked(young), /are not old enough to be removed/, JSON.stringify(young));
  const check = (event: number) =>
    host.request<{ cut_known: boolean }>({ op: 'check', anchors: [], cut: { event, hash: HASH } }, WAIT_MS);
  assert.deepEqual([(await check(50)).cut_known, (await check(51)).cut_known], [true, false]);
});

test('its key is kept over a restart and a rotation, and is nothing that anybody can list, set, take or send', async (context) => {
  const gateway = await gatewayOf(context);
  const host = await gateway.host();
  const before = await host.request<{ key: string }>({ op: 'signer' }, WAIT_MS);
  const operator = await gateway.operator();
  await operator.request({ op: 'rotate' }, WAIT_MS);
  assert.deepEqual((await operator.request<{ secrets: unknown[] }>({ op: 'list' }, WAIT_MS)).secrets, []);
  assert.deepEqual((await host.request<{ names: string[] }>({ op: 'names' }, WAIT_MS)).names, []);
  await assert.rejects(host.request({ op: 'release', name: '.signer' }, WAIT_MS));
  for (const request of [
    { op: 'set', name: '.signer', value: 'fake-secret' },
    { op: 'remove', name: '.signer' },
  ])
    await assert.rejects(operator.request(request, WAIT_MS));
  await gateway.end('SIGKILL');
  await gateway.start();
  const again = await (await gateway.host()).request<{ key: string }>({ op: 'signer' }, WAIT_MS);
  assert.equal(again.key, before.key);
});

test('a host that connects hears its head, and what it tells is no news for itself', async (context) => {
  const gateway = await gatewayOf(context);
  const anchors: Anchor[] = [];
  const host = await gateway.host((event) => {
    if ((event as { event: string }).event === 'anchor') anchors.push(event as Anchor);
  });
  const { audit } = await host.request<{ audit: Anchor }>({ op: 'head', event: 70, hash: HASH }, WAIT_MS);
  assert.deepEqual([anchors.map(({ seq }) => seq), audit.seq], [[2], 3]);
  // A session's end is a moment at which it would tell.
  await host.request({ op: 'close', session: 's1' }, WAIT_MS);
  await host.request({ op: 'names' }, WAIT_MS);
  assert.equal(anchors.length, 1);
});
