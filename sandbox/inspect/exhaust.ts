import { spawn } from 'node:child_process';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { InspectionTask } from '../../src/protocol/inspection.ts';
import { codeOf, type Report } from './report.ts';

/** Takes all there is of one thing, in a sandbox of its own; the ceiling ends what no limit ends. */

const BLOCK = Buffer.alloc(1 << 20, 1);

/** Starts processes until it may not. Under gVisor the limit ends the sandbox, and nothing after the first word is said. */
export async function exhaustProcesses(report: Report, task: InspectionTask): Promise<void> {
  report.saw('exhaust.processes.started', 'ok');
  const children: ReturnType<typeof spawn>[] = [];
  let refused = 'none';
  while (children.length < task.ceiling.processes && refused === 'none') {
    const child = spawn('/bin/sleep', ['60'], { stdio: 'ignore', cwd: '/' });
    if (child.pid !== undefined) children.push(child);
    else refused = await new Promise<string>((resolve) => child.once('error', (error) => resolve(codeOf(error))));
  }
  for (const child of children) child.kill('SIGKILL');
  report.saw('exhaust.processes', refused);
}

/** Takes memory and keeps it. Where the limit holds, nothing after this is ever said. */
export function exhaustMemory(report: Report, task: InspectionTask): void {
  const kept: Buffer[] = [];
  report.saw('exhaust.memory.started', 'ok');
  while (kept.length * BLOCK.length < task.ceiling.bytes) kept.push(Buffer.from(BLOCK));
}

export function exhaustFiles(report: Report, task: InspectionTask): void {
  for (const folder of ['/tmp', '/dev/shm']) fill(report, folder, task);
  const open: number[] = [];
  let refused = 'none';
  while (open.length < task.ceiling.files && refused === 'none') {
    try {
      open.push(openSync('/dev/null', 'r'));
    } catch (error) {
      refused = codeOf(error);
    }
  }
  for (const fd of open) closeSync(fd);
  report.saw('exhaust.open_files', refused);
}

function fill(report: Report, folder: string, task: InspectionTask): void {
  const path = join(folder, `glass-inspect-${task.nonce}`);
  let written = 0;
  let refused = 'none';
  try {
    const file = openSync(path, 'wx');
    try {
      while (written < task.ceiling.bytes) written += writeSync(file, BLOCK);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    refused = codeOf(error);
  }
  rmSync(path, { force: true });
  report.saw(`exhaust.${folder}`, refused);
}
