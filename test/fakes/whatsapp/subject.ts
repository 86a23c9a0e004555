import { setTimeout as sleep } from 'node:timers/promises';
import type { Channel, MenuCommand } from '../../../src/channels/channel.ts';
import type { DriverParts } from '../../../src/channels/kind.ts';
import { open } from '../../../src/channels/whatsapp/driver.ts';
import { whatsapp } from '../../../src/channels/whatsapp/kind.ts';
import type { Account, ChannelUnderTest, Faults, Place, PlaceName, Sent, Speaker } from '../../kits/channel_scene.ts';
import { FakeGraph, NUMBER_ID, type Posted, textOf } from './graph.ts';
import { shownOf } from './marks.ts';
import { APP_SECRET, type Change, handleOf, placeOf, signed, WhatsappHook, WhatsappPeople } from './people.ts';

/** WhatsApp's Cloud API, as the kit of channels drives it. */

const DIRECT_ALONE = 'on the Cloud API there are direct chats alone';

export const cloud: ChannelUnderTest = {
  title: 'whatsapp',
  kind: whatsapp,
  lacks: {
    'a message of a group says where it was said and by whom': DIRECT_ALONE,
    'who is addressed is told by a mention and by a reply to us': DIRECT_ALONE,
    'no program is taken for a person, and we are not taken for another':
      'WhatsApp says of nobody that it is a program; what we say elsewhere has a test of its own',
    'that we are busy is shown where we are': 'it is shown below a person’s message, which has a test of its own',
    'a message can have nine buttons, in their order': 'WhatsApp shows three, which has a test of its own',
    'the menu shows our commands': 'WhatsApp’s menus are set up at Meta',
    'a second program on our token is said to be so; once it has ended, messages come in again':
      'Meta calls one address',
  },
  start: () => WhatsappAccount.start(),
};

/** Look like secrets, and are none. */
export const TOKEN = 'EAAfakeTokenOfNobody0123456789';
export const VERIFY = 'fake-verify-word';

/** Meta puts what waits together. */
const BODY_CHANGES_MAX = 5;

export class WhatsappAccount implements Account {
  readonly graph = new FakeGraph(TOKEN);
  readonly people = new WhatsappPeople(this.graph, (change, message) => this.tell(change, message));
  readonly hook = new WhatsappHook(this.people);
  readonly textFiles = true;
  readonly #waiting: { change: Change; message: string }[] = [];
  #channel: Channel | null = null;
  #isDelivering = false;
  #isOffline = false;
  #isOver = false;
  /** Ends the call of a host that is there no more. */
  #gone = (): void => {};

  static async start(): Promise<WhatsappAccount> {
    const account = new WhatsappAccount();
    await account.graph.listen();
    return account;
  }

  get parts(): Pick<DriverParts, 'name' | 'settings' | 'secrets'> {
    const settings = { mode: 'cloud', phone_number_id: NUMBER_ID, api: this.graph.url };
    return { name: 'whatsapp', settings, secrets: { token: TOKEN, 'app-secret': APP_SECRET, verify: VERIFY } };
  }

  open(parts: DriverParts): Channel {
    this.#gone();
    this.#channel = open(parts);
    return this.#channel;
  }

  place(name: PlaceName): Place {
    return placeOf(name);
  }

  handle(speaker: Speaker): string {
    return handleOf(speaker);
  }

  sent(): Sent[] {
    return this.graph.posted.map((posted) => this.#sent(posted));
  }

  reactions(): { message: string; emoji: string }[] {
    return [...this.graph.reactions].map(([message, emoji]) => ({ message, emoji }));
  }

  typing(): Place[] {
    return [];
  }

  menu(): MenuCommand[] {
    return [];
  }

  acknowledged(message: string): boolean {
    return !this.#waiting.some((each) => each.message === message);
  }

  pressesAnswered(): number {
    return this.people.pressed;
  }

  /** Meta calls until it is answered 200. */
  tell(change: Change, message: string): void {
    this.#waiting.push({ change, message });
    void this.#deliver();
  }

  readonly faults: Faults = {
    next: (fault) => void this.graph.faults.push(fault),
    revoke: () => {
      this.graph.isRevoked = true;
    },
    secondPoller: async () => {},
    drop: async () => this.graph.drop(),
    offline: async () => {
      this.#isOffline = true;
      await this.graph.close();
    },
    online: async () => {
      await this.graph.listen();
      this.#isOffline = false;
    },
  };

  async stop(): Promise<void> {
    this.#isOver = true;
    this.#gone();
    await this.graph.close();
  }

  async #deliver(): Promise<void> {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    while (this.#waiting.length > 0 && !this.#isOver) {
      const batch = this.#waiting.slice(0, BODY_CHANGES_MAX);
      const status = this.#isOffline ? 502 : await this.#call(batch.map(({ change }) => change));
      if (status === 200) this.#waiting.splice(0, batch.length);
      else await sleep(20);
    }
    this.#isDelivering = false;
  }

  #call(changes: Change[]): Promise<number> {
    const cut = new Promise<number>((resolve) => {
      this.#gone = () => resolve(502);
    });
    const answer = this.#channel!.webhook!(signed(changes)).then(
      ({ status }) => status,
      () => 500,
    );
    return Promise.race([answer, cut]);
  }

  #sent({ id, to, type, value, context }: Posted): Sent {
    const buttons = value.action?.buttons ?? [];
    const media = type === 'image' || type === 'document' ? this.graph.media.get(value.id ?? '') : undefined;
    return {
      ...{ chat: to, thread: '', receipt: id, quotes: context },
      ...shownOf(textOf(value)),
      buttons: buttons.map(({ reply }) => ({ token: reply.id, label: reply.title })),
      file: media === undefined ? null : { name: value.filename ?? media.name, data: media.data },
    };
  }
}
