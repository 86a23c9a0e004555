import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { ROOT } from '../../src/base/paths.ts';
import { Budgets, type Reservation } from '../../src/gateway/budget.ts';
import { type Amount, Prices } from '../../src/gateway/prices.ts';
import { NO_USAGE } from '../../src/gateway/usage.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';

/** What a request costs, and when a group's day is over. */

const NOON = new Date(2026, 0, 5, 12).getTime();
const HOUR_MS = 3_600_000;
const table = new Prices([join(ROOT, 'src/gateway/prices.json')]);
const used = (model: string | null, input: number, output: number) => ({
  ...NO_USAGE,
  ...{ model, input_tokens: input, output_tokens: output },
});
const bytes = { up: 3000, down: 300 };

describe('the price of a request', () => {
  for (const [model, dollars] of [
    ['claude-sonnet-5-20260101', 18],
    ['claude-opus-4-6', 30],
    ['claude-opus-9', 90],
    ['gpt-5-mini-2025', 2.25],
    ['gpt-5', 11.25],
    ['somebody/else', 90],
  ] as const) {
    test(`a million tokens in and out of ${model} are ${dollars} US dollars`, () => {
      assert.equal(table.of('openai', 'm', used(model, 1e6, 1e6), bytes).cost_micros, dollars * 1e6);
    });
  }

  test('cached input has its own price', () => {
    const cached = { ...used('claude-sonnet-5', 1e6, 0), cache_read_tokens: 4e5, cache_write_tokens: 2e5 };
    assert.equal(table.of('anthropic', 'm', cached, bytes).cost_micros, (4e5 * 3 + 4e5 * 0.3 + 2e5 * 3.75) | 0);
  });

  test('a reply that nobody understands is metered by its bytes, as the model of the authority', () => {
    const amount = table.of('anthropic', 'claude-sonnet-5', NO_USAGE, bytes);
    assert.deepEqual(amount, { cost_micros: 1000 * 3 + 100 * 15, tokens: 1100 });
  });

  test('a model on the operator’s own machine is free', () => {
    assert.equal(table.of('ollama', 'm', used('m', 1e6, 1e6), bytes).cost_micros, 0);
  });

  test('the operator’s table goes before ours, and a broken one stops the start', (context) => {
    const file = join(temporaryFolder(context), 'prices.json');
    writeFileSync(file, '{"as_of": "2026-01-01", "models": {"m": [1, 2]}, "unknown": [9, 9]}');
    assert.equal(new Prices([file]).of('openai', 'm', used(null, 1, 1), bytes).cost_micros, 3);
    writeFileSync(file, '{"as_of": "yesterday", "models": {}, "unknown": [9, 9]}');
    assert.throws(() => new Prices([file]), { code: 'config', message: /no table of prices/ });
  });
});

describe('the budget of a day', () => {
  const amount = (dollars: number, tokens = 0): Amount => ({ cost_micros: dollars * 1e6, tokens });

  function budgets(before = { cost_micros: 0, tokens: 0, requests: 0 }) {
    const clock = { now: () => now, monotonic: () => 0 };
    let now = NOON;
    const warnings: string[] = [];
    const kept = new Budgets(
      clock as never,
      (_group, since_ms) => (since_ms === new Date(now).setHours(0, 0, 0, 0) ? before : assert.fail('not midnight')),
      (subject, text) => warnings.push(`${subject}: ${text}`),
    );
    const reserve = (budget: object, asked: Amount) => kept.reserve('g', budget, asked);
    const run = (budget: object, asked: Amount, actual = asked): void =>
      kept.settle(reserve(budget, asked) as Reservation, actual);
    return { kept, reserve, run, warnings, pass: (ms: number) => (now += ms) };
  }

  const refused = (answer: object): string => ('reason' in answer ? String(answer.reason) : 'not refused');

  test('refuses when it is used up, for each of its kinds', () => {
    for (const [budget, words] of [
      [{ usd_per_day: 2 }, '2.00 US dollars'],
      [{ tokens_per_day: 100 }, '100 tokens'],
      [{ requests_per_day: 1 }, '1 requests'],
    ] as const) {
      const { reserve, run } = budgets();
      run(budget, amount(2, 100));
      assert.equal(refused(reserve(budget, amount(0))), `the group has used its ${words} of today`);
    }
  });

  test('counts what was used, not what was reserved', () => {
    const { reserve, run } = budgets();
    run({ usd_per_day: 2 }, amount(5), amount(1));
    run({ usd_per_day: 2 }, amount(5), amount(0.5));
    assert.equal(refused(reserve({ usd_per_day: 2 }, amount(5))), 'not refused');
  });

  test('holds what runs: beside it, only what fits', () => {
    const { kept, reserve } = budgets();
    const first = reserve({ usd_per_day: 2 }, amount(1.5)) as Reservation;
    assert.match(refused(reserve({ usd_per_day: 2 }, amount(1))), /reserved by requests that run/);
    kept.settle(first, amount(0.1));
    assert.equal(refused(reserve({ usd_per_day: 2 }, amount(1))), 'not refused');
  });

  test('begins again at midnight; what ran over it belongs to the day before', () => {
    const { kept, reserve, run, pass } = budgets();
    run({ usd_per_day: 2 }, amount(1));
    const late = reserve({ usd_per_day: 2 }, amount(1)) as Reservation;
    pass(12 * HOUR_MS);
    run({ usd_per_day: 2 }, amount(1.9));
    kept.settle(late, amount(1));
    assert.equal(refused(reserve({ usd_per_day: 2 }, amount(0))), 'not refused');
  });

  test('warns at half, at four fifths and at its end, once each', () => {
    const { run, warnings } = budgets();
    for (const dollars of [0.4, 0.5, 0.1, 0.7, 0.1, 0.2]) run({ usd_per_day: 2 }, amount(dollars));
    assert.deepEqual(
      warnings.map((text) => text.split(': ')[0]),
      ['g 2026-01-05 50 %', 'g 2026-01-05 80 %', 'g 2026-01-05 100 %'],
    );
    assert.match(warnings[2]!, /100 % of its 2.00 US dollars of today. Its requests are refused until/);
  });

  test('goes on where it was after a restart, and does not tell again', () => {
    const { reserve, run, warnings } = budgets({ cost_micros: 1.7e6, tokens: 0, requests: 3 });
    run({ usd_per_day: 2 }, amount(0.1));
    assert.deepEqual(warnings, []);
    run({ usd_per_day: 2 }, amount(0.2));
    assert.equal(warnings.length, 1);
    assert.match(refused(reserve({ usd_per_day: 2 }, amount(0))), /has used/);
  });
});

describe('the budget of an hour in which nobody speaks', () => {
  const ONE = { usd_per_idle_hour: 1 };
  const amount = (dollars: number): Amount => ({ cost_micros: dollars * 1e6, tokens: 0 });

  /** `before`: what the audit has of a time, in dollars. */
  function idle(before: (since_ms: number) => number = () => 0) {
    let now = NOON;
    const warnings: string[] = [];
    const kept = new Budgets(
      { now: () => now } as never,
      (_group, since_ms) => ({ ...amount(before(since_ms)), requests: 0 }),
      (subject, text) => warnings.push(`${subject}: ${text}`),
    );
    const reserve = (asked = 0, budget: object = ONE) => kept.reserve('g', budget, amount(asked));
    return {
      ...{ kept, reserve, warnings },
      run: (dollars: number, budget: object = ONE): void => {
        const answer = reserve(5, budget);
        assert.ok(!('reason' in answer), 'it was let out');
        kept.settle(answer as Reservation, amount(dollars));
      },
      pass: (ms: number) => (now += ms),
      spoken: (ago_ms = 0) => kept.spoken('g', now - ago_ms),
      /** Whether a request would be; it does not leave. */
      isRefused: (asked = 0): boolean => {
        const answer = reserve(asked);
        if (!('reason' in answer)) kept.settle(answer as Reservation, amount(0));
        return 'reason' in answer;
      },
    };
  }

  test('refuses when it is used up, in a sentence, and tells the owner once', () => {
    const { reserve, run, warnings } = idle();
    run(0.6);
    run(0.6);
    const answer = reserve();
    assert.deepEqual(answer, {
      ...{
        allow: false,
        status: 402,
        rule: 'budget',
        try: 'wait until somebody speaks to you, or ask your operator for more',
      },
      reason: 'the group has used its 1.00 US dollars of an hour in which nobody speaks to it',
    });
    reserve();
    assert.deepEqual(warnings, [
      'g idle: The group g has used its 1.00 US dollars of an hour in which nobody speaks to it. It goes on when somebody does.',
    ]);
  });

  test('counts what was used, not what was reserved', () => {
    const { run, isRefused } = idle();
    for (const dollars of [0.3, 0.3, 0.3]) run(dollars);
    assert.ok(!isRefused());
  });

  test('holds what runs: beside it, only what fits', () => {
    const { kept, reserve, isRefused } = idle();
    const running = reserve(0.8) as Reservation;
    assert.match(JSON.stringify(reserve(0.3)), /reserved by requests that run/);
    kept.settle(running, amount(0.1));
    assert.equal(isRefused(0.3), false);
  });

  test('goes on from the moment at which somebody speaks, and counts anew from there', () => {
    const { run, isRefused, spoken, pass, warnings } = idle();
    run(1);
    assert.ok(isRefused());
    pass(2000);
    spoken();
    assert.ok(!isRefused());
    run(1);
    assert.ok(isRefused());
    assert.equal(warnings.length, 2, 'another silence is told again');
  });

  test('what was used before somebody spoke does not count, what was used after it does, however late it is told', () => {
    const { run, isRefused, spoken, pass } = idle();
    run(0.9);
    pass(10_000);
    run(0.9);
    pass(5000);
    spoken(10_000);
    assert.ok(!isRefused());
    run(0.1);
    assert.ok(isRefused());
  });

  test('an older word and one of a time to come change nothing', () => {
    const { run, isRefused, spoken, pass } = idle();
    run(1);
    pass(60_000);
    spoken();
    spoken(90_000);
    assert.ok(!isRefused());
    spoken(-HOUR_MS);
    pass(1000);
    run(1);
    assert.ok(isRefused());
  });

  test('is the last hour where nobody speaks: what is older is forgotten', () => {
    const { run, isRefused, pass } = idle();
    run(0.5);
    pass(HOUR_MS / 2);
    run(0.5);
    assert.ok(isRefused());
    pass(HOUR_MS / 2);
    assert.ok(isRefused(), 'the hour is not over to the second');
    pass(1000);
    assert.ok(!isRefused());
  });

  test('a restart opens no window: what the audit has of the last hour counts until somebody is known to have spoken', () => {
    const asked: number[] = [];
    const audit = (since_ms: number): number => {
      asked.push(since_ms);
      return since_ms === NOON - HOUR_MS ? 1 : 0.2;
    };
    assert.ok(idle(audit).isRefused());
    const told = idle(audit);
    told.spoken(60_000);
    assert.ok(!told.isRefused());
    assert.deepEqual(asked.slice(-1), [NOON - 60_000]);
    told.run(0.8);
    assert.ok(told.isRefused());
  });

  test('an audit that cannot be read refuses', () => {
    const unreadable = (since_ms: number): number => (since_ms === NOON - HOUR_MS ? assert.fail('disk') : 0);
    assert.throws(() => idle(unreadable).reserve(), /disk/);
  });

  test('a group without it is not held by it', () => {
    const { run, reserve } = idle();
    run(3, {});
    assert.ok(!('reason' in reserve(1, {})));
  });
});
