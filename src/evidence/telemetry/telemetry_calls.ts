import type { Family, Observation } from './samples.ts';
import type { SpanFact } from './spans.ts';

/** What the exporters' thread and the host say to one another, as calls of a `CallPort`. */

export interface TelemetrySpec {
  /** Name of the home, and of the version that runs. */
  install: string;
  version: string;
  metrics: { host: string; port: number } | null;
  /** `headers` hold secrets: they stand in no reason and no log. */
  otlp: { endpoint: string; headers: Record<string, string> } | null;
}

/** Of one message. */
export interface TraceFact {
  id: string;
  spans: SpanFact[];
}

/** Of traces, since the thread began. */
export interface ExportCounts {
  exported: number;
  failed: number;
  dropped: number;
}

/** To the thread. */
export interface ToThread {
  start(): void;
  trace(trace: TraceFact): void;
  observe(seen: Observation[]): void;
  /** What waits leaves, if it can. */
  stop(): Promise<void>;
}

/** To the host. */
export interface ToHost {
  scrape(): Promise<Family[]>;
  /** After each request to the collector; `reason`: why the newest one failed, null: it did not. */
  exported(counts: ExportCounts, reason: string | null): void;
}
