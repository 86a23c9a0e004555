import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import type { Clock } from '../../base/clock.ts';
import type { InstallConfig } from '../../base/config.ts';
import { messageOf } from '../../base/errors.ts';
import { showId } from '../../base/ids.ts';
import {
  EXPORT_ALERT_MS,
  EXPORT_BACKOFF_MAX_MS,
  EXPORT_BACKOFF_MS,
  EXPORT_EVENTS_MAX,
  EXPORT_HEAP_MB,
  EXPORT_REMEMBERED_MAX,
  EXPORT_STOP_MS,
  EXPORT_UNREAD_MAX,
  METRICS_COUNT_MS,
} from '../../base/limits/telemetry.ts';
import type { Log } from '../../base/log.ts';
import { isComplete } from '../../base/packages.ts';
import { VERSION } from '../../base/version.ts';
import { CallPort } from '../../channels/driver_calls.ts';
import { eventsAfter, lastEventId } from '../../ledger/events.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import type { Status } from '../status.ts';
import { queuesOf } from '../status_facts.ts';
import { traceOf } from '../trace.ts';
import type { AskAudit } from '../trace_steps.ts';
import { observationsOf, overAfter } from './followed.ts';
import { telemetryPackages } from './packages.ts';
import { type Family, familiesOf } from './samples.ts';
import { spansOf } from './spans.ts';
import type { ExportCounts, TelemetrySpec, ToHost, ToThread } from './telemetry_calls.ts';

/**
 * Metrics and traces for tools of others, where `glass.yaml` asks for them. The host follows its own events and hands facts to a
 * thread, which has the packages, the port and the network; the thread is begun again for as long as the host lives. Nothing
 * here waits for it, and what it cannot take is counted and gone.
 */
export interface TelemetryInput {
  root: string;
  install: string;
  config: Pick<InstallConfig, 'metrics' | 'otlp'>;
  ledger: Ledger;
  clock: Clock;
  log: Log;
  status(): Promise<Status>;
  audit: AskAudit;
  /** The value of a header. Rejects with `OperatingError`. */
  release(secret: string): Promise<string>;
  alert(kind: string, subject: string, text: string): void;
  clear(kind: string, subject: string): void;
}

const PROGRAM = new URL('./telemetry_worker.ts', import.meta.url);
const ALERT = 'telemetry';

export class Telemetry {
  readonly #input: TelemetryInput;
  readonly #ending = new AbortController();
  readonly #lag = monitorEventLoopDelay({ resolution: 20 });
  readonly #done = new Set<number>();
  #unfollow: () => void = () => {};
  #cursor = 0;
  #looking = false;
  #worker: Worker | null = null;
  #calls: CallPort | null = null;
  #lives: Promise<void> = Promise.resolve();
  /** One trace is read at a time: each is a few queries and one question to the gateway. */
  #reading = Promise.resolve();
  #unread = 0;
  #counts: ExportCounts = { exported: 0, failed: 0, dropped: 0 };
  /** Of threads that have ended. */
  #before: ExportCounts = { exported: 0, failed: 0, dropped: 0 };
  #failing_since: number | null = null;
  #counted: { at: number; status: Promise<Status> } | null = null;

  constructor(input: TelemetryInput) {
    this.#input = input;
  }

  /** Returns at once: an exporter holds nothing up. */
  start(): void {
    const { root, ledger, alert } = this.#input;
    const packages = telemetryPackages(root);
    if (!isComplete(packages.folder))
      return alert(ALERT, 'packages', `Nothing is exported: the packages are not installed. Run ${packages.command}`);
    this.#input.clear(ALERT, 'packages');
    if (this.#input.config.metrics !== undefined) this.#lag.enable();
    this.#cursor = lastEventId(ledger.db);
    this.#unfollow = ledger.onCommit(() => this.#look());
    this.#lives = this.#goOn();
  }

  /** What waits leaves, for a bounded time. */
  async stop(): Promise<void> {
    this.#unfollow();
    this.#lag.disable();
    const late = sleep(EXPORT_STOP_MS, undefined, { ref: false });
    await Promise.race([this.#reading.then(() => this.#tell('stop', [])), late]);
    this.#ending.abort();
    await this.#worker?.terminate();
    await Promise.race([this.#lives, late]);
  }

  /** One thread after the other. */
  async #goOn(): Promise<void> {
    const { signal } = this.#ending;
    for (let wait = EXPORT_BACKOFF_MS; !signal.aborted; wait = Math.min(wait * 2, EXPORT_BACKOFF_MAX_MS)) {
      const reason = await this.#life(() => {
        wait = EXPORT_BACKOFF_MS;
      }).catch(messageOf);
      this.#calls = null;
      for (const outcome of ['exported', 'failed', 'dropped'] as const) this.#before[outcome] += this.#counts[outcome];
      this.#counts = { exported: 0, failed: 0, dropped: 0 };
      if (signal.aborted) return;
      this.#input.log.warn('telemetry.ended', { reason });
      this.#input.alert(ALERT, 'exporters', `Metrics and traces are not exported: ${reason}`);
      await sleep(wait, undefined, { signal }).catch(() => {});
    }
  }

  /** Resolves with why it ended; rejects with why it could not begin. */
  async #life(began: () => void): Promise<string> {
    const worker = new Worker(PROGRAM, {
      ...{ workerData: await this.#spec(), env: {}, stdout: true, stderr: true, name: 'telemetry' },
      resourceLimits: { maxOldGenerationSizeMb: EXPORT_HEAP_MB },
    });
    // What its packages print is nobody's.
    for (const stream of [worker.stdout, worker.stderr]) stream.resume();
    const ended = new Promise<string>((resolve) => {
      worker.once('error', (error) => resolve(messageOf(error)));
      worker.once('exit', (code) => resolve(`its thread ended with ${code}`));
    });
    const calls = new CallPort((message) => worker.postMessage(message), this.#called);
    worker.on('message', (message) => calls.receive(message));
    void ended.then((reason) => calls.close(reason));
    this.#worker = worker;
    try {
      await calls.call('start', []);
    } catch (error) {
      await worker.terminate();
      throw error;
    }
    this.#calls = calls;
    this.#input.clear(ALERT, 'exporters');
    began();
    this.#look();
    return ended;
  }

  async #spec(): Promise<TelemetrySpec> {
    const { install, config, release } = this.#input;
    const { metrics, otlp } = config;
    const headers: Record<string, string> = {};
    for (const [header, secret] of Object.entries(otlp?.headers ?? {})) headers[header] = await release(secret);
    return {
      ...{ install, version: VERSION },
      metrics: metrics?.prometheus ?? null,
      otlp: otlp === undefined ? null : { endpoint: otlp.endpoint, headers },
    };
  }

  #tell<Name extends keyof ToThread>(method: Name, args: Parameters<ToThread[Name]>): Promise<unknown> {
    return this.#calls?.call(method, args).catch(() => {}) ?? Promise.resolve();
  }

  readonly #called = async (method: string, args: unknown[]): Promise<unknown> => {
    if (method === ('scrape' satisfies keyof ToHost)) return this.#scrape();
    return this.#exported(...(args as Parameters<ToHost['exported']>));
  };

  /** All messages are counted once a minute at most: that reads every row. */
  async #scrape(): Promise<Family[]> {
    const now = this.#input.clock.monotonic();
    if (this.#counted === null || now - this.#counted.at > METRICS_COUNT_MS)
      this.#counted = { at: now, status: this.#input.status() };
    const status = {
      ...(await this.#counted.status),
      at_ms: this.#input.clock.now(),
      queues: queuesOf(this.#input.ledger.db),
    };
    const loop_lag_seconds = Math.max(0, this.#lag.max) / 1e9;
    this.#lag.reset();
    return familiesOf(status, { loop_lag_seconds, resident_bytes: process.memoryUsage.rss(), traces: this.#sum() });
  }

  #sum(): ExportCounts {
    const [before, counts] = [this.#before, this.#counts];
    return {
      exported: before.exported + counts.exported,
      failed: before.failed + counts.failed,
      dropped: before.dropped + counts.dropped,
    };
  }

  /** A collector that is away for a while is nobody's business; after ten minutes somebody is told. */
  #exported(counts: ExportCounts, reason: string | null): void {
    const { clock, alert, clear } = this.#input;
    this.#counts = counts;
    if (reason === null) {
      this.#failing_since = null;
      return clear(ALERT, 'otlp');
    }
    this.#failing_since ??= clock.monotonic();
    if (clock.monotonic() - this.#failing_since < EXPORT_ALERT_MS) return;
    const { failed, dropped } = this.#sum();
    alert(ALERT, 'otlp', `Traces do not reach the collector (${failed} failed, ${dropped} dropped): ${reason}`);
  }

  /** After a commit, beside it: many commits are one look. */
  #look(): void {
    if (this.#looking || this.#calls === null) return;
    this.#looking = true;
    setImmediate(() => {
      this.#looking = false;
      const { db } = this.#input.ledger;
      const rows = eventsAfter(db, this.#cursor, EXPORT_EVENTS_MAX);
      if (rows.length === 0 || this.#ending.signal.aborted) return;
      this.#cursor = rows.at(-1)!.id;
      const { metrics, otlp } = this.#input.config;
      const seen = metrics === undefined ? [] : rows.flatMap((row) => observationsOf(db, row));
      if (seen.length > 0) void this.#tell('observe', [seen]);
      if (otlp !== undefined) for (const message of rows.flatMap((row) => overAfter(db, row))) this.#export(message);
      if (rows.length === EXPORT_EVENTS_MAX) this.#look();
    });
  }

  #export(message: number): void {
    if (this.#done.has(message)) return;
    this.#done.add(message);
    if (this.#done.size > EXPORT_REMEMBERED_MAX) this.#done.delete(this.#done.values().next().value!);
    const { ledger, audit, log } = this.#input;
    if (this.#unread >= EXPORT_UNREAD_MAX) {
      this.#before.dropped += 1;
      return;
    }
    this.#unread += 1;
    this.#reading = this.#reading
      .then(async () => {
        const spans = spansOf(await traceOf(ledger.db, message, audit));
        if (spans.length > 0) void this.#tell('trace', [{ id: showId('m', message), spans }]);
      })
      .catch((error) => log.warn('telemetry.trace', { message: showId('m', message), reason: messageOf(error) }))
      .then(() => {
        this.#unread -= 1;
      });
  }
}
