import type { ButtonPress, IncomingMessage, Sink } from '../channel.ts';
import { discord } from '../dialects/discord.ts';
import type { DriverParts } from '../kind.ts';
import type { Api } from './api.ts';
import type { Guilds } from './guilds.ts';
import type { Inbox } from './inbox.ts';
import { keyOf, whereOf } from './incoming.ts';
import * as payloads from './payloads.ts';
import { msOf } from './snowflakes.ts';

const COMMAND = 2;
const COMPONENT = 3;
const BUTTON = 2;
/** Answers: "wait, for you alone", and nothing to be seen yet. */
const DEFERRED = 5;
const DEFERRED_UPDATE = 6;
const EPHEMERAL = 1 << 6;

/**
 * Buttons and commands of the menu. Discord shows an error after three seconds and never brings one again once it is answered;
 * so it is answered before this looks further, and what came of it is shown to that person alone.
 */
export class Interactions {
  readonly #api: Api;
  readonly #guilds: Guilds;
  readonly #inbox: Inbox;
  readonly #sink: Sink;
  readonly #log: DriverParts['log'];

  constructor(api: Api, guilds: Guilds, inbox: Inbox, sink: Sink, log: DriverParts['log']) {
    this.#api = api;
    this.#guilds = guilds;
    this.#inbox = inbox;
    this.#sink = sink;
    this.#log = log;
  }

  /** Never rejects. */
  async take(data: unknown): Promise<void> {
    const read = payloads.interaction.safeParse(data);
    const by = read.data?.member?.user ?? read.data?.user;
    if (!read.success || by === undefined) return this.#inbox.keep('INTERACTION_CREATE', data, '').catch(() => {}); // we have stopped
    const interaction = read.data;
    if (interaction.channel !== undefined) this.#guilds.add([interaction.channel]);
    const { name } = this.#guilds.meet(by, interaction.member?.nick);
    const sender = { handle: by.id, name };
    switch (interaction.type) {
      case COMPONENT:
        return this.#pressed(interaction, sender);
      case COMMAND:
        return this.#commanded(interaction, sender);
      default:
        // Nothing of the kind is asked for.
        return;
    }
  }

  async #pressed(interaction: payloads.Interaction, sender: IncomingMessage['sender']): Promise<void> {
    const { id, message, data } = interaction;
    if (data.component_type !== BUTTON || data.custom_id === undefined || message === undefined) return;
    await this.#answer(interaction, { type: DEFERRED_UPDATE });
    const say = (text: string) => this.#followUp(interaction, 'POST', '', text);
    try {
      const press: ButtonPress = {
        ...(await this.#common(interaction, sender)),
        ...{ token: data.custom_id, platform_id: message.id, dedupe_key: `${keyOf(id)}:pressed` },
      };
      const { answer } = await this.#sink.pressed(press);
      if (answer !== '') await say(answer);
    } catch {
      this.#log('warn', 'discord.not_kept', { kind: 'press' });
      await say('That could not be kept; press it once more.');
    }
  }

  /** A command is what its person would have typed. */
  async #commanded(interaction: payloads.Interaction, sender: IncomingMessage['sender']): Promise<void> {
    const { id, channel_id, data } = interaction;
    if (data.name === undefined) return;
    await this.#answer(interaction, { type: DEFERRED, data: { flags: EPHEMERAL } });
    const words = (data.options ?? []).map(({ value }) => String(value)).filter((value) => value !== '');
    const text = [`/${data.name}`, ...words].join(' ');
    const kept = async (): Promise<void> => {
      const common = await this.#common(interaction, sender);
      const message = { dedupe_key: keyOf(id), platform_id: id, addressed: true, text, files: [] };
      await this.#sink.accept({ ...common, ...message });
    };
    try {
      await this.#inbox.insist(channel_id, kept);
    } catch {
      return; // we have stopped
    }
    await this.#followUp(interaction, 'PATCH', '/messages/@original', text);
  }

  async #common({ id, channel_id, guild_id }: payloads.Interaction, sender: IncomingMessage['sender']) {
    const spot = await this.#guilds.spot(channel_id, guild_id, sender.name);
    return { ...whereOf(spot), sender, sent_ms: msOf(id) };
  }

  /** What becomes of it is nobody's business: the chat is told what matters. */
  async #answer({ id, token }: payloads.Interaction, body: object): Promise<void> {
    await this.#api.call('POST', `/interactions/${id}/${token}/callback`, payloads.anything, { body, bare: true });
  }

  async #followUp(
    { application_id, token }: payloads.Interaction,
    method: 'POST' | 'PATCH',
    more: string,
    text: string,
  ): Promise<void> {
    const body = { content: discord.text(text), flags: EPHEMERAL, allowed_mentions: { parse: [] } };
    const route = `/webhooks/${application_id}/${token}${more}` as const;
    await this.#api.call(method, route, payloads.anything, { body, bare: true });
  }
}
