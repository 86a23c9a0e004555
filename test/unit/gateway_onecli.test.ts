import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { rootCertificates } from 'node:tls';
import { decide } from '../../src/authority/decide.ts';
import { difference } from '../../src/authority/difference.ts';
import { readInstall } from '../../src/base/config.ts';
import { oneCliOf } from '../../src/gateway/onecli.ts';
import { readFixture } from '../fakes/authorities.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';
import { TestAuthority } from '../fakes/upstream.ts';

/** What the files of the operator may say of OneCLI, and what is said back. */

function fileOf(context: TestContext, text: string): string {
  const file = join(temporaryFolder(context), 'some.file');
  writeFileSync(file, text);
  return file;
}

const AUTHORITY = new TestAuthority();
const WITH = { runtime: 'bubblewrap', onecli: { gateway: 'http://127.0.0.1:10255', token: 'x', ca: '/x' } } as const;

function serviceOf(more: string, host = 'api.github.com'): string {
  return `secrets: [pat]\negress:\n  github: {host: "${host}", via: onecli, allow: [GET /user]${more}}\n`;
}

test('an install knows no OneCLI unless it says so, and then at its usual place', (context) => {
  assert.equal(readInstall(fileOf(context, '')).onecli, undefined);
  const { onecli } = readInstall(fileOf(context, 'onecli: {token: onecli-token, ca: /etc/onecli-ca.pem}\n'));
  assert.deepEqual(onecli, { gateway: 'http://127.0.0.1:10255', token: 'onecli-token', ca: '/etc/onecli-ca.pem' });
});

const REFUSED: [name: string, onecli: string, says: RegExp][] = [
  ['another machine, in the clear', '{gateway: "http://onecli.lan:10255", token: t, ca: /x}', /must be http:\/\/127/],
  ['no port', '{gateway: "http://127.0.0.1", token: t, ca: /x}', /must be http:\/\/127/],
  ['a token in the address', '{gateway: "http://x:aoc_1@127.0.0.1:10255", token: t, ca: /x}', /must be http:\/\/127/],
  ['a path', '{gateway: "http://127.0.0.1:10255/x", token: t, ca: /x}', /must be http:\/\/127/],
  ['the token itself', '{token: aoc_0123456789abcdef, ca: /x}', /onecli\.token/],
  ['no authority', '{token: t}', /onecli\.ca/],
  ['an unknown key', '{token: t, ca: /x, trust: first}', /trust/],
];
for (const [name, onecli, says] of REFUSED)
  test(`glass.yaml with ${name} is refused in a sentence`, (context) => {
    assert.throws(() => readInstall(fileOf(context, `onecli: ${onecli}\n`)), { code: 'config', message: says });
  });

const BESIDE = /via: onecli goes with neither use, private, ws nor a wildcard/;
const SERVICES: [name: string, yaml: string, says: RegExp][] = [
  ['a secret of ours', serviceOf(', use: pat'), BESIDE],
  ['a private network', serviceOf(', private: [10.0.0.0/8]'), BESIDE],
  ['WebSockets', serviceOf(', ws: true'), BESIDE],
  ['a wildcard', serviceOf(', wildcard: true', '*.github.com'), BESIDE],
  ['an address', serviceOf('', '10.0.0.1'), /must be a host name/],
  ['another gateway', serviceOf('').replace('via: onecli', 'via: squid'), /egress\.github\.via/],
];
for (const [name, yaml, says] of SERVICES)
  test(`via: onecli beside ${name} is refused`, (context) => {
    assert.throws(() => readFixture(fileOf(context, yaml), WITH), { code: 'config', message: says });
  });

test('a service via OneCLI is refused where glass.yaml has none, when it is planned', (context) => {
  const file = fileOf(context, serviceOf(''));
  assert.throws(() => readFixture(file), { code: 'config', message: /egress\.github\.via: glass\.yaml has no onecli/ });
  assert.equal(readFixture(file, WITH).egress['github']!.via, 'onecli');
});

test('a plan and an explanation say that it goes via OneCLI', (context) => {
  const straight = readFixture(fileOf(context, serviceOf('').replace(', via: onecli', '')), WITH);
  const chained = readFixture(fileOf(context, serviceOf(', approve: [POST /user], deny: [GET /user/keys]')), WITH);
  assert.deepEqual(
    difference(straight, chained).map(({ kind, words }) => `${kind} ${words}`),
    [
      'gains egress GET api.github.com/user, via OneCLI with a credential that it has',
      'gains egress POST api.github.com/user, after approval, via OneCLI with a credential that it has',
      'gains egress never GET api.github.com/user/keys',
      'loses egress GET api.github.com/user',
    ],
  );
  const reason = (method: string, target: string) =>
    decide(chained.egress, { method, target, host: 'api.github.com', port: 443 }).reason;
  assert.equal(reason('GET', '/user'), 'github allows GET /user via OneCLI');
  assert.equal(reason('POST', '/user'), 'github asks a person before POST /user via OneCLI');
  assert.equal(reason('GET', '/user/keys'), 'github denies GET /user/keys');
});

test('OneCLI’s own authority is taken from its file', (context) => {
  const ca = fileOf(context, AUTHORITY.certificate);
  const { trust, ...rest } = oneCliOf({ gateway: 'http://localhost:10255', token: 'onecli-token', ca });
  assert.deepEqual(rest, { token: 'onecli-token', hostname: 'localhost', port: 10_255, place: 'localhost:10255' });
  assert.ok(trust);
});

const FILES: [name: string, text: string, says: RegExp][] = [
  ['with nothing', '', /must hold exactly one certificate/],
  ['with a bundle of public ones', rootCertificates.slice(0, 2).join('\n'), /exactly one/],
  ['with the certificate of a host', AUTHORITY.for('api.example.com').cert, /not the certificate of an authority/],
  [
    'with a broken certificate',
    '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
    /onecli\.ca: .* cannot/,
  ],
];
for (const [name, text, says] of FILES)
  test(`a file ${name} is refused as OneCLI’s authority`, (context) => {
    const ca = fileOf(context, text);
    assert.throws(() => oneCliOf({ ...WITH.onecli, ca }), { code: 'config', message: says });
  });

test('a file that is not there is refused as OneCLI’s authority', () => {
  assert.throws(() => oneCliOf({ ...WITH.onecli, ca: '/nonexistent/ca.pem' }), { code: 'config', message: /ENOENT/ });
});
