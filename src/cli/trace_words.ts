import { showBytes } from '../base/text.ts';
import type { Trace } from '../evidence/trace.ts';
import type { Lane, TraceSums } from '../evidence/trace_spans.ts';
import type { TraceStep } from '../evidence/trace_steps.ts';
import type { EventData } from '../ledger/events.ts';

/** What a trace says, in words: the same on a terminal and on a page. Holds hostile text, as it is. */

export const LANE_NAMES: Record<Lane, string> = {
  queue: 'queue',
  sandbox: 'sandbox start',
  turn: 'turn',
  model: 'model',
  service: 'services',
  tool: 'tools',
  people: 'people',
  delivery: 'delivery',
};

/** What a step says besides its kind: name and value of each fact that there is. */
export function factsOf(step: TraceStep): [name: string, value: string][] {
  return Object.entries(step.data)
    .filter(([, value]) => value !== null && value !== '')
    .map(([name, value]) => {
      if (step.kind === 'message.received' && name === 'files') return ['', filesIn(value as Files)];
      return [name, typeof value === 'string' ? value : JSON.stringify(value)];
    });
}

type Files = NonNullable<EventData['message.received']['files']>;

function filesIn(files: Files): string {
  const each = files.map(({ name, type, bytes }) => `${name} ${type} ${showBytes(bytes)}`);
  return `${files.length === 1 ? '1 file' : `${files.length} files`} (${each.join(', ')})`;
}

/** What became of it, a line each. */
export function outcomesOf({ handled, task, gone, cut, message }: Trace): string[] {
  return [
    ...handled.map(({ session, group, state, reason, turn }) => {
      const who = session === null ? 'nobody' : `${session}${group === null ? '' : ` (${group})`}`;
      return `${who}: ${state}${reason === '' ? '' : ` (${reason})`}${turn === null ? '' : `, ${turn}`}`;
    }),
    ...(task === null
      ? []
      : [
          `a run of the task ${task.id} (${task.schedule}, ${task.zone}; set by ${task.by}, ${task.state}), due ${clockTime(task.due_ms * 1000).slice(0, 19)}, said ${showMs(message.received_ms - task.due_ms)} later`,
        ]),
    ...gone.map(({ name, gone_ms, outbound }) => {
      const of = outbound === null ? '' : ` (${outbound})`;
      return `the bytes of ${name}${of} were removed on ${new Date(gone_ms).toISOString().slice(0, 10)}`;
    }),
    ...(cut === null ? [] : [`its steps up to the end of ${cut} were removed: glass.yaml, events.keep`]),
  ];
}

export function sentLine({ id, kind, place, state, attempts, receipt, error }: Trace['sent'][number]): string {
  const tries = attempts === 1 ? '' : `, ${attempts} attempts`;
  return `${id} (${kind}) to ${place}: ${state}${tries}${receipt === null ? '' : `, as ${receipt}`}${error === null ? '' : `, ${error}`}`;
}

export function sandboxLine({
  session,
  pid,
  runtime,
  harness,
  authority,
  image,
  fresh,
}: Trace['sandboxes'][number]): string {
  const which = pid === null ? 'a sandbox' : `process ${pid}`;
  const under = authority === null ? '' : `, authority ${authority.slice(0, 12)}`;
  return `${session}: ${which}, ${runtime}, ${harness}${under}${image === null ? '' : `, image ${image}`}${fresh ? '' : ', from before'}`;
}

export function credentialLine({ secret, process, for: what, times }: Trace['credentials'][number]): string {
  return `${secret} by the ${process} for ${what}${times === 1 ? '' : `, ${times} times`}`;
}

/** How long what took, largest parts by name; they may overlap. */
export function timesOf(sums: TraceSums): [name: string, time: string][] {
  const lanes = Object.entries(sums.lanes) as [Lane, number][];
  const parts = lanes
    .filter(([lane, us]) => us > 0 && lane !== 'turn')
    .map(([lane, us]): [string, number] => [LANE_NAMES[lane], us]);
  return [...parts, ['the rest', sums.rest_us] as [string, number]].map(([name, us]) => [name, showMs(us / 1000)]);
}

export function usageLine({ model_requests, service_requests, input_tokens, output_tokens, usd }: TraceSums): string {
  const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
  const model = `${count(model_requests, 'request')} to the model, ${input_tokens} tokens in, ${output_tokens} out, $${usd.toFixed(4)}`;
  return `${model}; ${count(service_requests, 'request')} to services`;
}

/** Whether a step is one that something went wrong with. */
export function isBad({ kind, data }: TraceStep): boolean {
  const bad =
    /\.(failed|attempt_failed|refused|change_refused|rejected|uncertain|ended|interrupted|limited|stopped)$/.test(kind);
  return (
    (bad && kind !== 'host.stopped' && kind !== 'sandbox.ended') ||
    data['decision'] === 'deny' ||
    data['decision'] === 'error' ||
    data['ok'] === false
  );
}

/** `12.30 ms`, `4.20 s`, `3.1 min`, `2.0 h`. */
export function showMs(ms: number): string {
  if (ms < 1000) return `${ms.toFixed(ms < 100 ? 2 : 0)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(2)} s`;
  return ms < 3_600_000 ? `${(ms / 60_000).toFixed(1)} min` : `${(ms / 3_600_000).toFixed(1)} h`;
}

/** `2026-01-31 09:30:00.123456`, UTC as every time in traces and logs. */
export function clockTime(at_us: number): string {
  const micros = String(at_us % 1000).padStart(3, '0');
  return `${new Date(at_us / 1000).toISOString().slice(0, 23)}${micros}`.replace('T', ' ');
}

/** On one line, cut. */
export function shorten(text: string, max: number): string {
  const line = text.replaceAll('\n', ' ⏎ ');
  return line.length <= max ? line : `${line.slice(0, max - 1)}…`;
}
