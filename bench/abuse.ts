import { startModel } from '../test/fakes/model.ts';
import { TAKE_OVER } from '../test/fakes/take_over.ts';
import { rows } from '../test/fakes/terminal.ts';
import { Install, spreadOf, Terminal } from './install.ts';
import { groupYaml } from './resources.ts';

/**
 * What one session's abuse costs another one: warm replies of a quiet session while a hostile one does its worst, against
 * the same session's replies when nobody does, in turns within one run, so that other work of the machine meets both.
 */
export interface AbuseFigure {
  abuse: string;
  /** 95th percentiles of the round with the median ratio, in milliseconds. */
  quiet_ms: number;
  abused_ms: number;
  ratio: number;
}

const ROUNDS = 7;
const QUIET_MS = 600;
const ABUSED_MS = 900;
/** From the order to the abuse being under way. */
const LEAD_MS = 400;
const ABUSE_SECONDS = (LEAD_MS + ABUSED_MS) / 1000 + 0.1;

/** Commands of the hostile session; each is ended by its shell after `ABUSE_SECONDS`. */
const ABUSES: Record<string, string> = {
  'every processor busy': 'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do while :; do :; done & done',
  'a fork bomb': 'b() { b | b & }; b 2>/dev/null',
  'memory to its limit': 'while :; do tail /dev/zero; done & ',
  'writes with fsync': 'while :; do dd if=/dev/zero of=fill bs=1M count=32 conv=fsync 2>/dev/null; done & ',
  'output without end': 'node take_over.mjs output.js',
  'frames up to their limit': 'node take_over.mjs frames.js',
};

/** Tool reports at half of the allowed rate; each is a row of the ledger. */
const frames = (
  turn: number,
): string => `const end = Date.now() + ${ABUSE_SECONDS * 1000}; const each = setInterval(() => {
  if (Date.now() > end) return clearInterval(each);
  for (let i = 0; i < 10; i += 1) send({ t: 'tool', turn: ${turn}, tool: 'flood', ok: true, ms: 0, summary: 'x'.repeat(200) });
}, 10);`;

/** Lines on the runner's own standard output, which the host reads. */
const OUTPUT = `const { writeSync } = process.getBuiltinModule('node:fs'); const lines = Buffer.alloc(65536, 'x'.repeat(99) + '\\n');
const end = Date.now() + ${ABUSE_SECONDS * 1000}; while (Date.now() < end) try { writeSync(1, lines); } catch {}`;

/** Those whose name contains `only`. */
export async function abuseFigures(only = ''): Promise<AbuseFigure[]> {
  const model = await startModel();
  const install = new Install();
  install.group('hostile', `${groupYaml('native', model)}limits: {memory: 512MiB, pids: 128}\n`);
  install.install('default_group: hostile\n');
  try {
    await install.start();
    await install.secret('anthropic', 'fake-secret-value');
    // Its chat stays with the group that it begins in; the quiet one's replies shall not wait for a model.
    const begun = await opened(install, 'hostile');
    await order(begun, 'true');
    begun.close();
    install.group('quiet', 'harness: probe\n');
    install.install('default_group: quiet\n');
    await install.end('host', 'SIGTERM');
    install.spawn('host');
    await install.ready();
    const hostile = await opened(install, 'hostile');
    await order(hostile, `cat > take_over.mjs <<'END'\n${TAKE_OVER}\nEND\ncat > output.js <<'END'\n${OUTPUT}\nEND`);
    const quiet = await opened(install, 'quiet');
    for (let i = 0; i < 200; i += 1) await quiet.ask('warming up');
    const figures: AbuseFigure[] = [];
    for (const [abuse, command] of Object.entries(ABUSES).filter(([name]) => name.includes(only)))
      figures.push(await figure(install, quiet, hostile, abuse, command));
    return figures;
  } finally {
    await install.stop();
    await model.close();
  }
}

/** Resolves when the command has ended in the agent's shell. Throws when no shell ran it: figures without abuse are none. */
async function order(agent: Terminal, command: string): Promise<void> {
  const { body } = await agent.ask(`tool bash ${JSON.stringify({ command })}`);
  if (!body.startsWith('tool said')) throw new Error(`the hostile session ran no command: ${body.slice(0, 200)}`);
}

async function figure(
  install: Install,
  quiet: Terminal,
  hostile: Terminal,
  abuse: string,
  command: string,
): Promise<AbuseFigure> {
  const pairs: { quiet_ms: number; abused_ms: number; ratio: number }[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const calm = await replies(quiet, QUIET_MS);
    const [last] = rows<{ id: number }>(install, 'SELECT max(id) AS id FROM turns');
    const own = `cat > frames.js <<'END'\n${frames(last!.id + 1)}\nEND`;
    const ended = order(hostile, `${own}\n${command}\nsleep ${ABUSE_SECONDS}`);
    await sleep(LEAD_MS);
    const abused = await replies(quiet, ABUSED_MS);
    await ended;
    const [quiet_ms, abused_ms] = [spreadOf(calm).p95, spreadOf(abused).p95];
    pairs.push({ quiet_ms, abused_ms, ratio: Number((abused_ms / quiet_ms).toFixed(2)) });
  }
  pairs.sort((a, b) => a.ratio - b.ratio);
  return { abuse, ...pairs[Math.floor(pairs.length / 2)]! };
}

async function replies(terminal: Terminal, for_ms: number): Promise<number[]> {
  const times: number[] = [];
  const end = performance.now() + for_ms;
  while (performance.now() < end) times.push((await terminal.ask('are you there?')).ms);
  return times;
}

async function opened(install: Install, chat: string): Promise<Terminal> {
  const terminal = new Terminal(install.control, chat);
  await terminal.open();
  return terminal;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

if (import.meta.main) console.table(await abuseFigures(process.argv[2]));
