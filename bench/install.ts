import { readdirSync, readFileSync } from 'node:fs';
import type { ControlClient } from '../src/cli/control_client.ts';

export { Install, until } from '../test/fakes/install.ts';

/** A terminal of one chat: says something, and waits for the reply. */
export class Terminal {
  readonly #control: ControlClient;
  readonly #chat: string;
  readonly #ended = new AbortController();
  #client = '';
  #onReply: ((body: string) => void) | null = null;
  #said = 0;

  constructor(control: ControlClient, chat: string) {
    this.#control = control;
    this.#chat = chat;
  }

  open(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#control
        .stream('chat', { chat: this.#chat }, (row) => this.#row(row, resolve), this.#ended.signal)
        .catch(reject);
    });
  }

  /** Milliseconds from the write to the reply's arrival. */
  async ask(text: string): Promise<{ ms: number; body: string }> {
    const began = performance.now();
    const reply = new Promise<string>((resolve) => {
      this.#onReply = resolve;
    });
    await this.#control.call('say', {
      chat: this.#chat,
      text,
      key: `${this.#chat}-${process.pid}-${performance.now()}-${this.#said++}`,
    });
    const body = await reply;
    return { ms: performance.now() - began, body };
  }

  close(): void {
    this.#ended.abort();
  }

  #row(row: Record<string, unknown>, opened: () => void): void {
    if (row['t'] === 'open') {
      this.#client = String(row['client']);
      opened();
    } else if (row['t'] === 'message') {
      if (row['kind'] !== 'send') this.#onReply?.(String(row['body']));
      void this.#control.call('shown', { client: this.#client, key: row['key'] }).catch(() => {});
    }
  }
}

export interface Spread {
  p50: number;
  p95: number;
  p99: number;
}

export function spreadOf(values: number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    Number((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN).toFixed(2));
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

/** Resident memory in MB: `rss` of one process, or proportional (`pss`) of it and everything below it. */
export function rssMb(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
}

export function treeRssMb(pid: number): number {
  return [pid, ...descendants(pid)].reduce((sum, each) => sum + safely(() => rssMb(each)), 0);
}

function descendants(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = safelyText(() => readFileSync(`/proc/${name}/stat`, 'utf8'));
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    if (!Number.isNaN(parent)) parents.set(Number(name), parent);
  }
  const below = (root: number): number[] =>
    [...parents].filter(([, parent]) => parent === root).flatMap(([child]) => [child, ...below(child)]);
  return below(pid);
}

function safely(read: () => number): number {
  try {
    return read();
  } catch {
    return 0; // it has ended meanwhile
  }
}

function safelyText(read: () => string): string {
  try {
    return read();
  } catch {
    return '';
  }
}
