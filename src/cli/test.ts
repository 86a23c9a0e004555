import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { basename, join } from 'node:path';
import { harnessSchema } from '../base/config.ts';
import { OperatingError } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';
import { driverPackages, KINDS } from '../channels/kinds.ts';
import { telemetryPackages } from '../evidence/telemetry/packages.ts';
import { installPackages } from '../operations/package_install.ts';
import { packagesOf } from '../sessions/harnesses.ts';
import type { Io } from './io.ts';
import { runTests, type TestOptions, type TestRun } from './test_run.ts';

/**
 * `glass test [--full] [name…]`: every check of this checkout, cheapest first; the first step that fails is the last. A
 * name is a step, or a part of the names of test files. `--full`: 500 runs of the crash matrix, and other long forms. The last line
 * is `N passed, N failed, N skipped`.
 */

/**
 * A program that says by its exit code whether all is well, or files of node:test. Tests of e2e mostly wait, so more of
 * them run at once than there are cores; the crash matrix kills what it finds, so it runs alone. A few that are red beside others get a second look, alone, and are named
 * (decision 0053); those of a step that runs alone get none.
 */
type Step = { name: string } & ({ program: string[] } | ({ files: string } & TestOptions));

const STEPS: readonly Step[] = [
  { name: 'lint', program: ['node_modules/@biomejs/biome/bin/biome', 'check', '.'] },
  { name: 'types', program: ['node_modules/typescript/bin/tsc'] },
  { name: 'tidy', files: 'test/tidy.test.ts', at_once: 1, second_looks: 0 },
  { name: 'unit', files: 'test/unit/*.test.ts', at_once: 2, second_looks: 0 },
  { name: 'e2e', files: 'test/e2e/*.test.ts', at_once: 4, second_looks: 3 },
  { name: 'crash', files: 'test/crash/*.test.ts', at_once: 1, second_looks: 0 },
];

interface Outcome {
  ok: boolean;
  /** What to print when something was red. */
  output: string;
  tests: TestRun | null;
}

export async function test(args: string[], paths: Paths, io: Io): Promise<number> {
  if (args.includes('--full')) process.env['GLASS_TEST_FULL'] = '1';
  const steps = chosen(
    args.filter((word) => word !== '--full'),
    paths.root,
  );
  await installWhatTestsNeed(paths, io);
  const sums = { passed: 0, failed: 0, skipped: 0 };
  let ok = true;
  for (const step of steps) {
    const began = performance.now();
    const outcome = await runStep(step, paths.root);
    ok = outcome.ok;
    sums.passed += outcome.tests?.passed ?? 0;
    sums.failed += outcome.tests?.failed ?? 0;
    sums.skipped += outcome.tests?.skipped.length ?? 0;
    if (!io.json) tell(step, outcome, (performance.now() - began) / 1000, io);
    if (!ok) break;
  }
  io.out(
    io.json ? JSON.stringify({ ok, ...sums }) : `${sums.passed} passed, ${sums.failed} failed, ${sums.skipped} skipped`,
  );
  return ok ? 0 : 1;
}

type Chosen = Step & { paths: string[] };

/** The steps that `words` name, or all; a word that is no step picks test files. Throws when it picks nothing. */
function chosen(words: string[], root: string): Chosen[] {
  const all = STEPS.map((step) => ({
    ...step,
    paths: 'files' in step ? globSync(step.files, { cwd: root }).sort() : [],
  }));
  if (words.length === 0) return all;
  const parts = words.filter((word) => !STEPS.some((step) => step.name === word));
  const picked = (path: string): boolean => parts.some((part) => path.includes(part));
  for (const part of parts) {
    if (!all.some((step) => step.paths.some((path) => path.includes(part))))
      throw new OperatingError('usage', `no step or test file is called "${part}"`, `steps: ${names()}`);
  }
  return all
    .map((step) => (words.includes(step.name) ? step : { ...step, paths: step.paths.filter(picked) }))
    .filter((step) => words.includes(step.name) || step.paths.length > 0);
}

function names(): string {
  return STEPS.map((step) => step.name).join(', ');
}

/** Tests drive the real harnesses and drivers; without their packages the types would be missing too. */
async function installWhatTestsNeed(paths: Paths, io: Io): Promise<void> {
  const sets = [
    ...harnessSchema.options.map((name) => packagesOf(paths.root, name)),
    ...KINDS.map((kind) => driverPackages(paths.root, kind)),
    telemetryPackages(paths.root),
  ];
  for (const set of sets) if (set !== null) await installPackages(paths.root, set, io.err);
}

async function runStep(step: Chosen, root: string): Promise<Outcome> {
  if ('program' in step) return runProgram(step.program, root);
  if (step.paths.length === 0) return { ok: true, output: '', tests: null };
  const tests = await runTests(
    step.paths.map((path) => join(root, path)),
    step,
  );
  return { ok: tests.failed === 0, output: tests.report, tests };
}

function runProgram(program: string[], root: string): Promise<Outcome> {
  const child = spawn(process.execPath, program, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  const keep = (chunk: Buffer): void => {
    output += chunk.toString('utf8');
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ ok: code === 0, output, tests: null }));
  });
}

function tell(step: Chosen, { ok, output, tests }: Outcome, seconds: number, io: Io): void {
  if (!ok || (tests?.unsteady.length ?? 0) > 0) io.out(output.trimEnd());
  const counts =
    tests === null ? '' : `  ${tests.passed} passed, ${tests.failed} failed, ${tests.skipped.length} skipped`;
  const nothing = 'files' in step && tests === null ? '  (no files)' : '';
  io.out(`${ok ? 'ok    ' : 'FAILED'}  ${step.name.padEnd(5)}  ${seconds.toFixed(1).padStart(6)} s${counts}${nothing}`);
  for (const { name, file } of tests?.unsteady ?? [])
    io.out(`        unsteady: ${name} (${basename(file)}: red beside others, green alone)`);
  for (const skipped of tests?.skipped ?? []) io.out(`        skipped: ${skipped.name} (${skipped.reason})`);
}
