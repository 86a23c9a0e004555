import { constants } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { jsonSchema, type ToolSet, tool } from 'ai';
import { messageOf } from '../../../src/base/errors.ts';
import { FILE_BYTES_MAX } from '../../../src/base/limits/messages.ts';
import type { FrameMcp } from '../../../src/protocol/frames.ts';
import type { PlatformTools, ToolDefinition } from '../../runner/harness.ts';
import type { McpTools } from './mcp.ts';
import { COMMAND_SECONDS, COMMAND_SECONDS_MAX, runCommand } from './shell.ts';

/**
 * The agent's tools: a shell and files here, the platform's over the hatch. What is allowed is decided by the sandbox
 * and the host, so nothing is checked here but the shape. Descriptions are terse: they are part of each request.
 */
const READ_BYTES_MAX = 32 * 1024;
/** Characters of a result that go to the model. */
const RESULT_CHARS_MAX = 40 * 1024;

const text = (description: string) => ({ type: 'string' as const, description });

const OWN: readonly ToolDefinition[] = [
  {
    name: 'bash',
    description: `Run a shell command in /workspace. It is ended after its time; start nothing that should stay. Long output is cut in the middle.`,
    input: {
      type: 'object',
      properties: {
        command: text('For /bin/sh'),
        seconds: {
          type: 'number',
          description: `Time limit, default ${COMMAND_SECONDS}, at most ${COMMAND_SECONDS_MAX}`,
        },
      },
      required: ['command'],
    },
  },
  {
    name: 'read_file',
    description: `Read a text file, at most ${READ_BYTES_MAX} bytes at once.`,
    input: {
      type: 'object',
      properties: { path: text('Path'), offset: { type: 'number', description: 'First byte, default 0' } },
      required: ['path'],
    },
  },
  {
    name: 'write_file',
    description: 'Write a whole file; makes its folders.',
    input: {
      type: 'object',
      properties: { path: text('Path'), content: text('Content') },
      required: ['path', 'content'],
    },
  },
  {
    name: 'edit_file',
    description: 'Replace a text that occurs exactly once in a file.',
    input: {
      type: 'object',
      properties: { path: text('Path'), old: text('Text to replace'), new: text('Replacement') },
      required: ['path', 'old', 'new'],
    },
  },
];

export interface Result {
  ok: boolean;
  text: string;
}

export class Tools {
  /** Without `execute`: the loop runs them itself, one after another. */
  readonly #own: ToolSet;
  #mcp: McpTools | null = null;
  readonly #definitions: readonly ToolDefinition[];
  readonly #platform: PlatformTools;
  readonly #workspace: string;

  constructor(platform: PlatformTools, workspace: string) {
    this.#platform = platform;
    this.#workspace = workspace;
    this.#definitions = [...OWN, ...platform.definitions];
    this.#own = Object.fromEntries(
      this.#definitions.map(({ name, description, input }) => [
        name,
        tool({ description, inputSchema: jsonSchema({ ...input, additionalProperties: false } as object) }),
      ]),
    );
  }

  /** For the model. */
  get set(): ToolSet {
    return { ...this.#own, ...this.#mcp?.set };
  }

  /** Starts the servers of tools, once. */
  async startMcp(servers: readonly FrameMcp[]): Promise<void> {
    if (servers.length === 0 || this.#mcp !== null) return;
    // Only a group that has servers pays for the client.
    const { startMcp } = await import('./mcp.ts');
    this.#mcp = await startMcp(servers, this.#workspace);
  }

  /** A line for the model about servers that could not be started. */
  get missing(): string[] {
    const names = this.#mcp?.missing ?? [];
    return names.length === 0 ? [] : [`MCP servers that could not be started: ${names.join(', ')}.`];
  }

  /** Never rejects: what goes wrong is a result for the model. */
  async run(name: string, input: unknown, signal: AbortSignal): Promise<Result> {
    const definition = this.#definitions.find((known) => known.name === name);
    try {
      const foreign = definition === undefined ? this.#mcp?.call(name, input, signal) : undefined;
      if (foreign !== undefined) {
        const { ok, text } = await foreign;
        return { ok, text: cut(text) };
      }
      if (definition === undefined) return refused(`there is no tool "${name}"`);
      const problem = inputProblem(definition, input);
      if (problem !== null) return refused(problem);
      const result = await this.#dispatch(name, input as Record<string, unknown>, signal);
      return { ...result, text: cut(result.text) };
    } catch (error) {
      return refused(messageOf(error));
    }
  }

  async #dispatch(name: string, input: Record<string, unknown>, signal: AbortSignal): Promise<Result> {
    const path = resolve(this.#workspace, String(input.path ?? '.'));
    switch (name) {
      case 'bash': {
        const seconds = Math.min(Math.max(Number(input.seconds ?? COMMAND_SECONDS), 1), COMMAND_SECONDS_MAX);
        return runCommand(String(input.command), { cwd: this.#workspace, seconds, signal });
      }
      case 'read_file':
        return { ok: true, text: await readPart(path, Number(input.offset ?? 0)) };
      case 'write_file':
        await mkdir(dirname(path), { recursive: true });
        await writeRegular(path, String(input.content));
        return { ok: true, text: 'written' };
      case 'edit_file':
        return edit(path, String(input.old), String(input.new));
      default: {
        const { ok, value } = await Promise.race([this.#platform.call(name, input), rejectOnAbort(signal)]);
        return { ok, text: typeof value === 'string' ? value : JSON.stringify(value) };
      }
    }
  }
}

async function readPart(path: string, offset: number): Promise<string> {
  if (offset < 0) return 'the offset must not be negative';
  const file = await openRegular(path);
  try {
    const { size } = await file.stat();
    const { bytesRead, buffer } = await file.read(Buffer.alloc(READ_BYTES_MAX), 0, READ_BYTES_MAX, offset);
    const rest = size - offset - bytesRead;
    return (
      buffer.toString('utf8', 0, bytesRead) + (rest > 0 ? `\n[${rest} bytes follow, from ${offset + bytesRead}]` : '')
    );
  } finally {
    await file.close();
  }
}

async function edit(path: string, from: string, to: string): Promise<Result> {
  const file = await openRegular(path);
  const before = await file.readFile('utf8').finally(() => file.close());
  const count = from === '' ? 0 : before.split(from).length - 1;
  if (count !== 1) return refused(`the text to replace occurs ${count} times, it must occur once`);
  await writeRegular(
    path,
    before.replace(from, () => to),
  );
  return { ok: true, text: 'replaced' };
}

/** What is there is emptied only when it is known to be a file. */
async function writeRegular(path: string, content: string): Promise<void> {
  const file = await openRegular(path, constants.O_WRONLY | constants.O_CREAT);
  try {
    await file.truncate();
    await file.writeFile(content);
  } finally {
    await file.close();
  }
}

/** A pipe or a device would block or never end; without O_NONBLOCK already the opening of a pipe would. */
async function openRegular(path: string, flags = constants.O_RDONLY): Promise<FileHandle> {
  const file = await open(path, flags | constants.O_NONBLOCK);
  const stat = await file.stat();
  // What is written over may have any size.
  const size = flags === constants.O_RDONLY ? stat.size : 0;
  if (stat.isFile() && size <= FILE_BYTES_MAX) return file;
  await file.close();
  throw new Error(stat.isFile() ? `the file is larger than ${FILE_BYTES_MAX} bytes` : 'that is not a regular file');
}

/** A call whose receipt never comes must not hold up an interrupt. */
function rejectOnAbort(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error('interrupted')), { once: true });
  });
}

function inputProblem(definition: ToolDefinition, input: unknown): string | null {
  if (typeof input !== 'object' || input === null) return 'the input must be an object';
  const fields = input as Record<string, unknown>;
  for (const name of definition.input.required) if (fields[name] === undefined) return `"${name}" is missing`;
  for (const [name, value] of Object.entries(fields)) {
    const type = definition.input.properties[name]?.type;
    const given = Array.isArray(value) ? 'array' : typeof value;
    if (type !== undefined && given !== type) return `"${name}" must be a ${type}`;
  }
  return null;
}

function cut(value: string): string {
  return value.length <= RESULT_CHARS_MAX ? value : `${value.slice(0, RESULT_CHARS_MAX)}\n[cut]`;
}

function refused(reason: string): Result {
  return { ok: false, text: reason };
}
