import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { connect, createServer, type SecureContext, type TLSSocket } from 'node:tls';
import type { Clock } from '../../src/base/clock.ts';
import { noFaults } from '../../src/base/faults.ts';
import { CA_LIVES_MS, CA_RENEWED_MS, LEAF_LIVES_MS, LEAVES_KEPT_MAX } from '../../src/base/limits/gateway.ts';
import { CertificateAuthority } from '../../src/gateway/ca.ts';

/** The certificates that sandboxes trust, judged by OpenSSL's command and by Node's own client. */

const HOUR_MS = 3_600_000;
const folder = mkdtempSync(join(tmpdir(), 'ga-'));
const paths = { caKey: join(folder, 'ca.key'), caCertificate: join(folder, 'ca.pem'), install: 'test' };
let now_ms = Date.now();
const clock: Clock = { now: () => now_ms, micros: () => now_ms * 1000, monotonic: () => performance.now() };

beforeEach(() => {
  now_ms = Date.now();
  for (const path of [paths.caKey, paths.caCertificate]) rmSync(path, { force: true });
});
after(() => rmSync(folder, { recursive: true }));

function open(): CertificateAuthority {
  return new CertificateAuthority(paths, clock, noFaults);
}

/** What a client sees that trusts the authority and asks for `host`; rejects when it does not trust the answer. */
async function shown(context: SecureContext, host: string): Promise<X509Certificate> {
  const server = createServer({ SNICallback: (_name, done) => done(null, context) });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  try {
    return await new Promise((resolve, reject) => {
      const client: TLSSocket = connect(
        { host: '127.0.0.1', port, servername: host, ca: readFileSync(paths.caCertificate) },
        () => {
          resolve(client.getPeerX509Certificate()!);
          client.destroy();
        },
      );
      client.on('error', reject);
    });
  } finally {
    server.close();
  }
}

function openssl(...words: string[]): string {
  const { stdout, stderr, status } = spawnSync('openssl', words, { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return stdout;
}

test('OpenSSL in its strict mode accepts a certificate for its host, and for no other', async () => {
  const leaf = join(folder, 'leaf.pem');
  writeFileSync(leaf, (await shown(open().contextFor('api.example.com'), 'api.example.com')).toString());
  const verify = ['verify', '-x509_strict', '-purpose', 'sslserver', '-CAfile', paths.caCertificate];
  assert.match(openssl(...verify, '-verify_hostname', 'api.example.com', leaf), /: OK/);
  assert.match(openssl('verify', '-x509_strict', '-CAfile', paths.caCertificate, paths.caCertificate), /: OK/);
  const other = spawnSync('openssl', [...verify, '-verify_hostname', 'other.example.com', leaf]);
  assert.notEqual(other.status, 0);
  const without = spawnSync('openssl', ['verify', '-x509_strict', leaf]);
  assert.notEqual(without.status, 0, 'nobody else trusts it');
});

test("Node's client accepts it for its host, and for no other", async () => {
  const context = open().contextFor('api.example.com');
  const leaf = await shown(context, 'api.example.com');
  assert.equal(leaf.subjectAltName, 'DNS:api.example.com');
  assert.equal(leaf.ca, false);
  await assert.rejects(shown(context, 'other.example.com'), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' });
});

test('a certificate is back-dated, short-lived, and has a serial number of its own', async () => {
  const authority = open();
  const [one, two] = [
    await shown(authority.contextFor('a.example.com'), 'a.example.com'),
    new X509Certificate(readFileSync(paths.caCertificate)),
  ];
  const three = await shown(authority.contextFor('b.example.com'), 'b.example.com');
  assert.ok(one.validFromDate.getTime() <= now_ms - HOUR_MS + 1000);
  assert.ok(one.validToDate.getTime() <= now_ms + LEAF_LIVES_MS);
  assert.equal(new Set([one, two, three].map((each) => each.serialNumber)).size, 3);
  assert.notEqual(
    one.publicKey.export({ type: 'spki', format: 'pem' }),
    three.publicKey.export({ type: 'spki', format: 'pem' }),
  );
  assert.ok(one.verify(two.publicKey));
});

test('a host keeps its certificate for half of its life, then gets another; the number kept is bounded', () => {
  const authority = open();
  const first = authority.contextFor('a.example.com');
  now_ms += LEAF_LIVES_MS / 2 - 1;
  assert.equal(authority.contextFor('a.example.com'), first);
  now_ms += 1;
  const second = authority.contextFor('a.example.com');
  assert.notEqual(second, first);
  for (let at = 0; at < LEAVES_KEPT_MAX; at += 1) {
    authority.contextFor(`h${at}.example.com`);
    if (at % 100 === 0) assert.equal(authority.contextFor('a.example.com'), second, 'the one in use stays');
  }
  assert.equal(authority.count, LEAVES_KEPT_MAX);
});

test('the key is readable by its owner only, and both files stay over a restart', () => {
  open();
  assert.equal(statSync(paths.caKey).mode & 0o777, 0o600);
  const before = [paths.caKey, paths.caCertificate].map((path) => readFileSync(path, 'utf8'));
  assert.doesNotMatch(before[1]!, /PRIVATE/);
  open();
  assert.deepEqual(
    [paths.caKey, paths.caCertificate].map((path) => readFileSync(path, 'utf8')),
    before,
  );
});

test('a certificate that is lost, damaged, of another key or near its end is made again from the key', () => {
  open();
  const key = readFileSync(paths.caKey, 'utf8');
  const first = readFileSync(paths.caCertificate, 'utf8');
  rmSync(paths.caCertificate);
  open();
  writeFileSync(paths.caCertificate, 'damaged');
  open();
  const second = readFileSync(paths.caCertificate, 'utf8');
  assert.notEqual(second, first);
  now_ms += CA_LIVES_MS - CA_RENEWED_MS + 1000;
  open();
  assert.notEqual(readFileSync(paths.caCertificate, 'utf8'), second);
  assert.equal(readFileSync(paths.caKey, 'utf8'), key);
  rmSync(paths.caKey);
  open();
  const remade = new X509Certificate(readFileSync(paths.caCertificate));
  assert.ok(remade.checkPrivateKey(createPrivateKey(readFileSync(paths.caKey))));
});

test('a key that others can read, or that is none, is refused', () => {
  open();
  chmodSync(paths.caKey, 0o640);
  assert.throws(open, { code: 'config', message: /can be read by others/ });
  writeFileSync(paths.caKey, 'no key');
  chmodSync(paths.caKey, 0o600);
  assert.throws(open, { code: 'config', message: /holds no key of ours/ });
});
