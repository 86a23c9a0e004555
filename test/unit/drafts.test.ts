import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { noFaults } from '../../src/base/faults.ts';
import { DRAFT_CHARS_MIN, DRAFT_DELAY_MS, DRAFT_EVERY_MS } from '../../src/base/limits/messages.ts';
import type { Channel, EditOperation, Reconciled, SendErrorClass, SendOperation } from '../../src/channels/channel.ts';
import { Delivery } from '../../src/delivery/delivery.ts';
import { draftBody, endOfEdit, stepOf } from '../../src/delivery/draft_step.ts';
import { conservation } from '../../src/ledger/conservation.ts';
import { type DraftRow, draftOf, draftReplacedBy, markDraft, openDraft } from '../../src/ledger/drafts.ts';
import {
  insertNotice,
  insertOutbound,
  type OutboundKind,
  type OutboundRow,
  outboundById,
} from '../../src/ledger/outbound.ts';
import { closeTurn, openTurn, recordDeath, stopSession } from '../../src/sessions/turn_book.ts';
import { freshLedger, queueMessage, seedChat, TAKES } from '../fakes/ledger_kit.ts';
import { eventually } from '../fakes/session_world.ts';

const LONG = 'word '.repeat(DRAFT_CHARS_MIN / 4).trim();
const LONGER = `${LONG} and more`;
const MARKED = / …$/;

const ROW = { state: 'shown' } as DraftRow;

test('what is done about a text: begun once, edited when there is more of it, left alone when its turn is over', () => {
  const short = LONG.slice(0, DRAFT_CHARS_MIN - 1);
  const cases: [DraftRow | null, boolean, string, string, string][] = [
    [null, true, LONG, '', 'begin'],
    [null, true, short, '', 'wait'],
    [null, false, LONG, '', 'never'],
    [ROW, true, LONGER, LONG, 'edit'],
    [ROW, true, LONG, LONG, 'wait'],
    [ROW, false, LONGER, LONG, 'never'],
    ...(['sending', 'replaced', 'refused', 'uncertain'] as const).map(
      (state): [DraftRow, boolean, string, string, string] => [{ ...ROW, state }, true, LONGER, LONG, 'never'],
    ),
  ];
  for (const [draft, running, text, shown, step] of cases)
    assert.equal(stepOf(draft, running, text, shown), step, JSON.stringify([draft, running, step]));
});

test('what is shown of an answer fits one message, and says that it is not all', () => {
  for (const markup of ['markdown', 'telegram-html', 'slack-mrkdwn', 'discord', 'whatsapp', 'plain'] as const) {
    for (const text of [LONG, 'x'.repeat(5000), `**${'a & b '.repeat(500)}**`, `\`\`\`\n${LONG}\n\`\`\``]) {
      const body = draftBody(text, { markup, text_max: 1000 });
      assert.ok(body.length <= 1000 && body.length > 10, `${markup} ${body.length}`);
      assert.match(body, /…/, `${markup}: ${body.slice(-20)}`);
    }
  }
  assert.match(draftBody(LONG, TAKES), MARKED);
  assert.ok(draftBody(`\`\`\`\n${LONG}\n\`\`\``, TAKES).endsWith('```\n…'), 'a fence that closes stays closed');
});

test('an edit has no uncertain outcome; what the platform does not take is sent instead', () => {
  assert.deepEqual(endOfEdit({ ok: true, receipt: 'other' }, 'r1'), {
    result: { ok: true, receipt: 'r1' },
    draft: 'replaced',
  });
  const after = (kind: SendErrorClass | 'waiting') => {
    const { result, draft } = endOfEdit({ ok: false, class: kind, reason: 'x' }, 'r1');
    assert.ok(!result.ok);
    return [result.class, draft, 'after_ms' in result ? result.after_ms : null];
  };
  assert.deepEqual(after('ambiguous'), ['retryable', 'shown', null]);
  assert.deepEqual(after('rate_limited'), ['rate_limited', 'shown', null]);
  assert.deepEqual(after('waiting'), ['waiting', 'shown', null]);
  for (const kind of ['permanent', 'gone', 'unsupported', 'too_large', 'auth'] as const)
    assert.deepEqual(after(kind), ['retryable', 'refused', 0], kind);
});

/** A running turn of one message, and a channel whose messages can be edited. Time passes by hand. */
async function world(context: TestContext, more: Partial<Channel> = {}) {
  const ledger = await freshLedger(context);
  const { db } = ledger;
  const session = seedChat(db);
  const sent: SendOperation[] = [];
  const edited: EditOperation[] = [];
  const alerts: string[] = [];
  const channel: Channel = {
    name: 'local',
    capabilities: { markup: 'markdown', text_max: 1000, file_bytes_max: 0, edits: true },
    start: async () => {},
    stop: async () => {},
    send: async (operation) => {
      sent.push(operation);
      return { ok: true, receipt: `r${sent.length}` };
    },
    edit: async (operation) => {
      edited.push(operation);
      return { ok: true, receipt: operation.message };
    },
    health: () => ({ state: 'connected', detail: '' }),
    ...more,
  };
  let now = 0;
  const clock = { ...systemClock, monotonic: () => now };
  const hooks = { alert: (kind: string) => alerts.push(kind), rejected: () => {} };
  const delivery = new Delivery(ledger, '/nowhere', clock, new Map([['local', channel]]), noFaults, hooks);
  context.after(() => delivery.stop(0));
  queueMessage(db, session, 'hello');
  const start = { session, harness: 'probe', warm: true, reseed: false };
  const turn = openTurn(db, clock, start)!;
  const [{ message_id, chat_id, thread }] = turn.messages as [(typeof turn.messages)[0]];
  const place = { turn: turn.id, session: session.id, chat_id, thread, reply_to: message_id };
  /** There is more of the answer, long enough after what was shown last. */
  const show = (text: string, after = DRAFT_DELAY_MS + DRAFT_EVERY_MS): void => {
    delivery.drafts.show(place, '');
    now += after;
    delivery.drafts.show(place, text);
  };
  const settle = async (outcome: 'answered' | 'silent', text: string): Promise<void> => {
    const taken = [{ ids: turn.messages.map((message) => message.inbound_id), at_us: 0 }];
    const end = { turn, harness: 'probe', taken, tools: [], compactions: [], outcome, text, resume: null };
    await ledger.write('test', (own) => closeTurn(own, clock, { session, takes: () => TAKES, ...end }));
    delivery.drafts.end(turn.id);
    delivery.wake(chat_id);
  };
  const state = (): string | undefined => draftOf(db, turn.id)?.state;
  const rows = (): string[] => db.all<{ s: string }>('SELECT state AS s FROM outbound ORDER BY id').map(({ s }) => s);
  /** A draft as a host that died left it. */
  const left = (): DraftRow =>
    openDraft(db, 1, { turn_id: turn.id, chat_id, thread, reply_to: message_id, body: LONG })!;
  return { ledger, db, clock, session, turn, channel, delivery, show, settle, sent, edited, alerts, state, rows, left };
}

test('a long answer is shown once there is enough of it and it takes its time, then edited, and is in the end that message', async (context) => {
  const { show, settle, sent, edited, state, rows, db } = await world(context);
  show(LONG, DRAFT_DELAY_MS);
  await eventually(() => state() === 'shown');
  assert.match(sent[0]!.body, MARKED);
  show(LONGER);
  await eventually(() => edited.length === 1);
  assert.deepEqual([edited[0]!.message, edited[0]!.body], ['r1', `${LONGER} …`]);
  await settle('answered', `${LONGER} and all`);
  await eventually(() => rows().join() === 'sent');
  assert.deepEqual([sent.length, edited.length, edited[1]!.body], [1, 2, `${LONGER} and all`]);
  assert.deepEqual(new Set(edited.map(({ key }) => key)), new Set([sent[0]!.key]), 'under the key of their send');
  assert.equal(state(), 'replaced');
  assert.deepEqual(conservation(db, 0).violations, []);
});

test('a platform that counts writes is edited as seldom as it says, and the answer does not wait for that', async (context) => {
  const every = 10 * DRAFT_EVERY_MS;
  const { show, settle, edited, state, rows } = await world(context, {
    capabilities: { markup: 'markdown', text_max: 1000, file_bytes_max: 0, edits: true, edit_every_ms: every },
  });
  show(LONG, DRAFT_DELAY_MS);
  await eventually(() => state() === 'shown');
  show(LONGER, every / 2);
  await new Promise((resolve) => setTimeout(resolve, 100)); // an edit that is due is out by then
  assert.equal(edited.length, 0);
  show(`${LONGER} and more`, every / 2);
  await eventually(() => edited.length === 1);
  await settle('answered', `${LONGER} and more`);
  await eventually(() => rows().join() === 'sent');
});

test('the answer waits for the edit that is under way, and nothing of the draft comes after it', async (context) => {
  const order: string[] = [];
  let release: () => void = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const { delivery, show, settle, state, rows } = await world(context, {
    edit: async ({ body, message }) => {
      order.push(`begin ${MARKED.test(body)}`);
      if (MARKED.test(body)) await held;
      order.push(`end ${MARKED.test(body)}`);
      return { ok: true, receipt: message };
    },
  });
  show(LONG);
  await eventually(() => state() === 'shown');
  show(LONGER);
  await eventually(() => order.length === 1);
  await settle('answered', LONGER);
  await new Promise((resolve) => setTimeout(resolve, 100)); // an answer that does not wait is out by then
  assert.deepEqual(order, ['begin true']);
  release();
  await eventually(() => rows().join() === 'sent');
  assert.deepEqual(order, ['begin true', 'end true', 'begin false', 'end false']);
  assert.equal(delivery.forgotten().length, 0);
});

test('an edit that is due when the ledger says that the turn is over is not made', async (context) => {
  const { ledger, clock, session, show, edited, state, delivery } = await world(context);
  show(LONG);
  await eventually(() => state() === 'shown');
  await ledger.write('test', (db) => stopSession(db, clock, session, 'Ann', { keep: false, untaken: [] }));
  delivery.wake(session.chat_id);
  await eventually(() => state() === 'replaced');
  show(LONGER); // a session that has not heard of it yet
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.deepEqual(
    edited.map(({ body }) => body),
    ['[Stopped before the answer was finished.]'],
  );
});

test('where the edit is refused the answer is a message of its own', async (context) => {
  const { show, settle, sent, state, rows, alerts } = await world(context, {
    edit: async () => ({ ok: false, class: 'gone', reason: 'no' }),
  });
  show(LONG);
  await eventually(() => state() === 'shown');
  await settle('answered', LONGER);
  await eventually(() => rows().join() === 'sent');
  assert.deepEqual([sent.length, sent[1]!.body, state(), alerts], [2, LONGER, 'refused', []]);
});

test('a draft that may or may not be there is left alone, with an alert, and the answer is a message of its own', async (context) => {
  let calls = 0;
  const { show, settle, edited, state, rows, alerts } = await world(context, {
    send: async () => {
      calls += 1;
      return calls === 1 ? { ok: false, class: 'ambiguous', reason: 'lost' } : { ok: true, receipt: 'r' };
    },
  });
  show(LONG);
  await eventually(() => state() === 'uncertain');
  await settle('answered', LONGER);
  await eventually(() => rows().join() === 'sent');
  assert.deepEqual([calls, edited.length, alerts], [2, 0, ['delivery.uncertain']]);
});

test('a draft whose host died is asked for: shown, never sent, or nobody knows', async (context) => {
  const cases: [Reconciled, string | undefined, number][] = [
    [{ found: true, receipt: 'r9' }, 'shown', 0],
    [{ found: false }, undefined, 0],
    [{ found: 'unknown' }, 'uncertain', 1],
  ];
  for (const [known, state, alerts] of cases) {
    const one = await world(context, { reconcile: async () => known });
    one.left();
    await one.delivery.recover();
    assert.deepEqual([one.state(), one.alerts.length], [state, alerts]);
  }
});

test('an answer whose host died over its edit is made again as that edit', async (context) => {
  const { left, ledger, turn, settle, delivery, edited, sent, state, rows, db } = await world(context, {
    reconcile: () => assert.fail('the same edit once more changes nothing'),
  });
  left();
  await ledger.write('test', (own) => markDraft(own, 1, turn.id, 'shown', 'r7'));
  await delivery.stop(0);
  await settle('answered', LONGER);
  db.run("UPDATE outbound SET state = 'sending', attempts = 1");
  const again = new Delivery(ledger, '/nowhere', systemClock, deliveryChannels(edited, sent), noFaults, {
    ...{ alert: () => {}, rejected: () => {} },
  });
  context.after(() => again.stop(0));
  await again.recover();
  await eventually(() => rows().join() === 'sent');
  assert.deepEqual([edited.length, edited[0]!.message, sent.length, state()], [1, 'r7', 0, 'replaced']);
});

/** A channel of the next host; it cannot say what it has. */
function deliveryChannels(edited: EditOperation[], sent: SendOperation[]): Map<string, Channel> {
  return new Map([
    [
      'local',
      {
        name: 'local',
        capabilities: { markup: 'markdown', text_max: 1000, file_bytes_max: 0, edits: true },
        start: async () => {},
        stop: async () => {},
        send: async (operation) => {
          sent.push(operation);
          return { ok: true, receipt: 'new' };
        },
        edit: async (operation) => {
          edited.push(operation);
          return { ok: true, receipt: operation.message };
        },
        health: () => ({ state: 'connected', detail: '' }),
      },
    ],
  ]);
}

test('a turn has one draft over all its attempts, and what it says in the end is neither reply nor send', async (context) => {
  const { db, clock, session, turn, left, settle, rows } = await world(context);
  left();
  markDraft(db, 1, turn.id, 'shown', 'r1');
  recordDeath(db, clock, { session, takes: () => TAKES }, turn, 'died');
  assert.equal(openDraft(db, 1, draftOf(db, turn.id)!), undefined, 'it does not run');
  const again = openTurn(db, clock, { session, harness: 'probe', warm: true, reseed: false })!;
  assert.equal(openDraft(db, 1, draftOf(db, turn.id)!), undefined, 'it has one');
  turn.attempt = again.attempt;
  await settle('silent', '');
  await eventually(() => rows().join() === 'sent');
  assert.equal(db.get<{ n: number }>("SELECT count(*) AS n FROM transcript WHERE role = 'agent'")!.n, 0);
  db.run("UPDATE outbound SET state = 'rejected'");
  assert.equal(conservation(db, 0).unheard, 0, 'a silent turn has no answer that nobody heard');
});

test('what waits to be delivered in a chat is not overtaken by a draft', async (context) => {
  const { db, session, show, rows, state, delivery } = await world(context);
  insertNotice(db, 1, session.chat_id, '', null, 'of somebody else');
  show(LONG);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(state(), undefined);
  delivery.wake(session.chat_id);
  await eventually(() => rows().join() === 'sent');
  show(LONGER);
  await eventually(() => state() === 'shown');
});

test('only a turn that runs begins a draft', async (context) => {
  const { db, clock, session, turn, left } = await world(context);
  recordDeath(db, clock, { session, takes: () => TAKES }, turn, 'died');
  assert.equal(left(), undefined);
  openTurn(db, clock, { session, harness: 'probe', warm: true, reseed: false });
  assert.equal(left().state, 'sending');
});

test('the first message of what its turn says in the end takes the place of a draft, and nothing else', async (context) => {
  const { db, session, turn, left } = await world(context);
  const own = { session_id: session.id, turn_id: turn.id, attempt: 1, send_hash: '', reply_to: null };
  const put = (kind: OutboundKind, ordinal: number, thread = ''): OutboundRow[] => {
    const chunks = ['one', 'two'].map((body) => ({ body, source: body }));
    const ids = insertOutbound(db, 1, { chat_id: session.chat_id, thread, kind, ordinal, ...own }, chunks);
    return ids.map((id) => outboundById(db, id)!);
  };
  const rows = [...put('reply', 0), ...put('send', 1), ...put('reply', 2, 'elsewhere'), ...put('notice', 3)];
  const found = (): boolean[] => rows.map((row) => draftReplacedBy(db, row) !== null);
  left();
  assert.ok(
    found().every((one) => !one),
    'nobody knows yet that it is there',
  );
  markDraft(db, 1, turn.id, 'shown', 'r1');
  assert.deepEqual(found(), [true, false, false, false, false, false, true, false]);
  markDraft(db, 1, turn.id, 'replaced');
  assert.ok(
    found().every((one) => !one),
    'its place is taken',
  );
});

test('a draft that stands after its turn, with nothing in its place, breaks a law', async (context) => {
  const { db, turn, left } = await world(context);
  left();
  markDraft(db, 1, turn.id, 'shown', 'r1');
  assert.deepEqual(conservation(db, 0).violations, []);
  db.run("UPDATE turns SET state = 'failed'");
  db.run("UPDATE inbound SET state = 'failed'");
  assert.deepEqual(conservation(db, 0).violations, ['1 drafts stand for an answer that nobody gives']);
});

test('a chat without edits is shown nothing', async (context) => {
  const capabilities = { markup: 'markdown' as const, text_max: 1000, file_bytes_max: 0 };
  const { delivery, session, show, sent, state } = await world(context, { capabilities });
  assert.deepEqual([delivery.drafts.wanted(session.chat_id), delivery.drafts.wanted(null)], [false, false]);
  show(LONG);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual([sent.length, state()], [0, undefined]);
});
