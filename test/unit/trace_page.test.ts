import assert from 'node:assert/strict';
import { test } from 'node:test';
import { html } from '../../src/cli/html.ts';
import { scaleOf } from '../../src/cli/trace_chart.ts';
import { page } from '../../src/cli/trace_html.ts';
import { render } from '../../src/cli/trace_text.ts';
import type { Trace } from '../../src/evidence/trace.ts';
import { spansOf, sumsOf } from '../../src/evidence/trace_spans.ts';
import type { TraceStep } from '../../src/evidence/trace_steps.ts';

/** What a trace adds up to, and what hostile words become on a page and on a terminal. */

const START_US = Date.UTC(2026, 0, 31, 9, 30) * 1000;

interface Told extends Partial<TraceStep> {
  kind: string;
}

/** Steps at milliseconds after the start. */
function steps(...told: [ms: number, Told][]): TraceStep[] {
  return told.map(([ms, step], at) => ({
    ...{
      id: `e${at + 1}`,
      at_us: START_US + ms * 1000,
      where: 'host',
      message: null,
      session: 's1',
      turn: null,
      outbound: null,
    },
    ...{ data: {}, since_us: (ms - told[0]![0]) * 1000, after_us: (ms - (told[at - 1]?.[0] ?? ms)) * 1000 },
    ...step,
  }));
}

function request(ms: number | null, more: object = {}): Told {
  const data = {
    to: 'POST model.example.com/v1',
    decision: 'allow',
    status: 200,
    ms,
    secret: 'model',
    model: 'm',
    ...more,
  };
  return { kind: 'model.request', where: 'gateway', turn: 't1', data };
}

const PATH = steps(
  [0, { kind: 'message.received', session: null }],
  [1, { kind: 'message.queued' }],
  [10, { kind: 'sandbox.starting', data: { runtime: 'bubblewrap', harness: 'native' } }],
  [110, { kind: 'sandbox.ready', data: { ms: 105, pid: 7 } }],
  [120, { kind: 'turn.started', turn: 't1', data: { attempt: 1 } }],
  [200, request(300, { input_tokens: 5, output_tokens: 2, usd: 0.25 })],
  [300, request(300, { input_tokens: 6, output_tokens: 3, usd: 0.5 })],
  [700, { kind: 'tool.called', where: 'sandbox', turn: 't1', data: { tool: 'bash', ok: true, ms: 50 } }],
  [710, { kind: 'turn.attempt_failed', turn: 't1', data: { attempt: 1, reason: 'ended', next: 'retry' } }],
  [730, { kind: 'turn.started', turn: 't1', data: { attempt: 2 } }],
  [740, { kind: 'approval.held', turn: 't1', data: { approval: 'h1' } }],
  [940, { kind: 'approval.decided', turn: 't1', data: { approval: 'h1', allowed: true } }],
  [950, { kind: 'turn.settled', turn: 't1', data: { outcome: 'answered' } }],
  [960, { kind: 'delivery.sending', turn: 't1', outbound: 'o1', data: { attempt: 1 } }],
  [970, { kind: 'delivery.retry', turn: 't1', outbound: 'o1', data: { after_ms: 10 } }],
  [980, { kind: 'delivery.sending', turn: 't1', outbound: 'o1', data: { attempt: 2 } }],
  [1000, { kind: 'delivery.sent', turn: 't1', outbound: 'o1', data: { receipt: 'x' } }],
);

test('sums are of what lasted: what overlaps counts once, and a start is no wait', () => {
  const sums = sumsOf(PATH, spansOf(PATH));
  const ms = Object.fromEntries(Object.entries(sums.lanes).map(([lane, us]) => [lane, us / 1000]));
  assert.deepEqual(ms, {
    // From 1 to 5, before the sandbox, from 110 to 120, and from 710 to 730, between the attempts.
    ...{ queue: 34, sandbox: 105, turn: 590 + 220, model: 400, service: 0, tool: 50, people: 200, delivery: 40 },
  });
  assert.equal(sums.total_us, 1_000_000);
  assert.equal(sums.rest_us, (1000 - 34 - 105 - 400 - 50 - 200 - 40) * 1000);
  assert.deepEqual([sums.model_requests, sums.input_tokens, sums.output_tokens, sums.usd], [2, 11, 5, 0.75]);
});

test('what has not ended lasts to the last that is known', () => {
  const open = spansOf(PATH.slice(0, 7)).filter(({ ended }) => !ended);
  assert.deepEqual(
    open.map(({ lane, to_us }) => [lane, (to_us - START_US) / 1000]),
    [['turn', 600]],
  );
  const running = spansOf(steps([0, { kind: 'message.queued' }], [5, request(null)]));
  assert.deepEqual(
    running.map(({ lane, ended }) => [lane, ended]),
    [
      ['queue', false],
      ['model', false],
    ],
  );
  const given_up = steps([0, { kind: 'turn.attempt_failed', data: { next: 'failed' } }]);
  assert.deepEqual(spansOf(given_up), []);
});

test('a night in which nothing happens is cut out of the chart; what is left is to scale', () => {
  const night = 8 * 3_600_000_000;
  const second = 1_000_000;
  const scale = scaleOf([second, 2 * second, 2 * second + night], 4 * second + night);
  assert.equal(scale.cuts.length, 1);
  assert.deepEqual([scale.x(0), scale.x(4 * second + night)], [0, 100]);
  const [first, last] = [scale.x(second), 100 - scale.x(3 * second + night)];
  assert.ok(Math.abs(first - last) < 0.01 && first > 20, `${first} ${last}`);
  const even = scaleOf([second], 10 * second);
  assert.deepEqual([even.cuts, even.x(second)], [[], 10]);
  assert.deepEqual(scaleOf([], 0).x(0), 0);
});

const HOSTILE = `</title><script>alert(1)</script>"'\`<img src=x onerror=alert(1)>&amp; \u202e\u200b\x1b]0;owned\x07\x9b31m`;

function hostileTrace(): Trace {
  const told = PATH.map((step) => ({ ...step, kind: step.kind, data: { ...step.data, said: HOSTILE, [HOSTILE]: 1 } }));
  told[0]!.data = { files: [{ name: HOSTILE, type: HOSTILE, bytes: 1, sha256: '' }] as never, said: HOSTILE } as never;
  told[4]!.message = HOSTILE;
  const spans = spansOf(told).map((span) => ({ ...span, what: HOSTILE, message: HOSTILE }));
  return {
    message: {
      ...{ id: 'm1', from: HOSTILE, text: HOSTILE, chat: 1, place: HOSTILE, thread: HOSTILE, platform_id: HOSTILE },
      ...{ origin: 'platform', received_ms: START_US / 1000 },
    },
    task: { id: 'k1', schedule: HOSTILE, zone: HOSTILE, due_ms: 0, by: HOSTILE, state: HOSTILE },
    gone: [{ name: HOSTILE, gone_ms: 0, outbound: null }],
    cut: null,
    handled: [{ session: 's1', group: 'g', state: 'failed', reason: HOSTILE, turn: 't1' }],
    steps: told,
    sent: [
      {
        id: 'o1',
        place: HOSTILE,
        kind: 'reply',
        text: HOSTILE,
        state: 'sent',
        attempts: 2,
        receipt: HOSTILE,
        error: HOSTILE,
      },
    ],
    sandboxes: [
      {
        session: 's1',
        pid: 1,
        started_us: 0,
        runtime: HOSTILE,
        harness: HOSTILE,
        authority: HOSTILE,
        image: HOSTILE,
        fresh: true,
      },
    ],
    credentials: [{ secret: HOSTILE, process: 'gateway', for: HOSTILE, times: 1 }],
    spans,
    sums: sumsOf(told, spans),
  };
}

test('no word of anybody becomes markup on the page, wherever it stands', () => {
  const text = page(hostileTrace());
  const tags = [...text.matchAll(/<[^>]*>/g)].map(([tag]) => tag);
  const known =
    /^<\/?(!doctype|html|head|meta|title|style|body|header|h1|h2|small|p|time|blockquote|ul|li|section|div|b|i|span|svg|g|rect|line|text|table|thead|tbody|tr|th|td|q|footer)\b/;
  for (const tag of tags) {
    assert.match(tag, known);
    assert.doesNotMatch(tag, /\son\w+=|alert|javascript:|style=/i, tag);
  }
  assert.equal(text.match(/<title>/g)?.length, text.match(/<\/title>/g)?.length);
  assert.doesNotMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202e]/);
  assert.ok(text.includes('&#60;script&#62;'), 'it is shown');
  assert.match(
    text,
    /http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-[\w+/]+=*'; base-uri 'none'; form-action 'none'"/,
  );
  assert.doesNotMatch(text, /https?:|src=(?!x)|@import|url\(/);
});

test('a template takes text for text, and only what a template made for markup', () => {
  assert.equal(
    html`<a title="${'"><b>'}">${['<', html`<b>${'&'}</b>`]}${null}${1}</a>`.toString(),
    '<a title="&#34;&#62;&#60;b&#62;">&#60;<b>&#38;</b>1</a>',
  );
});

test('on a terminal no line is longer than it is wide, and nothing acts on it', () => {
  for (const columns of [80, 140, undefined]) {
    const io = { out: () => {}, err: () => {}, json: false, colour: false, columns };
    const text = render(hostileTrace(), io);
    assert.doesNotMatch(text, /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
    for (const line of text.split('\n')) assert.ok(line.length <= (columns ?? 10_000), `${line.length}: ${line}`);
  }
  const piped = render(hostileTrace(), { out: () => {}, err: () => {}, json: false, colour: false });
  assert.equal(piped.split('\n').filter((line) => /^09:30:/.test(line)).length, PATH.length, 'a step is a line');
  assert.match(piped, /2026-01-31 \(UTC\)\n09:30:00\.000000 +\+0\.00 ms +0\.00 ms {2}host +message\.received/);
  assert.match(
    piped,
    /17 steps in 1\.00 s\n {2}queue 34\.00 ms, sandbox start 105 ms, model 400 ms, tools 50\.00 ms, people 200 ms, delivery 40\.00 ms, the rest 171 ms/,
  );
});
