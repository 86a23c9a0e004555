import { type Clock, systemClock } from '../../src/base/clock.ts';
import { noFaults } from '../../src/base/faults.ts';
import { Audit } from '../../src/gateway/audit.ts';

/** Older than what is kept by any setting that a fresh install has. */
const AGO_MS = 1000 * 24 * 3_600_000;

export const longAgo: Clock = {
  now: () => systemClock.now() - AGO_MS,
  micros: () => systemClock.micros() - AGO_MS * 1000,
  monotonic: () => systemClock.monotonic(),
};

/** A record of requests, in which one from long ago and the host's head of that time are to be cut off. */
export function makeOldAudit(path: string, head: { event: number; hash: string }): void {
  const audit = new Audit(path, longAgo, noFaults);
  const asked = { session: 's1', group: 'assistant', method: 'GET', host: 'api.example.com', path: '/' };
  audit.refused({ ...asked, rule: 'none', service: null }, 403);
  audit.hostHead(head);
  audit.close();
}
