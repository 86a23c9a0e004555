import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';
import { ROOT } from '../src/base/paths.ts';
import { type FakeModel, startModel } from '../test/fakes/model.ts';

/**
 * The Claude Agent SDK by itself, with the same short prompt and tools and nothing of ours around it: from a message's
 * hand-over to its request's arrival at the model. What the platform adds is the difference to this.
 */
export class BareClaude {
  readonly #model: FakeModel;
  readonly #home = mkdtempSync(join(tmpdir(), 'gb-bare-'));
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #arrivals = new Map<string, number>();
  #turns = 0;

  private constructor(model: FakeModel) {
    this.#model = model;
    model.script = (request) => {
      const text = /question-\d+-of-the-bare-sdk/.exec(request.lastText)?.[0];
      if (text !== undefined && !this.#arrivals.has(text))
        this.#arrivals.set(text, performance.timeOrigin + performance.now());
      return { text: 'yes' };
    };
    this.#process = spawn(process.execPath, [import.meta.filename, model.origin, this.#home], {
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    this.#lines = createInterface({ input: this.#process.stdout! })[Symbol.asyncIterator]();
  }

  static async start(): Promise<BareClaude> {
    return new BareClaude(await startModel());
  }

  /** One turn; milliseconds until its request arrived. */
  async turn(): Promise<number> {
    const text = `question-${this.#turns++}-of-the-bare-sdk`;
    this.#process.stdin!.write(`${text}\n`);
    const handed = Number((await this.#lines.next()).value);
    await this.#lines.next();
    return (this.#arrivals.get(text) ?? Number.NaN) - handed;
  }

  async close(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#model.close();
    rmSync(this.#home, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

/** The other process: for each line a turn; writes when it was handed over, and a line when it is over. */
async function run(origin: string, home: string): Promise<void> {
  const sdk = pathToFileURL(
    join(ROOT, 'sandbox/harnesses/claude/node_modules/@anthropic-ai/claude-agent-sdk/sdk.mjs'),
  ).href;
  const { query } = await import(sdk);
  async function* input() {
    for await (const text of createInterface({ input: process.stdin })) {
      console.log(performance.timeOrigin + performance.now());
      yield { type: 'user', parent_tool_use_id: null, message: { role: 'user', content: [{ type: 'text', text }] } };
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
  for await (const message of query({ prompt: input(), options })) if (message.type === 'result') console.log('over');
}

if (import.meta.main) await run(process.argv[2]!, process.argv[3]!);
