import type { Trace } from '../evidence/trace.ts';
import type { TraceStep } from '../evidence/trace_steps.ts';
import { bold, dim, type Io, printable, red } from './io.ts';
import * as words from './trace_words.ts';

/** A trace on a terminal, or in a pipe: there a step is one line, however long. */

/** Columns before what a step says. */
const INDENT = 69;
/** Below so many there is no room beside them. */
const WIDE_COLUMNS = 110;
const NARROW_INDENT = 4;
const VALUE_CHARS_MAX = 120;

export function render(trace: Trace, io: Io): string {
  return [
    ...headLines(trace, io),
    '',
    ...trace.steps.flatMap((step, at) => stepLines(step, trace.steps[at - 1], io)),
    '',
    ...endLines(trace, io),
  ].join('\n');
}

export function headLines(trace: Pick<Trace, 'message' | 'handled' | 'task' | 'gone'>, io: Io): string[] {
  const { id, from, text, place, received_ms } = trace.message;
  const at = new Date(received_ms).toISOString().slice(0, 19).replace('T', ' ');
  const head = `${id} from ${from} in ${place}, ${at} UTC`;
  return [
    ...wrapped([printable(head)], io, 0).map((line) => bold(io, line)),
    ...wrapped([printable(words.shorten(text, io.columns === undefined ? VALUE_CHARS_MAX : 300))], io, 2),
    ...words.outcomesOf(trace as Trace).flatMap((line) => wrapped([printable(line)], io, 2)),
  ];
}

/** The day is named where it begins. */
export function stepLines(step: TraceStep, before: TraceStep | undefined, io: Io): string[] {
  const [day, time] = words.clockTime(step.at_us).split(' ') as [string, string];
  const isNew = before === undefined || words.clockTime(before.at_us).split(' ')[0] !== day;
  const gap = `+${words.showMs(step.after_us / 1000)}`.padStart(10);
  const since = words.showMs(step.since_us / 1000).padStart(9);
  const kind = step.kind.padEnd(22);
  const start = `${time} ${gap} ${since}  ${step.where.padEnd(7)} ${words.isBad(step) ? red(io, kind) : kind}`;
  const facts = words.factsOf(step).map(([name, value]) => {
    if (name === '') return printable(value.replaceAll('\n', ' ')); // files, each by its name
    const shown = words.shorten(io.columns === undefined ? value : shortHash(value), VALUE_CHARS_MAX);
    return `${printable(name)}=${printable(shown)}`;
  });
  const says = [step.message, step.turn, step.outbound].filter((id) => id !== null);
  const parts = [...(says.length === 0 ? [] : [printable(says.join(' '))]), ...facts];
  const isWide = io.columns === undefined || io.columns >= WIDE_COLUMNS;
  const lines = wrapped(parts, io, isWide ? INDENT : NARROW_INDENT).map((line) => dim(io, line));
  const [first = '', ...rest] = lines;
  const body = isWide
    ? [`${start} ${first.replace(/^(\x1b\[2m)? +/, '$1')}`.trimEnd(), ...rest]
    : [start.trimEnd(), ...lines];
  return isNew ? [dim(io, `${day} (UTC)`), ...body] : body;
}

export function endLines(trace: Trace, io: Io): string[] {
  const { sums, steps, sent, sandboxes, credentials } = trace;
  const times = words.timesOf(sums).map(([name, time]) => `${name} ${time}`);
  const list = (title: string, lines: string[]): string[] =>
    lines.length === 0 ? [] : [bold(io, title), ...lines.flatMap((line) => wrapped([printable(line)], io, 2))];
  return [
    bold(io, `${steps.length} steps in ${words.showMs(sums.total_us / 1000)}`),
    ...wrapped(
      times.map((time, at) => (at === times.length - 1 ? time : `${time},`)),
      io,
      2,
      ' ',
    ),
    ...wrapped([words.usageLine(sums)], io, 2),
    ...list('Sent', sent.map(words.sentLine)),
    ...list('Sandboxes', sandboxes.map(words.sandboxLine)),
    ...list('Secrets used', credentials.map(words.credentialLine)),
  ];
}

/** Of a hash its beginning says enough. */
function shortHash(value: string): string {
  return /^[0-9a-f]{64}$/.test(value) ? `${value.slice(0, 12)}…` : value;
}

/** Parts side by side as far as they fit, indented; one that is longer than a line is broken. */
function wrapped(parts: string[], io: Io, indent: number, between = '  '): string[] {
  const room = io.columns === undefined ? Number.POSITIVE_INFINITY : Math.max(20, io.columns - indent);
  const lines: string[] = [];
  for (const part of parts) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + between.length + part.length <= room)
      lines[lines.length - 1] = `${last}${between}${part}`;
    else lines.push(...broken(part, room));
  }
  return lines.map((line) => `${' '.repeat(indent)}${line}`);
}

/** At a space, unless that leaves half of a line empty. */
function broken(text: string, room: number): string[] {
  const lines: string[] = [];
  let rest = text;
  while (rest.length > room) {
    const space = rest.lastIndexOf(' ', room);
    const end = space > room / 2 ? space : room;
    lines.push(rest.slice(0, end));
    rest = rest.slice(end === space ? end + 1 : end);
  }
  return [...lines, rest];
}
