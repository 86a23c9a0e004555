import assert from 'node:assert/strict';
import type { LookupAddress, lookup } from 'node:dns';
import { test } from 'node:test';
import { isMetadata, isPublic, PrivateAddressError, publicLookup } from '../../src/gateway/addresses.ts';

for (const address of [
  ...['0.0.0.0', '10.1.2.3', '100.64.0.1', '127.0.0.1', '169.254.169.254', '172.16.0.1', '172.31.255.255'],
  ...['192.168.1.1', '168.63.129.16', '100.100.100.200', '224.0.0.1', '255.255.255.255', '198.18.0.1'],
  ...['::', '::1', 'fc00::1', 'fd00:ec2::254', 'fe80::1', 'ff02::1', '2001:db8::1'],
  ...['::ffff:127.0.0.1', '::127.0.0.1', '64:ff9b::7f00:1', '2002:7f00:1::', '::ffff:10.0.0.1', '64:ff9b::a9fe:a9fe'],
  ...['', 'localhost', '1.2.3', '127.1'],
]) {
  test(`"${address}" is not public`, () => assert.equal(isPublic(address), false));
}

for (const address of [
  '1.1.1.1',
  '160.79.104.10',
  '172.32.0.1',
  '2606:4700::1111',
  '::ffff:1.1.1.1',
  '64:ff9b::101:101',
])
  test(`${address} is public`, () => assert.equal(isPublic(address), true));

test('metadata services are known by name and by address, however written', () => {
  for (const host of [
    '169.254.169.254',
    '[fd00:ec2::254]',
    'metadata.google.internal',
    '[::ffff:a9fe:a9fe]',
    '168.63.129.16',
  ])
    assert.ok(isMetadata(host), host);
  assert.ok(!isMetadata('api.anthropic.com'));
});

function answering(...addresses: string[]): typeof lookup {
  const found = addresses.map((address): LookupAddress => ({ address, family: address.includes(':') ? 6 : 4 }));
  return ((_host: string, _options: object, done: (error: null, found: LookupAddress[]) => void) => {
    done(null, found);
  }) as never;
}

function look(resolve: typeof lookup, all: boolean, networks: string[] = []): Promise<unknown> {
  return new Promise((done, fail) => {
    publicLookup(resolve, networks)('api.example.com', { all }, (error, address) =>
      error === null ? done(address) : fail(error),
    );
  });
}

test('a name is refused when any of its answers is private', async () => {
  await assert.rejects(look(answering('1.1.1.1', '127.0.0.1'), true), PrivateAddressError);
  await assert.rejects(look(answering('fd00::1'), false), PrivateAddressError);
  await assert.rejects(look(answering(), true), PrivateAddressError);
});

test('what was looked at is what is dialled', async () => {
  assert.deepEqual(await look(answering('1.1.1.1'), true), [{ address: '1.1.1.1', family: 4 }]);
  assert.equal(await look(answering('1.1.1.1', '2606:4700::1111'), false), '1.1.1.1');
});

const PRIVATE = ['10.20.0.0/16', 'fd12::/16', '127.0.0.0/8'];
for (const [address, opens] of [
  ['10.20.3.4', true],
  ['::ffff:10.20.3.4', true],
  ['64:ff9b::a14:304', true],
  ['fd12::1', true],
  ['1.1.1.1', true],
  ['10.21.0.1', false],
  ['::ffff:10.21.0.1', false],
  ['fd13::1', false],
  ['::1', false],
] as const) {
  test(`where ${PRIVATE.join(' ')} are opened, ${address} is ${opens ? '' : 'not '}dialled`, async () => {
    const found = look(answering(address), false, PRIVATE);
    if (opens) assert.equal(await found, address);
    else await assert.rejects(found, PrivateAddressError);
  });
}

test('no network that is opened opens a metadata service', async () => {
  for (const address of ['169.254.169.254', '::ffff:169.254.169.254', '64:ff9b::a9fe:a9fe', 'fd00:ec2::254'])
    await assert.rejects(look(answering(address), false, ['0.0.0.0/0', '::/0']), PrivateAddressError, address);
});
