import { unreachable } from '../base/errors.ts';
import { type SessionRow, sessionById } from '../ledger/sessions.ts';
import type { RunnerFrame } from '../protocol/frames.ts';
import { type ChunkResult, FileReceiver, fileReceipt } from './files.ts';
import type { HopRecorder } from './hops.ts';
import type { LiveSandbox } from './live_sandbox.ts';
import type { Run, TurnFrame } from './run.ts';
import type { SessionServices } from './services.ts';
import { callTool } from './tools.ts';

/** What a sandbox says in the middle of a turn: messages taken, calls of tools, files. Its end is the session's to judge. */
export class TurnFrames {
  readonly #services: SessionServices;
  readonly #session: number;
  readonly #hop: HopRecorder;
  readonly #files: FileReceiver;
  /** The sandbox that is alive now. */
  readonly #live: () => Pick<LiveSandbox, 'send' | 'marked'> | null;

  constructor(
    services: SessionServices,
    session: number,
    hop: HopRecorder,
    live: () => Pick<LiveSandbox, 'send' | 'marked'> | null,
  ) {
    this.#services = services;
    this.#session = session;
    this.#hop = hop;
    this.#live = live;
    this.#files = new FileReceiver(services.paths.blobs);
  }

  /** `tools`: names of those that its group may use. Returns the reason when the frame is out of place. */
  take(run: Run, frame: Exclude<TurnFrame, { t: 'done' }>, tools: readonly string[]): string | null {
    switch (frame.t) {
      case 'taken':
        return run.take(frame.ids, this.#services.clock.micros());
      case 'call':
        return this.#call(run, frame, tools);
      case 'tool':
        this.#hop('tool.called', { tool: frame.tool, ok: frame.ok, ms: frame.ms, summary: frame.summary }, run.id);
        return run.tool(frame.tool);
      case 'compacted':
        return run.compacted(frame);
      case 'delta':
        return this.#delta(run, frame.text);
      case 'file':
        return run.file(frame.bytes) ?? this.#file(frame.call, this.#files.begin(frame), run);
      default:
        return unreachable(frame);
    }
  }

  /** A part of a file; it may come after its turn. */
  chunk(frame: Extract<RunnerFrame, { t: 'chunk' }>, run: Run | null): string | null {
    return this.#file(frame.call, this.#files.chunk(frame.call, frame.seq, frame.data), run);
  }

  /** The sandbox is gone: what it had begun to send is dropped. */
  close(): void {
    this.#files.close();
  }

  /** What there is of the answer goes to its chat as it is: nothing waits for it. */
  #delta(run: Run, text: string): string | null {
    const { clock, drafts } = this.#services;
    const problem = run.delta(clock.monotonic());
    if (problem !== null) return problem;
    const reply_to = run.said.at(-1)!.message_id;
    drafts?.show({ turn: run.id, session: this.#session, ...placeOf(run), reply_to }, text);
    return null;
  }

  #call(run: Run, frame: Extract<RunnerFrame, { t: 'call' }>, tools: readonly string[]): string | null {
    const admitted = run.call(frame.tool);
    if (typeof admitted === 'string') return admitted;
    const context = {
      ...{ session: this.#row(), place: run.place, tools, turn: run, ordinal: admitted.ordinal, claimed: run.claimed },
      said: run.said.map((message) => message.message_id),
      received: (sha256: string) => run.received(sha256),
      ...{ asked: run.asked, over: run.over.signal, hold: () => run.hold() },
    };
    void callTool(this.#services.tools, context, frame.tool, frame.input).then(async (receipt) => {
      run.receipt(receipt);
      // It may hold what its session is marked for. Where the gateway does not answer, this sandbox ends: the next attempt is told the same.
      if (await this.#live()?.marked())
        this.#live()?.send({ t: 'receipt', call: frame.call, ok: receipt.ok, value: receipt.value });
    });
    return null;
  }

  #file(call: number, result: ChunkResult, run: Run | null): string | null {
    if (result.kind === 'violation') return result.reason;
    if (result.kind === 'stored') {
      this.#hop('file.received', result.file, run?.id);
      run?.stored(result.file);
    }
    const receipt = fileReceipt(call, result);
    if (receipt !== null) this.#live()?.send(receipt);
    return null;
  }

  #row(): SessionRow {
    return sessionById(this.#services.ledger.db, this.#session)!;
  }
}

function placeOf(run: Run): { chat_id: number; thread: string } {
  const { chat_id, thread } = run.place;
  return { chat_id, thread };
}
