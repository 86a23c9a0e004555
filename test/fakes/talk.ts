import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ROOT } from '../../src/base/paths.ts';
import type { Trace } from '../../src/evidence/trace.ts';
import { Install, until } from './install.ts';
import { rows } from './terminal.ts';

/** An install on the fake platform, and the people there. */
export interface Sent {
  id: number;
  chat: string;
  thread: string;
  text: string;
  /** What it said before it was edited. */
  texts?: string[];
  /** The message that it quotes. */
  quotes?: string;
  buttons?: { token: string; label: string }[];
  card?: { title: string; text: string; fields: { name: string; value: string }[] };
  file?: { name: string; text: string } | null;
}

interface More {
  name?: string;
  thread?: string;
  mention?: boolean;
  kind?: 'bot' | 'self';
  reply_to?: number;
  forwarded?: boolean;
  files?: { name: string; data: Buffer }[];
}

export class Talk {
  readonly install: Install;
  readonly #url: string;
  readonly #platform: ChildProcess;

  /** Where the platform is, for a driver of its own. */
  get url(): string {
    return this.#url;
  }

  private constructor(url: string, platform: ChildProcess, root: string, env: NodeJS.ProcessEnv) {
    this.#url = url;
    this.#platform = platform;
    this.install = new Install(undefined, root, { ...env, GLASS_TEST_PLATFORM: url });
  }

  /** A platform with nobody on it yet, and a home that is not started. `env`: more of its processes' environment. */
  static async make(root = ROOT, env: NodeJS.ProcessEnv = {}): Promise<Talk> {
    const platform = spawn(process.execPath, [join(ROOT, 'test/fakes/platform.ts')], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const port = await new Promise<string>((resolve) =>
      createInterface({ input: platform.stdout! }).once('line', resolve),
    );
    return new Talk(`http://127.0.0.1:${port}`, platform, root, env);
  }

  async end(): Promise<void> {
    await this.install.stop();
    this.#platform.kill('SIGKILL');
  }

  call<T>(operation: string, input: object = {}): Promise<T> {
    return this.install.control.call<T>(operation, input);
  }

  /** Somebody writes. Resolves with the platform's id of the message once the host has taken it. */
  async say(chat: string, from: string, text: string, more: More = {}): Promise<string> {
    const files = more.files?.map(({ name, data }) => ({ name, data: data.toString('base64') }));
    return this.#post('/people/say', { chat, from, text, ...more, files });
  }

  async press(chat: string, from: string, token: string): Promise<string> {
    return this.#post('/people/press', { chat, from, token });
  }

  async echo(): Promise<void> {
    await fetch(`${this.#url}/people/echo`, { method: 'POST', body: '{}' });
  }

  async #post(path: string, body: object): Promise<string> {
    const response = await fetch(`${this.#url}${path}`, { method: 'POST', body: JSON.stringify(body) });
    const { id } = (await response.json()) as { id: number };
    await until(`message ${id} is taken`, async () => {
      if (this.states(String(id)).length === 0) throw new Error('not yet');
    });
    return String(id);
  }

  /** Something is done to a message: `edit`, `deleted` or `emoji`. Resolves once the host has taken it. */
  async change(chat: string, from: string, message: string, what: object): Promise<void> {
    const body = JSON.stringify({ chat, from, message: Number(message), ...what });
    const response = await fetch(`${this.#url}/people/change`, { method: 'POST', body });
    const { id } = (await response.json()) as { id: number };
    await until(`change ${id} is taken`, async () => {
      const taken = rows(this.install, 'SELECT id FROM changes WHERE dedupe_key = ?', `platform:${id}`);
      if (taken.length === 0) throw new Error('not yet');
    });
  }

  /** What the bot has done on the platform. */
  async journal(): Promise<{
    sent: Sent[];
    reactions: { message: string; emoji: string }[];
    typing: { chat: string; thread: string }[];
    menu: { name: string; summary: string }[];
  }> {
    const response = await fetch(`${this.#url}/journal`);
    return (await response.json()) as Awaited<ReturnType<Talk['journal']>>;
  }

  async sent(chat: string): Promise<Sent[]> {
    return (await this.journal()).sent.filter((message) => message.chat === chat);
  }

  /** Waits until the chat has been sent something that matches, after the first `from` messages; resolves with it. */
  hears(chat: string, what: RegExp, from = 0): Promise<Sent> {
    return until(`${chat} hears ${what}`, async () => {
      const sent = (await this.sent(chat)).slice(from);
      const found = sent.find(({ text }) => what.test(text));
      if (found === undefined) throw new Error(`heard: ${JSON.stringify(sent.map(({ text }) => text.slice(0, 200)))}`);
      return found;
    });
  }

  /** State and reason of each row of a message, by the platform's id of it. */
  states(platformId: string): string[] {
    const sql = `SELECT i.state || CASE i.reason WHEN '' THEN '' ELSE ': ' || i.reason END AS state
      FROM inbound i JOIN messages m ON m.id = i.message_id JOIN chats c ON c.id = m.chat_id
      WHERE m.platform_id = ? AND c.channel = 'platform' ORDER BY i.id`;
    return rows<{ state: string }>(this.install, sql, platformId).map(({ state }) => state);
  }

  /** Waits until each row of a message is in the state that is given. */
  settles(platformId: string, ...states: string[]): Promise<void> {
    return until(`message ${platformId} is ${states.join(' and ')}`, async () => {
      const found = this.states(platformId);
      if (JSON.stringify(found) !== JSON.stringify(states)) throw new Error(JSON.stringify(found));
    });
  }

  /** Waits until no message waits or runs, and none is on its way to another agent: what is said next joins no turn. */
  rests(): Promise<void> {
    const open = `SELECT (SELECT count(*) FROM inbound WHERE state IN ('queued', 'running'))
      + (SELECT count(*) FROM outbound o JOIN chats c ON c.id = o.chat_id
         WHERE c.channel = 'agents' AND o.state IN ('queued', 'sending', 'retry')) AS n`;
    return until('nothing is left to do', async () => {
      const n = this.count(open);
      if (n > 0) throw new Error(`${n} messages`);
    });
  }

  async kinds(platformId: string): Promise<string[]> {
    const { steps } = await this.call<Trace>('trace', { message: platformId });
    return steps.map(({ kind }) => kind);
  }

  /** Data of every event of a kind, oldest first. */
  events(kind: string): Record<string, unknown>[] {
    const found = rows<{ data: string }>(this.install, 'SELECT data FROM events WHERE kind = ? ORDER BY id', kind);
    return found.map(({ data }) => JSON.parse(data));
  }

  count(sql: string): number {
    return rows<{ n: number }>(this.install, sql)[0]!.n;
  }

  /** A person who is known on the platform. */
  async known(handle: string, role: 'owner' | 'admin' | 'member' | null, group = ''): Promise<string> {
    const identity = { channel: 'platform', handle };
    const { id } = await this.call<{ id: string }>('person_add', { name: handle, identity, role, group });
    return id;
  }

  async wire(chat: string, group: string, terms: object = {}): Promise<void> {
    await this.call('wiring_set', { chat: `platform:${chat}`, group, ...terms });
  }

  async policy(chat: string, policy: 'strict' | 'ask' | 'public'): Promise<void> {
    await this.call('wiring_policy', { chat: `platform:${chat}`, policy });
  }

  /** The card about a message, wherever it was shown first: what it says, its code and its buttons. */
  async card(
    platformId: string,
    chat: string,
  ): Promise<{ id: string; code: string; text: string; token: (label: string) => string }> {
    const held = await until(`message ${platformId} is held`, async () => {
      const found = /^held: (h\d+)$/.exec(this.states(platformId)[0] ?? '')?.[1];
      if (found === undefined) throw new Error(this.states(platformId).join());
      return found;
    });
    const { text, buttons } = await this.hears(chat, new RegExp(`^${held}:`));
    const code = /(?:approve|choose|deny) ([0-9a-f]{4})/.exec(text)![1]!;
    return { id: held, code, text, token: (label) => buttons!.find((button) => button.label === label)!.token };
  }
}
