import { createHash } from 'node:crypto';
import type { Trace } from '../trace.ts';
import type { TraceStep } from '../trace_steps.ts';

/**
 * A message's trace as spans, in OpenTelemetry's terms: one for the message, below it queue, sandbox start, turn attempts, requests,
 * tools, approvals and deliveries. Made after the fact from what was recorded. Only numbers, names of groups, models, tools and hosts: never a
 * text, a person or a chat.
 */
export interface SpanFact {
  name: string;
  kind: 'internal' | 'client' | 'producer' | 'consumer';
  /** Microseconds since the epoch. */
  start_us: number;
  end_us: number;
  /** Place of the parent in the list; null: the message itself. */
  parent: number | null;
  attributes: Record<string, string | number | boolean>;
  /** Set where it failed: the class of failure, in a word or two of ours. */
  error: string | null;
}

/** Ids are made of the install and the message: who exports twice exports the same. */
export function traceIdOf(install: string, message: string): string {
  return createHash('sha256').update(`${install}/${message}`).digest('hex').slice(0, 32);
}

export function spanIdOf(traceId: string, at: number): string {
  return createHash('sha256').update(`${traceId}/${at}`).digest('hex').slice(0, 16);
}

/** Pure. The first one is the message. */
export function spansOf(trace: Trace): SpanFact[] {
  const { steps } = trace;
  const first = steps[0];
  if (first === undefined) return [];
  const end_us = Math.max(...steps.map(endOf));
  const group = text(steps.find(({ kind }) => kind === 'message.routed')?.data['group']);
  const root: SpanFact = {
    name: 'message',
    kind: 'consumer',
    start_us: first.at_us,
    end_us,
    parent: null,
    attributes: {
      'glass.message': trace.message.id,
      'glass.states': trace.handled.map(({ state }) => state).join(','),
      ...named('glass.channel', first.data['channel']),
      ...(group === null ? {} : { 'glass.group': group }),
    },
    error: trace.handled.some(({ state }) => state === 'failed') ? 'failed' : null,
  };
  const turns = pairs(steps, 'turn.started', TURN_ENDS, (step) => step.turn).map(turnSpan);
  const outer = [
    ...pairs(steps, 'message.queued', ['turn.started', 'message.failed', 'turn.stopped'], () => '').map((pair) =>
      plain('queue', pair),
    ),
    ...pairs(steps, 'sandbox.starting', ['sandbox.ready', 'sandbox.ended'], () => '').map(sandboxSpan),
    ...turns,
    ...pairs(steps, 'approval.held', ['approval.decided', 'approval.ended'], (step) => text(step.data['approval'])).map(
      (pair) => plain('approval', pair),
    ),
    ...pairs(steps, 'delivery.sending', DELIVERY_ENDS, (step) => step.outbound).map(deliverySpan),
  ].map((span) => ({ ...span, parent: 0 }));
  const spans = [root, ...outer];
  const inner = steps
    .flatMap((step) => insideSpan(step))
    .map((span) => {
      const within = spans.findIndex(
        ({ name, start_us, end_us }) => name === 'turn' && start_us <= span.start_us && span.start_us <= end_us,
      );
      return { ...span, parent: Math.max(0, within) };
    });
  return [...spans, ...inner];
}

const TURN_ENDS = ['turn.settled', 'turn.attempt_failed', 'turn.stopped'];
const DELIVERY_ENDS = [
  'delivery.sent',
  'delivery.rejected',
  'delivery.uncertain',
  'delivery.retry',
  'delivery.waiting',
];

interface Pair {
  from: TraceStep;
  to: TraceStep;
}

/** Each begin with the first end after it that has the same key. What has no end is still on its way, and is left out. */
function pairs(steps: TraceStep[], begin: string, ends: string[], keyOf: (step: TraceStep) => string | null): Pair[] {
  return steps.flatMap((from, at) => {
    if (from.kind !== begin) return [];
    const to = steps.slice(at + 1).find((step) => ends.includes(step.kind) && keyOf(step) === keyOf(from));
    return to === undefined ? [] : [{ from, to }];
  });
}

function plain(name: string, { from, to }: Pair): SpanFact {
  return { name, kind: 'internal', start_us: from.at_us, end_us: to.at_us, parent: 0, attributes: {}, error: null };
}

function sandboxSpan(pair: Pair): SpanFact {
  const { runtime, harness } = pair.from.data;
  const attributes = { ...named('glass.runtime', runtime), ...named('glass.harness', harness) };
  return { ...plain('sandbox start', pair), attributes, error: pair.to.kind === 'sandbox.ready' ? null : 'it ended' };
}

function turnSpan(pair: Pair): SpanFact {
  const { from, to } = pair;
  const attributes = {
    ...(from.turn === null ? {} : { 'glass.turn': from.turn }),
    ...named('glass.harness', from.data['harness']),
    ...counted('glass.attempt', from.data['attempt']),
    ...counted('glass.messages', from.data['messages']),
    ...named('glass.outcome', to.data['outcome'] ?? to.kind),
  };
  return { ...plain('turn', pair), attributes, error: to.kind === 'turn.settled' ? null : to.kind };
}

function deliverySpan(pair: Pair): SpanFact {
  const { from, to } = pair;
  const attributes = {
    ...(from.outbound === null ? {} : { 'glass.outbound': from.outbound }),
    'glass.outcome': to.kind,
  };
  const failed = to.kind === 'delivery.rejected' || to.kind === 'delivery.uncertain';
  return { ...plain('delivery', pair), kind: 'producer', attributes, error: failed ? to.kind : null };
}

/** What happens within a turn is one step that says how long it took. */
function insideSpan(step: TraceStep): SpanFact[] {
  if (step.kind === 'model.request') return [modelSpan(step)];
  if (step.kind === 'egress.request') return [egressSpan(step)];
  return step.kind === 'tool.called' ? [toolSpan(step)] : [];
}

/** GenAI semantic conventions, with the name of the system as older and as newer versions of them have it. */
function modelSpan({ at_us, data }: TraceStep): SpanFact {
  const { method, host } = placeOf(data);
  const model = word(data['model']);
  const system = systemOf(host);
  const attributes = {
    'gen_ai.operation.name': 'chat',
    'gen_ai.system': system,
    'gen_ai.provider.name': system,
    ...(model === null ? {} : { 'gen_ai.request.model': model }),
    ...counted('gen_ai.usage.input_tokens', data['input_tokens']),
    ...counted('gen_ai.usage.output_tokens', data['output_tokens']),
    ...counted('glass.cost_dollars', data['usd']),
    ...httpOf(method, host, data),
  };
  return { ...request(at_us, data), name: model === null ? 'chat' : `chat ${model}`, attributes };
}

function egressSpan({ at_us, data }: TraceStep): SpanFact {
  const { method, host } = placeOf(data);
  const attributes = { ...named('glass.service', data['service']), ...httpOf(method, host, data) };
  return { ...request(at_us, data), name: `${method} ${host}`, attributes };
}

function request(at_us: number, data: TraceStep['data']): Omit<SpanFact, 'name' | 'attributes'> {
  const decision = text(data['decision']);
  const status = data['status'];
  const failed = typeof status === 'number' && status >= 400 ? `status ${status}` : null;
  const error = decision === 'allow' ? failed : decision;
  return { kind: 'client', start_us: at_us, end_us: at_us + msOf(data) * 1000, parent: 0, error };
}

function toolSpan({ at_us, data }: TraceStep): SpanFact {
  const tool = word(data['tool']) ?? 'tool';
  const attributes = { 'gen_ai.operation.name': 'execute_tool', 'gen_ai.tool.name': tool };
  // It is reported when it is over.
  const start_us = at_us - msOf(data) * 1000;
  const error = data['ok'] === false ? 'failed' : null;
  return { name: `execute_tool ${tool}`, kind: 'internal', start_us, end_us: at_us, parent: 0, attributes, error };
}

/** `to` is `GET host/path`; a path may hold what an agent writes, and stays here. */
function placeOf(data: TraceStep['data']): { method: string; host: string } {
  const [method = '', place = ''] = (text(data['to']) ?? '').split(' ');
  const host = place.split('/')[0]!;
  const isName = /^(?:localhost|[\w-]*[.:][\w.:[\]-]+)$/.test(host);
  return { method: /^[A-Z]{1,20}$/.test(method) ? method : 'other', host: isName ? host : 'other' };
}

function httpOf(method: string, host: string, data: TraceStep['data']): Record<string, string | number> {
  const { status } = data;
  return {
    'http.request.method': method,
    'server.address': host,
    ...counted('http.response.status_code', status),
    ...named('glass.decision', data['decision']),
  };
}

function systemOf(host: string): string {
  if (/(?:^|\.)anthropic\.com$/.test(host)) return 'anthropic';
  return /(?:^|\.)openai\.com$/.test(host) ? 'openai' : 'other';
}

function endOf({ at_us, kind, data }: TraceStep): number {
  return kind.endsWith('.request') ? at_us + msOf(data) * 1000 : at_us;
}

function msOf(data: TraceStep['data']): number {
  return typeof data['ms'] === 'number' ? data['ms'] : 0;
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** What a sandbox says it called may be anything: only what looks like a name is passed on. */
function word(value: unknown): string | null {
  return typeof value === 'string' && /^[\w.:-]{1,64}$/.test(value) ? value : null;
}

function named(key: string, value: unknown): Record<string, string> {
  return typeof value === 'string' ? { [key]: value } : {};
}

function counted(key: string, value: unknown): Record<string, number> {
  return typeof value === 'number' ? { [key]: value } : {};
}
