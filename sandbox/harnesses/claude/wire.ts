import type { FrameFile, FrameMcp, FrameModel } from '../../../src/protocol/frames.ts';
import type { ToolDefinition, ToolResult } from '../../runner/harness.ts';

/** What the runner's process and the driver's say to each other. Both are ours, so nothing is checked. */

export interface DriverOptions {
  model: FrameModel;
  system: string;
  /** The model route, for the gate. */
  modelUrl: string;
  modelSocket: string | null;
  workspace: string;
  /** The only folder besides the workspace that lasts. */
  home: string;
  /** Where the process keeps its transcripts. */
  config: string;
  /** Set in the environment of everything that is started, so that it can be found again. */
  mark: string;
  /** Whether `text` is wanted. */
  drafts: boolean;
  tools: readonly ToolDefinition[];
  mcp: readonly FrameMcp[];
  resume: { session: string; message: string } | null;
}

/** A message for the process. */
export interface Push {
  uuid: string;
  /** A word in the text that nobody can guess: the gate finds the message by it. */
  mark: string;
  text: string;
  /** Shown to the model after the text. */
  files: FrameFile[];
}

/** How a request failed, as its status and the body of the answer. */
export interface Failure {
  status: number | 'cut';
  body: string;
}

export type ToDriver =
  | { t: 'open'; options: DriverOptions }
  /** Asks the process for a summary of what was said, before a turn. */
  | { t: 'compact' }
  /** Begins a turn. */
  | { t: 'push'; push: Push }
  /** The answer to `batch`: a message that joins here, or the end of the turn. */
  | { t: 'go'; push: Push | null; stop: boolean }
  | { t: 'receipt'; call: number; result: ToolResult };

export type FromDriver =
  /** A request with this mark leaves. */
  | { t: 'taken'; mark: string }
  /** A part of the conversation. */
  | { t: 'said'; uuid: string; session: string; calls: ToolUse[]; results: ToolOutcome[] }
  /** What there is of the newest answer of the model so far. */
  | { t: 'text'; text: string }
  /** All tools that the model asked for have run; the next request waits for `go`. */
  | { t: 'batch' }
  | { t: 'call'; call: number; name: string; input: unknown }
  /** The conversation goes on from a summary; sizes in tokens. */
  | { t: 'compacted'; before: number; after: number; summary: string }
  /** What `compact` asked for is over, with or without a summary. */
  | { t: 'compact_over'; ok: boolean; text: string }
  /** The turn has ended. `left`: a message was handed over that no request had. */
  | { t: 'result'; ok: boolean; text: string; left: boolean; failure: Failure | null }
  /** The process cannot go on. */
  | { t: 'broken'; reason: string; failure: Failure | null };

export interface ToolUse {
  id: string;
  name: string;
  input: unknown;
}

export interface ToolOutcome {
  id: string;
  ok: boolean;
}
