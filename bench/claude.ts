import { availableParallelism } from 'node:os';
import { startModel } from '../test/fakes/model.ts';
import { BareClaude } from './bare_claude.ts';
import { Install, Terminal } from './install.ts';
import { groupYaml, toRequest } from './resources.ts';

const PAIRED_TURNS = 40;
/** Where nothing is promised. */
const PAIRED_TURNS_NOTED = 16;
const WARMING = 4;
/** Between two turns: what a turn leaves running is over, and a processor limit starts afresh. */
const PAUSE_MS = 250;

/**
 * What the platform adds to the SDK's own time from a message to its request's arrival at the model: the median of the
 * differences of turns taken in turns. Without a limit of processors, as the SDK by itself has none; see `limits.cpus`.
 */
export async function addedToBareClaude(): Promise<{ limited_ms: number; free_ms: number }> {
  const bare = await BareClaude.start();
  try {
    const free_ms = await addedTo(bare, PAIRED_TURNS, `limits: {cpus: ${Math.max(1, availableParallelism())}}\n`);
    return { free_ms, limited_ms: await addedTo(bare, PAIRED_TURNS_NOTED, '') };
  } finally {
    await bare.close();
  }
}

async function addedTo(bare: BareClaude, turns: number, limits: string): Promise<number> {
  const model = await startModel();
  const install = new Install();
  install.group('assistant', groupYaml('claude', model) + limits);
  try {
    await install.start();
    await install.secret('anthropic', 'fake-secret-value');
    await install.settle();
    const terminal = new Terminal(install.control, 'model');
    await terminal.open();
    await terminal.ask('hello');
    const added: number[] = [];
    for (let i = 0; i < turns; i += 1) {
      const alone = await bare.turn();
      await sleep(PAUSE_MS);
      added.push((await toRequest(terminal, model, `question-${i}`)) - alone);
      await sleep(PAUSE_MS);
    }
    terminal.close();
    const measured = added.slice(WARMING).toSorted((a, b) => a - b);
    return Number((measured[Math.floor(measured.length / 2)] ?? Number.NaN).toFixed(1));
  } finally {
    await install.stop();
    await model.close();
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
