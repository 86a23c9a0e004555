import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ROOT } from '../../src/base/paths.ts';
import { FakeAzure } from '../fakes/azure.ts';
import { GatewayProcess } from '../fakes/gateway_process.ts';
import { namesEnv, TestAuthority } from '../fakes/upstream.ts';

/** What we wrap, Azure's own libraries unwrap, and the other way round: the two calls that we make ourselves are theirs. */
const ORACLE = join(ROOT, 'test/oracles/azure');
const missing = existsSync(join(ORACLE, 'node_modules'))
  ? false
  : 'its libraries are not here: npm ci --ignore-scripts --prefix test/oracles/azure';

const authority = new TestAuthority();
const azure = new FakeAzure(authority);
const gateway = new GatewayProcess(namesEnv({ 'fake.vault.azure.net': ['127.0.0.1'] }));
const wrapped = `${gateway.paths.vaultKey}.azure`;
before(async () => {
  await azure.listen();
  Object.assign(gateway.env, {
    NODE_EXTRA_CA_CERTS: authority.write(gateway.paths.home),
    AZURE_POD_IDENTITY_AUTHORITY_HOST: azure.metadataUrl,
  });
});
after(async () => {
  await gateway.dispose();
  await azure.close();
});

async function oracle(act: 'wrapKey' | 'unwrapKey', key: string, bytes: Buffer): Promise<Buffer> {
  const child = spawn(process.execPath, [join(ORACLE, 'oracle.mjs'), act, key], {
    env: gateway.env,
    timeout: 30_000,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  child.stdin.end(bytes.toString('base64'));
  let [text, error] = ['', ''];
  child.stdout.on('data', (part) => (text += part));
  child.stderr.on('data', (part) => (error += part));
  await new Promise((resolve) => child.on('close', resolve));
  assert.notEqual(text, '', error);
  return Buffer.from(text, 'base64');
}

/** Starts it with the key from there, and ends it: it does not start when the key does not open the vault. */
async function starts(key: 'file' | 'azure'): Promise<void> {
  const azureConfig = `vault: {key: azure, url: "${azure.url}", name: glassclaw}\n`;
  writeFileSync(gateway.paths.config, key === 'azure' ? azureConfig : '');
  await gateway.start();
  await gateway.end('SIGTERM');
}

test('Azure’s own libraries unwrap what we have wrapped, and wrap what we unwrap', { skip: missing }, async () => {
  await starts('azure');
  const { kid, value } = JSON.parse(readFileSync(wrapped, 'utf8'));
  const plain = await oracle('unwrapKey', kid, Buffer.from(value, 'base64url'));
  rmSync(wrapped);
  writeFileSync(gateway.paths.vaultKey, plain, { mode: 0o600 });
  await starts('file');
  rmSync(gateway.paths.vaultKey);
  const theirs = await oracle('wrapKey', kid, plain);
  writeFileSync(wrapped, JSON.stringify({ kid, value: theirs.toString('base64url') }), { mode: 0o600 });
  await starts('azure');
  const asked = azure.vault.received.map(({ target }) => target.replace(/\?.*/, ''));
  assert.ok(asked.filter((target) => target.endsWith('/unwrapkey')).length >= 3, asked.join(' '));
});
