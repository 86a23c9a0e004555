import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, type SpanExporter, TracerProvider } from '@opentelemetry/sdk-trace';
import { messageOf } from '../../base/errors.ts';
import {
  EXPORT_BATCH_MS,
  EXPORT_BATCH_SPANS,
  EXPORT_REQUEST_MS,
  EXPORT_SPANS_MAX,
} from '../../base/limits/telemetry.ts';
import { type SpanFact, spanIdOf, traceIdOf } from './spans.ts';
import type { ExportCounts, TelemetrySpec, TraceFact } from './telemetry_calls.ts';

/** Traces to a collector, by OpenTelemetry's own libraries: batches, a bounded queue, OTLP over HTTP. */
export interface Otlp {
  trace(trace: TraceFact): void;
  close(): Promise<void>;
}

const KINDS: Record<SpanFact['kind'], SpanKind> = {
  internal: SpanKind.INTERNAL,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
};

/** `told` hears of each request to the collector. */
export function openOtlp(
  { install, version, otlp }: TelemetrySpec,
  told: (counts: ExportCounts, reason: string | null) => void,
): Otlp {
  const { endpoint, headers } = otlp!;
  const counts: ExportCounts = { exported: 0, failed: 0, dropped: 0 };
  let waiting = 0;
  const url = `${endpoint.replace(/\/+$/, '')}/v1/traces`;
  // At the end all that waits leaves at once.
  const concurrencyLimit = Math.ceil(EXPORT_SPANS_MAX / EXPORT_BATCH_SPANS) + 1;
  const inner = new OTLPTraceExporter({ url, headers, timeoutMillis: EXPORT_REQUEST_MS, concurrencyLimit });
  const exporter: SpanExporter = {
    export: (spans, done) =>
      inner.export(spans, (result) => {
        waiting -= spans.length;
        // One message is one root.
        const roots = spans.filter(({ parentSpanContext }) => parentSpanContext === undefined).length;
        counts[result.code === 0 ? 'exported' : 'failed'] += roots;
        told({ ...counts }, result.code === 0 ? null : messageOf(result.error ?? 'the collector refused it'));
        done(result);
      }),
    shutdown: () => inner.shutdown(),
  };
  let ids = { trace: '', span: '' };
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': 'glassclaw',
      'service.version': version,
      'service.instance.id': install,
    }),
    idGenerator: { generateTraceId: () => ids.trace, generateSpanId: () => ids.span },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter,
        maxQueueSize: EXPORT_SPANS_MAX,
        maxExportBatchSize: EXPORT_BATCH_SPANS,
        scheduledDelayMillis: EXPORT_BATCH_MS,
        exportTimeoutMillis: EXPORT_REQUEST_MS,
      }),
    ],
  });
  const tracer = provider.getTracer('glassclaw', version);
  return {
    trace: ({ id, spans }) => {
      if (waiting + spans.length > EXPORT_SPANS_MAX) {
        counts.dropped += 1;
        return told({ ...counts }, 'more waits for the collector than is kept');
      }
      waiting += spans.length;
      const traceId = traceIdOf(install, id);
      const begun = spans.map((_, at) => at);
      const made: ReturnType<typeof tracer.startSpan>[] = [];
      for (const at of begun) {
        const { name, kind, start_us, parent, attributes, error } = spans[at]!;
        ids = { trace: traceId, span: spanIdOf(traceId, at) };
        const context = parent === null ? ROOT_CONTEXT : trace.setSpan(ROOT_CONTEXT, made[parent]!);
        const span = tracer.startSpan(name, { kind: KINDS[kind], startTime: hrTime(start_us), attributes }, context);
        if (error !== null) span.setStatus({ code: SpanStatusCode.ERROR, message: error });
        made.push(span);
      }
      made.forEach((span, at) => void span.end(hrTime(spans[at]!.end_us)));
    },
    close: () => provider.shutdown(),
  };
}

/** Seconds and nanoseconds. */
function hrTime(us: number): [number, number] {
  return [Math.floor(us / 1e6), (us % 1e6) * 1000];
}
