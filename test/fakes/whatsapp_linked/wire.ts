import assert from 'node:assert/strict';
import { join } from 'node:path';
import { saveCreds } from '../../../src/channels/whatsapp-linked/keys.ts';
import { SealedStore } from '../../../src/channels/whatsapp-linked/store.ts';
import type { ChannelShown } from '../../../src/operations/channels.ts';
import { Install, until } from '../install.ts';
import { type Patch, PatchedTree } from '../patched_tree.ts';
import { KEY } from './account.ts';
import { initAuthCreds } from './baileys.ts';
import { Phone } from './phone.ts';
import { WhatsappServer } from './server.ts';
import { linkedCreds, NUMBER, OWN_LID } from './world.ts';

const KIND = 'whatsapp-linked';
const CONNECT = 'src/channels/whatsapp-linked/connect.ts';
const PLACE = '/** A connection by Baileys, and what we put between it and its keys. */';

/**
 * A whole install with a linked device: the real host, the driver as it ships in its thread, the real Baileys, and WhatsApp's wire to a
 * server in this process. One thing alone is other than it ships: whose certificate Baileys believes.
 */
export class WireInstall {
  readonly server: WhatsappServer;
  readonly install: Install;
  readonly person = new Phone();
  /** The phone that our account belongs to: what our device says comes to it, too. */
  readonly own = new Phone({ jid: `${NUMBER}@s.whatsapp.net`, lid: OWN_LID, name: 'Glass' });
  readonly #tree: PatchedTree;

  private constructor(server: WhatsappServer, patches: readonly Patch[]) {
    this.server = server;
    this.#tree = new PatchedTree([believes(server.identity.rootKey), ...patches], [], [KIND]);
    this.install = new Install(undefined, this.#tree.root);
  }

  /** Resolves when it is connected; `person` is its owner, and is answered. `patches`: what else is other than it ships. */
  static async start(patches: readonly Patch[] = []): Promise<WireInstall> {
    const fresh = initAuthCreds();
    // A device that has been here before: a new one waits 20 seconds for what the phone has to tell.
    const creds = { ...fresh, ...linkedCreds(fresh), accountSyncCounter: 1 };
    const server = new WhatsappServer(creds);
    const made = new WireInstall(server, patches);
    const { install, person, own } = made;
    for (const phone of [person, own]) await server.add(phone);
    await server.start();
    const store = SealedStore.open(made.folder, KEY);
    saveCreds(store, creds);
    store.close();
    // Not added by `channel_add`, which takes over nothing that is there already.
    install.install(JSON.stringify({ channels: { [KIND]: { kind: KIND, server: server.address } } }));
    install.group('assistant', 'harness: probe\nlimits: {idle: 60s}\n');
    await install.start();
    await install.secret(`${KIND}-key`, KEY, { form: { kind: 'channel' }, hosts: [] });
    const handle = person.who.jid.split('@')[0]!;
    await install.control.call('person_add', { name: 'Olga', identity: { channel: KIND, handle }, role: 'owner' });
    const wiring = { chat: `${KIND}:${handle}`, group: 'assistant', engage: 'always', session: 'chat' };
    await install.control.call('wiring_set', wiring);
    await made.connected();
    return made;
  }

  /** Of what the device keeps. */
  get folder(): string {
    return join(this.install.paths.channels, KIND);
  }

  async connected(): Promise<void> {
    await until('it is connected', async () => {
      const { state, detail } = await this.install.control.call<ChannelShown>('channel_show', { name: KIND });
      assert.equal(state, 'connected', detail);
      assert.ok(this.server.isOpen, 'the server knows of it');
    });
  }

  /** Resolves with the message's id, when WhatsApp has it. */
  say(text: string): Promise<string> {
    return this.server.say(this.person, text);
  }

  /** What `person` has read, one message after the other. */
  heard(): string[] {
    return this.server.heard.flatMap(({ by, text }) => (by === this.person ? [text] : []));
  }

  /** How often `person` was answered to that, over all messages. */
  answers(text: string): number {
    return this.heard().flatMap((said) => said.split('\n').filter((line) => line === `You said: ${text}`)).length;
  }

  async end(): Promise<void> {
    await this.install.stop();
    this.server.close();
    for (const phone of [this.person, this.own]) phone.close();
    this.#tree[Symbol.dispose]();
  }
}

function believes(root: Buffer): Patch {
  const put = `WA_CERT_DETAILS.PUBLIC_KEY.set(Buffer.from('${root.toString('hex')}', 'hex'));`;
  return [CONNECT, PLACE, `import { WA_CERT_DETAILS } from '@whiskeysockets/baileys';\n${put}\n${PLACE}`];
}
