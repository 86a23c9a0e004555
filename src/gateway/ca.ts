import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { Clock } from '../base/clock.ts';
import { OperatingError } from '../base/errors.ts';
import { type Faults, guarded } from '../base/faults.ts';
import { CA_LIVES_MS, CA_RENEWED_MS, LEAF_LIVES_MS, LEAVES_KEPT_MAX } from '../base/limits/gateway.ts';
import type { Paths } from '../base/paths.ts';
import { readPrivate } from '../base/private_file.ts';
import { writeWhole } from '../base/whole_file.ts';
import { authorityCertificate, leafCertificate } from './certificates.ts';

/**
 * The install's certificate authority. Sandboxes of groups with egress services trust it, and nobody else ever does: it is
 * in no trust store of the host. Its key is a file that only the gateway's account can read; its certificate can be made
 * again from the key at any time, so that a crash between the two files costs nothing.
 */
export class CertificateAuthority {
  readonly #key: KeyObject;
  readonly #name: string;
  readonly #clock: Clock;
  /** In the order of their last use. */
  readonly #leaves = new Map<string, { context: SecureContext; until_ms: number }>();

  /** Opens or makes the two files. Throws `OperatingError` when the key must not be used. */
  constructor(paths: Pick<Paths, 'caKey' | 'caCertificate' | 'install'>, clock: Clock, faults: Faults) {
    this.#clock = clock;
    this.#name = `GlassClaw sandboxes of ${paths.install}`;
    this.#key = readKey(paths.caKey) ?? guarded(faults, 'ca.key', () => writeKey(paths.caKey));
    if (!isUsable(paths.caCertificate, this.#key, clock.now()))
      guarded(faults, 'ca.certificate', () => this.#writeCertificate(paths.caCertificate));
  }

  /** How many host names have a certificate at the moment. */
  get count(): number {
    return this.#leaves.size;
  }

  /** What answers TLS as `host`. The caller has made sure that the session's authority names this host. */
  contextFor(host: string): SecureContext {
    const now_ms = this.#clock.now();
    const found = this.#leaves.get(host);
    this.#leaves.delete(host);
    const leaf = found !== undefined && found.until_ms > now_ms ? found : this.#mint(host, now_ms);
    this.#leaves.set(host, leaf);
    if (this.#leaves.size > LEAVES_KEPT_MAX) this.#leaves.delete(this.#leaves.keys().next().value!);
    return leaf.context;
  }

  #mint(host: string, now_ms: number): { context: SecureContext; until_ms: number } {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const life = { now_ms, lives_ms: LEAF_LIVES_MS };
    const cert = leafCertificate(host, privateKey, { issuer: this.#name, signer: this.#key }, life);
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' });
    // Given out for half of its life: a client that keeps it sees a valid one for the other half.
    return {
      context: createSecureContext({ key, cert, minVersion: 'TLSv1.2' }),
      until_ms: now_ms + LEAF_LIVES_MS / 2,
    };
  }

  #writeCertificate(path: string): void {
    const life = { now_ms: this.#clock.now(), lives_ms: CA_LIVES_MS };
    // Sandboxes have other accounts, and read it through a mount of their own.
    writeWhole(path, Buffer.from(authorityCertificate(this.#name, this.#key, life)), 0o644);
  }
}

function writeKey(path: string): KeyObject {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeWhole(path, Buffer.from(privateKey.export({ type: 'pkcs8', format: 'pem' })), 0o600);
  return privateKey;
}

/** Null when there is none. Throws `OperatingError('config')` for one that others could have read or put there. */
function readKey(path: string): KeyObject | null {
  const fix = `remove it and ${path.replace(/\.key$/, '.pem')}: both are made again`;
  const found = readPrivate(path, { kind: fix, owner: fix, mode: fix });
  if (found === null) return null;
  const key = parsed(found);
  if (key?.asymmetricKeyDetails?.namedCurve !== 'prime256v1')
    throw new OperatingError('config', `${path} holds no key of ours`, fix);
  return key;
}

function parsed(pem: Buffer): KeyObject | null {
  try {
    return createPrivateKey(pem);
  } catch {
    return null;
  }
}

/** Whether the certificate is one of this key, and will be for some time. */
function isUsable(path: string, key: KeyObject, now_ms: number): boolean {
  try {
    const certificate = new X509Certificate(readFileSync(path));
    return certificate.checkPrivateKey(key) && certificate.validToDate.getTime() > now_ms + CA_RENEWED_MS;
  } catch {
    return false;
  }
}
