import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { messageOf } from '../base/errors.ts';
import {
  DRIVER_CALL_MS,
  DRIVER_CALLS_MAX,
  DRIVER_HEAP_MB,
  DRIVER_HUNG_MS,
  DRIVER_LINES_MAX,
  DRIVER_OPEN_MS,
  DRIVER_PING_MS,
  DRIVER_REASON_CHARS_MAX,
  DRIVER_START_MS,
  DRIVER_STOP_MS,
  DRIVER_YOUNG_MB,
} from '../base/limits/channels.ts';
import type { Log } from '../base/log.ts';
import type { ChannelHealth, IncomingMessage, Linking, Sink } from './channel.ts';
import { type CallMessage, CallPort, type DriverMethod, type DriverNews, type DriverSpec } from './driver_calls.ts';

/**
 * One life of a driver, in a thread with a heap of its own. Its packages are other people's: what throws there, never
 * returns or eats memory ends this thread, and `ended` says why. The host's own loop and heap are not touched.
 */
export interface ThreadEvents {
  health(health: ChannelHealth, link: string | null, linking: Linking | null): void;
}

const PROGRAM = new URL('./driver_worker.ts', import.meta.url);

/** Nothing of the host's but where compiled code lies: else each thread loads a compiler of 10 MB for itself. */
function environment(): NodeJS.ProcessEnv {
  const folder = process.env['NODE_COMPILE_CACHE'];
  return folder === undefined ? {} : { NODE_COMPILE_CACHE: folder };
}

export class DriverThread {
  /** Resolves with the reason when the thread is gone. Never rejects. */
  readonly ended: Promise<string>;
  /** What the driver has. */
  methods: ReadonlySet<DriverMethod> = new Set();
  readonly #worker: Worker;
  readonly #calls: CallPort;
  readonly #log: Log;
  readonly #name: string;
  readonly #opened = Promise.withResolvers<void>();
  readonly #events: ThreadEvents;
  #sink: Sink | null = null;
  #asked = 0;
  #heard = performance.now();
  #reason: string | null = null;

  /** Resolves when the driver is made. Rejects with the sentence of what is wrong; then nothing of it is left. */
  static async open(spec: DriverSpec, log: Log, events: ThreadEvents): Promise<DriverThread> {
    const thread = new DriverThread(spec, log, events);
    await thread.#within(thread.#opened.promise, DRIVER_OPEN_MS, 'its packages were not loaded in time');
    return thread;
  }

  private constructor(spec: DriverSpec, log: Log, events: ThreadEvents) {
    this.#log = log;
    this.#name = spec.name;
    this.#events = events;
    this.#worker = new Worker(PROGRAM, {
      ...{ workerData: spec, env: environment(), stdout: true, stderr: true, name: spec.name },
      resourceLimits: { maxOldGenerationSizeMb: DRIVER_HEAP_MB, maxYoungGenerationSizeMb: DRIVER_YOUNG_MB },
    });
    this.#calls = new CallPort(
      (message) => this.#worker.postMessage(message),
      (method, args) => this.#called(method, args),
    );
    this.#worker.on('message', (message) => this.#receive(message));
    this.#worker.on('error', (error) => this.end(`it failed: ${messageOf(error)}`));
    this.#listenToOutput(Object.values(spec.secrets));
    const ping = setInterval(() => this.#ping(), DRIVER_PING_MS);
    this.ended = new Promise((resolve) => {
      this.#worker.once('exit', (code) => {
        clearInterval(ping);
        this.end(`its thread ended with ${code}`);
        this.#calls.close(`the driver is gone: ${this.#reason}`);
        resolve(this.#reason!);
      });
    });
    this.ended.then((reason) => this.#opened.reject(new Error(reason)));
  }

  /** As the driver's own; rejects also when the thread ends or does not answer in time. */
  async call<T>(method: DriverMethod, args: unknown[], timeout_ms = DRIVER_CALL_MS): Promise<T> {
    const answer = this.#calls.call(method, args) as Promise<T>;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`the driver did not answer in ${timeout_ms / 1000} s`)), timeout_ms);
    });
    return Promise.race([answer, late]).finally(() => clearTimeout(timer));
  }

  /** Rejects when the driver does; then the thread is gone. */
  async start(sink: Sink, cursors: ReadonlyMap<string, string>): Promise<void> {
    this.#sink = sink;
    await this.#within(this.#calls.call('start', [cursors]), DRIVER_START_MS, 'it did not start in time');
  }

  /** Lets the driver end in order, for a bounded time. */
  async stop(): Promise<void> {
    const asked = this.#calls.call('stop', []).catch(() => {});
    await Promise.race([asked, sleep(DRIVER_STOP_MS, undefined, { ref: false })]);
    this.end('it was stopped');
    await this.ended;
  }

  /** Ends the thread, whatever it does. The first reason counts. */
  end(reason: string): void {
    if (this.#reason !== null) return;
    this.#reason = reason;
    void this.#worker.terminate();
  }

  async #within(work: Promise<unknown>, ms: number, late: string): Promise<void> {
    const timer = setTimeout(() => this.end(late), ms);
    try {
      await work;
    } catch (error) {
      this.end(messageOf(error));
      await this.ended;
      throw new Error(this.#reason!);
    } finally {
      clearTimeout(timer);
    }
  }

  #receive(message: DriverNews | CallMessage): void {
    this.#heard = performance.now();
    switch (message.t) {
      case 'opened':
        this.methods = new Set(message.methods);
        return this.#opened.resolve();
      case 'refused':
        return this.#opened.reject(new Error(message.reason));
      case 'health':
        return this.#events.health(message.health, message.link, message.linking);
      case 'log':
        return this.#log[message.level](`channel.${message.event}`, { channel: this.#name, ...message.fields });
      case 'pong':
        return;
      default:
        return this.#calls.receive(message);
    }
  }

  /** Bounded: a driver waits for its commits, and one that does not would fill the memory with what it has read. */
  async #called(method: string, args: unknown[]): Promise<unknown> {
    if (this.#sink === null) throw new Error('it has not been started');
    if (this.#asked >= DRIVER_CALLS_MAX) {
      this.end('it took in more than it waited for');
      throw new Error('too much at once');
    }
    this.#asked += 1;
    try {
      return await (this.#sink[method as keyof Sink] as (...given: unknown[]) => unknown)(...withBuffers(method, args));
    } finally {
      this.#asked -= 1;
    }
  }

  #ping(): void {
    if (performance.now() - this.#heard > DRIVER_HUNG_MS) this.end('it did not answer any more');
    else this.#worker.postMessage({ t: 'ping' });
  }

  /** What its packages print is kept, within bounds, and shown nowhere else. */
  #listenToOutput(secrets: string[]): void {
    let lines = 0;
    for (const stream of [this.#worker.stdout, this.#worker.stderr])
      createInterface({ input: stream }).on('line', (line) => {
        lines += 1;
        if (lines > DRIVER_LINES_MAX) return;
        const masked = secrets.reduce((text, secret) => text.replaceAll(secret, '[secret]'), line);
        this.#log.info('channel.printed', { channel: this.#name, line: masked.slice(0, DRIVER_REASON_CHARS_MAX) });
      });
  }
}

/** Between threads a buffer becomes bare bytes. */
function withBuffers(method: string, args: unknown[]): unknown[] {
  if (method !== 'accept') return args;
  const message = args[0] as IncomingMessage;
  const files = message.files.map(({ name, data }) => ({
    name,
    data: Buffer.from(data.buffer, data.byteOffset, data.byteLength),
  }));
  return [{ ...message, files }];
}
