import { type FakeModel, startModel } from '../test/fakes/model.ts';
import { Install, Terminal, until } from './install.ts';
import { groupYaml } from './resources.ts';

/** How long `/stop` takes: from its write to the end of everything that the agent had running. */
const STOPS = { probe: 10, native: 6, claude: 4 } as const;

/** The slowest of some stops, in milliseconds, each in the middle of a command that would run for an hour. */
export async function slowestStop(harness: keyof typeof STOPS): Promise<number> {
  const model = await startModel();
  const install = new Install();
  install.group('assistant', harness === 'probe' ? 'harness: probe\n' : groupYaml(harness, model));
  try {
    await install.start();
    await install.secret('anthropic', 'fake-secret-value');
    await install.settle();
    const terminal = new Terminal(install.control, 'stops');
    await terminal.open();
    const times: number[] = [];
    for (let i = 0; i < STOPS[harness]; i += 1) times.push(await stop(install, terminal, harness, model));
    terminal.close();
    return Math.round(Math.max(...times));
  } finally {
    await install.stop();
    await model.close();
  }
}

async function stop(install: Install, terminal: Terminal, harness: string, model: FakeModel): Promise<number> {
  const asked = model.requests.length;
  const tool = { name: harness === 'claude' ? 'Bash' : 'bash', input: { command: 'sleep 3600' } };
  model.script = () => ({ tools: [tool] });
  // Its reply is that of `/stop`: the turn itself never has one.
  void terminal.ask('sleep 3600').catch(() => {});
  await until('the turn runs', async () => {
    if (harness !== 'probe' && model.requests.length === asked) throw new Error('no request yet');
    if ((await sandbox(install))?.state !== 'running') throw new Error('not yet');
  });
  await new Promise((resolve) => setTimeout(resolve, RUNS_MS));
  const began = performance.now();
  await terminal.ask('/stop');
  await until('the sandbox is gone', async () => {
    if ((await sandbox(install)) !== undefined) throw new Error('it is there');
  });
  return performance.now() - began;
}

/** From the model's answer to its command's being at work. */
const RUNS_MS = 300;

async function sandbox(install: Install): Promise<{ state: string } | undefined> {
  const { sessions } = await install.control.call<{ sessions: { state: string; pid: number | null }[] }>('status');
  return sessions.find(({ pid }) => pid !== null);
}

if (import.meta.main)
  for (const harness of ['probe', 'native', 'claude'] as const) console.log(harness, await slowestStop(harness));
