import { constants, generateKeyPairSync, privateDecrypt, publicEncrypt } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestAuthority, Upstream } from './upstream.ts';

/** Where a token is to be had, as Azure's own libraries ask first. */
const CHALLENGE =
  'Bearer authorization="https://login.microsoftonline.com/00000000-0000-4000-8000-000000000002", resource="https://vault.azure.net"';

/** What Azure offers to a machine with a managed identity: a metadata service, and a Key Vault with one RSA key. */
export class FakeAzure {
  readonly vault: Upstream;
  /** Requests to the metadata service: target and headers. */
  readonly metadata: { target: string; headers: Record<string, unknown> }[] = [];
  /** Answers of the Key Vault with this status instead; null: as it should. */
  failing: number | null = null;
  /** The Key Vault takes the connection and says nothing. */
  silent = false;
  readonly token = 'fake-token-of-the-machine';
  version = 'v1';
  readonly #key = generateKeyPairSync('rsa', { modulusLength: 2048 });
  readonly #server;

  constructor(authority: TestAuthority) {
    this.vault = new Upstream('fake.vault.azure.net', authority);
    this.vault.handler = (_request, response, { target, rawHeaders, body }) => {
      if (this.silent) return;
      const [status, answer] = this.#answer(target, rawHeaders, body);
      response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'www-authenticate': CHALLENGE });
      response.end(JSON.stringify(answer));
    };
    this.#server = createServer((request, response) => {
      this.metadata.push({ target: request.url!, headers: request.headers });
      const isAsked = request.headers['metadata'] === 'true' && request.headers['x-forwarded-for'] === undefined;
      response.writeHead(isAsked ? 200 : 400, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ access_token: this.token, token_type: 'Bearer', expires_in: '86400' }));
    });
  }

  /** `https://fake.vault.azure.net:port` */
  get url(): string {
    return `https://${this.vault.place}`;
  }

  get metadataUrl(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async listen(): Promise<void> {
    await this.vault.listen();
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await Promise.all([this.vault.close(), new Promise((resolve) => this.#server.close(resolve))]);
  }

  #publicKey(): object {
    const { kty, n, e } = this.#key.publicKey.export({ format: 'jwk' });
    return { key: { kid: `${this.url}/keys/glassclaw/${this.version}`, kty, n, e, key_ops: ['wrapKey', 'unwrapKey'] } };
  }

  #answer(target: string, headers: string[], body: Buffer): [number, object] {
    const given = headers[headers.findIndex((name) => name.toLowerCase() === 'authorization') + 1];
    if (given !== `Bearer ${this.token}`) return [401, { error: { code: 'Unauthorized' } }];
    if (this.failing !== null) return [this.failing, { error: { code: 'Forbidden', message: 'not you' } }];
    if (/^\/keys\/glassclaw\/v\d\?/.test(target)) return [200, this.#publicKey()];
    const path = /^\/keys\/glassclaw(?:\/(v\d))?\/(wrapkey|unwrapkey)\?api(?:-|%2D)version=[\d.-]+$/.exec(target);
    const { alg, value } = JSON.parse(body.toString()) as { alg: string; value: string };
    if (path === null || alg !== 'RSA-OAEP-256') return [400, { error: { code: 'BadParameter' } }];
    const options = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
    const bytes = Buffer.from(value, 'base64url');
    const done =
      path[2] === 'wrapkey'
        ? publicEncrypt({ key: this.#key.publicKey, ...options }, bytes)
        : privateDecrypt({ key: this.#key.privateKey, ...options }, bytes);
    const kid = `${this.url}/keys/glassclaw/${path[1] ?? this.version}`;
    return [200, { kid, value: done.toString('base64url') }];
  }
}
