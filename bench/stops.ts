import type { StopReceipt } from '../src/operations/stop_words.ts';
import { type FakeModel, startModel } from '../test/fakes/model.ts';
import { Install, spreadOf, Terminal, until } from './install.ts';
import { groupYaml } from './resources.ts';

/** How long `/stop` and the emergency stop take: from their write to the end of everything that the agent had running. */
const STOPS = { probe: 40, native: 20, claude: 10 } as const;

type Harness = keyof typeof STOPS;

interface World {
  install: Install;
  terminal: Terminal;
  harness: Harness;
  model: FakeModel;
}

/** Stops of a chat, in milliseconds: p99, each in the middle of a command that would run for an hour. */
export async function chatStop(harness: Harness): Promise<number> {
  return withGroup(harness, async (world) => {
    const times: number[] = [];
    for (let i = 0; i < STOPS[harness]; i += 1) times.push(await stop(world));
    return Math.round(spreadOf(times).p99);
  });
}

/**
 * Emergency stops of a group in the middle of such a command, in milliseconds: p99, as the operator's call takes it. `load`: messages a
 * second into another group meanwhile.
 */
export async function groupStop(harness: Harness, load: number): Promise<number> {
  return withGroup(harness, async (world) => {
    const others = load === 0 ? null : await Others.begin(world.install, load);
    const times: number[] = [];
    for (let i = 0; i < STOPS[harness]; i += 1) times.push(await emergency(world));
    await others?.end();
    return Math.round(spreadOf(times).p99);
  });
}

async function withGroup(harness: Harness, measure: (world: World) => Promise<number>): Promise<number> {
  const model = await startModel();
  const install = new Install();
  install.group('assistant', harness === 'probe' ? 'harness: probe\n' : groupYaml(harness, model));
  try {
    await install.start();
    await install.secret('anthropic', 'fake-secret-value');
    await install.settle();
    const terminal = new Terminal(install.control, 'stops');
    await terminal.open();
    const measured = await measure({ install, terminal, harness, model });
    terminal.close();
    return measured;
  } finally {
    await install.stop();
    await model.close();
  }
}

/** Resolves in the middle of a command. */
async function working({ install, terminal, harness, model }: World): Promise<void> {
  const asked = model.requests.length;
  const tool = { name: harness === 'claude' ? 'Bash' : 'bash', input: { command: 'sleep 3600' } };
  model.script = () => ({ tools: [tool] });
  // Its reply is that of the stop: the turn itself never has one.
  void terminal.ask('sleep 3600').catch(() => {});
  await until('the turn runs', async () => {
    if (harness !== 'probe' && model.requests.length === asked) throw new Error('no request yet');
    if ((await sandbox(install))?.state !== 'running') throw new Error('not yet');
  });
  await new Promise((resolve) => setTimeout(resolve, RUNS_MS));
}

async function stop(world: World): Promise<number> {
  await working(world);
  const began = performance.now();
  await world.terminal.ask('/stop');
  await until('the sandbox is gone', async () => {
    if ((await sandbox(world.install)) !== undefined) throw new Error('it is there');
  });
  return performance.now() - began;
}

/** What the receipt says must be so, or the figure is of nothing. */
async function emergency(world: World): Promise<number> {
  const { control } = world.install;
  await working(world);
  const began = performance.now();
  const receipt = await control.call<StopReceipt>('group_stop', { group: 'assistant' });
  const ms = performance.now() - began;
  if (receipt.ms === null || receipt.turns.length !== 1 || (await sandbox(world.install)) !== undefined)
    throw new Error(`not stopped: ${JSON.stringify(receipt)}`);
  await control.call('group_resume', { group: 'assistant' });
  return ms;
}

/** From the model's answer to its command's being at work. */
const RUNS_MS = 300;

async function sandbox(install: Install): Promise<{ state: string } | undefined> {
  interface Shown {
    group: string;
    state: string;
    pid: number | null;
  }
  const { sessions } = await install.control.call<{ sessions: Shown[] }>('status');
  return sessions.find(({ pid, group }) => pid !== null && group === 'assistant');
}

/** Another group, which answers in a few chats all the time. */
class Others {
  readonly #install: Install;
  readonly #timer: NodeJS.Timeout;
  #said = 0;
  #failed = 0;

  private constructor(install: Install, per_second: number) {
    this.#install = install;
    this.#timer = setInterval(() => this.#say(), 1000 / per_second);
  }

  static async begin(install: Install, per_second: number): Promise<Others> {
    await install.change('others', 'harness: probe\n');
    for (const chat of CHATS) {
      await install.control.call('say', { chat, text: '/help', key: `wire-${chat}` });
      await install.control.call('wiring_remove', { chat: `local:${chat}`, group: 'assistant' });
      await install.control.call('wiring_set', { chat: `local:${chat}`, group: 'others' });
      await new Terminal(install.control, chat).open();
    }
    return new Others(install, per_second);
  }

  #say(): void {
    this.#said += 1;
    const input = { chat: CHATS[this.#said % CHATS.length]!, text: `hello ${this.#said}`, key: `load-${this.#said}` };
    this.#install.control.call('say', input).catch(() => {
      this.#failed += 1;
    });
  }

  /** Rejects when the load was not taken: the figures are then of another one. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    if (this.#failed > this.#said / 100) throw new Error(`${this.#failed} of ${this.#said} messages were not taken`);
  }
}

const CHATS = ['one', 'two', 'three', 'four', 'five'];

/** Messages a second into another group, where there is a load. */
export const STOP_LOAD = 50;

if (import.meta.main)
  for (const harness of ['probe', 'native', 'claude'] as const) {
    console.log(`${harness}, /stop, p99`, await chatStop(harness), 'ms');
    for (const load of [0, STOP_LOAD])
      console.log(
        `${harness}, emergency stop, ${load} messages a second elsewhere, p99`,
        await groupStop(harness, load),
        'ms',
      );
  }
