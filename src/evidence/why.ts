import { visible } from '../base/text.ts';
import type { Trace } from './trace.ts';
import type { TraceStep } from './trace_steps.ts';

/** A trace in a few lines for a chat: what came of a message, and why. Holds no text of anybody. */
export function whyText(trace: Trace): string {
  const { message } = trace;
  // What other agents did for it is their groups' business.
  const steps = trace.steps.filter((step) => step.message === null);
  const lines = [`${message.id} from ${visible(message.from)}, ${clockTime(message.received_ms)}:`];
  for (const row of trace.handled) {
    const reason = row.reason === '' ? '' : ` (${visible(row.reason)})`;
    lines.push(`${row.session ?? 'no agent'}: ${row.state}${reason}`);
  }
  for (const { data } of of(steps, 'message.admitted')) lines.push(`Let in by the rule: ${data['rule']}.`);
  for (const step of of(steps, 'turn.started')) lines.push(turnLine(step, steps));
  for (const step of of(steps, 'ask.asked')) lines.push(askLine(step, steps));
  for (const { data } of of(steps, 'ask.refused'))
    lines.push(`It answered nothing: ${visible(String(data['reason']))}`);
  for (const { data } of of(steps, 'session.marked'))
    lines.push(`${MARKS[String(data['mark'])]}: ${visible(String(data['cause']))}.`);
  for (const { data } of of(steps, 'session.rule_of_two'))
    lines.push(`With that it has all of the rule of two (${data['policy']}).`);
  const asked = of(steps, 'model.request');
  if (asked.length > 0) lines.push(modelLine(asked));
  for (const line of outsideLines(steps)) lines.push(line);
  const tools = of(steps, 'tool.called').map(({ data }) => String(data['tool']));
  if (tools.length > 0)
    lines.push(`Tools, as the sandbox says: ${[...new Set(tools)].slice(0, NAMES_MAX).map(visible).join(', ')}.`);
  lines.push(deliveryLine(steps));
  if (trace.cut !== null) lines.push(`Steps up to the end of ${trace.cut} were removed: they were too old.`);
  return `${lines.filter((line) => line !== '').join('\n')}\nMore: ./glass trace ${message.id}`;
}

const MARKS: Record<string, string> = {
  A: 'From here on it has seen what anybody may have written',
  B: 'From here on it has read what is private',
  C: 'From here on it has acted outside',
};
const NAMES_MAX = 10;
const REQUESTS_MAX = 5;

function of(steps: TraceStep[], kind: string): TraceStep[] {
  return steps.filter((step) => step.kind === kind);
}

function turnLine(started: TraceStep, steps: TraceStep[]): string {
  const { attempt, warm, harness } = started.data;
  const end = steps.find(
    (step) =>
      step.turn === started.turn &&
      step.at_us >= started.at_us &&
      ['turn.settled', 'turn.stopped', 'turn.attempt_failed'].includes(step.kind),
  );
  const how =
    end === undefined ? 'is running' : `${seconds(end.at_us - started.at_us)}, ${ENDS[end.kind] ?? ''}${reasonOf(end)}`;
  return `${started.turn}, attempt ${attempt}, ${harness}, ${warm ? 'warm' : 'from cold'}: ${how}.`;
}

function askLine({ data: { ask, chat } }: TraceStep, steps: TraceStep[]): string {
  const end = steps.find(({ kind, data }) => ASK_ENDS.includes(kind) && data['ask'] === ask);
  const asked = `Asked ${ask} in ${visible(String(chat))}`;
  if (end === undefined) return `${asked}, which waits for an answer.`;
  if (end.kind === 'ask.ended') return `${asked}, without an answer: ${reasonOf(end)}.`;
  return `${asked}; ${end.data['by']} answered after ${seconds(Number(end.data['ms']) * 1000)}.`;
}

const ASK_ENDS = ['ask.answered', 'ask.ended'];

const ENDS: Record<string, string> = {
  'turn.settled': 'settled as ',
  'turn.stopped': 'stopped by ',
  'turn.attempt_failed': 'died: ',
};

function reasonOf({ data }: TraceStep): string {
  return visible(String(data['outcome'] ?? data['by'] ?? data['reason'] ?? '')).slice(0, 200);
}

function modelLine(asked: TraceStep[]): string {
  const sum = (key: string): number => asked.reduce((total, { data }) => total + Number(data[key] ?? 0), 0);
  const times = asked.length === 1 ? '1 request' : `${asked.length} requests`;
  return `${times} to the model, ${sum('input_tokens')} tokens in, ${sum('output_tokens')} out, $${sum('usd').toFixed(4)}.`;
}

function outsideLines(steps: TraceStep[]): string[] {
  const asked = of(steps, 'egress.request');
  const shown = asked
    .slice(0, REQUESTS_MAX)
    .map(({ data }) =>
      `${data['decision']} ${visible(String(data['to'])).slice(0, 120)} (${data['rule']}) ${data['status'] ?? ''}`.trim(),
    );
  return asked.length > shown.length ? [...shown, `and ${asked.length - shown.length} more requests`] : shown;
}

function deliveryLine(steps: TraceStep[]): string {
  const sent = of(steps, 'delivery.sent');
  if (sent.length > 0)
    return `Delivered ${clockTime(sent.at(-1)!.at_us / 1000)}, ${seconds(sent.at(-1)!.at_us - steps[0]!.at_us)} after it came.`;
  const bad = steps.findLast(({ kind }) => kind === 'delivery.rejected' || kind === 'delivery.uncertain');
  return bad === undefined ? '' : `Not delivered: ${reasonOf(bad)}.`;
}

function seconds(us: number): string {
  return us < 1_000_000 ? `${Math.round(us / 1000)} ms` : `${(us / 1_000_000).toFixed(1)} s`;
}

/** UTC, as every time in traces and logs. */
function clockTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(11, 19)} UTC`;
}
