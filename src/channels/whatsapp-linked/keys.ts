import {
  type AuthenticationCreds,
  initAuthCreds,
  type SignalDataSet,
  type SignalDataTypeMap,
  type SignalKeyStore,
  WAProto,
} from '@whiskeysockets/baileys';
import type { SealedStore } from './store.ts';

/** What Baileys keeps of an account, in the sealed store. */

const CREDS = 'creds';

/** Of the account that this device is linked to; null: to none. */
export function savedCreds(store: SealedStore): AuthenticationCreds | null {
  const creds = store.get(CREDS, '') as AuthenticationCreds | undefined;
  return creds !== undefined && isLinked(creds) ? creds : null;
}

/** What was begun and never linked is worth nothing: each try has keys of its own. */
export const newCreds = initAuthCreds;

export function isLinked({ account }: AuthenticationCreds): boolean {
  return account !== undefined && account !== null;
}

export function saveCreds(store: SealedStore, creds: AuthenticationCreds): void {
  store.set({ [CREDS]: { '': creds } });
}

/** The number of somebody whom WhatsApp names by a number of its own (`…@lid`), where a message has once said it. */
export function numberOfLid(store: SealedStore, lid: string): string | null {
  const number = store.get('lid-mapping', `${lid.replace(/[:@].*/, '')}_reverse`);
  return typeof number === 'string' && /^\d+$/.test(number) ? number : null;
}

export class SealedKeys implements SignalKeyStore {
  readonly #store: SealedStore;
  readonly #failed: (error: Error) => void;
  /** Values that are on disk before the transaction that they belong to has ended. */
  readonly #ahead = new WeakSet<object>();

  /** `failed`: something could not be read or written; called before Baileys hears of it. */
  constructor(store: SealedStore, failed: (error: Error) => void = () => {}) {
    this.#store = store;
    this.#failed = failed;
  }

  /** The same with another end. */
  guarded(failed: (error: Error) => void): SealedKeys {
    return new SealedKeys(this.#store, failed);
  }

  get<T extends keyof SignalDataTypeMap>(type: T, ids: string[]): { [id: string]: SignalDataTypeMap[T] } {
    const found: { [id: string]: SignalDataTypeMap[T] } = {};
    for (const id of ids) {
      const value = this.#told(() => this.#store.get(type, id));
      if (value === undefined) continue;
      found[id] = (
        type === 'app-state-sync-key' ? WAProto.Message.AppStateSyncKeyData.fromObject(value as object) : value
      ) as SignalDataTypeMap[T];
    }
    return found;
  }

  /** Not once more what is there already: another message may have moved the same session on since. */
  set(data: SignalDataSet): void {
    const left = Object.entries(data).map(([type, values]) => [
      type,
      Object.fromEntries(Object.entries(values ?? {}).filter(([, value]) => !this.#isAhead(value))),
    ]);
    this.#told(() => this.#store.set(Object.fromEntries(left)));
  }

  /** Sessions alone: what a message is encrypted with is on disk before the message leaves, so that no key is used twice. */
  setAhead({ session, 'sender-key': sender }: SignalDataSet): void {
    const data = { ...(session && { session }), ...(sender && { 'sender-key': sender }) };
    this.#told(() => this.#store.set(data));
    for (const values of Object.values(data))
      for (const value of Object.values(values)) if (value !== null) this.#ahead.add(value);
  }

  #told<T>(act: () => T): T {
    try {
      return act();
    } catch (error) {
      this.#failed(error as Error);
      throw error;
    }
  }

  #isAhead(value: unknown): boolean {
    return typeof value === 'object' && value !== null && this.#ahead.has(value);
  }
}
