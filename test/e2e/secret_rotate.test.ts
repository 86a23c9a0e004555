import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { noFaults } from '../../src/base/faults.ts';
import { ROTATION_BATCH } from '../../src/base/limits/gateway.ts';
import type { VaultAnswers } from '../../src/protocol/gateway.ts';
import type { SecretTerms } from '../../src/protocol/secrets.ts';
import { fileKeySource, PLAIN } from '../../src/vault/key_file.ts';
import { Vault } from '../../src/vault/vault.ts';
import { GatewayProcess } from '../fakes/gateway_process.ts';
import { remove } from '../fakes/remove.ts';

/**
 * A new key for the vault, in a real gateway that is killed at every point of the way: it starts again, ends what was begun,
 * and every value is what it was. Values are read as a host would: as tokens of channels.
 */

const WAIT_MS = 10_000;
const CHANNEL: SecretTerms = { form: { kind: 'channel' }, hosts: [] };
/** Three batches. */
const COUNT = ROTATION_BATCH * 2 + 5;
const folder = mkdtempSync(join(tmpdir(), 'rotate-'));
after(() => remove(folder));

const nameAt = (at: number): string => `token-${String(at).padStart(3, '0')}`;
const valueAt = (at: number): string => `fake-token-of-channel-${at}`;

/** A home with many secrets, made once: each test has a copy. */
const full = new GatewayProcess();
after(() => full.dispose());
await full.start();
{
  const operator = await full.operator();
  for (let at = 0; at < COUNT; at += 1) {
    await operator.request({ op: 'set', name: nameAt(at), value: valueAt(at), terms: CHANNEL }, WAIT_MS);
    if (at % 3 === 0)
      await operator.request({ op: 'set', name: nameAt(at), value: `next-${valueAt(at)}`, next: true }, WAIT_MS);
  }
  await full.end('SIGTERM');
}
const ENVELOPES = COUNT + Math.ceil(COUNT / 3);

function copied(env: NodeJS.ProcessEnv = {}): GatewayProcess {
  const gateway = new GatewayProcess(env);
  for (const file of ['vault.db', 'vault.key']) cpSync(join(full.paths.home, file), join(gateway.paths.home, file));
  return gateway;
}

async function rotate(gateway: GatewayProcess): Promise<VaultAnswers['rotate']> {
  const operator = await gateway.operator();
  return operator.request<VaultAnswers['rotate']>({ op: 'rotate' }, WAIT_MS);
}

/** Every value, the current one and the next, is there; the old key is of no use any more, and none is left over. */
async function assertRotated(gateway: GatewayProcess): Promise<void> {
  const host = await gateway.host();
  const operator = await gateway.operator();
  const release = async (at: number): Promise<string> =>
    (await host.request<{ value: string }>({ op: 'release', name: nameAt(at) }, WAIT_MS)).value;
  for (let at = 0; at < COUNT; at += 1) {
    assert.equal(await release(at), valueAt(at));
    if (at % 3 !== 0) continue;
    await operator.request({ op: 'promote', name: nameAt(at) }, WAIT_MS);
    assert.equal(await release(at), `next-${valueAt(at)}`);
  }
  assert.ok(!existsSync(`${gateway.paths.vaultKey}.next`));
  assert.ok(!existsSync(`${gateway.paths.vaultKey}.next.new`));
  const old = readFileSync(full.paths.vaultKey);
  assert.ok(!readFileSync(gateway.paths.vaultKey).equals(old));
  await gateway.end('SIGTERM');
  const stale = join(folder, 'stale.key');
  writeFileSync(stale, old, { mode: 0o600 });
  await assert.rejects(Vault.unlock(gateway.paths.vault, fileKeySource(stale, PLAIN), systemClock, noFaults), {
    message: /belongs to another vault/,
  });
}

test('everything is under a new key, and the old one is gone', async (context) => {
  const gateway = copied();
  context.after(() => gateway.dispose());
  await gateway.start();
  assert.deepEqual(await rotate(gateway), { id: 1, ok: true, rewrapped: ENVELOPES, damaged: 0, left: null });
  await assertRotated(gateway);
});

test('two that ask at once get one rotation', async (context) => {
  const gateway = copied();
  context.after(() => gateway.dispose());
  await gateway.start();
  const [first, second] = await Promise.all([rotate(gateway), rotate(gateway)]);
  assert.equal(first.rewrapped, ENVELOPES);
  assert.equal(second.rewrapped, ENVELOPES);
  await assertRotated(gateway);
});

const POINTS: [name: string, hits: number][] = [
  ['vault.next_key', 1],
  ['vault.rewrap', 3],
  ['vault.rewrap_canary', 1],
  ['vault.settle_key', 1],
];
for (const [name, hits] of POINTS) {
  for (const side of ['before', 'after']) {
    for (let hit = 1; hit <= hits; hit += 1) {
      test(`killed at ${name}:${side} (${hit}), every value is there, and the rotation ends`, async (context) => {
        const plan = { point: `${name}:${side}`, hit, kill: ['gateway'] };
        const gateway = copied({ GLASS_FAULT: JSON.stringify(plan) });
        context.after(() => gateway.dispose());
        await gateway.start();
        await assert.rejects(rotate(gateway), { code: 'unavailable' });
        assert.equal(await gateway.end('SIGTERM'), 'SIGKILL', 'the point was reached and killed');
        delete gateway.env['GLASS_FAULT'];
        await gateway.start();
        // Before its next key was there, nothing had begun.
        if (name === 'vault.next_key' && side === 'before') await rotate(gateway);
        await assertRotated(gateway);
      });
    }
  }
}

test('killed at its start again and again, it ends all the same', async (context) => {
  const gateway = copied({ GLASS_FAULT: JSON.stringify({ point: 'vault.rewrap:after', hit: 1, kill: ['gateway'] }) });
  context.after(() => gateway.dispose());
  await gateway.start();
  await assert.rejects(rotate(gateway), { code: 'unavailable' });
  for (const point of ['vault.rewrap:after', 'vault.rewrap_canary:before', 'vault.settle_key:before']) {
    await gateway.end('SIGTERM');
    gateway.env['GLASS_FAULT'] = JSON.stringify({ point, hit: 1, kill: ['gateway'] });
    await assert.rejects(gateway.start(), /ended with/);
  }
  delete gateway.env['GLASS_FAULT'];
  await gateway.start();
  await assertRotated(gateway);
});

test('a copy made while the gateway runs and writes opens with the key', async (context) => {
  const gateway = copied();
  context.after(() => gateway.dispose());
  await gateway.start();
  const operator = await gateway.operator();
  for (let round = 0; round < 10; round += 1) {
    const writing = operator.request({ op: 'set', name: `new-${round}`, value: `fake-secret-${round}` }, WAIT_MS);
    const copy = join(folder, `copy-${round}`);
    for (const file of ['vault.db', 'vault.db-wal', 'vault.key'])
      cpSync(join(gateway.paths.home, file), join(copy, file));
    const source = fileKeySource(join(copy, 'vault.key'), PLAIN);
    const vault = await Vault.unlock(join(copy, 'vault.db'), source, systemClock, noFaults);
    for (let at = 0; at < COUNT; at += 1) assert.equal(vault.read(nameAt(at))!.value.toString(), valueAt(at));
    for (let done = 0; done < round; done += 1)
      assert.equal(vault.read(`new-${done}`)!.value.toString(), `fake-secret-${done}`);
    vault.close();
    await writing;
  }
});
