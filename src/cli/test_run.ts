import { run } from 'node:test';
import { spec } from 'node:test/reporters';

/** One run of node:test over some files: what it printed, and what came out, counted from its events. */

export interface Tally {
  passed: number;
  failed: number;
  /** With the reason of each, for a person: what was not looked at on this machine. */
  skipped: { name: string; reason: string }[];
}

export interface TestRun extends Tally {
  /** The runner's own report, as `node --test` prints it. */
  report: string;
}

/** The part of an event of node:test that is read here. */
interface TestEvent {
  name: string;
  file?: string;
  skip?: string | boolean;
  todo?: string | boolean;
  details: { type?: string; error?: Error & { failureType?: string } };
}

/** Of a file that waits for something that never comes: the others, and who waits for all of them, go on. */
const FILE_MS = 40 * 60_000;

/** Each file runs in a process of its own, `atOnce` of them at a time. Never rejects because of a test. */
export async function runTests(files: string[], atOnce: number): Promise<TestRun> {
  const tally: Tally = { passed: 0, failed: 0, skipped: [] };
  // Compiled code of the command line is no business of the programs that tests start.
  delete process.env['NODE_COMPILE_CACHE'];
  const stream = run({ files, isolation: 'process', concurrency: atOnce, timeout: FILE_MS });
  stream.on('test:pass', (event: TestEvent) => countPass(tally, event));
  stream.on('test:fail', (event: TestEvent) => countFail(tally, event));
  let report = '';
  for await (const text of stream.compose(new spec())) report += String(text);
  return { ...tally, report };
}

function countPass(tally: Tally, event: TestEvent): void {
  const off = event.skip ?? event.todo;
  // A suite that is skipped hides an unknown number of tests: it counts as one.
  if (off !== undefined && off !== false)
    tally.skipped.push({ name: event.name, reason: typeof off === 'string' ? off : 'no reason given' });
  else if (event.details.type !== 'suite' && event.name !== event.file) tally.passed += 1;
}

function countFail(tally: Tally, event: TestEvent): void {
  // A suite fails with its tests, which are counted; or by itself, in a hook.
  if (event.details.type === 'suite' && event.details.error?.failureType === 'subtestsFailed') return;
  tally.failed += 1;
}
