import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import type { RawCall } from '../../src/protocol/inspection.ts';
import type { Report } from './report.ts';

/** System calls by number, made by one small Perl process: it is in every Debian, and Node cannot make them. */

const PERL = '/usr/bin/perl';

/**
 * Each call in a process of its own: one that succeeds, where it should not, changes nothing for the next. A call may
 * also return twice (clone), or end the process that makes it (a filter's kill).
 */
const SCRIPT = String.raw`
  $| = 1;
  while (my $line = <STDIN>) {
    chomp $line;
    my ($key, $number, @words) = split /\t/, $line;
    my $pid = fork();
    if (!defined $pid) { print "$key\tfork\n"; next }
    if ($pid == 0) {
      my @args = map { /^n(-?\d+)$/ ? $1 + 0 : substr($_, 1) . "" } @words;
      my $result = syscall($number + 0, @args);
      my $errno = $result == -1 ? $! + 0 : 0;
      syswrite STDOUT, "$key\t$errno\n";
      exit 0;
    }
    waitpid $pid, 0;
    my $signal = $? & 127;
    print "$key\tsignal $signal\n" if $signal;
  }
`;

/** Resolves when all are made. Without Perl, each is reported as not run. */
export async function observeCalls(report: Report, calls: RawCall[]): Promise<void> {
  if (!existsSync(PERL)) {
    for (const { key } of calls) report.notRun(`call.${key}`, `no ${PERL} in this userland`);
    return;
  }
  const answers = await run(calls);
  for (const { key } of calls) report.saw(`call.${key}`, nameOf(answers.get(key) ?? 'no answer'));
}

function run(calls: RawCall[]): Promise<Map<string, string>> {
  const child = spawn(PERL, ['-e', SCRIPT], { stdio: ['pipe', 'pipe', 'ignore'], cwd: '/' });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString('latin1');
  });
  child.on('error', () => {});
  child.stdin.on('error', () => {});
  child.stdin.end(calls.map(lineOf).join(''));
  return new Promise((resolve) => {
    child.once('close', () => resolve(new Map(output.split('\n').map((line) => line.split('\t') as [string, string]))));
  });
}

function lineOf({ key, number, args }: RawCall): string {
  return `${[key, number, ...args.map((arg) => (typeof arg === 'number' ? `n${arg}` : `s${arg}`))].join('\t')}\n`;
}

/** `EPERM` for `1`, `ok` for `0`; anything that is no number stays. */
function nameOf(answer: string): string {
  if (answer === '0') return 'ok';
  const found = Object.entries(constants.errno).find(([, number]) => String(number) === answer);
  return found?.[0] ?? answer;
}
