import type { Paths } from '../base/paths.ts';
import { examine, type Finding } from '../operations/doctor.ts';
import { readMachine } from '../operations/machine.ts';
import { makeRuntimes } from '../operations/runtimes.ts';
import { bold, dim, type Io, printable, red } from './io.ts';

/** `glass doctor`: what is wrong on this machine and how to mend it. Exit code 0 when nothing keeps it from working, else 1. */
export async function doctor(_args: string[], paths: Paths, io: Io): Promise<number> {
  const runtimes = makeRuntimes(paths, process.env, undefined);
  const findings = await examine(paths, readMachine(paths), runtimes);
  const problems = findings.filter((finding) => finding.state === 'problem').length;
  if (io.json) io.out(JSON.stringify({ well: problems === 0, findings }));
  else for (const finding of findings) print(finding, io);
  return problems === 0 ? 0 : 1;
}

function print({ what, state, says, fix }: Finding, io: Io): void {
  const sign = state === 'well' ? dim(io, '✓') : state === 'weak' ? '!' : red(io, '✗');
  io.out(`${sign} ${bold(io, what.padEnd(20))} ${printable(says)}`);
  if (fix !== null) io.out(`  ${''.padEnd(20)} → ${printable(fix)}`);
}
