import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { ROOT } from '../src/base/paths.ts';
import { startModel } from '../test/fakes/model.ts';

/**
 * The Claude Agent SDK by itself, with the same short prompt and tools and nothing of ours around it: from a message's
 * hand-over to its request's arrival at the model. What the platform adds is the difference to this.
 */
const TURNS = 15;

/** Median milliseconds of warm turns. */
export async function bareClaudeMs(): Promise<number> {
  const arrivals = new Map<string, number>();
  const model = await startModel({
    script: (request) => {
      const text = /question-\d+-of-the-bare-sdk/.exec(request.lastText)?.[0];
      if (text !== undefined && !arrivals.has(text)) arrivals.set(text, performance.timeOrigin + performance.now());
      return { text: 'yes' };
    },
  });
  const home = mkdtempSync(join(tmpdir(), 'gb-bare-'));
  const child = spawn(process.execPath, [import.meta.filename, model.origin, home], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const handed: { text: string; at: number }[] = [];
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      handed.push(JSON.parse(line));
      if (handed.length === TURNS) break;
    }
  } finally {
    child.kill('SIGKILL');
    await model.close();
    rmSync(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
  const warm = handed
    .slice(1, -1)
    .map(({ text, at }) => (arrivals.get(text) ?? Number.NaN) - at)
    .toSorted((a, b) => a - b);
  return Number((warm[Math.floor(warm.length / 2)] ?? Number.NaN).toFixed(1));
}

/** The other process: says what it handed over, and when. */
async function run(origin: string, home: string): Promise<void> {
  const sdk = pathToFileURL(
    join(ROOT, 'sandbox/harnesses/claude/node_modules/@anthropic-ai/claude-agent-sdk/sdk.mjs'),
  ).href;
  const { query } = await import(sdk);
  let answered: () => void = () => {};
  async function* input() {
    for (let turn = 0; turn < TURNS; turn += 1) {
      const text = `question-${turn}-of-the-bare-sdk`;
      const done = new Promise<void>((resolve) => {
        answered = resolve;
      });
      console.log(JSON.stringify({ text, at: performance.timeOrigin + performance.now() }));
      yield { type: 'user', parent_tool_use_id: null, message: { role: 'user', content: [{ type: 'text', text }] } };
      await done;
    }
  }
  const options = {
    model: 'scripted',
    systemPrompt: 'You are a personal assistant.',
    cwd: home,
    settingSources: [],
    tools: ['Bash', 'Read', 'Write', 'Edit'],
    permissionMode: 'bypassPermissions',
    allowDangerouslySkipPermissions: true,
    env: {
      PATH: process.env['PATH'],
      HOME: home,
      IS_SANDBOX: '1',
      ANTHROPIC_BASE_URL: origin,
      ANTHROPIC_API_KEY: 'fake-key',
      CLAUDE_CONFIG_DIR: join(home, 'claude'),
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    },
  };
  for await (const message of query({ prompt: input(), options })) if (message.type === 'result') answered();
}

if (import.meta.main) await run(process.argv[2]!, process.argv[3]!);
