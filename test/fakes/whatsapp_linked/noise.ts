import { hkdfSync } from 'node:crypto';
import { aesDecryptGCM, aesEncryptGCM, Curve, NOISE_MODE, NOISE_WA_HEADER, sha256, WAProto } from './baileys.ts';

/**
 * WhatsApp's end of a connection, below what is said on it: Noise_XX_25519_AESGCM_SHA256, and frames with three bytes of length. Baileys
 * has the other end (`noise-handler.js`); nothing of that is used here but the ciphers.
 */

type KeyPair = ReturnType<typeof Curve.generateKeyPair>;

const { CertChain, HandshakeMessage, ClientPayload } = WAProto;
const { Details } = CertChain.NoiseCertificate;
const EMPTY = Buffer.alloc(0);
const LENGTH_BYTES = 3;

/** Who a server is: Baileys believes one whose certificate comes from the root that it knows. */
export class Identity {
  readonly #root = Curve.generateKeyPair();
  readonly keys = Curve.generateKeyPair();
  readonly chain: Uint8Array;

  constructor() {
    const between = Curve.generateKeyPair();
    const intermediate = signed(this.#root, { serial: 1, issuerSerial: 0, key: between.public });
    const leaf = signed(between, { serial: 2, issuerSerial: 1, key: this.keys.public });
    this.chain = CertChain.encode({ intermediate, leaf }).finish();
  }

  /** What has to stand in Baileys in the place of WhatsApp's own. */
  get rootKey(): Buffer {
    return this.#root.public as Buffer;
  }
}

function signed(issuer: KeyPair, holds: WAProto.CertChain.NoiseCertificate.IDetails) {
  const details = Details.encode(holds).finish();
  return { details, signature: Curve.sign(issuer.private, details) };
}

/** The state of a handshake: what was said until now, and the key that follows from it. */
class Handshake {
  #hash = Buffer.from(NOISE_MODE);
  #salt: Uint8Array = this.#hash;
  #key: Uint8Array = this.#hash;
  #used = 0;

  saw(bytes: Uint8Array): void {
    this.#hash = Buffer.from(sha256(Buffer.concat([this.#hash, bytes])));
  }

  mix(own: KeyPair, theirs: Uint8Array): void {
    [this.#salt, this.#key] = this.#derived(Curve.sharedKey(own.private, theirs));
    this.#used = 0;
  }

  encrypt(plain: Uint8Array): Buffer {
    const sealed = aesEncryptGCM(plain, this.#key, nonce(this.#used++), this.#hash);
    this.saw(sealed);
    return sealed;
  }

  decrypt(sealed: Uint8Array): Buffer {
    const plain = aesDecryptGCM(sealed, this.#key, nonce(this.#used++), this.#hash);
    this.saw(sealed);
    return plain;
  }

  /** The keys of what follows: what the client writes with, and what it reads with. */
  end(): [theirs: Uint8Array, ours: Uint8Array] {
    return this.#derived(EMPTY);
  }

  #derived(secret: Uint8Array): [Uint8Array, Uint8Array] {
    const bytes = Buffer.from(hkdfSync('sha256', secret, this.#salt, EMPTY, 64));
    return [bytes.subarray(0, 32), bytes.subarray(32)];
  }
}

function nonce(used: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32BE(used, 8);
  return bytes;
}

/** What a client says of itself when it logs in. */
export interface Login {
  /** The public half of its noise key, which the account knows. */
  key: Buffer;
  payload: WAProto.ClientPayload;
}

/** One client's bytes become frames, and frames of ours bytes. Throws when the client speaks otherwise. */
export class ServerNoise {
  readonly #identity: Identity;
  readonly #ephemeral = Curve.generateKeyPair();
  readonly #handshake = new Handshake();
  #left: Buffer = EMPTY;
  #step: 'intro' | 'hello' | 'finish' | 'open' = 'intro';
  #keys: [theirs: Uint8Array, ours: Uint8Array] = [EMPTY, EMPTY];
  #read = 0;
  #written = 0;

  constructor(identity: Identity) {
    this.#identity = identity;
  }

  /** `reply`: bytes for the client. `login`: once, when the handshake is over. `frames`: what it said, decrypted. */
  take(bytes: Buffer): { reply: Buffer[]; login: Login | null; frames: Buffer[] } {
    this.#left = Buffer.concat([this.#left, bytes]);
    const out = { reply: [] as Buffer[], login: null as Login | null, frames: [] as Buffer[] };
    if (this.#step === 'intro' && this.#left.length >= NOISE_WA_HEADER.length) this.#intro();
    for (let frame = this.#frame(); frame !== null; frame = this.#frame()) {
      if (this.#step === 'hello') out.reply.push(this.#hello(frame));
      else if (this.#step === 'finish') out.login = this.#finish(frame);
      else out.frames.push(aesDecryptGCM(frame, this.#keys[0], nonce(this.#read++), EMPTY));
    }
    return out;
  }

  sealed(plain: Uint8Array): Buffer {
    return framed(aesEncryptGCM(plain, this.#keys[1], nonce(this.#written++), EMPTY));
  }

  #intro(): void {
    const intro = this.#left.subarray(0, NOISE_WA_HEADER.length);
    if (!intro.equals(NOISE_WA_HEADER)) throw new Error(`it begins with ${intro.toString('hex')}`);
    this.#handshake.saw(intro);
    this.#left = this.#left.subarray(intro.length);
    this.#step = 'hello';
  }

  #frame(): Buffer | null {
    if (this.#step === 'intro' || this.#left.length < LENGTH_BYTES) return null;
    const end = LENGTH_BYTES + this.#left.readUIntBE(0, LENGTH_BYTES);
    if (this.#left.length < end) return null;
    const frame = this.#left.subarray(LENGTH_BYTES, end);
    this.#left = this.#left.subarray(end);
    return frame;
  }

  #hello(frame: Buffer): Buffer {
    const theirs = HandshakeMessage.decode(frame).clientHello!.ephemeral!;
    const handshake = this.#handshake;
    handshake.saw(theirs);
    handshake.saw(this.#ephemeral.public);
    handshake.mix(this.#ephemeral, theirs);
    const sealedKey = handshake.encrypt(this.#identity.keys.public);
    handshake.mix(this.#identity.keys, theirs);
    const payload = handshake.encrypt(this.#identity.chain);
    this.#step = 'finish';
    const serverHello = { ephemeral: this.#ephemeral.public, static: sealedKey, payload };
    return framed(HandshakeMessage.encode({ serverHello }).finish());
  }

  #finish(frame: Buffer): Login {
    const finish = HandshakeMessage.decode(frame).clientFinish!;
    const key = this.#handshake.decrypt(finish.static!);
    this.#handshake.mix(this.#ephemeral, key);
    const payload = ClientPayload.decode(this.#handshake.decrypt(finish.payload!));
    this.#keys = this.#handshake.end();
    this.#step = 'open';
    return { key, payload };
  }
}

function framed(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUIntBE(bytes.length, 0, LENGTH_BYTES);
  return Buffer.concat([length, bytes]);
}
