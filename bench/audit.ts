import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { systemClock } from '../src/base/clock.ts';
import { noFaults } from '../src/base/faults.ts';
import { ROOT } from '../src/base/paths.ts';
import { NO_USAGE } from '../src/gateway/usage.ts';
import { PatchedTree } from '../test/fakes/patched_tree.ts';
import { type Spread, spreadOf } from './install.ts';

/**
 * What the record costs a request: the transaction before it leaves and the one at its end, on the disk of the temporary
 * folder. Beside it the same code with `synchronous` FULL, from a patched copy of the source: what it would cost to lose
 * not even the newest rows in a power cut.
 */
export interface AuditFigures {
  normal: Spread;
  full: Spread;
}

const REQUESTS = 500;
const WARM_REQUESTS = 100;
const ASKED = {
  ...{ session: 's1', group: 'bench', method: 'GET', host: 'api.example.com', path: '/items/1' },
  ...{ rule: 'GET /items/**', service: 'api' },
};
const NOTHING = { cost_micros: 0, tokens: 0 };
const OUTCOME = { ...NO_USAGE, decision: 'allow', rule: null, status: 200 } as const;

export async function auditFigures(): Promise<AuditFigures> {
  using tree = new PatchedTree([['src/gateway/audit.ts', "synchronous: 'NORMAL'", "synchronous: 'FULL'"]]);
  return { normal: await timesOf(ROOT), full: await timesOf(tree.root) };
}

/** Of the source at `root`. */
async function timesOf(root: string): Promise<Spread> {
  const { Audit } = (await import(
    pathToFileURL(join(root, 'src/gateway/audit.ts')).href
  )) as typeof import('../src/gateway/audit.ts');
  const folder = mkdtempSync(join(tmpdir(), 'gb-'));
  const audit = new Audit(join(folder, 'audit.db'), systemClock, noFaults);
  const times: number[] = [];
  for (let i = 0; i < WARM_REQUESTS + REQUESTS; i += 1) {
    const began = performance.now();
    const row = audit.begin(ASKED, 'api-token', NOTHING);
    audit.end(row, { ...OUTCOME, request_bytes: 0, response_bytes: 20, redacted: 0 }, NOTHING);
    times.push(performance.now() - began);
  }
  audit.close();
  rmSync(folder, { recursive: true });
  return spreadOf(times.slice(WARM_REQUESTS));
}

if (import.meta.main) console.log(await auditFigures());
