import type { TraceStep } from './trace_steps.ts';

/** What lasted how long, from steps alone: the bars of a trace, and its sums. Pure. */

/** `turn`: an attempt. `people`: a wait for a decision or an answer. `delivery`: from the first handing over, with what waits between tries. */
export const LANES = ['queue', 'sandbox', 'turn', 'model', 'service', 'tool', 'people', 'delivery'] as const;
export type Lane = (typeof LANES)[number];

export interface TraceSpan {
  lane: Lane;
  /** `t5, attempt 2`, `POST api.example.com/items`. */
  what: string;
  from_us: number;
  to_us: number;
  /** False: it had not ended, and `to_us` is the last that is known. */
  ended: boolean;
  /** As of the step that it began with. */
  message: string | null;
}

export interface TraceSums {
  /** From the first step to the end of the last. */
  total_us: number;
  /** Of that, the time in which at least one span of the lane lasted. Lanes overlap: a tool may call a model. */
  lanes: Record<Lane, number>;
  /** In no lane but `turn`: the agent loop and the host themselves. */
  rest_us: number;
  model_requests: number;
  service_requests: number;
  input_tokens: number;
  output_tokens: number;
  usd: number;
}

interface Rule {
  lane: Lane;
  begins: string[];
  ends: string[];
  /** Two steps with the same key are of one thing. */
  key(step: TraceStep): unknown;
  what(step: TraceStep): string;
}

const RULES: readonly Rule[] = [
  {
    lane: 'queue',
    begins: ['message.queued', 'turn.attempt_failed'],
    ends: ['turn.started', 'turn.steered', 'turn.stopped', 'message.failed'],
    key: ({ session }) => session,
    what: ({ session }) => `waits in ${session}`,
  },
  {
    lane: 'sandbox',
    begins: ['sandbox.starting'],
    ends: ['sandbox.ready', 'sandbox.ended'],
    key: ({ session }) => session,
    what: ({ session, data }) => `${session}: ${data['runtime']}, ${data['harness']}`,
  },
  {
    lane: 'turn',
    begins: ['turn.started'],
    ends: ['turn.settled', 'turn.attempt_failed', 'turn.stopped'],
    key: ({ turn }) => turn,
    what: ({ turn, data }) => `${turn}, attempt ${data['attempt']}`,
  },
  {
    lane: 'people',
    begins: ['approval.held', 'message.held'],
    ends: ['approval.decided', 'approval.ended'],
    key: ({ data }) => data['approval'],
    what: ({ data }) => `${data['approval']} waits for a decision`,
  },
  {
    lane: 'people',
    begins: ['ask.asked'],
    ends: ['ask.answered', 'ask.ended'],
    key: ({ data }) => data['ask'],
    what: ({ data }) => `${data['ask']} waits for an answer`,
  },
  {
    lane: 'delivery',
    begins: ['delivery.sending'],
    ends: ['delivery.sent', 'delivery.rejected', 'delivery.uncertain'],
    key: ({ outbound }) => outbound,
    what: ({ outbound }) => `${outbound}`,
  },
  {
    lane: 'delivery',
    begins: ['draft.sending'],
    ends: ['draft.shown', 'draft.refused', 'draft.uncertain'],
    key: ({ turn }) => turn,
    what: ({ turn }) => `draft of ${turn}`,
  },
];

/** In the order in which they began. */
export function spansOf(steps: TraceStep[]): TraceSpan[] {
  const end_us = Math.max(0, ...steps.map((step) => step.at_us + (lasted(step) ?? 0)));
  const paired = RULES.flatMap((rule) => pairs(rule, steps, end_us));
  return [...paired, ...steps.flatMap(single)].sort((a, b) => a.from_us - b.from_us);
}

/** What has begun twice without an end (`delivery.sending`, again after a retry) is one. */
function pairs({ lane, begins, ends, key, what }: Rule, steps: TraceStep[], end_us: number): TraceSpan[] {
  const spans: TraceSpan[] = [];
  const open = new Map<unknown, TraceSpan>();
  for (const step of steps) {
    const of = key(step);
    if (ends.includes(step.kind)) {
      const span = open.get(of);
      // A sandbox is made ready before it is started: its boundary is proven, say.
      const began_us =
        step.kind === 'sandbox.ready' ? step.at_us - Number(step.data['ms']) * 1000 : Number.POSITIVE_INFINITY;
      if (span !== undefined)
        Object.assign(span, { from_us: Math.min(span.from_us, began_us), to_us: step.at_us, ended: true });
      open.delete(of);
    }
    // After the last attempt nothing waits any more.
    if (!begins.includes(step.kind) || open.has(of) || step.data['next'] === 'failed') continue;
    const { at_us: from_us, message } = step;
    const span = { lane, what: what(step), from_us, to_us: end_us, ended: false, message };
    open.set(of, span);
    spans.push(span);
  }
  return spans;
}

/** Of a step that says by itself how long it took. A tool's is told at its end. */
function lasted({ kind, data }: TraceStep): number | null {
  const ms = data['ms'];
  return (kind === 'model.request' || kind === 'egress.request') && typeof ms === 'number' ? ms * 1000 : null;
}

function single(step: TraceStep): TraceSpan[] {
  const { kind, at_us, data, message } = step;
  if (kind === 'tool.called') {
    const from_us = at_us - Number(data['ms']) * 1000;
    return [{ lane: 'tool', what: String(data['tool']), from_us, to_us: at_us, ended: true, message }];
  }
  if (kind !== 'model.request' && kind !== 'egress.request') return [];
  const lane = kind === 'model.request' ? 'model' : 'service';
  const what = lane === 'model' ? String(data['model'] ?? data['to']) : String(data['to']);
  return [{ lane, what, from_us: at_us, to_us: at_us + (lasted(step) ?? 0), ended: data['ms'] !== null, message }];
}

export function sumsOf(steps: TraceStep[], spans: TraceSpan[]): TraceSums {
  const first = steps[0]?.at_us ?? 0;
  const last = Math.max(first, ...steps.map(({ at_us }) => at_us), ...spans.map(({ to_us }) => to_us));
  const of = (lanes: readonly Lane[]): [number, number][] =>
    spans
      .filter(({ lane }) => lanes.includes(lane))
      .map(({ from_us, to_us }): [number, number] => [Math.max(from_us, first), to_us]);
  const sandbox = covered(of(['sandbox']));
  const lanes = Object.fromEntries(LANES.map((lane) => [lane, covered(of([lane]))])) as Record<Lane, number>;
  const requests = steps.filter(({ where }) => where === 'gateway');
  const sum = (key: string): number => requests.reduce((total, { data }) => total + Number(data[key] ?? 0), 0);
  return {
    total_us: last - first,
    // While a sandbox starts for it a message waits for that, and not for its turn.
    lanes: { ...lanes, queue: covered(of(['queue', 'sandbox'])) - sandbox },
    rest_us: last - first - covered(of(LANES.filter((lane) => lane !== 'turn'))),
    model_requests: requests.filter(({ kind }) => kind === 'model.request').length,
    service_requests: requests.filter(({ kind }) => kind === 'egress.request').length,
    input_tokens: sum('input_tokens'),
    output_tokens: sum('output_tokens'),
    usd: Number(sum('usd').toFixed(6)),
  };
}

/** The time that at least one of them covers. */
function covered(intervals: [number, number][]): number {
  let until = Number.NEGATIVE_INFINITY;
  let sum = 0;
  for (const [from, to] of intervals.toSorted((a, b) => a[0] - b[0])) {
    sum += Math.max(0, to - Math.max(from, until));
    until = Math.max(until, to);
  }
  return sum;
}
