import { run } from 'node:test';
import { spec } from 'node:test/reporters';

/** One run of node:test over some files: what it printed, and what came out, counted from its events. */

export interface Tally {
  passed: number;
  failed: number;
  /** With the reason of each, for a person: what was not looked at on this machine. */
  skipped: { name: string; reason: string }[];
  /** Red beside other files, green alone (decision 0053). Counted as passed. */
  unsteady: { name: string; file: string }[];
}

export interface TestRun extends Tally {
  /** The runner's own report, as `node --test` prints it; of both looks when there was a second one. */
  report: string;
}

export interface TestOptions {
  /** Files at a time, each in a process of its own. */
  at_once: number;
  /** So many files that failed are run a second time, alone; when more failed, or with 0, none is. */
  second_looks: number;
}

/** The part of an event of node:test that is read here. */
interface TestEvent {
  name: string;
  file?: string;
  skip?: string | boolean;
  todo?: string | boolean;
  details: { type?: string; error?: Error & { failureType?: string } };
}

interface Look {
  passed: number;
  /** By the file where the test is written, which may be a kit that several files share. */
  failed: { name: string; file: string }[];
  /** Files that were run, and in which something failed. */
  red: Set<string>;
  skipped: Tally['skipped'];
  report: string;
}

/** Of a file that waits for something that never comes: the others, and who waits for all of them, go on. */
const FILE_MS = 40 * 60_000;

/** Runs `files`, whose paths are absolute. Never rejects because of a test. */
export async function runTests(files: string[], { at_once, second_looks }: TestOptions): Promise<TestRun> {
  // Compiled code of the command line is no business of the programs that tests start.
  delete process.env['NODE_COMPILE_CACHE'];
  const first = await look(files, at_once);
  if (first.red.size === 0 || first.red.size > second_looks) return tally(first, first.failed, []);
  const second = await look([...first.red], 1);
  const unsteady = first.failed.filter(({ name, file }) => !isAmong(second.failed, name, file));
  return tally({ ...first, report: first.report + second.report }, second.failed, unsteady);
}

/** `first`, with what is held to have failed, and what is not. */
function tally({ passed, skipped, report }: Look, failed: Look['failed'], unsteady: Tally['unsteady']): TestRun {
  return { passed: passed + unsteady.length, failed: failed.length, skipped, unsteady, report };
}

function isAmong(list: Look['failed'], name: string, file: string): boolean {
  return list.some((one) => one.name === name && one.file === file);
}

async function look(files: string[], at_once: number): Promise<Look> {
  const found: Look = { passed: 0, failed: [], red: new Set(), skipped: [], report: '' };
  const stream = run({ files, isolation: 'process', concurrency: at_once, timeout: FILE_MS });
  stream.on('test:pass', (event: TestEvent) => countPass(found, event));
  stream.on('test:fail', (event: TestEvent) => countFail(found, event));
  stream.on('test:summary', ({ file, success }: { file?: string; success: boolean }) => {
    if (file !== undefined && !success) found.red.add(file);
  });
  for await (const text of stream.compose(new spec())) found.report += String(text);
  return found;
}

function countPass(found: Look, event: TestEvent): void {
  const off = event.skip ?? event.todo;
  // A suite that is skipped hides an unknown number of tests: it counts as one.
  if (off !== undefined && off !== false)
    found.skipped.push({ name: event.name, reason: typeof off === 'string' ? off : 'no reason given' });
  else if (event.details.type !== 'suite' && event.name !== event.file) found.passed += 1;
}

function countFail(found: Look, event: TestEvent): void {
  // A suite fails with its tests, which are counted; or by itself, in a hook.
  if (event.details.type === 'suite' && event.details.error?.failureType === 'subtestsFailed') return;
  found.failed.push({ name: event.name, file: event.file ?? '' });
  // Of a process that died there is no summary: it is the test, and its own name.
  if (event.name === event.file) found.red.add(event.name);
}
