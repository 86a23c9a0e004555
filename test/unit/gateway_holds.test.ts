import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { afterEach, test } from 'node:test';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { APPROVAL_BODY_PART_CHARS, APPROVALS_PER_HOUR_MAX } from '../../src/base/limits/gateway.ts';
import { visible } from '../../src/base/text.ts';
import { Holds, type ToHold } from '../../src/gateway/holds.ts';
import type { Refusal } from '../../src/gateway/route.ts';
import type { BodyPart, Decision, GatewayEvent, HoldEvent } from '../../src/protocol/gateway.ts';

/** Held requests by themselves, with a clock of the test's own where time matters. */

const POLICY = 'f'.repeat(64);
const ASKED: ToHold = {
  ...{ session: 's1', group: 'assistant', service: 'api', method: 'POST', host: 'api.example.com', path: '/a' },
  ...{ rule: 'api: POST /a', policy: POLICY, headers: [], body: Buffer.from('body') },
  ...{ marks: [], rule_of_two: false },
};

/** What still waits, with its timer. */
const waiting: (() => void)[] = [];
afterEach(() => {
  for (const end of waiting.splice(0)) end();
});

interface World {
  holds: Holds;
  told: GatewayEvent[];
  /** What became of each request: `sent`, or the rule of its refusal. */
  ends: string[];
  hold(more?: Partial<ToHold>): string | Refusal;
  decide(other?: Partial<Decision>): string | null;
}

function world(clock: Clock = systemClock, expires_ms = 60_000): World {
  const told: GatewayEvent[] = [];
  const ends: string[] = [];
  const holds = new Holds(clock, (event) => told.push(event), expires_ms);
  const hold = (more: Partial<ToHold> = {}): string | Refusal => {
    const id = holds.hold({ ...ASKED, ...more }, (why) => {
      ends.push(why === null ? 'sent' : why.rule);
      return why;
    });
    if (typeof id === 'string') waiting.push(() => holds.end(id, 'session ended'));
    return id;
  };
  const decide = (other: Partial<Decision> = {}): string | null => {
    const { hold: id, session, policy, body_sha256 } = told.findLast((event) => event.event === 'hold') as HoldEvent;
    return holds.decide({ hold: id, session, policy, body_sha256, allow: true, reason: '', ...other });
  };
  return { holds, told, ends, hold, decide };
}

test('what is held is shown whole, in parts, masked as a whole, and gone with its end', () => {
  const { holds, told, hold, decide } = world();
  const credential = `sk-ant-${'k'.repeat(60)}`;
  // It lies over the end of the first part.
  const text = `${'x'.repeat(APPROVAL_BODY_PART_CHARS - 10)} ${credential} \u202e${'👍'.repeat(APPROVAL_BODY_PART_CHARS)}end`;
  hold({ body: Buffer.from(text) });
  const { hold: id } = told[0] as HoldEvent;
  const parts: string[] = [];
  for (let from: number | null = 0; from !== null; ) {
    const part: BodyPart = holds.body(id, from)!;
    assert.ok(part.text.length <= APPROVAL_BODY_PART_CHARS);
    parts.push(part.text);
    from = part.next;
  }
  assert.equal(parts.length, 4);
  const shown = parts.join('');
  assert.ok(!shown.includes('kkkkkkkkkkkk'), 'the credential is masked');
  assert.match(shown, /^x+ [^x]+U\+202E(?:👍)+end$/u);
  assert.equal(shown.match(/👍/gu)!.length, APPROVAL_BODY_PART_CHARS);
  decide({ allow: false });
  assert.equal(holds.body(id, 0), null);
  assert.equal(holds.body('none', 0), null);
});

test('what is held is told with the hash of its bytes, and leaves once', () => {
  const { told, ends, hold, decide } = world();
  assert.equal(hold(), (told[0] as HoldEvent).hold);
  assert.equal((told[0] as HoldEvent).body_sha256, createHash('sha256').update('body').digest('hex'));
  assert.deepEqual(ends, []);
  assert.equal(decide(), null);
  assert.equal(decide(), 'it does not wait any more');
  assert.deepEqual(ends, ['sent']);
});

test('two requests with the same bytes have ids of their own', () => {
  const { ends, hold, decide } = world();
  const first = hold();
  assert.notEqual(first, hold());
  assert.equal(decide(), null);
  assert.equal(decide({ hold: first as string, allow: false }), null);
  assert.deepEqual(ends, ['sent', 'api: POST /a: denied']);
});

test('nobody decides in time: it is refused, and that is told', async () => {
  const { told, ends, hold, decide } = world(systemClock, 5);
  const id = hold();
  while (ends.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(ends, ['api: POST /a: expired']);
  assert.deepEqual(told[1], { event: 'hold_ended', hold: id, reason: 'nobody decided in time' });
  assert.equal(decide(), 'it does not wait any more');
});

test('an approval that comes after the time, before the timer was served, is too late', () => {
  let now_ms = 0;
  const { holds, ends, hold, decide } = world({ ...systemClock, monotonic: () => now_ms });
  hold();
  now_ms = 60_000;
  assert.equal(decide(), 'while it waited for approval, nobody decided in time');
  assert.deepEqual(ends, ['api: POST /a: expired']);
  holds.end('nothing', 'expired');
});

test('three of a group wait, whichever sessions ask; another group has its own three', () => {
  const { holds, ends, hold } = world();
  const ids = ['s1', 's2', 's3'].map((session) => hold({ session }));
  const fourth = hold({ session: 's4' }) as Refusal;
  assert.deepEqual([fourth.status, fourth.rule], [429, 'api: POST /a: 3 wait']);
  assert.equal(typeof hold({ group: 'other' }), 'string');
  holds.end(ids[0] as string, 'agent gone');
  assert.equal(typeof hold(), 'string');
  assert.deepEqual(ends, ['api: POST /a: agent gone']);
});

test('a group that asks and takes back in a loop is refused for the rest of the hour', () => {
  let now_ms = 0;
  const { holds, hold } = world({ ...systemClock, monotonic: () => now_ms });
  for (let asked = 0; asked < APPROVALS_PER_HOUR_MAX; asked += 1) holds.end(hold() as string, 'agent gone');
  const refused = hold() as Refusal;
  assert.deepEqual([refused.status, refused.rule], [429, 'api: POST /a: 30 an hour']);
  assert.equal(typeof hold({ group: 'other' }), 'string');
  now_ms = 3_600_000;
  assert.equal(typeof hold(), 'string');
});

test('headers are shown as they are sent, harmless and without what looks like a credential', () => {
  const { told, hold } = world();
  hold({ headers: ['x-amz-target', 'DeleteTable', 'x-note', 'sk-fakefakefake\u0085', 'x-long', 'y'.repeat(999)] });
  const { headers } = told[0] as HoldEvent;
  assert.deepEqual(headers.slice(0, 2), ['x-amz-target: DeleteTable', 'x-note: [redacted]U+0085']);
  assert.equal(headers[2]!.length, 300);
});

test('a refusal by a person carries the reason to the agent', () => {
  const { holds, told } = world();
  let said = '';
  holds.hold(ASKED, (why) => {
    said = why?.reason ?? '';
    return why;
  });
  const { hold, session, policy, body_sha256 } = told[0] as HoldEvent;
  holds.decide({ hold, session, policy, body_sha256, allow: false, reason: 'wrong list' });
  assert.equal(said, 'while it waited for approval, a person denied it: wrong list');
});

test('a credential in the query is not shown', () => {
  const { told, hold } = world();
  hold({ path: '/a?note=sk-fakefakefake' });
  assert.equal((told[0] as HoldEvent).path, '/a?note=[redacted]');
});

for (const [name, text, shown] of [
  ['line ends', 'a\r\nb\u2028c\u2029d\u0085e', 'aU+000DU+000AbU+2028cU+2029dU+0085e'],
  ['a terminal’s orders', '\u001b[2J\u009b1m\u007f', 'U+001B[2JU+009B1mU+007F'],
  ['another direction', '\u202e\u2066\u200f\u061c', 'U+202EU+2066U+200FU+061C'],
  ['no width', 'a\u200b\u200d\ufeff\u2060\u00adb\u034f', 'aU+200BU+200DU+FEFFU+2060U+00ADbU+034F'],
  ['fillers, and spaces that are none', '\u3164\u2800\u00a0\u3000\ufe0f', 'U+3164U+2800U+00A0U+3000U+FE0F'],
  ['tags, half pairs and private letters', '\u{e0041}\ud800\ue000', 'U+E0041U+D800U+E000'],
  ['ordinary words of any language', 'Grüße, 你好, привет, नमस्ते 🙂', 'Grüße, 你好, привет, नमस्ते 🙂'],
] as const)
  test(`shown to a person: ${name}`, () => assert.equal(visible(text), shown));
