import { AsyncLocalStorage } from 'node:async_hooks';
import {
  type AuthenticationCreds,
  type BaileysEventEmitter,
  Browsers,
  DEFAULT_CONNECTION_CONFIG,
  isJidBroadcast,
  isJidGroup,
  isJidNewsletter,
  isLidUser,
  isPnUser,
  makeWASocket,
  type SignalDataSet,
  type SignalKeyStoreWithTransaction,
  type SocketConfig,
  type WAMessageKey,
  WAProto,
  type WASocket,
} from '@whiskeysockets/baileys';
import type { Inbox, Me } from './inbox.ts';
import type { SealedKeys } from './keys.ts';
import { QUERY_MS, QUEUE_STILL_MS } from './limits.ts';
import { dropOldChains, spareOthers } from './signal_sessions.ts';

/** A connection by Baileys, and what we put between it and its keys. */

export type Socket = Pick<
  WASocket,
  | 'user'
  | 'end'
  | 'sendMessage'
  | 'sendPresenceUpdate'
  | 'requestPairingCode'
  | 'groupMetadata'
  | 'onWhatsApp'
  | 'waitForMessage'
> & { ev: BaileysEventEmitter };

export interface ConnectParts {
  creds: AuthenticationCreds;
  keys: SealedKeys;
  inbox: Inbox;
  /** A message of ours that somebody's device could not read, and asks for again. */
  sentBefore(key: WAMessageKey): WAProto.IMessage | undefined;
}

/** Connects at once; what becomes of it is told by `ev`. */
export type Connect = (parts: ConnectParts) => Socket;

type Logger = SocketConfig['logger'];
type SignalAuth = Parameters<SocketConfig['makeSignalRepository']>[0];

/** What Baileys would log holds texts, names and numbers. */
const SILENT: Logger = {
  level: 'silent',
  child: () => SILENT,
  trace: () => {},
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
};

/** What a new device has to know of the account; not what was said before it was linked. */
const SYNCED = [
  WAProto.Message.HistorySyncType.INITIAL_BOOTSTRAP,
  WAProto.Message.HistorySyncType.PUSH_NAME,
  WAProto.Message.HistorySyncType.NON_BLOCKING_DATA,
];

/** `more`: what is other than usual. */
export function connectTo(parts: ConnectParts, more: Partial<SocketConfig>): WASocket {
  const { creds, inbox, sentBefore } = parts;
  // Baileys would refuse the message at hand as one that cannot be read; without a connection it stays WhatsApp's.
  const keys = parts.keys.guarded((error) => void socket.end(error));
  /** By the bytes in it that are encrypted: what came around them. */
  const stanzas = new WeakMap<Uint8Array, Record<string, string>>();
  const me = (): Me => ({ id: creds.me?.id ?? '', lid: creds.me?.lid });
  const socket = makeWASocket({
    auth: { creds, keys },
    logger: SILENT,
    browser: Browsers.ubuntu('Chrome'),
    // The phone goes on telling its person of messages.
    markOnlineOnConnect: false,
    emitOwnEvents: false,
    syncFullHistory: false,
    defaultQueryTimeoutMs: QUERY_MS,
    shouldSyncHistoryMessage: ({ syncType }) => syncType != null && SYNCED.includes(syncType),
    shouldIgnoreJid: (jid) => !isChat(jid),
    getMessage: async (key) => sentBefore(key),
    transactionOpts: { maxCommitRetries: 1, delayBetweenTriesMs: 0 },
    makeSignalRepository: (auth, logger, numbers) => keeping({ auth, logger, numbers, keys, inbox, stanzas, me }),
    ...more,
  });
  keepOrder(socket);
  socket.ws.on('CB:message', ({ attrs, content }) => {
    if (!Array.isArray(content)) return;
    for (const part of content)
      if (part.tag === 'enc' && part.content instanceof Uint8Array) stanzas.set(part.content, attrs);
  });
  return socket;
}

/**
 * What has waited at WhatsApp goes through a queue of Baileys, and what is said meanwhile would overtake it: so it is said to have
 * waited too, until what the queue holds was told, or nothing has come out of it for a while.
 */
function keepOrder(socket: WASocket): void {
  const queued = new Set<string>();
  let moved_ms = 0;
  socket.ws.prependListener('CB:message', ({ attrs }: { attrs: Record<string, string> }) => {
    const now_ms = performance.now();
    if (now_ms - moved_ms > QUEUE_STILL_MS) queued.clear();
    if (queued.size > 0) attrs['offline'] ??= '0';
    if (attrs['offline'] === undefined) return;
    queued.add(attrs['id'] ?? '');
    moved_ms = now_ms;
  });
  socket.ev.on('messages.upsert', ({ messages }) => {
    for (const { key } of messages) if (queued.delete(key.id ?? '')) moved_ms = performance.now();
  });
}

/** Not what is said to everybody: status, channels, lists. */
function isChat(jid: string): boolean {
  if (isJidBroadcast(jid) || isJidNewsletter(jid)) return false;
  return Boolean(isPnUser(jid) || isLidUser(jid) || isJidGroup(jid));
}

interface KeepingParts {
  auth: SignalAuth;
  logger: Logger;
  numbers: Parameters<SocketConfig['makeSignalRepository']>[2];
  keys: SealedKeys;
  inbox: Inbox;
  stanzas: WeakMap<Uint8Array, Record<string, string>>;
  me(): Me;
}

/**
 * Baileys' own encryption with five promises more: a session that has moved on is on disk before what was encrypted with it
 * leaves; what was decrypted is in the inbox in the same write that moves its session on, before WhatsApp is told; a message that is
 * read moves no session on but its own; no session is read for one message while another one moves it on; and what is kept of
 * a session does not grow with what is said in it.
 */
function keeping({ auth, logger, numbers, keys, inbox, stanzas, me }: KeepingParts) {
  /** Sessions before what is being read was tried with them; null: it is not tried, but says with which. */
  const receiving = new AsyncLocalStorage<Map<string, unknown> | null>();
  const alone = queue();
  const shared = auth.keys as SignalKeyStoreWithTransaction;
  const ahead: SignalKeyStoreWithTransaction = {
    ...shared,
    get: async (type, ids) => {
      const tried = receiving.getStore();
      // What a send has read before it waited for its turn may have moved on since; what is on disk has not.
      const found = type === 'session' && tried === undefined ? keys.get(type, ids) : await shared.get(type, ids);
      if (type === 'session') for (const id of ids) tried?.set(id, found[id]);
      return found;
    },
    set: async (data) => {
      const tried = receiving.getStore();
      for (const [id, record] of Object.entries(data.session ?? {})) {
        spareOthers(record, tried?.get(id));
        dropOldChains(record);
      }
      await shared.set(data);
      if (shared.isInTransaction() && tried === undefined) keys.setAhead(data);
    },
  };
  const repository = DEFAULT_CONNECTION_CONFIG.makeSignalRepository({ ...auth, keys: ahead }, logger, numbers);
  const kept = async (bytes: Uint8Array, how: Receiving, decrypt: () => Promise<Uint8Array>): Promise<Uint8Array> => {
    const id = inbox.idOf(bytes);
    const before = inbox.plain(id);
    if (before !== null) return before;
    await inbox.room();
    const work = async (): Promise<Uint8Array> => {
      const plain = await decrypt();
      const attrs = stanzas.get(bytes);
      if (attrs !== undefined) await shared.set(inbox.entry(id, attrs, plain, me()) as SignalDataSet);
      return plain;
    };
    return alone(() => receiving.run(how.isTried ? new Map() : null, () => shared.transaction(work, how.lane)));
  };
  const { decryptMessage, decryptGroupMessage, encryptMessage } = repository;
  return {
    ...repository,
    decryptMessage: (given: Parameters<typeof decryptMessage>[0]) =>
      kept(given.ciphertext, { lane: given.jid, isTried: given.type === 'msg' }, () => decryptMessage(given)),
    decryptGroupMessage: (given: Parameters<typeof decryptGroupMessage>[0]) =>
      kept(given.msg, { lane: given.group, isTried: false }, () => decryptGroupMessage(given)),
    encryptMessage: (given: Parameters<typeof encryptMessage>[0]) => alone(() => encryptMessage(given)),
  };
}

interface Receiving {
  /** Of Baileys' transactions. */
  lane: string;
  /** With every session there is, until one can read it. */
  isTried: boolean;
}

/** One after the other, in the context of whoever asked. */
function queue(): <T>(act: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (act) => {
    const result = last.then(act);
    last = result.catch(() => {});
    return result;
  };
}
