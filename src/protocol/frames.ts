import {
  CALL_INPUT_BYTES_MAX,
  COMPACT_SUMMARY_BYTES_MAX,
  DELTA_BYTES_MAX,
  FILE_BYTES_MAX,
  FILE_CHUNK_BYTES_MAX,
  FRAME_NAME_BYTES_MAX,
  FRAME_PATH_BYTES_MAX,
  FRAME_TOOLS_MAX,
  INSTRUCTIONS_BYTES_MAX,
  MESSAGE_FILES_MAX,
  MESSAGE_TEXT_BYTES_MAX,
  OUTBOUND_TEXT_BYTES_MAX,
  RESEED_ENTRIES_MAX,
  TASK_TEXT_BYTES_MAX,
  TURN_JOINED_MAX,
  TURN_MESSAGES_MAX,
  TURN_SENDS_MAX,
} from '../base/limits/messages.ts';
import { MCP_SERVERS_MAX } from '../base/limits/sandbox.ts';
import { flag, integer, json, list, nullable, oneOf, record, type Shape, text } from './shape.ts';

/**
 * What is spoken on the hatch, the one connection between a sandbox and the host. One table a direction; both sides
 * check every frame against it. The first frame is the runner's `hello`; the host answers `welcome` or ends the
 * connection. A receipt with `ok` means that what the call asked for is committed.
 */
export const HATCH_VERSION = 5;

const id = integer(1);
const RESUME_BYTES_MAX = 16 * 1024;

/** A file that came with a message. */
export interface FrameFile {
  /** As the sandbox sees it: `/inbox/m12/photo.png`. */
  path: string;
  /** Media type, from the file's first bytes. */
  type: string;
  bytes: number;
  /** The host no longer has it: there is nothing at `path`. */
  lost: boolean;
}
const file = record({ path: text(FRAME_PATH_BYTES_MAX), type: text(100), bytes: integer(1), lost: flag });

export interface FrameMessage {
  /** Inbound key. */
  id: number;
  from: string;
  text: string;
  sent_ms: number;
  files: FrameFile[];
}
const message = record({
  id,
  from: text(FRAME_NAME_BYTES_MAX),
  text: text(MESSAGE_TEXT_BYTES_MAX),
  sent_ms: integer(0),
  files: list(file, MESSAGE_FILES_MAX),
});

export interface FramePriorSend {
  ordinal: number;
  text: string;
  state: string;
}
const priorSend = record({ ordinal: integer(0), text: text(OUTBOUND_TEXT_BYTES_MAX), state: text(40) });

export interface FrameEntry {
  role: 'person' | 'agent' | 'tool' | 'notice';
  author: string;
  text: string;
}
const entry = record({
  role: oneOf('person', 'agent', 'tool', 'notice'),
  author: text(FRAME_NAME_BYTES_MAX),
  text: text(OUTBOUND_TEXT_BYTES_MAX),
});

export interface FrameModel {
  provider: 'anthropic' | 'openai' | 'ollama';
  name: string;
  /** Null: as much as it does by itself. */
  effort: 'low' | 'medium' | 'high' | null;
}

/** A server of tools, to be started in the sandbox. */
export interface FrameMcp {
  name: string;
  /** Program and arguments. */
  command: string[];
  env: { name: string; value: string }[];
}
const mcp = record({
  name: text(100),
  command: list(text(4000), 50),
  env: list(record({ name: text(100), value: text(4000) }), 100),
});

/** Host → runner. */
export type HostFrame =
  | {
      t: 'welcome';
      v: number;
      session: string;
      group: string;
      harness: 'probe' | 'native' | 'claude';
      model: FrameModel;
      /** Names of the platform tools that the group may use. */
      tools: string[];
      mcp: FrameMcp[];
      /** The harness's own resume point, or null to begin anew. */
      resume: string | null;
      /** Text of the group's AGENTS.md. */
      instructions: string;
      /** Whether `delta` is wanted: a chat may show what there is of an answer. */
      drafts: boolean;
    }
  | {
      t: 'turn';
      turn: number;
      attempt: number;
      messages: FrameMessage[];
      /** A script that decides whether the harness is asked at all; it stands alone with its message. Null: none. */
      gate: string | null;
      /** What earlier attempts at these messages sent already. */
      prior: FramePriorSend[];
      /** What the agent must know before it goes on, such as a send that was rejected. */
      notices: string[];
      /** A person has asked that it begins with a summary of what was said before it. */
      compact: boolean;
      /** The conversation so far, for a harness that could not resume; then what others said that no agent was asked about. */
      transcript: FrameEntry[];
    }
  | { t: 'steer'; turn: number; messages: FrameMessage[] }
  | { t: 'interrupt'; turn: number }
  | { t: 'receipt'; call: number; ok: boolean; value: unknown };

const effort = nullable(oneOf('low', 'medium', 'high'));

const HOST_FRAMES: Record<HostFrame['t'], Shape> = {
  welcome: record({
    t: text(20),
    v: integer(1),
    session: text(40),
    group: text(40),
    harness: oneOf('probe', 'native', 'claude'),
    model: record({ provider: oneOf('anthropic', 'openai', 'ollama'), name: text(200), effort }),
    tools: list(text(100), FRAME_TOOLS_MAX),
    mcp: list(mcp, MCP_SERVERS_MAX),
    resume: nullable(text(RESUME_BYTES_MAX)),
    instructions: text(INSTRUCTIONS_BYTES_MAX),
    drafts: flag,
  }),
  turn: record({
    t: text(20),
    turn: id,
    attempt: id,
    messages: list(message, TURN_MESSAGES_MAX),
    gate: nullable(text(TASK_TEXT_BYTES_MAX)),
    prior: list(priorSend, TURN_SENDS_MAX * 3),
    notices: list(text(FRAME_NAME_BYTES_MAX), 100),
    compact: flag,
    transcript: list(entry, RESEED_ENTRIES_MAX),
  }),
  steer: record({ t: text(20), turn: id, messages: list(message, TURN_MESSAGES_MAX) }),
  interrupt: record({ t: text(20), turn: id }),
  receipt: record({ t: text(20), call: id, ok: flag, value: json(2 * CALL_INPUT_BYTES_MAX) }),
};

/** Runner → host. */
export type RunnerFrame =
  | { t: 'hello'; v: number }
  /** The harness is open. `resumed` is false when it starts without its memory of this session. */
  | { t: 'ready'; steer: boolean; resumed: boolean }
  /** These messages have entered a request to the model. */
  | { t: 'taken'; turn: number; ids: number[] }
  /** A platform tool; the host answers with a receipt. */
  | { t: 'call'; call: number; turn: number; tool: string; input: unknown }
  /** A tool that ran inside the sandbox, for the trace. */
  | { t: 'tool'; turn: number; tool: string; ok: boolean; ms: number; summary: string }
  /** The older part of the conversation is a summary now. Counts once the turn is settled. */
  | { t: 'compacted'; turn: number; before: number; after: number; unit: 'bytes' | 'tokens'; summary: string }
  /** What there is of the answer so far, from its beginning; cut where a first message would be full. */
  | { t: 'delta'; turn: number; text: string }
  | { t: 'file'; call: number; turn: number; name: string; bytes: number; sha256: string }
  | { t: 'chunk'; call: number; seq: number; data: string }
  | {
      t: 'done';
      turn: number;
      outcome: 'answered' | 'silent' | 'failed' | 'interrupted';
      /** The final reply; the sentence for the person when it failed. */
      text: string;
      resume: string | null;
    };

const BASE64_CHUNK_MAX = Math.ceil(FILE_CHUNK_BYTES_MAX / 3) * 4;

const RUNNER_FRAMES: Record<RunnerFrame['t'], Shape> = {
  hello: record({ t: text(20), v: integer(1) }),
  ready: record({ t: text(20), steer: flag, resumed: flag }),
  taken: record({ t: text(20), turn: id, ids: list(id, TURN_JOINED_MAX) }),
  call: record({ t: text(20), call: id, turn: id, tool: text(100), input: json(CALL_INPUT_BYTES_MAX) }),
  tool: record({
    t: text(20),
    turn: id,
    tool: text(200),
    ok: flag,
    ms: integer(0),
    summary: text(FRAME_NAME_BYTES_MAX),
  }),
  compacted: record({
    t: text(20),
    turn: id,
    before: integer(0),
    after: integer(0),
    unit: oneOf('bytes', 'tokens'),
    summary: text(COMPACT_SUMMARY_BYTES_MAX),
  }),
  delta: record({ t: text(20), turn: id, text: text(DELTA_BYTES_MAX) }),
  file: record({
    t: text(20),
    call: id,
    turn: id,
    name: text(255),
    bytes: integer(0, FILE_BYTES_MAX),
    sha256: text(64),
  }),
  chunk: record({ t: text(20), call: id, seq: integer(0), data: text(BASE64_CHUNK_MAX) }),
  done: record({
    t: text(20),
    turn: id,
    outcome: oneOf('answered', 'silent', 'failed', 'interrupted'),
    text: text(OUTBOUND_TEXT_BYTES_MAX),
    resume: nullable(text(RESUME_BYTES_MAX)),
  }),
};

export type Parsed<Frame> = { ok: true; frame: Frame } | { ok: false; reason: string };

/** Checks bytes that a sandbox sent. Never throws. */
export function parseRunnerFrame(bytes: Buffer): Parsed<RunnerFrame> {
  return parse<RunnerFrame>(bytes, RUNNER_FRAMES);
}

/** Checks bytes that the host sent. Never throws. */
export function parseHostFrame(bytes: Buffer): Parsed<HostFrame> {
  return parse<HostFrame>(bytes, HOST_FRAMES);
}

function parse<Frame>(bytes: Buffer, shapes: Record<string, Shape>): Parsed<Frame> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return { ok: false, reason: 'a frame is not JSON' };
  }
  const kind = typeof value === 'object' && value !== null && 't' in value ? value.t : undefined;
  const shape = typeof kind === 'string' && Object.hasOwn(shapes, kind) ? shapes[kind] : undefined;
  if (shape === undefined) return { ok: false, reason: 'a frame of an unknown kind' };
  const problem = judge(shape, value);
  return problem === null
    ? { ok: true, frame: value as Frame }
    : { ok: false, reason: `frame ${String(kind)}${problem}` };
}

/** A value nested thousands deep exhausts the stack of whatever walks through it, ours included. */
function judge(shape: Shape, value: unknown): string | null {
  try {
    return shape(value);
  } catch {
    return ' is nested too deep';
  }
}
