import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../../src/base/paths.ts';
import type { ChannelShown } from '../../src/operations/channels.ts';
import { until } from '../fakes/install.ts';
import { echoScript, type FakeModel, type ModelRequest, startModel } from '../fakes/model.ts';
import type { Answer } from '../fakes/model_replies.ts';
import { remove } from '../fakes/remove.ts';
import { Talk } from '../fakes/talk.ts';
import { rows } from '../fakes/terminal.ts';
import { TokenService } from '../fakes/token_service.ts';
import { placesEnv, TestAuthority, Upstream } from '../fakes/upstream.ts';
import type { Account, ChannelUnderTest } from './channel_scene.ts';
import { requireHarness } from './harness_bench.ts';

/** Of GitHub; no sandbox may ever hold it. */
export const TOKEN = 'fake-github-token-of-the-operator';

/**
 * An operator with an install on the fake platform, and the services that templates name, under their own names and on their own
 * port. A group is made as a person makes it: by `glass group new` and the lines that it prints, pasted into a shell as they are. Of its
 * file one thing is changed: which agent loop asks which model.
 */
export class TemplateWorld {
  readonly authority = new TestAuthority();
  readonly api = new Upstream('api.github.com', this.authority);
  readonly code = new Upstream('github.com', this.authority);
  readonly calendar = new Upstream('www.googleapis.com', this.authority);
  readonly login = new Upstream('oauth2.googleapis.com', this.authority);
  readonly tokens = new TokenService();
  readonly #accounts: Account[] = [];
  readonly folder = mkdtempSync(join(tmpdir(), 'gt-'));
  talk!: Talk;
  model!: FakeModel;

  get #services(): Upstream[] {
    return [this.api, this.code, this.calendar, this.login];
  }

  /** Alma is an admin, Bob a member of every group. */
  async start(): Promise<void> {
    await requireHarness('native');
    await Promise.all(this.#services.map((service) => service.listen()));
    this.login.handler = this.tokens.handler;
    this.model = await startModel();
    this.talk = await Talk.make(ROOT, placesEnv(this.#services));
    const { install } = this.talk;
    install.install(`upstream_ca: ${this.authority.write(this.folder)}\n`);
    await install.start();
    await install.secret('anthropic', 'sk-scripted-0123456789');
    await this.talk.known('alma', 'admin');
    await this.talk.known('bob', 'member');
  }

  /** Before each test: nobody has been asked yet, and the model does what a message says. */
  reset(): void {
    for (const service of this.#services) service.received.length = 0;
    this.model.requests.length = 0;
    this.model.script = echoScript;
  }

  async stop(): Promise<void> {
    await this.talk?.end();
    for (const account of this.#accounts) await account.stop();
    await this.model?.close();
    await Promise.all(this.#services.map((service) => service.close()));
    remove(this.folder);
  }

  /** A channel of its own on the fake of its platform, added to the running install; `person` there is a member. */
  async channel({ kind: { kind }, start }: ChannelUnderTest): Promise<Account> {
    const { install } = this.talk;
    const account = await start();
    this.#accounts.push(account);
    const { settings, secrets } = account.parts;
    for (const [part, value] of Object.entries(secrets))
      await install.secret(`${kind}-${part}`, value, { form: { kind: 'channel' }, hosts: [] });
    await this.talk.call('channel_add', { name: kind, kind, settings });
    const identity = { channel: kind, handle: account.handle('person') };
    await this.talk.call('person_add', { name: 'Zoe', identity, role: 'member', group: '' });
    await until(`${kind} is connected`, async () => {
      const { state, detail } = await this.talk.call<ChannelShown>('channel_show', { name: kind });
      assert.equal(state, 'connected', detail);
    });
    return account;
  }

  /** Makes a group and follows each printed step; its tasks. `chat`: of the fake platform, or `<channel>:<chat>`. */
  make(group: string, chat: string, set: Record<string, string>, template = group, harness = 'native'): string[] {
    const { install } = this.talk;
    const values = Object.entries(set).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
    const words = [
      'group',
      'new',
      group,
      '--template',
      template,
      ...values,
      '--to',
      chat.includes(':') ? chat : `platform:${chat}`,
    ];
    const { status, stdout, stderr } = install.glass(...words);
    assert.equal(status, 0, stderr);
    const { yaml } = install.paths.group(group);
    writeFileSync(yaml, scripted(readFileSync(yaml, 'utf8'), this.model.origin, harness));
    for (const line of stdout.split('\n').filter((text) => text.startsWith('     ./glass '))) this.#paste(line.trim());
    const sql = 'SELECT id FROM tasks WHERE group_name = ? ORDER BY id';
    return rows<{ id: number }>(install, sql, group).map(({ id }) => `k${id}`);
  }

  #paste(line: string): void {
    const read = spawnSync('/bin/sh', ['-c', `words() { printf '%s\\0' "$@"; }; ${line.replace('./glass', 'words')}`], {
      encoding: 'utf8',
    });
    assert.equal(read.status, 0, read.stderr);
    const words = read.stdout.split('\0').slice(0, -1);
    const isApply = words[0] === 'group' && words[1] === 'apply';
    const { status, stderr } = this.talk.install.typed(this.#typed(words), ...words, ...(isApply ? ['--yes'] : []));
    assert.equal(status, 0, `${line}: ${stderr}`);
  }

  /** What the operator types when a secret is asked for. */
  #typed(words: string[]): string {
    if (words[0] !== 'secret') return '';
    const token_url = `https://${this.login.host}/token`;
    return words.includes('oauth2') ? JSON.stringify({ ...this.tokens.credentials, token_url }) : TOKEN;
  }

  /** Runs a task now and resolves with the state of that run once it has ended. */
  async run(task: string): Promise<string> {
    await this.talk.call('task_run', { task });
    return until(`the run of ${task} ends`, async () => {
      const sql = 'SELECT state, reason FROM task_runs WHERE task_id = ? ORDER BY id DESC LIMIT 1';
      const [run] = rows<{ state: string; reason: string }>(this.talk.install, sql, Number(task.slice(1)));
      if (run === undefined || run.state === 'running') throw new Error(JSON.stringify(run));
      return `${run.state}${run.reason === '' ? '' : `: ${run.reason}`}`;
    });
  }

  /** What the model says, one after the other, of each request that it gets. */
  script(...answers: ((request: ModelRequest) => Answer)[]): void {
    let at = 0;
    this.model.script = (request) => {
      const answer = answers[Math.min(at, answers.length - 1)]!;
      at += 1;
      return answer(request);
    };
  }

  /** Bob has the agent run a command; resolves with the card that Alma is then shown. */
  async asked(
    chat: string,
    command: string,
  ): Promise<{ id: string; text: string; press(label: string): Promise<void> }> {
    const before = (await this.talk.sent('dm-alma')).length;
    await this.talk.say(chat, 'bob', `tool bash ${JSON.stringify({ command, seconds: 300 })}`);
    const { text, buttons } = await this.talk.hears('dm-alma', /^h\d+: [a-z-]+ asks to send this/, before);
    const press = async (label: string): Promise<void> => {
      await this.talk.press('dm-alma', 'alma', buttons!.find((one) => one.label === label)!.token);
    };
    return { id: /^h\d+/.exec(text)![0], text, press };
  }
}

/** Two lines of every template say which agent loop and which model it has. */
export function scripted(yaml: string, origin: string, loop = 'native'): string {
  const [harness, model] = [/^harness: auto .*$/m, /^model:(?: \{.*\}|(?:\n {2}.*)+)$/m];
  assert.match(yaml, harness);
  assert.match(yaml, model);
  return yaml.replace(harness, `harness: ${loop}`).replace(model, `model: {upstream: "${origin}"}`);
}

/** Method and target of what a service was sent. */
export function requestsTo(service: Upstream): string[] {
  return service.received.map(({ method, target }) => `${method} ${target}`);
}
