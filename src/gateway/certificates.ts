import { createHash, createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import { bitString, integer, octetString, oid, sequence, set, TRUE, tagged, time, utf8 } from './der.ts';

/**
 * X.509 certificates of our own making (RFC 5280), strict enough for `openssl verify -x509_strict` and Python 3.13: one
 * that signs, and short-lived ones for single host names that it has signed. P-256 and SHA-256 throughout. What is made
 * here is trusted inside sandboxes only.
 */

/** Clocks of clients may be behind ours. */
const BACKDATED_MS = 60 * 60 * 1000;

const ECDSA_SHA256 = sequence(oid('1.2.840.10045.4.3.2'));
const SERVER_AUTH = oid('1.3.6.1.5.5.7.3.1');
const NAME_MAX = 64;

const EXTENSION = {
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyId: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
};

interface Lifetime {
  now_ms: number;
  lives_ms: number;
}

/** Signs itself; may sign leaves and nothing below them. */
export function authorityCertificate(name: string, key: KeyObject, life: Lifetime): string {
  return certificate({
    issuer: name,
    subject: name,
    publicKey: key,
    signer: key,
    life,
    extensions: [
      extension(EXTENSION.basicConstraints, true, sequence(TRUE, integer(0))),
      extension(EXTENSION.keyUsage, true, bitString(Buffer.from([0x06]), 1)), // keyCertSign, cRLSign
      extension(EXTENSION.subjectKeyId, false, octetString(keyId(key))),
    ],
  });
}

/** For one host name and nothing else. `issuer`: the common name in the signer's certificate. */
export function leafCertificate(
  host: string,
  key: KeyObject,
  { issuer, signer }: { issuer: string; signer: KeyObject },
  life: Lifetime,
): string {
  return certificate({
    issuer,
    subject: 'GlassClaw egress',
    publicKey: key,
    signer,
    life,
    extensions: [
      extension(EXTENSION.basicConstraints, true, sequence()),
      extension(EXTENSION.keyUsage, true, bitString(Buffer.from([0x80]), 7)), // digitalSignature
      extension(EXTENSION.extendedKeyUsage, false, sequence(SERVER_AUTH)),
      extension(EXTENSION.subjectKeyId, false, octetString(keyId(key))),
      extension(EXTENSION.authorityKeyId, false, sequence(tagged(0x80, keyId(signer)))),
      extension(EXTENSION.subjectAltName, false, sequence(tagged(0x82, Buffer.from(host, 'latin1')))),
    ],
  });
}

interface CertificateParts {
  issuer: string;
  subject: string;
  /** The private key; its public half is certified. */
  publicKey: KeyObject;
  signer: KeyObject;
  life: Lifetime;
  extensions: Buffer[];
}

function certificate({ issuer, subject, publicKey, signer, life, extensions }: CertificateParts): string {
  const body = sequence(
    tagged(0xa0, integer(2)), // version 3
    serial(),
    ECDSA_SHA256,
    nameOf(issuer),
    sequence(time(life.now_ms - BACKDATED_MS), time(life.now_ms + life.lives_ms)),
    nameOf(subject),
    publicBytes(publicKey),
    tagged(0xa3, sequence(...extensions)),
  );
  const whole = sequence(body, ECDSA_SHA256, bitString(sign('sha256', body, signer)));
  const lines = whole.toString('base64').replace(/.{64}(?=.)/g, '$&\n');
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

/** Random, positive and of one length: nobody can foresee what is signed. */
function serial(): Buffer {
  const bytes = [...randomBytes(16)];
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return integer(...bytes);
}

function nameOf(commonName: string): Buffer {
  return sequence(set(sequence(oid('2.5.4.3'), utf8(commonName.slice(0, NAME_MAX)))));
}

function extension(id: string, critical: boolean, value: Buffer): Buffer {
  return sequence(oid(id), ...(critical ? [TRUE] : []), octetString(value));
}

function publicBytes(key: KeyObject): Buffer {
  return createPublicKey(key).export({ type: 'spki', format: 'der' });
}

/** Any value that is the same for the same key will do (RFC 5280, 4.2.1.2). */
function keyId(key: KeyObject): Buffer {
  return createHash('sha256').update(publicBytes(key)).digest().subarray(0, 20);
}
