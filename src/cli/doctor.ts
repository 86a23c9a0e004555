import { OperatingError } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';
import { examine } from '../operations/doctor.ts';
import type { Finding } from '../operations/finding.ts';
import { readMachine } from '../operations/machine.ts';
import { type Mended, mendAll } from '../operations/mend.ts';
import { makeRuntimes } from '../operations/runtimes.ts';
import { makeBundle } from './bundle.ts';
import { confirmed } from './confirm.ts';
import { bold, dim, type Io, printable, red } from './io.ts';

/**
 * `glass doctor [--fix [--yes]] [--bundle [-o <file>] [--names]]`: what is wrong on this machine and how to mend it. Exit code 0 when
 * nothing keeps it from working (any more), else 1.
 */
export async function doctor(args: string[], paths: Paths, io: Io): Promise<number> {
  const { fix, yes, bundle, file, names } = wordsOf(args);
  const look = (): Promise<Finding[]> =>
    examine(paths, readMachine(paths), makeRuntimes(paths, process.env, undefined));
  const findings = await look();
  if (bundle) return makeBundle({ findings: findings.map(shown), file, names }, paths, io);
  if (!fix) return tell(findings, [], io);
  const mended = await mendAll(findings, {
    uid: process.geteuid!(),
    confirm: async (question) => yes || confirmed(question, '--yes'),
    onProgress: io.err,
  });
  return tell(mended.length === 0 ? findings : await look(), mended, io);
}

const USAGE = 'usage: glass doctor [--fix [--yes]] | --bundle [-o <file>] [--names]';

function wordsOf(args: string[]) {
  const at = args.indexOf('-o');
  const file = at === -1 ? null : args[at + 1];
  const rest = args.filter((_, i) => at === -1 || (i !== at && i !== at + 1));
  const [fix, yes, bundle, names] = ['--fix', '--yes', '--bundle', '--names'].map((flag) => rest.includes(flag));
  const odd = rest.some((word) => !word.startsWith('--')) || file === undefined || (fix && bundle);
  if (odd || (yes && !fix) || ((names || file !== null) && !bundle)) throw new OperatingError('usage', USAGE);
  return { fix: fix!, yes: yes!, bundle: bundle!, names: names!, file: file! };
}

/** For programs: what is done about it is a word. */
function shown({ mend, ...finding }: Finding) {
  return { ...finding, mends: mend?.do ?? null };
}

function tell(findings: Finding[], mended: Mended[], io: Io): number {
  const problems = findings.filter((finding) => finding.state === 'problem').length;
  if (io.json) io.out(JSON.stringify({ well: problems === 0, findings: findings.map(shown), mended }));
  else {
    for (const { what, done, says } of mended)
      io.out(`${done ? '✓' : dim(io, '–')} ${bold(io, what.padEnd(20))} ${printable(says)}`);
    if (mended.length > 0) io.out('\nNow:');
    for (const finding of findings) print(finding, io);
  }
  return problems === 0 ? 0 : 1;
}

function print({ what, state, says, fix, mend }: Finding, io: Io): void {
  const sign = state === 'well' ? dim(io, '✓') : state === 'weak' ? '!' : red(io, '✗');
  io.out(`${sign} ${bold(io, what.padEnd(20))} ${printable(says)}`);
  const does = mend === undefined ? '' : dim(io, '  (./glass doctor --fix)');
  if (fix !== null) io.out(`  ${''.padEnd(20)} → ${printable(fix)}${does}`);
}
