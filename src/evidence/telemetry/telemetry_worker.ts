import { parentPort, workerData } from 'node:worker_threads';
import { CallPort } from '../../channels/driver_calls.ts';
import type { Otlp } from './otlp.ts';
import type { Prometheus } from './prometheus.ts';
import type { Family, Observation } from './samples.ts';
import type { TelemetrySpec, ToThread, TraceFact } from './telemetry_calls.ts';

/**
 * The program of the exporters' thread. Their packages are loaded here and nowhere else, and only those that are asked for: what
 * they do wrong ends this thread, not the host.
 */
const port = parentPort!;
const spec = workerData as TelemetrySpec;
let prometheus: Prometheus | null = null;
let otlp: Otlp | null = null;

const methods: { [Name in keyof ToThread]: (...args: never[]) => unknown } = {
  start: async () => {
    if (spec.metrics !== null) {
      const { servePrometheus } = await import('./prometheus.ts');
      prometheus = await servePrometheus(spec.metrics, () => calls.call('scrape', []) as Promise<Family[]>);
    }
    if (spec.otlp !== null) {
      const { openOtlp } = await import('./otlp.ts');
      otlp = openOtlp(spec, (counts, reason) => {
        calls.call('exported', [counts, reason === null ? null : harmless(reason)]).catch(() => {});
      });
    }
  },
  trace: (trace: TraceFact) => otlp?.trace(trace),
  observe: (seen: Observation[]) => prometheus?.observe(seen),
  stop: async () => {
    prometheus?.close();
    // What the collector does not take now is not written down anywhere.
    await otlp?.close().catch(() => {});
  },
};

/** A collector's refusal may repeat what it was sent. */
function harmless(reason: string): string {
  return Object.values(spec.otlp?.headers ?? {}).reduce((said, secret) => said.replaceAll(secret, '[secret]'), reason);
}

const calls = new CallPort(
  (message) => port.postMessage(message),
  async (method, args) => methods[method as keyof ToThread](...(args as never[])),
);
port.on('message', (message) => calls.receive(message));
