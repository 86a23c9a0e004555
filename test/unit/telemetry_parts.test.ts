import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EXPORT_SPANS_MAX } from '../../src/base/limits/telemetry.ts';
import { openOtlp } from '../../src/evidence/telemetry/otlp.ts';
import { servePrometheus } from '../../src/evidence/telemetry/prometheus.ts';
import type { Family } from '../../src/evidence/telemetry/samples.ts';
import { type SpanFact, spanIdOf, spansOf, traceIdOf } from '../../src/evidence/telemetry/spans.ts';
import type { Trace } from '../../src/evidence/trace.ts';
import type { TraceStep } from '../../src/evidence/trace_steps.ts';
import { Collector } from '../fakes/collector.ts';
import { readExposition } from '../fakes/exposition.ts';

/** Spans, families and queues of the exporters, each by itself. */

const CANARY = 'canary text of somebody';
const START_US = 1_800_000_000_000_000;

function step(ms: number, kind: string, data: Record<string, unknown> = {}, ids: Partial<TraceStep> = {}): TraceStep {
  const times = { at_us: START_US + ms * 1000, after_us: 0, since_us: ms * 1000 };
  const belongs = { message: null, session: null, turn: null, outbound: null };
  return { id: `e${ms}`, ...times, where: 'host', kind, ...belongs, data, ...ids };
}

function traceWith(steps: TraceStep[], state = 'answered'): Trace {
  return {
    message: { id: 'm7', from: CANARY, text: CANARY, chat: 1, received_ms: START_US / 1000 },
    gone: [],
    handled: [{ session: 's1', state, reason: '', turn: 't3' }],
    steps,
  } as unknown as Trace;
}

const T3 = { turn: 't3' };
const WHOLE = [
  step(0, 'message.received', { channel: 'tg', chat: CANARY, sender: CANARY, bytes: 20 }),
  step(1, 'message.routed', { group: 'assistant', new_session: true }),
  step(2, 'message.queued', { ahead: 0 }),
  step(3, 'sandbox.starting', { runtime: 'bubblewrap', harness: 'native' }),
  step(103, 'sandbox.ready', { ms: 100, resumed: false }),
  step(104, 'turn.started', { attempt: 1, messages: 1, warm: false, harness: 'native' }, T3),
  step(150, 'turn.attempt_failed', { attempt: 1, reason: CANARY, next: 'retry' }, T3),
  step(160, 'turn.started', { attempt: 2, messages: 1, warm: false, harness: 'native' }, T3),
  step(
    170,
    'model.request',
    {
      to: 'POST api.anthropic.com/v1/messages',
      decision: 'allow',
      status: 200,
      ms: 30,
      model: 'm',
      input_tokens: 9,
      output_tokens: 4,
      usd: 0.5,
    },
    T3,
  ),
  step(
    210,
    'egress.request',
    { to: `GET api.example.com/${CANARY}`, decision: 'deny', status: 403, ms: 1, service: 'api' },
    T3,
  ),
  step(230, 'tool.called', { tool: CANARY, ok: false, ms: 15, summary: CANARY }, T3),
  step(240, 'turn.settled', { outcome: 'answered', taken: 1, returned: 0 }, T3),
  step(241, 'delivery.sending', { attempt: 1 }, { outbound: 'o9', ...T3 }),
  step(260, 'delivery.sent', { receipt: 'r1' }, { outbound: 'o9', ...T3 }),
];

const named = (spans: SpanFact[], name: string): SpanFact[] => spans.filter((span) => span.name === name);

test('each thing that took time is a span below what it happened in', () => {
  const spans = spansOf(traceWith(WHOLE));
  assert.deepEqual(
    spans.map(({ name, parent, start_us, end_us }) => [
      name,
      parent === null ? null : spans[parent]!.name,
      (start_us - START_US) / 1000,
      (end_us - START_US) / 1000,
    ]),
    [
      ['message', null, 0, 260],
      ['queue', 'message', 2, 104],
      ['sandbox start', 'message', 3, 103],
      ['turn', 'message', 104, 150],
      ['turn', 'message', 160, 240],
      ['delivery', 'message', 241, 260],
      ['chat m', 'turn', 170, 200],
      ['GET api.example.com', 'turn', 210, 211],
      ['execute_tool tool', 'turn', 215, 230],
    ],
  );
  assert.deepEqual(
    named(spans, 'turn').map(({ error }) => error),
    ['turn.attempt_failed', null],
  );
  assert.equal(named(spans, 'GET api.example.com')[0]!.error, 'deny');
  assert.equal(named(spans, 'execute_tool tool')[0]!.error, 'failed');
});

test('a request to a model says so in the words of the GenAI conventions', () => {
  const [chat] = named(spansOf(traceWith(WHOLE)), 'chat m');
  const { attributes } = chat!;
  assert.equal(attributes['gen_ai.system'], 'anthropic');
  assert.equal(attributes['gen_ai.operation.name'], 'chat');
  assert.equal(attributes['gen_ai.request.model'], 'm');
  assert.equal(attributes['gen_ai.usage.input_tokens'], 9);
  assert.equal(attributes['gen_ai.usage.output_tokens'], 4);
});

test('no text, person, chat, reason or path is in a span, not even as the name of a tool or a model', () => {
  const said = { decision: 'allow', ms: 1, model: CANARY };
  const lying = ['canary canary', 'GET canary/x', 'canary api.example.com/x'].map((to) =>
    step(200, 'model.request', { to, ...said }, T3),
  );
  const names = ['/srv/canary', '@canary', 'canary@example.com'].flatMap((name) => [
    step(210, 'model.request', { ...said, to: 'POST api.example.com/v1', model: name }, T3),
    step(220, 'tool.called', { tool: name, ok: true, ms: 1, summary: '' }, T3),
  ]);
  assert.doesNotMatch(JSON.stringify(spansOf(traceWith([...WHOLE, ...lying, ...names]))), /canary/);
});

test('what has no end yet is no span, and a message without steps is no trace', () => {
  const spans = spansOf(traceWith(WHOLE.slice(0, 6)));
  assert.deepEqual(
    spans.map(({ name }) => name),
    ['message', 'queue', 'sandbox start'],
  );
  assert.deepEqual(spansOf(traceWith([])), []);
});

test('ids are those of the install and the message, so that nothing is there twice', () => {
  const id = traceIdOf('home', 'm7');
  assert.match(id, /^[0-9a-f]{32}$/);
  assert.equal(id, traceIdOf('home', 'm7'));
  assert.notEqual(id, traceIdOf('other', 'm7'));
  assert.notEqual(spanIdOf(id, 0), spanIdOf(id, 1));
});

test('whatever a label holds, a scrape is well formed; durations are counted in their buckets', async (context) => {
  const label = 'a"b\\c\nd{}, e';
  const family: Family = {
    name: 'glass_x',
    help: 'back\\slash\nline',
    type: 'counter',
    rows: [{ labels: { group: label }, value: 3 }],
  };
  const { port, close } = await listening(async () => [family, { ...family, name: 'glass_none', rows: [] }]);
  context.after(close);
  port.prometheus.observe([{ name: 'glass_turn_seconds', labels: { group: 'g', outcome: 'answered' }, value: 0.2 }]);
  const families = readExposition(await (await fetch(port.url)).text());
  assert.deepEqual(families.get('glass_x')!.samples, [{ name: 'glass_x', labels: { group: label }, value: 3 }]);
  assert.equal(families.get('glass_x')!.type, 'counter');
  const turn = families.get('glass_turn_seconds')!.samples;
  assert.equal(turn.find(({ labels }) => labels['le'] === '0.1')!.value, 0);
  assert.equal(turn.find(({ labels }) => labels['le'] === '0.5')!.value, 1);
});

test('a host that cannot answer a scrape is a 503', async (context) => {
  const { port, close } = await listening(() => Promise.reject(new Error('no ledger')));
  context.after(close);
  assert.equal((await fetch(port.url)).status, 503);
});

/** On a port that nobody has; of the few that are tried the first one that is free. */
async function listening(scrape: () => Promise<Family[]>) {
  for (let port = 39_464; ; port += 1) {
    try {
      const prometheus = await servePrometheus({ host: '127.0.0.1', port }, scrape);
      return { port: { prometheus, url: `http://127.0.0.1:${port}/metrics` }, close: () => prometheus.close() };
    } catch (error) {
      if (port > 39_500) throw error;
    }
  }
}

test('more than is kept for a collector is dropped by whole traces, and counted', async (context) => {
  const told: number[] = [];
  const collector = new Collector();
  await collector.server.listen();
  const otlp = openOtlp(
    { install: 'home', version: '0', metrics: null, otlp: { endpoint: collector.server.url, headers: {} } },
    ({ dropped }) => told.push(dropped),
  );
  context.after(async () => {
    await otlp.close();
    await collector.server.close();
  });
  const one = spansOf(traceWith(WHOLE))[0]!;
  otlp.trace({ id: 'm1', spans: Array.from({ length: EXPORT_SPANS_MAX - 1 }, () => one) });
  assert.deepEqual(told, []);
  otlp.trace({ id: 'm2', spans: [one, one] });
  assert.deepEqual(told, [1]);
});
