import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { DockerRuntime } from '../../src/runtimes/docker.ts';
import { engineSocket } from '../../src/runtimes/engine.ts';
import { IS_FULL } from '../kits/long_form.ts';
import {
  describe,
  isGood,
  LANES,
  planPoint,
  planRuns,
  type Report,
  type RunResult,
  reportOf,
  runAll,
  WATCHED,
} from './matrix.ts';

/**
 * Each fault point once, by its own process; then so many seeded runs. `GLASS_CRASH_RUNS`: another number. `GLASS_CRASH_REPORT`: a file
 * for the report of what has run so far, since the runner shows what a test prints only when it has failed.
 */
const SHORT_RUNS = 10;
const FULL_RUNS = 500;
/** Of the seeded runs: two processes at once, and Claude with messages pushed in mid-turn. */
const DOUBLES_MIN = 0.1;
const CLAUDE_MIN = 0.1;
/** Of the runs with Claude: where it is killed before that, nothing joins. */
const STEERED_MIN = 0.5;
/** Deaths of each kind of process, for each seeded run. */
const VICTIMS_MIN = 0.05;
const AGAIN_MAX = 3;
const ASKED = Number(process.env['GLASS_CRASH_RUNS'] ?? (IS_FULL ? FULL_RUNS : 0));
/** A run takes some seven seconds on a quiet machine. */
const RUN_MS = 60_000;
const REPORT = process.env['GLASS_CRASH_REPORT'];

test('whatever is killed and when, no message is lost, sent twice or settled twice', {
  timeout: 80 * 60_000 + ASKED * RUN_MS,
}, async (context) => {
  const docker = new DockerRuntime({ socket: engineSocket(process.env), cache: tmpdir(), run: tmpdir() });
  const problems = await docker.check();
  if (problems.length > 0) context.diagnostic(`without docker: ${problems.join('; ')}`);
  const seeded = ASKED || SHORT_RUNS;
  const results: RunResult[] = [];
  const hear = (result: RunResult): void => {
    results.push(result);
    if (!isGood(result))
      context.diagnostic(`${describe(result.plan)}: ${result.failure ?? JSON.stringify(result.verdict)}`);
    if (REPORT !== undefined) writeFileSync(REPORT, `${JSON.stringify(reportOf(results), null, 2)}\n`);
  };
  const [watched] = await runAll([WATCHED], 1, hear);
  const options = {
    seeded,
    claudeShare: ASKED > 0 ? 0.16 : 0.3,
    doubleShare: 0.4,
    docker: problems.length === 0,
    seed: 1,
  };
  const plans = planRuns(options, watched!.passed);
  await runAll(plans, LANES, hear);
  // Whether a run comes past a point depends on the machine's pace, and on which life passes it.
  for (let round = 0; round < AGAIN_MAX; round += 1) {
    const again = reportOf(results).spared.map((name, index) => planPoint(name, plans.length + index));
    await runAll(again, LANES, hear);
  }
  const report = reportOf(results);
  context.diagnostic(JSON.stringify(report));
  assert.deepEqual(report.problems, []);
  assert.deepEqual(report.spared, [], 'a fault point that nothing dies at is not tested');
  hasSeen(report, seeded, problems.length === 0);
});

/** What the matrix is said to be made of has happened. */
function hasSeen(report: Report, seeded: number, docker: boolean): void {
  const told = JSON.stringify({ ...report, kills: undefined });
  assert.ok(report.double_kills >= seeded * DOUBLES_MIN, `too few have killed two at once: ${told}`);
  assert.ok(report.claude_runs >= seeded * CLAUDE_MIN, `too few are with Claude: ${told}`);
  const steered = Math.max(1, Math.floor(report.claude_runs * STEERED_MIN));
  assert.ok(report.claude_steered >= steered, `too little has joined a turn of Claude: ${told}`);
  for (const part of ['host', 'gateway', 'sandbox']) {
    const died = Object.entries(report.victims).reduce(
      (sum, [who, times]) => sum + (who.includes(part) ? times : 0),
      0,
    );
    assert.ok(died >= seeded * VICTIMS_MIN, `the ${part} has died too seldom: ${told}`);
  }
  assert.ok(
    Object.keys(report.victims).some((who) => who.includes('sandbox-s3')),
    `no model’s sandbox has died: ${told}`,
  );
  assert.ok(report.docker_runs > 0 || !docker, `none is in docker: ${told}`);
}
