import { dropOldChains, spareOthers } from '../../../src/channels/whatsapp-linked/signal_sessions.ts';
import {
  type AuthenticationCreds,
  addTransactionCapability,
  type BinaryNode,
  DEFAULT_CONNECTION_CONFIG,
  encodeBigEndian,
  encodeWAMessage,
  extractE2ESessionFromRetryReceipt,
  generateSignalPubKey,
  initAuthCreds,
  type SignalKeyStore,
  unpadRandomMax16,
  WAProto,
} from './baileys.ts';
import { GROUP, NUMBER } from './world.ts';

const OURS = `${NUMBER}:7@s.whatsapp.net`;
const SILENT = { level: 'silent', child: () => SILENT, trace() {}, debug() {}, info() {}, warn() {}, error() {} };
const { makeSignalRepository } = DEFAULT_CONNECTION_CONFIG;

/** What makes Signal's sessions prints them when they close, keys and all. */
for (const level of ['info', 'warn'] as const) {
  const print = globalThis['console'][level];
  globalThis['console'][level] = (...words) => {
    if (!String(words[0]).startsWith('Closing ')) print(...words);
  };
}

type Bundle = Parameters<ReturnType<typeof makeSignalRepository>['injectE2ESession']>[0]['session'];

/** Somebody as WhatsApp names them. */
export interface Named {
  /** Their number. */
  jid: string;
  lid: string;
  name: string;
}

export const FIRST: Named = { jid: '16505551234@s.whatsapp.net', lid: '111222333444555@lid', name: 'First' };

/** Somebody's phone: their side of the encryption, with sessions of Signal as real as ours. */
export class Phone {
  readonly who: Named;
  readonly #creds = initAuthCreds();
  readonly #kept = new Map<string, unknown>();
  readonly #repository: ReturnType<typeof makeSignalRepository>;
  /** It does one thing at a time. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(who = FIRST) {
    this.who = who;
    const keys = addTransactionCapability(memory(this.#kept), SILENT, { maxCommitRetries: 1, delayBetweenTriesMs: 1 });
    this.#repository = makeSignalRepository({ creds: this.#creds, keys }, SILENT);
  }

  close(): void {
    this.#repository.close?.();
  }

  async knows({ signedIdentityKey, signedPreKey, registrationId }: AuthenticationCreds): Promise<void> {
    const { keyId, keyPair, signature } = signedPreKey;
    const session = {
      registrationId,
      identityKey: generateSignalPubKey(signedIdentityKey.public),
      signedPreKey: { keyId, publicKey: generateSignalPubKey(keyPair.public), signature },
    };
    await this.#repository.injectE2ESession({ jid: OURS, session });
  }

  /** What WhatsApp gives to who wants to write to it, under the name that was asked for. */
  bundle(jid: string): BinaryNode {
    const { signedIdentityKey, signedPreKey, registrationId } = this.#creds;
    const leaf = (tag: string, content: Uint8Array): BinaryNode => ({ tag, attrs: {}, content });
    return {
      tag: 'user',
      attrs: { jid },
      content: [
        leaf('registration', encodeBigEndian(registrationId)),
        leaf('type', Buffer.from([5])),
        leaf('identity', signedIdentityKey.public),
        {
          tag: 'skey',
          attrs: {},
          content: [
            leaf('id', encodeBigEndian(signedPreKey.keyId, 3)),
            leaf('value', signedPreKey.keyPair.public),
            leaf('signature', signedPreKey.signature),
          ],
        },
      ],
    };
  }

  /** The first time with the key of the group, as phones do. */
  writesInGroup(id: string, text: string): Promise<BinaryNode> {
    return this.#next(() => this.#writesInGroup(id, text));
  }

  writes(id: string, text: string): Promise<BinaryNode> {
    return this.#next(() => this.#writes(id, text));
  }

  /** What our device has encrypted for it. Rejects when it cannot be read. */
  reads(sealed: BinaryNode): Promise<WAProto.Message> {
    return this.#next(() => this.#reads(sealed));
  }

  /** Our device could not read it, and may say with which keys it is to be agreed on anew. */
  async writesAgain(id: string, text: string, asked: BinaryNode): Promise<BinaryNode> {
    const session = extractE2ESessionFromRetryReceipt(asked) as Bundle | null;
    return this.#next(async () => {
      if (session !== null) await this.#repository.injectE2ESession({ jid: OURS, session });
      return this.#writes(id, text);
    });
  }

  /** As a phone does that could not read a message. */
  asksAgain(id: string, recipient: string | undefined): BinaryNode {
    const t = now();
    return {
      tag: 'receipt',
      attrs: { id, from: this.who.jid, type: 'retry', t, ...(recipient !== undefined && { recipient }) },
      content: [
        { tag: 'retry', attrs: { count: '1', id, t, v: '1' } },
        { tag: 'registration', attrs: {}, content: encodeBigEndian(this.#creds.registrationId) },
      ],
    };
  }

  async #writesInGroup(id: string, text: string): Promise<BinaryNode> {
    const { jid, lid, name } = this.who;
    const group = await this.#repository.encryptGroupMessage({
      ...{ group: GROUP, meId: jid, data: encodeWAMessage({ conversation: text }) },
    });
    const senderKeyDistributionMessage = {
      ...{ groupId: GROUP, axolotlSenderKeyDistributionMessage: group.senderKeyDistributionMessage },
    };
    const { type, ciphertext } = await this.#repository.encryptMessage({
      jid: OURS,
      data: encodeWAMessage({ senderKeyDistributionMessage }),
    });
    return {
      tag: 'message',
      attrs: { id, from: GROUP, participant: jid, participant_lid: lid, type: 'text', t: now(), notify: name },
      content: [
        { tag: 'enc', attrs: { v: '2', type }, content: ciphertext },
        { tag: 'enc', attrs: { v: '2', type: 'skmsg' }, content: group.ciphertext },
      ],
    };
  }

  async #writes(id: string, text: string): Promise<BinaryNode> {
    const { jid, lid, name } = this.who;
    const { type, ciphertext } = await this.#repository.encryptMessage({
      jid: OURS,
      data: encodeWAMessage({ conversation: text }),
    });
    return {
      tag: 'message',
      attrs: { id, from: jid, sender_lid: lid, type: 'text', t: now(), notify: name },
      content: [{ tag: 'enc', attrs: { v: '2', type }, content: ciphertext }],
    };
  }

  async #reads({ attrs, content }: BinaryNode): Promise<WAProto.Message> {
    const type = attrs['type'] as 'pkmsg' | 'msg';
    const before = structuredClone(this.#sessions());
    const plain = await this.#repository.decryptMessage({ jid: OURS, type, ciphertext: content as Uint8Array });
    // What Baileys encrypts with moves sessions on that cannot read it, and keeps all of their chains; a phone's does not.
    if (type === 'msg') spareOthers(this.#sessions(), before);
    dropOldChains(this.#sessions());
    return WAProto.Message.decode(unpadRandomMax16(plain));
  }

  #sessions(): unknown {
    return this.#kept.get(`session ${this.#repository.jidToSignalProtocolAddress(OURS)}`);
  }

  #next<T>(act: () => Promise<T>): Promise<T> {
    const result = this.#last.then(act);
    this.#last = result.catch(() => {});
    return result;
  }
}

function memory(kept: Map<string, unknown>): SignalKeyStore {
  return {
    get: (type, ids) =>
      Object.fromEntries(
        ids.flatMap((id) => (kept.has(`${type} ${id}`) ? [[id, kept.get(`${type} ${id}`)]] : [])),
      ) as never,
    set: (data) => {
      for (const [type, values] of Object.entries(data))
        for (const [id, value] of Object.entries(values!)) kept.set(`${type} ${id}`, value);
    },
  };
}

function now(): string {
  return `${Math.floor(Date.now() / 1000)}`;
}
