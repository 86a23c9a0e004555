import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import {
  CALL_INPUT_BYTES_MAX,
  CALLS_PENDING_MAX,
  FILE_BYTES_MAX,
  FILE_CHUNK_BYTES_MAX,
} from '../../src/base/limits/messages.ts';
import type { PlatformTools, ToolResult } from '../runner/harness.ts';
import type { HostLink } from '../runner/host_link.ts';
import { TOOL_DEFINITIONS } from './definitions.ts';

/** Platform tools as calls over the hatch. The current turn is asked for at each call: a call belongs to one turn. */
export class HatchTools implements PlatformTools {
  readonly definitions = TOOL_DEFINITIONS;
  readonly #link: () => HostLink;
  readonly #turn: () => number | null;
  readonly #waiting = new Map<number, (result: ToolResult) => void>();
  #calls = 0;

  constructor(link: () => HostLink, turn: () => number | null) {
    this.#link = link;
    this.#turn = turn;
  }

  /** These tools, as far as a group may use them. The host refuses the others; here they are not even offered. */
  limitedTo(names: readonly string[]): PlatformTools {
    return {
      definitions: this.definitions.filter(({ name }) => names.includes(name)),
      call: (name, input) => this.call(name, input),
    };
  }

  call(name: string, input: unknown): Promise<ToolResult> {
    return name === 'send_file' ? this.#sendFile(input) : this.#call(name, input);
  }

  #call(name: string, input: unknown): Promise<ToolResult> {
    const turn = this.#turn();
    if (turn === null) return refused('no turn is running');
    if (this.#waiting.size >= CALLS_PENDING_MAX) return refused('too many calls wait for their receipt');
    if (Buffer.byteLength(JSON.stringify(input ?? {})) > CALL_INPUT_BYTES_MAX)
      return refused(`the input is larger than ${CALL_INPUT_BYTES_MAX} bytes`);
    const call = ++this.#calls;
    this.#link().send({ t: 'call', call, turn, tool: name, input: input ?? {} });
    return this.#receiptOf(call);
  }

  /** The file's bytes first, then the call, which names them by their hash. */
  async #sendFile(input: unknown): Promise<ToolResult> {
    const { path, ...rest } = { path: undefined, ...(input as object) } as { path?: unknown };
    if (typeof path !== 'string' || path === '') return refused('path: a file is needed');
    const stored = await this.#streamFile(path);
    if (!stored.ok) return stored;
    return this.#call('send_file', { ...rest, sha256: (stored.value as { sha256: string }).sha256 });
  }

  async #streamFile(path: string): Promise<ToolResult> {
    const turn = this.#turn();
    if (turn === null) return refused('no turn is running');
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(() => null);
    if (file === null) return refused(`${path} cannot be opened`);
    try {
      const stat = await file.stat();
      if (!stat.isFile()) return refused(`${path} is not a regular file`);
      if (stat.size > FILE_BYTES_MAX) return refused(`${path} is larger than ${FILE_BYTES_MAX} bytes`);
      const bytes = Buffer.alloc(stat.size);
      const read = await file.read(bytes, 0, stat.size, 0);
      return await this.#stream(turn, basename(path), bytes.subarray(0, read.bytesRead));
    } finally {
      await file.close();
    }
  }

  /** The host's answer to a call. */
  receipt(call: number, result: ToolResult): void {
    const resolve = this.#waiting.get(call);
    this.#waiting.delete(call);
    resolve?.(result);
  }

  async #stream(turn: number, name: string, bytes: Buffer): Promise<ToolResult> {
    const call = ++this.#calls;
    const receipt = this.#receiptOf(call);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    this.#link().send({ t: 'file', call, turn, name, bytes: bytes.length, sha256 });
    for (let seq = 0, at = 0; at < bytes.length; seq += 1, at += FILE_CHUNK_BYTES_MAX) {
      this.#link().send({
        t: 'chunk',
        call,
        seq,
        data: bytes.subarray(at, at + FILE_CHUNK_BYTES_MAX).toString('base64'),
      });
      await this.#link().drained();
    }
    return receipt;
  }

  #receiptOf(call: number): Promise<ToolResult> {
    return new Promise((resolve) => this.#waiting.set(call, resolve));
  }
}

function refused(reason: string): Promise<ToolResult> {
  return Promise.resolve({ ok: false, value: reason });
}
