import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { globSync, readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { test } from 'node:test';
import { connect as tlsConnect } from 'node:tls';
import { AttackBench } from '../fakes/attack_bench.ts';
import { Install } from '../fakes/install.ts';
import { type Patch, PatchedTree } from '../fakes/patched_tree.ts';
import { Terminal } from '../fakes/terminal.ts';
import { connectTo } from '../fakes/tunnel.ts';

/**
 * Abuse of the authority that sandboxes trust: certificates for what no service names, what its own certificate permits, and
 * who trusts it. That its key is out of reach of sandboxes is in `egress_sandbox.test.ts` and `egress_sockets.test.ts`.
 */

/** What a client asks for in CONNECT and in TLS, and the status that it gets in the end. `{p}`: the port of a service. */
const ASKED: [place: string, sni: string | null, status: number][] = [
  ['api.example.com:{p}', 'other.example.com', 421],
  ['api.example.com:{p}', '*.example.com', 421],
  ['api.example.com:{p}', 'api.example.com.evil.example', 421],
  ['api.example.com:{p}', 'xn--pi-yia.example.com', 421],
  ['api.example.com:{p}', 'metadata.google.internal', 421],
  ['api.example.com:{p}', null, 200],
  ['API.Example.COM:{p}', 'API.EXAMPLE.COM', 200],
  ['other.example.com:{p}', 'api.example.com', 403],
  ['*.example.com:{p}', '*.example.com', 400],
  ['example.com:{p}', 'example.com', 403],
  ['api.example.com.:{p}', 'api.example.com', 400],
  ['sub.api.example.com:{p}', 'sub.api.example.com', 403],
  ['127.0.0.1:{p}', null, 403],
  ['2130706433:{p}', null, 403],
  ['[::1]:{p}', null, 403],
  ['api.example.com,other.example.com:{p}', 'api.example.com', 400],
  ['api.example.com\0.other.example.com:{p}', 'api.example.com', 400],
];

interface Shown {
  /** In certificates that were shown to a client that takes any. */
  names: string[];
  statuses: number[];
  /** What the authority's own certificate permits. */
  permits: string[];
}

const EXPECTED: Shown = {
  names: ['DNS:api.example.com'],
  statuses: ASKED.map(([, , status]) => status),
  permits: ['critical CA:TRUE, pathlen:0', 'critical Certificate Sign, CRL Sign'],
};

/** Asks all of it of the gateway of a checkout. */
async function shownBy(root?: string): Promise<Shown> {
  const bench = new AttackBench(root);
  try {
    await bench.start();
    const { socket } = await bench.session();
    const names = new Set<string>();
    const statuses: number[] = [];
    for (const [place, sni] of ASKED) {
      const { name, status } = await attempt(socket, place.replace('{p}', String(bench.api.port)), sni);
      if (name !== null) names.add(name);
      statuses.push(status);
    }
    return { names: [...names].sort(), statuses, permits: permitsOf(bench.ca) };
  } finally {
    await bench.dispose();
  }
}

async function attempt(
  path: string,
  place: string,
  servername: string | null,
): Promise<{ name: string | null; status: number }> {
  const connect = Buffer.from(`CONNECT ${place} HTTP/1.1\r\nHost: ${place}\r\n\r\n`, 'latin1');
  const { socket, head } = await connectTo(path, connect);
  if (!head.startsWith('HTTP/1.1 200')) {
    socket.destroy();
    return { name: null, status: Number(head.slice(9, 12)) };
  }
  const client = tlsConnect({ socket, rejectUnauthorized: false, ...(servername === null ? {} : { servername }) });
  let name: string | null = null;
  client.on('secureConnect', () => {
    name = client.getPeerX509Certificate()!.subjectAltName!;
  });
  client.write(`GET /items/1 HTTP/1.1\r\nHost: ${place}\r\nConnection: close\r\n\r\n`);
  const status = Number((await readAll(client)).slice(9, 12));
  return { name, status };
}

async function readAll(stream: AsyncIterable<unknown>): Promise<string> {
  let text = '';
  try {
    for await (const part of stream) text += String(part);
  } catch {
    // What came until then is the answer.
  }
  return text;
}

/** As OpenSSL reads the certificate. No names: those of services change under sandboxes that run. */
function permitsOf(certificate: string): string[] {
  const { stdout } = spawnSync('openssl', ['x509', '-noout', '-text'], { input: certificate, encoding: 'utf8' });
  const found = stdout.matchAll(/X509v3 (?:Basic Constraints|Key Usage|Name Constraints): ?(.*)\n\s+(.*)\n/g);
  return [...found].map(([, critical, value]) => `${critical} ${value}`.trim());
}

test('no certificate is made for what no service names, however it is asked for; the authority permits no other', async () => {
  assert.deepEqual(await shownBy(), EXPECTED);
});

const SABOTAGES: [without: string, patch: Patch][] = [
  [
    'the one certificate of a tunnel',
    ['src/gateway/tunnel.ts', 'done(null, secureContext)', 'done(null, authority.contextFor(name))'],
  ],
  [
    'the list of places',
    [
      'src/gateway/service_request.ts',
      'if (first === undefined) return notHere',
      "if (first === undefined) return { allow: true, ...place, service: 'x' };\n  if (first === undefined) return notHere",
    ],
  ],
  ['the length of a path below it', ['src/gateway/certificates.ts', 'sequence(TRUE, integer(0))', 'sequence(TRUE)']],
  ['the bounds of what its key is for', ['src/gateway/certificates.ts', '[0x06]), 1', '[0x86]), 1']],
];

for (const [without, patch] of SABOTAGES)
  test(`without ${without} that comes out differently`, async () => {
    using tree = new PatchedTree([patch]);
    assert.notDeepEqual(await shownBy(tree.root), EXPECTED);
  });

/** Where programs of a host look for authorities. */
const TRUST_STORES = [
  '/etc/ssl/**',
  '/etc/pki/**',
  '/etc/ca-certificates*/**',
  '/usr/share/ca-certificates/**',
  '/usr/local/share/ca-certificates/**',
  `${homedir()}/.pki/**`,
  `${homedir()}/.mozilla/**`,
];

/** Every file there, with the hash of what is in it. */
function trusted(): string[] {
  const files = TRUST_STORES.flatMap((pattern) => globSync(pattern)).filter((path) => statSync(path).isFile());
  return files.map((path) => `${path} ${createHash('sha256').update(readFileSync(path)).digest('hex')}`).sort();
}

test('no trust store of the host changes when an install runs, and nobody there trusts what it signs', async (context) => {
  const before = trusted();
  assert.ok(before.length > 0, 'there is something to compare');
  const install = new Install();
  context.after(() => install.stop());
  install.group('assistant', 'harness: probe\negress: {api: {host: api.example.com, allow: [GET /**]}}\n');
  await install.start();
  const chat = await Terminal.open(install.control, 'main');
  await chat.say('hello');
  await chat.hears(/You said: hello/);
  assert.deepEqual(trusted(), before);
  const { caCertificate } = install.paths;
  assert.notEqual(spawnSync('openssl', ['verify', caCertificate]).status, 0);
  assert.equal(spawnSync('openssl', ['verify', '-CAfile', caCertificate, caCertificate]).status, 0);
});
