import { randomUUID } from 'node:crypto';
import { basename } from 'node:path';
import {
  createSdkMcpServer,
  type HookInput,
  type Options,
  query,
  type SDKMessage,
  type SDKUserMessage,
  tool,
} from '@anthropic-ai/claude-agent-sdk';
import { z } from 'zod';
import { messageOf, unreachable } from '../../../src/base/errors.ts';
import { DELTA_EVERY_MS } from '../../../src/base/limits/messages.ts';
import { ASK_MINUTES_MAX } from '../../../src/base/limits/talk.ts';
import { MINUTE_MS } from '../../../src/base/limits/units.ts';
import type { FrameFile, FrameMcp } from '../../../src/protocol/frames.ts';
import { readShown } from '../../runner/attachments.ts';
import type { FieldSchema, InputSchema, ToolDefinition, ToolResult } from '../../runner/harness.ts';
import { Newest } from '../../runner/newest.ts';
import { processEnv } from './environment.ts';
import { Gate } from './gate.ts';
import type { DriverOptions, FromDriver, Push, ToDriver } from './wire.ts';

/**
 * A process of its own around the Claude Agent SDK, the binary that it starts, and the gate to the model. Loading these
 * costs 40 MB for ever, so it is not done in the runner: an idle session has none of them.
 *
 * Nothing is decided here. Messages come one by one from the runner; between the tools and the next request to the model
 * the runner is asked, so that a message joins the turn there or not at all.
 */
const QUEUED_MS = 2000;
/** A call that asks a person waits for them; the host ends it in time. */
const CALL_MS = (ASK_MINUTES_MAX + 60) * MINUTE_MS;

if (process.send !== undefined) serve();

function serve(): void {
  let driver: Driver | null = null;
  process.on('disconnect', () => process.exit(0));
  process.on('message', (message: ToDriver) => {
    if (message.t === 'open') driver = new Driver(message.options);
    else driver?.receive(message);
  });
}

function send(message: FromDriver): void {
  process.send?.(message);
}

class Driver {
  readonly #input = new Inbox();
  readonly #gate: Gate;
  readonly #receipts = new Map<number, (result: ToolResult) => void>();
  /** Resolved when the process says that a pushed message is in its queue. */
  readonly #queued = new Map<string, () => void>();
  #calls = 0;
  /** The next result is the end of a summary that was asked for, not of a turn. */
  #compacting = false;
  #summary = '';
  /** Of the model's answer that is being streamed. */
  #text = '';
  readonly #texts = new Newest<string>(DELTA_EVERY_MS, (text) => send({ t: 'text', text }));
  #go: ((answer: { push: Push | null; stop: boolean }) => void) | null = null;

  constructor(options: DriverOptions) {
    this.#gate = new Gate(options.modelUrl, options.modelSocket, (mark) => send({ t: 'taken', mark }));
    void this.#run(options);
  }

  receive(message: Exclude<ToDriver, { t: 'open' }>): void {
    if (message.t === 'compact') {
      this.#compacting = true;
      this.#gate.open();
      this.#input.push({ uuid: randomUUID(), mark: '', text: '/compact', files: [] });
    }
    if (message.t === 'push') {
      this.#gate.open();
      this.#gate.expect(message.push.mark, false);
      this.#input.push(message.push);
    }
    if (message.t === 'go') this.#go?.(message);
    if (message.t === 'receipt') this.#receipts.get(message.call)?.(message.result);
  }

  async #run(options: DriverOptions): Promise<void> {
    try {
      const sdkOptions = this.#sdkOptions(options, await this.#gate.listen());
      for await (const message of query({ prompt: this.#input.messages(), options: sdkOptions })) this.#report(message);
      send({ t: 'broken', reason: 'the process ended', failure: this.#gate.failure });
    } catch (error) {
      send({ t: 'broken', reason: messageOf(error), failure: this.#gate.failure });
    }
  }

  #sdkOptions(options: DriverOptions, baseUrl: string): Options {
    const platform = createSdkMcpServer({
      name: 'glass',
      tools: options.tools.map((definition) => this.#platformTool(definition)),
      alwaysLoad: true,
      timeout: CALL_MS,
    });
    return {
      model: options.model.name,
      ...(options.model.effort === null ? {} : { effort: options.model.effort }),
      systemPrompt: options.system,
      cwd: options.workspace,
      env: processEnv(options, baseUrl),
      // Whatever lies in the workspace is the agent's, so nothing there is a setting, a hook or an instruction.
      settingSources: [],
      strictMcpConfig: true,
      tools: ['Bash', 'Read', 'Write', 'Edit'],
      mcpServers: { ...serversOf(options.mcp), glass: platform },
      // The sandbox is the boundary; there is nobody inside it to ask.
      permissionMode: 'bypassPermissions',
      allowDangerouslySkipPermissions: true,
      includePartialMessages: options.drafts,
      hooks: {
        PostToolBatch: [{ hooks: [() => this.#afterTools()] }],
        PostCompact: [{ hooks: [(input) => this.#afterCompact(input)] }],
      },
      stderr: (text) => void process.stderr.write(text),
      ...(options.resume === null ? {} : { resume: options.resume.session, resumeSessionAt: options.resume.message }),
    };
  }

  #platformTool({ name, description, input }: ToolDefinition) {
    return tool(name, description, shapeOf(input), async (args: unknown) => {
      const call = ++this.#calls;
      const result = await new Promise<ToolResult>((resolve) => {
        this.#receipts.set(call, resolve);
        send({ t: 'call', call, name, input: args });
      });
      this.#receipts.delete(call);
      const text = typeof result.value === 'string' ? result.value : JSON.stringify(result.value);
      return { content: [{ type: 'text' as const, text }], isError: !result.ok };
    });
  }

  /** The next request waits for this. A message pushed here is in the queue before it is made, so it is part of it. */
  async #afterTools(): Promise<{ continue: boolean; stopReason?: string }> {
    const { push, stop } = await new Promise<{ push: Push | null; stop: boolean }>((resolve) => {
      this.#go = resolve;
      send({ t: 'batch' });
    });
    this.#go = null;
    if (stop) return { continue: false, stopReason: 'no reply' };
    if (push !== null) {
      await new Promise<void>((resolve) => {
        this.#gate.expect(push.mark, true);
        this.#queued.set(push.uuid, resolve);
        setTimeout(resolve, QUEUED_MS); // then the runner sees that no request had it
        this.#input.push(push);
      });
      this.#queued.delete(push.uuid);
    }
    return { continue: true };
  }

  /** Comes before the boundary is reported, which has the sizes. */
  async #afterCompact(input: HookInput): Promise<{ continue: boolean }> {
    if (input.hook_event_name === 'PostCompact') this.#summary = input.compact_summary;
    return { continue: true };
  }

  #compacted({ pre_tokens, post_tokens }: { pre_tokens: number; post_tokens?: number }): void {
    // The model thinks aloud before it.
    const summary = (/<summary>([\s\S]*)<\/summary>/.exec(this.#summary)?.[1] ?? this.#summary).trim();
    this.#summary = '';
    send({ t: 'compacted', before: pre_tokens, after: post_tokens ?? 0, summary });
  }

  #report(message: SDKMessage | Lifecycle): void {
    if (message.type === 'command_lifecycle') {
      if (message.state === 'queued') this.#queued.get(message.command_uuid)?.();
    } else if (message.type === 'system') {
      if (message.subtype === 'compact_boundary') this.#compacted(message.compact_metadata);
    } else if (message.type === 'stream_event') {
      if (message.parent_tool_use_id === null && !this.#compacting) this.#streamed(message.event);
    } else if (message.type === 'assistant' || message.type === 'user') {
      if (message.parent_tool_use_id !== null || message.uuid === undefined) return;
      const blocks: Block[] = Array.isArray(message.message.content) ? message.message.content : [];
      send({
        t: 'said',
        uuid: message.uuid,
        session: message.session_id ?? '',
        calls: blocks.flatMap((block) => (block.type === 'tool_use' ? [block] : [])),
        results: blocks.flatMap((block) =>
          block.type === 'tool_result' ? [{ id: block.tool_use_id, ok: block.is_error !== true }] : [],
        ),
      });
    } else if (message.type === 'result' && this.#compacting) {
      this.#compacting = false;
      this.#gate.close();
      const ok = message.subtype === 'success' && !message.is_error;
      send({ t: 'compact_over', ok, text: ok ? '' : 'there was no summary' });
    } else if (message.type === 'result') {
      this.#texts.forget();
      const text = message.subtype === 'success' ? message.result : message.errors.join('; ');
      const left = this.#gate.close();
      const ok = message.subtype === 'success' && !message.is_error;
      send({ t: 'result', ok, text, left, failure: this.#gate.failure });
    }
  }

  /** The text of one answer, paced here: between the processes it is written anew each time. */
  #streamed(event: Extract<SDKMessage, { type: 'stream_event' }>['event']): void {
    if (event.type === 'message_start') this.#text = '';
    if (event.type !== 'content_block_delta' || event.delta.type !== 'text_delta') return;
    this.#text += event.delta.text;
    this.#texts.give(this.#text);
  }
}

/** The host checks every input: here it is only what the model is shown. */
function shapeOf({ properties, required }: InputSchema): z.ZodRawShape {
  const fields = Object.entries(properties).map(([name, field]) => {
    const shape = fieldOf(field);
    const value = field.description === undefined ? shape : shape.describe(field.description);
    return [name, required.includes(name) ? value : value.optional()];
  });
  return Object.fromEntries(fields);
}

function fieldOf(field: FieldSchema): z.ZodType {
  switch (field.type) {
    case 'string':
      return z.string();
    case 'number':
      return z.number();
    case 'boolean':
      return z.boolean();
    case 'object':
      return z.looseObject({});
    case 'array':
      return z.array(field.items.type === 'string' ? z.string() : z.object(shapeOf(field.items)));
    default:
      return unreachable(field);
  }
}

/** Said by the process, but not in the SDK's types. */
interface Lifecycle {
  type: 'command_lifecycle';
  command_uuid: string;
  state: string;
}

type Block =
  | { type: 'text' }
  | { type: 'tool_use'; id: string; name: string; input: unknown }
  | { type: 'tool_result'; tool_use_id: string; is_error?: boolean };

type Content = Exclude<SDKUserMessage['message']['content'], string>;

/** Images and documents, read here so that only this process holds them. One that is not there is left to the text. */
async function fileBlocks(files: FrameFile[]): Promise<Content> {
  const blocks = await Promise.all(
    files.map(async ({ path, type }): Promise<Content> => {
      const bytes = await readShown(path, type);
      if (bytes === null) return [];
      if (typeof bytes === 'string') return [{ type: 'text', text: bytes }];
      const data = bytes.toString('base64');
      return type === 'application/pdf'
        ? [{ type: 'document', title: basename(path), source: { type: 'base64', media_type: type, data } }]
        : [{ type: 'image', source: { type: 'base64', media_type: type as ImageType, data } }];
    }),
  );
  return blocks.flat();
}

type ImageType = 'image/png' | 'image/jpeg' | 'image/gif' | 'image/webp';

/** The SDK's input: a stream that never ends by itself. */
class Inbox {
  readonly #waiting: Push[] = [];
  #wake: () => void = () => {};

  push(push: Push): void {
    this.#waiting.push(push);
    this.#wake();
  }

  async *messages(): AsyncGenerator<SDKUserMessage> {
    for (;;) {
      for (let push = this.#waiting.shift(); push !== undefined; push = this.#waiting.shift()) {
        yield {
          type: 'user',
          uuid: push.uuid as `${string}-${string}-${string}-${string}-${string}`,
          parent_tool_use_id: null,
          message: { role: 'user', content: [{ type: 'text', text: push.text }, ...(await fileBlocks(push.files))] },
        };
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** Those of the group's authority, started by the Claude process. */
function serversOf(mcp: readonly FrameMcp[]): NonNullable<Options['mcpServers']> {
  return Object.fromEntries(
    mcp.map(({ name, command: [command, ...args], env }) => [
      name,
      { type: 'stdio', command: command!, args, env: Object.fromEntries(env.map((one) => [one.name, one.value])) },
    ]),
  );
}
