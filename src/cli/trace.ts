import type { Paths } from '../base/paths.ts';
import { showBytes } from '../base/text.ts';
import type { Trace, TraceStep } from '../evidence/trace.ts';
import type { EventData } from '../ledger/events.ts';
import { ControlClient } from './control_client.ts';
import { bold, dim, type Io, printable } from './io.ts';

/** `glass trace <m12|latest|platform id>`: every step with its time of day and the time since the step before. */
export async function trace(args: string[], paths: Paths, io: Io): Promise<number> {
  const client = new ControlClient(paths.controlSocket);
  try {
    const found = await client.call<Trace>('trace', { message: args[0] ?? 'latest' });
    io.out(io.json ? JSON.stringify(found) : render(found, io));
    return 0;
  } finally {
    client.close();
  }
}

export function render(trace: Trace, io: Io): string {
  const lines = [
    bold(
      io,
      `${trace.message.id} from ${printable(trace.message.from)}: ${printable(shorten(trace.message.text, 80))}`,
    ),
  ];
  for (const row of trace.handled) {
    lines.push(
      `  ${row.session ?? 'nobody'}: ${row.state}${row.reason === '' ? '' : ` (${printable(row.reason)})`}${row.turn === null ? '' : `, ${row.turn}`}`,
    );
  }
  for (const { name, gone_ms, outbound } of trace.gone)
    lines.push(
      `  the bytes of ${printable(name)}${outbound === null ? '' : ` (${outbound})`} were removed on ${new Date(gone_ms).toISOString().slice(0, 10)}`,
    );
  if (trace.cut !== null) lines.push(`  its steps up to the end of ${trace.cut} were removed: glass.yaml, events.keep`);
  lines.push('');
  let before = trace.steps[0]?.at_us ?? 0;
  const began = before;
  for (const step of trace.steps) {
    const gap = formatMs((step.at_us - before) / 1000);
    before = step.at_us;
    lines.push(
      `${timeOfDay(step.at_us)} ${gap.padStart(10)}  ${step.where.padEnd(7)} ${step.kind.padEnd(20)} ${dim(io, describe(step))}`,
    );
  }
  lines.push('', `${trace.steps.length} steps in ${formatMs((before - began) / 1000)}`);
  return lines.join('\n');
}

function describe(step: TraceStep): string {
  const ids = [step.message, step.turn, step.outbound].filter((id) => id !== null).join(' ');
  const facts = Object.entries(step.data)
    .filter(([, value]) => value !== null && value !== '')
    .map(([key, value]) => {
      if (step.kind === 'message.received' && key === 'files') return describeFiles(value as Files);
      return `${key}=${typeof value === 'string' ? printable(shorten(value, 120)) : JSON.stringify(value)}`;
    });
  return [ids, ...facts].filter((part) => part !== '').join('  ');
}

type Files = NonNullable<EventData['message.received']['files']>;

function describeFiles(files: Files): string {
  const each = files.map(({ name, type, bytes }) => `${printable(name)} ${type} ${showBytes(bytes)}`);
  return `${files.length === 1 ? '1 file' : `${files.length} files`} (${each.join(', ')})`;
}

function timeOfDay(at_us: number): string {
  const date = new Date(at_us / 1000);
  const micros = String(at_us % 1000).padStart(3, '0');
  return `${date.toISOString().slice(0, 23)}${micros}Z`.replace('T', ' ');
}

export function formatMs(ms: number): string {
  if (ms < 1000) return `+${ms.toFixed(2)} ms`;
  return ms < 60_000 ? `+${(ms / 1000).toFixed(2)} s` : `+${(ms / 60_000).toFixed(1)} min`;
}

function shorten(text: string, max: number): string {
  const line = text.replaceAll('\n', ' ⏎ ');
  return line.length <= max ? line : `${line.slice(0, max - 1)}…`;
}
