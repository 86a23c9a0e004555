import { createHmac } from 'node:crypto';
import type { WebhookRequest } from '../../../src/channels/channel.ts';
import type { Hook, People, Place, PlaceName, Saying, Speaker } from '../../kits/channel_scene.ts';
import { type FakeGraph, NUMBER, NUMBER_ID } from './graph.ts';

/** People on the fake: what they do becomes the webhooks that Meta documents. */

export const APP_SECRET = '0123456789abcdef0123456789abcdef';

/** There are direct chats alone: another person's stands for the group of the kit. */
const PERSON = '16505551234';
const OTHER = '16505556789';
const NAMES: Record<string, string> = { [PERSON]: 'First', [OTHER]: 'Second' };

export function placeOf(name: PlaceName): Place {
  return { chat: name === 'direct' ? PERSON : OTHER, thread: '' };
}

export function handleOf(speaker: Speaker): string {
  return { person: PERSON, other: OTHER, bot: OTHER, self: NUMBER }[speaker];
}

export type Change = { field: string; value: object };

export class WhatsappPeople implements People {
  readonly #graph: FakeGraph;
  readonly #tell: (change: Change, message: string) => void;
  /** What they read below a button that they have pressed is their own message, at once. */
  pressed = 0;

  constructor(graph: FakeGraph, tell: (change: Change, message: string) => void) {
    this.#graph = graph;
    this.#tell = tell;
  }

  async say(saying: Saying): Promise<string> {
    const message = this.message(saying);
    this.#tell(messages([message]), message.id);
    return message.id;
  }

  async edit(place: PlaceName, _from: Speaker, original_message_id: string, text: string): Promise<void> {
    const edited = { original_message_id, message: { type: 'text', text: { body: text } } };
    this.#happens(place, 'edit', { edit: edited });
  }

  async remove(place: PlaceName, _from: Speaker, original_message_id: string): Promise<void> {
    this.#graph.heard.delete(original_message_id);
    this.#happens(place, 'revoke', { revoke: { original_message_id } });
  }

  async react(place: PlaceName, _from: Speaker, message_id: string, emoji: string, removed: boolean): Promise<void> {
    this.#happens(place, 'reaction', { reaction: { message_id, ...(removed ? {} : { emoji }) } });
  }

  async press(place: PlaceName, _from: Speaker, receipt: string, token: string): Promise<void> {
    const context = { from: NUMBER, id: receipt };
    this.#happens(place, 'interactive', {
      context,
      interactive: { type: 'button_reply', button_reply: { id: token, title: 'Yes' } },
    });
    this.pressed += 1;
  }

  async receive(_place: PlaceName, id: string): Promise<void> {
    const timestamp = `${Math.floor(Date.now() / 1000)}`;
    for (const status of ['sent', 'delivered', 'read']) this.#tell(statuses([{ id, status, timestamp }]), '');
  }

  async strange(event: 'unknown' | 'broken'): Promise<void> {
    if (event === 'unknown') this.#happens('direct', 'hologram', { hologram: { id: '1' } });
    else this.#tell(messages([{ id: this.#graph.nextId(), type: 'text', text: { body: 'from nobody' } }]), '');
  }

  message({ place, text, reply_to, files = [] }: Saying): { id: string } & Record<string, unknown> {
    const context = reply_to === undefined ? {} : { context: { from: NUMBER, id: reply_to } };
    const [file] = files;
    if (file === undefined) return this.#made(place, 'text', { ...context, text: { body: text } });
    const id = this.#graph.keep(file.name, 'application/octet-stream', file.data);
    const document = { id, filename: file.name, mime_type: 'application/octet-stream', sha256: 'x', caption: text };
    return this.#made(place, 'document', { ...context, document });
  }

  #happens(place: PlaceName, type: string, more: object): void {
    const message = this.#made(place, type, more);
    this.#tell(messages([message]), message.id);
  }

  #made(place: PlaceName, type: string, more: object): { id: string } & Record<string, unknown> {
    const id = this.#graph.nextId();
    this.#graph.heard.add(id);
    return { from: placeOf(place).chat, id, timestamp: `${Math.floor(Date.now() / 1000)}`, type, ...more };
  }
}

/** A change as Meta sends it of such messages. */
export function messages(all: object[], more: object = {}): Change {
  const contacts = Object.entries(NAMES).map(([wa_id, name]) => ({ profile: { name }, wa_id }));
  return { field: 'messages', value: { ...ours, contacts, messages: all, ...more } };
}

export function statuses(all: object[]): Change {
  return { field: 'messages', value: { ...ours, statuses: all } };
}

const ours = {
  messaging_product: 'whatsapp',
  metadata: { display_phone_number: NUMBER, phone_number_id: NUMBER_ID },
};

export function signed(changes: Change[], secret = APP_SECRET): WebhookRequest {
  const payload = { object: 'whatsapp_business_account', entry: [{ id: '102290129340398', changes }] };
  const body = Buffer.from(JSON.stringify(payload));
  const digest = createHmac('sha256', secret).update(body).digest('hex');
  const headers = { 'content-type': 'application/json', 'x-hub-signature-256': `sha256=${digest}` };
  return { method: 'POST', path: '', query: '', headers, body };
}

export class WhatsappHook implements Hook {
  readonly #people: WhatsappPeople;

  constructor(people: WhatsappPeople) {
    this.#people = people;
  }

  request(saying: Saying): WebhookRequest {
    return signed([messages([this.#people.message(saying)])]);
  }

  forged(saying: Saying): WebhookRequest[] {
    const right = this.request(saying);
    const { 'x-hub-signature-256': signature = '', ...headers } = right.headers;
    const with_ = (value: string): WebhookRequest => ({
      ...right,
      headers: { ...headers, 'x-hub-signature-256': value },
    });
    return [
      { ...right, headers },
      signed([messages([this.#people.message(saying)])], 'f'.repeat(32)),
      { ...right, body: Buffer.from(right.body.toString('utf8').replace('hello', 'hullo')) },
      with_(''),
      with_('sha256='),
      with_(signature.slice(0, -2)),
      with_(`${signature}00`),
      with_(signature.replace('sha256=', '')),
      with_(signature.replace('sha256=', 'sha1=')),
    ];
  }
}
