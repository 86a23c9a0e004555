import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { messageOf } from '../../base/errors.ts';
import { createServer } from '../../base/http.ts';
import { type Family, HISTOGRAMS, type HistogramName, type Observation } from './samples.ts';

/** `GET /metrics` in Prometheus' text format. What the host knows is asked for at each scrape; durations are kept here. */
export interface Prometheus {
  observe(seen: readonly Observation[]): void;
  close(): void;
}

/** Resolves when it listens; rejects when it cannot. `scrape` may reject: then the answer is 503. */
export async function servePrometheus(
  { host, port }: { host: string; port: number },
  scrape: () => Promise<Family[]>,
): Promise<Prometheus> {
  const kept = new Registry();
  const histograms = new Map<HistogramName, Histogram>();
  for (const [name, { help, labels, buckets }] of Object.entries(HISTOGRAMS)) {
    const histogram = new Histogram({ name, help, labelNames: [...labels], buckets: [...buckets], registers: [kept] });
    histograms.set(name as HistogramName, histogram);
  }
  const server = createServer((request, response) => {
    const end = (status: number, type: string, text: string): void => {
      response.writeHead(status, { 'content-type': type }).end(text);
    };
    if (request.method !== 'GET' || request.url?.split('?')[0] !== '/metrics')
      return end(404, 'text/plain', 'GET /metrics\n');
    scrape().then(
      async (families) => end(200, kept.contentType, `${await textOf(families)}${await kept.metrics()}`),
      (error) => end(503, 'text/plain', `${messageOf(error)}\n`),
    );
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
  return {
    observe: (seen) => {
      for (const { name, labels, value } of seen) histograms.get(name)?.observe(labels, value);
    },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** A registry for each scrape: a counter's whole value is the ledger's, and a label that is gone is gone. */
async function textOf(families: readonly Family[]): Promise<string> {
  const registry = new Registry();
  for (const { name, help, type, rows } of families) {
    const labelNames = [...new Set(rows.flatMap(({ labels }) => Object.keys(labels)))];
    const Kind = type === 'counter' ? Counter : Gauge;
    const metric = new Kind({ name, help, labelNames, registers: [registry] });
    for (const { labels, value } of rows) metric.inc(labels, value);
  }
  return registry.metrics();
}
