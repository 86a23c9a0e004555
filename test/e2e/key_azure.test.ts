import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { after, before, beforeEach, type TestContext, test } from 'node:test';
import { FakeAzure } from '../fakes/azure.ts';
import { GatewayProcess } from '../fakes/gateway_process.ts';
import { type Patch, PatchedTree } from '../fakes/patched_tree.ts';
import { namesEnv, TestAuthority } from '../fakes/upstream.ts';

/** The vault's key wrapped by a Key Vault: a real gateway, with a metadata service and a Key Vault on loopback. */

const WAIT_MS = 5000;
const VALUE = 'fake-token-of-a-channel';
const authority = new TestAuthority();
const azure = new FakeAzure(authority);
before(() => azure.listen());
after(() => azure.close());
beforeEach(() => {
  azure.failing = null;
  azure.silent = false;
  azure.metadata.length = 0;
  azure.vault.received.length = 0;
});

function machine(context: TestContext, more = '', root?: string): GatewayProcess {
  const names = namesEnv({ 'fake.vault.azure.net': ['127.0.0.1'] });
  const gateway = new GatewayProcess(names, root);
  Object.assign(gateway.env, {
    NODE_EXTRA_CA_CERTS: authority.write(gateway.paths.home),
    AZURE_POD_IDENTITY_AUTHORITY_HOST: azure.metadataUrl,
  });
  writeFileSync(gateway.paths.config, `vault: {key: azure, url: "${azure.url}", name: glassclaw${more}}\n`);
  context.after(() => gateway.dispose());
  return gateway;
}

async function release(gateway: GatewayProcess): Promise<string> {
  const host = await gateway.host();
  return (await host.request<{ value: string }>({ op: 'release', name: 'chat-bot' }, WAIT_MS)).value;
}

/** Started once, with a secret, and ended. */
async function used(gateway: GatewayProcess): Promise<void> {
  await gateway.start();
  await gateway.setSecret('chat-bot', VALUE, { form: { kind: 'channel' }, hosts: [] });
  await gateway.end('SIGTERM');
}

test('the key is wrapped there, lies wrapped beside the vault, and opens it at the next start', async (context) => {
  const gateway = machine(context, ', client_id: 00000000-0000-4000-8000-000000000001');
  await used(gateway);
  const file = `${gateway.paths.vaultKey}.azure`;
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(JSON.parse(readFileSync(file, 'utf8')).kid, `${azure.url}/keys/glassclaw/v1`);
  assert.ok(!existsSync(gateway.paths.vaultKey), 'no key in the clear');
  await gateway.start();
  assert.equal(await release(gateway), VALUE);
  assert.deepEqual(
    azure.vault.received.map(({ method, target }) => `${method} ${target}`),
    [
      'POST /keys/glassclaw/wrapkey?api-version=7.4',
      'POST /keys/glassclaw/v1/unwrapkey?api-version=7.4',
      'POST /keys/glassclaw/v1/unwrapkey?api-version=7.4',
    ],
  );
  const asked = new URL(azure.metadata[0]!.target, 'http://metadata');
  assert.equal(asked.pathname, '/metadata/identity/oauth2/token');
  assert.equal(asked.searchParams.get('client_id'), '00000000-0000-4000-8000-000000000001');
  assert.ok(!gateway.log().includes(azure.token));
});

test('a rotation wraps a new key, by the version of theirs that is current', async (context) => {
  const gateway = machine(context);
  await used(gateway);
  azure.version = 'v2';
  await gateway.start();
  const operator = await gateway.operator();
  await operator.request({ op: 'rotate' }, WAIT_MS);
  assert.equal(await release(gateway), VALUE);
  await gateway.end('SIGTERM');
  const file = `${gateway.paths.vaultKey}.azure`;
  assert.equal(JSON.parse(readFileSync(file, 'utf8')).kid, `${azure.url}/keys/glassclaw/v2`);
  assert.ok(!existsSync(`${file}.next`));
  await gateway.start();
  assert.equal(await release(gateway), VALUE);
});

const REFUSALS: [name: string, damage: (file: string) => void, message: RegExp][] = [
  [
    'a Key Vault that refuses',
    () => Object.assign(azure, { failing: 403 }),
    /did not give the vault's key \(status 403\)/,
  ],
  [
    'a wrapped key that is gone',
    (file) => rmSync(file),
    /vault\.key\.azure is missing, and the vault was sealed with it/,
  ],
  [
    'a wrapped key that names another place',
    (file) => {
      const kept = JSON.parse(readFileSync(file, 'utf8'));
      writeFileSync(file, JSON.stringify({ ...kept, kid: 'https://evil.example.com/keys/glassclaw/v1' }));
    },
    /was wrapped by https:\/\/evil\.example\.com/,
  ],
  ['a wrapped key that is none', (file) => writeFileSync(file, 'x'.repeat(32)), /holds something else than a key/],
];
for (const [name, damage, message] of REFUSALS) {
  test(`${name}: the gateway does not start, says why, and makes no other key`, async (context) => {
    const gateway = machine(context);
    await used(gateway);
    azure.vault.received.length = 0;
    damage(`${gateway.paths.vaultKey}.azure`);
    await assert.rejects(gateway.start(), /the gateway ended with [36]/);
    assert.match(gateway.stderr, message);
    assert.ok(!gateway.stderr.includes(azure.token));
    assert.ok(!existsSync(gateway.paths.vaultKey));
    assert.ok(azure.vault.received.every(({ target }) => target.includes('unwrapkey')));
  });
}

test('a Key Vault that does not answer is given up', async (context) => {
  const impatient: Patch = [
    'src/base/limits/gateway.ts',
    'KEY_SERVICE_MS = 10 * SECOND_MS',
    'KEY_SERVICE_MS = SECOND_MS / 2',
  ];
  using tree = new PatchedTree([impatient]);
  const gateway = machine(context, '', tree.root);
  azure.silent = true;
  await assert.rejects(gateway.start(), /the gateway ended with 6/);
  assert.match(gateway.stderr, /did not give the vault's key \(The operation was aborted due to timeout\)/);
});

test('a vault that was sealed with a file is not opened by another source', async (context) => {
  const gateway = machine(context);
  const config = readFileSync(gateway.paths.config, 'utf8');
  writeFileSync(gateway.paths.config, '');
  await used(gateway);
  writeFileSync(gateway.paths.config, config);
  await assert.rejects(gateway.start(), /the gateway ended with 3/);
  assert.match(gateway.stderr, /vault\.key\.azure is missing, and the vault was sealed with it/);
  assert.equal(azure.vault.received.length, 0);
});
