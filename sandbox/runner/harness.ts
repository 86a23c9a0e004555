import type { FrameMcp, FrameMessage, FrameModel, HostFrame } from '../../src/protocol/frames.ts';

/**
 * The contract of a harness: the agent loop in the sandbox. The runner opens it once, then gives it one turn at a time.
 *
 * - `taken` is reported when a message has entered a request to the model, not when it was handed over: only a taken
 *   message can be settled by this turn.
 * - Every `start` ends in exactly one `done`, also after `interrupt`. A failure is a `done`, never a throw.
 * - A turn with `compact` begins with a summary of what was said before it. One that cannot be had fails no turn.
 * - `failed` carries one clear sentence for the person.
 */
export interface HarnessOptions {
  model: FrameModel;
  /** The operator's standing instructions for the agent. */
  instructions: string;
  /** This harness's own resume point, or null. */
  resume: string | null;
  /** Base URL of the model route, without a trailing slash. Carries no credential; any key will do. */
  modelUrl: () => Promise<string>;
  /** The socket that this URL leads to, for a client that can use it: a process less on the way. Null: there is only the URL. */
  modelSocket: string | null;
  /** The agent's working folder. */
  workspace: string;
  /** The only folder besides it (and /tmp) that can be written. */
  state: string;
  tools: PlatformTools;
  /** Servers of tools that it is to start. */
  mcp: readonly FrameMcp[];
  /** Whether `delta` is wanted. */
  drafts: boolean;
  emit: (event: HarnessEvent) => void;
}

/** A turn as the host hands it over. `transcript`: what was said before it that this harness has not been told. */
export type TurnInput = Omit<Extract<HostFrame, { t: 'turn' }>, 't' | 'gate'>;

export type HarnessEvent =
  | { kind: 'taken'; ids: number[] }
  | { kind: 'tool'; tool: string; ok: boolean; ms: number; summary: string }
  /** The older part of the conversation is a summary now; it counts if this turn is answered. */
  | { kind: 'compacted'; before: number; after: number; unit: 'bytes' | 'tokens'; summary: string }
  /** What the resume point stood for is gone, and nothing was taken: the turn begins in a new sandbox, which is told what was said. */
  | { kind: 'lost' }
  /** The text of the answer so far, from its beginning, as often as there is more of it: the runner paces it. */
  | { kind: 'delta'; text: string }
  | { kind: 'done'; outcome: 'answered' | 'silent' | 'failed' | 'interrupted'; text: string; resume: string | null };

export interface Harness {
  /** Whether messages may join a running turn. */
  readonly steer: boolean;
  open(): Promise<{ resumed: boolean }>;
  start(input: TurnInput): void;
  /** Only called while a turn runs, and only with `steer`. A message that is not taken goes back to the queue. */
  join(messages: FrameMessage[]): void;
  interrupt(): void;
}

/** What the host does for the agent. A resolved call is committed. */
export interface PlatformTools {
  readonly definitions: readonly ToolDefinition[];
  /** Resolves with the host's answer, or with `ok: false` and a reason that the agent can act on. Never rejects. */
  call(name: string, input: unknown): Promise<ToolResult>;
}

export interface ToolResult {
  ok: boolean;
  value: unknown;
}

export interface ToolDefinition {
  name: string;
  description: string;
  /** JSON Schema of the input. */
  input: InputSchema;
}

/** The part of JSON Schema that our tools need. */
export interface InputSchema {
  type: 'object';
  properties: Record<string, FieldSchema>;
  required: string[];
}

export type FieldSchema =
  /** What is in an object stands in words: the host judges it. */
  | { type: 'string' | 'number' | 'boolean' | 'object'; description?: string }
  | { type: 'array'; description?: string; items: { type: 'string' } | InputSchema };
