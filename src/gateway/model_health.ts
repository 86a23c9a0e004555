import type { AuditRow, GatewayHealth } from '../protocol/gateway.ts';

/** Answers that say nothing about what was asked: the endpoint, the account there, or the way to it is at fault. */
const OUTAGES = new Set([401, 403, 407, 408, 429]);

/** Pure. How many requests to its model failed one after the other, by group; `rows`: oldest first. */
export function modelsOf(rows: readonly AuditRow[]): GatewayHealth['models'] {
  const models = new Map<string, { failures: number; reason: string; ended: boolean }>();
  for (const row of rows.toReversed()) {
    // What we refused, what still runs, and what an agent has given up says nothing.
    if (row.service !== null || row.decision === 'deny' || row.ended_ms === null) continue;
    const failure = failureOf(row);
    if (failure === null && row.status === null) continue;
    const model = models.get(row.group) ?? { failures: 0, reason: failure ?? '', ended: false };
    models.set(row.group, model);
    model.ended ||= failure === null;
    if (!model.ended) model.failures += 1;
  }
  return [...models].map(([group, { failures, reason }]) => ({ group, failures, reason }));
}

function failureOf({ decision, status, host, rule }: AuditRow): string | null {
  if (decision === 'error') return `${host}: ${rule}`;
  const isOutage = status !== null && (status >= 500 || OUTAGES.has(status));
  return isOutage ? `${host} answered ${status}` : null;
}
