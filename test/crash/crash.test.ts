import assert from 'node:assert/strict';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { DockerRuntime } from '../../src/runtimes/docker.ts';
import { engineSocket } from '../../src/runtimes/engine.ts';
import { IS_FULL } from '../kits/long_form.ts';
import { describe, planPoint, planRuns, type RunResult, reportOf, runAll } from './matrix.ts';

/** Short form: each fault point once, by its own process; then so many seeded runs. `GLASS_CRASH_RUNS`: another number. */
const SHORT_RUNS = 42;
const FULL_RUNS = 500;
const LANES = 2;
const AGAIN_MAX = 3;
const ASKED = Number(process.env['GLASS_CRASH_RUNS'] ?? (IS_FULL ? FULL_RUNS : 0));
/** A run takes some seven seconds on a quiet machine. */
const RUN_MS = 60_000;
const TOLD_EVERY = 25;

test('whatever is killed and when, no message is lost, sent twice or settled twice', {
  timeout: 80 * 60_000 + ASKED * RUN_MS,
}, async (context) => {
  const docker = new DockerRuntime({ socket: engineSocket(process.env), cache: tmpdir(), run: tmpdir() });
  const problems = await docker.check();
  if (problems.length > 0) context.diagnostic(`without docker: ${problems.join('; ')}`);
  const plans = planRuns(ASKED || SHORT_RUNS, {
    claudeShare: ASKED > 0 ? 0.16 : 0.25,
    doubleShare: ASKED > 0 ? 0.3 : 0.25,
    docker: problems.length === 0,
    seed: 1,
  });
  let [done, clean] = [0, 0];
  const hear = (result: RunResult): void => {
    done += 1;
    if (result.failure === null) clean += 1;
    if (ASKED > 0 && (done % TOLD_EVERY === 0 || result.failure !== null))
      process.stderr.write(
        `${done} of ${plans.length} runs, ${clean} clean${result.failure === null ? '' : `; ${describe(result.plan)}: ${result.failure}`}\n`,
      );
    if (result.failure !== null) context.diagnostic(`${describe(result.plan)}: ${result.failure}`);
  };
  const results = await runAll(plans, LANES, hear);
  // Whether a run comes past a point depends on the machine's pace, and on which life passes it.
  for (let round = 0; round < AGAIN_MAX; round += 1) {
    const again = reportOf(results).spared.map((name, index) => planPoint(name, plans.length + index));
    results.push(...(await runAll(again, LANES, hear)));
  }
  const report = reportOf(results);
  context.diagnostic(JSON.stringify({ ...report, kills: Object.keys(report.kills).length }));
  assert.deepEqual(report.problems, []);
  assert.deepEqual(report.spared, [], 'a fault point that nothing dies at is not tested');
});
