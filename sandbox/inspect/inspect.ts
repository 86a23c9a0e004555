import { unreachable } from '../../src/base/errors.ts';
import type { InspectionTask } from '../../src/protocol/inspection.ts';
import { exhaustFiles, exhaustMemory, exhaustProcesses } from './exhaust.ts';
import { observeFiles } from './files.ts';
import { observeNetwork } from './network.ts';
import { observeProcess } from './process.ts';
import { observeCalls } from './raw_calls.ts';
import { Report } from './report.ts';
import { observeSetId } from './set_id.ts';

/**
 * The observer of the self-check: stands where the runner stands, in a sandbox of the same spec, and tries to get out. It
 * knows nothing of what should happen. Its task is one argument in JSON; what it saw goes to standard output.
 */
const task = JSON.parse(process.argv[2]!) as InspectionTask;
const report = new Report(task.nonce, (line) => process.stdout.write(line));

await run(task);
process.stdout.write('', () => process.exit(0));

async function run({ part }: InspectionTask): Promise<void> {
  switch (part) {
    case 'attempts':
      return attempts();
    case 'processes':
      return exhaustProcesses(report, task);
    case 'memory':
      return exhaustMemory(report, task);
    case 'files':
      return exhaustFiles(report, task);
    default:
      return unreachable(part);
  }
}

/**
 * What needs other processes goes on while the rest is tried. Descriptors are counted before it opens any. The network
 * comes last: files are tried without a pause, and on a busy machine that took longer than an answer may take.
 */
async function attempts(): Promise<void> {
  observeProcess(report);
  const waiting = [observeCalls(report, task.calls), observeSetId(report)];
  observeFiles(report, task);
  await Promise.all([...waiting, observeNetwork(report, task)]);
  report.saw('end', 'ok');
}
