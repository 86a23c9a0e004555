import assert from 'node:assert/strict';
import type { ChannelShown } from '../../src/operations/channels.ts';
import { Install, until } from '../fakes/install.ts';
import type { Account, ChannelUnderTest } from './channel_scene.ts';

/** A whole install with one channel on the fake of its platform: the real host, the driver in its thread, real sandboxes. */
export class ChannelInstall {
  readonly install = new Install();
  readonly account: Account;
  readonly name: string;

  private constructor(subject: ChannelUnderTest, account: Account) {
    this.name = subject.kind.kind;
    this.account = account;
    const block = { kind: subject.kind.kind, ...account.parts.settings };
    this.install.group('assistant', 'harness: probe\nlimits: {idle: 60s}\n');
    this.install.install(JSON.stringify({ channels: { [this.name]: block } }));
  }

  /** Resolves when it is connected; `person` is its owner, and is answered in their direct chat. */
  static async of(subject: ChannelUnderTest): Promise<ChannelInstall> {
    const made = new ChannelInstall(subject, await subject.start());
    const { install, account, name } = made;
    await install.start();
    for (const [part, value] of Object.entries(account.parts.secrets))
      await install.secret(`${name}-${part}`, value, { form: { kind: 'channel' }, hosts: [] });
    const identity = { channel: name, handle: account.handle('person') };
    await install.control.call('person_add', { name: 'Olga', identity, role: 'owner' });
    const chat = `${name}:${account.place('direct').chat}`;
    await install.control.call('wiring_set', { chat, group: 'assistant', engage: 'always', session: 'chat' });
    await made.connected();
    return made;
  }

  async connected(): Promise<ChannelShown> {
    return until(`${this.name} is connected`, async () => {
      const shown = await this.install.control.call<ChannelShown>('channel_show', { name: this.name });
      assert.equal(shown.state, 'connected', shown.detail);
      return shown;
    });
  }

  async say(text: string): Promise<void> {
    await this.account.people.say({ place: 'direct', from: 'person', text });
  }

  /** What was said to `person` that has these words. */
  heard(words: string): string[] {
    const { chat } = this.account.place('direct');
    return this.account
      .sent()
      .flatMap((sent) => (sent.chat === chat && sent.shown.includes(words) ? [sent.shown] : []));
  }

  async end(): Promise<void> {
    await this.install.stop();
    await this.account.stop();
  }
}
