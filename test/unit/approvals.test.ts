import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Approvals } from '../../src/approvals/approvals.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { OperatingError } from '../../src/base/errors.ts';
import { showId } from '../../src/base/ids.ts';
import { silentLog } from '../../src/base/log.ts';
import { Alerts } from '../../src/evidence/alerts.ts';
import { openAlerts } from '../../src/ledger/alerts.ts';
import { countPending, endLeftOver } from '../../src/ledger/approvals.ts';
import { insertAuthority } from '../../src/ledger/authorities.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { ensurePerson } from '../../src/ledger/people.ts';
import { beginTurn } from '../../src/ledger/turns.ts';
import type { Decision, HoldEvent } from '../../src/protocol/gateway.ts';
import { freshLedger, queueMessage, seedChat } from '../fakes/ledger_kit.ts';

/** The host's side of held requests on a real ledger, with nobody who can be shown a card; the test is the gateway. */

const HASH = 'a'.repeat(64);
const IN_FORCE = 'b'.repeat(64);

interface World {
  ledger: Ledger;
  approvals: Approvals;
  /** What the gateway was asked. */
  asked: Decision[];
  /** What it says. */
  gateway: { answer: () => string | null };
  owner: number;
  member: number;
  hold(id?: string, more?: Partial<HoldEvent>): Promise<void>;
  /** Kind of each hop about approvals, with its data, oldest first. */
  hops(): [kind: string, data: Record<string, unknown>][];
  commits(): Promise<void>;
}

async function world(context: TestContext, clock: Clock = systemClock): Promise<World> {
  const ledger = await freshLedger(context);
  const asked: Decision[] = [];
  const gateway = { answer: (): string | null => null };
  const people = await ledger.write('seed', (db) => {
    const session = seedChat(db);
    queueMessage(db, session, 'hello');
    beginTurn(db, clock.now(), session.id, 'probe');
    const row = { group_name: 'assistant', hash: IN_FORCE, object: '{}', image: null, controls: '[]' };
    insertAuthority(db, { ...row, applied_by: 'test', applied_ms: 0 });
    return {
      session,
      owner: ensurePerson(db, clock.now(), 'local', 'operator', 'Olga', 'owner'),
      member: ensurePerson(db, clock.now(), 'local', 'bob', 'Bob', 'member'),
    };
  });
  const { session, owner, member } = people;
  const alerts = new Alerts({
    ...{ ledger, clock, log: silentLog, channels: new Map(), operatorChat: session.chat_id },
    ...{ deliver: () => {}, ways: [] },
  });
  const approvals = new Approvals({
    ...{ ledger, clock, log: silentLog, alert: alerts.alert.bind(alerts) },
    ...{ channels: new Map(), operatorChat: session.chat_id, deliver: () => {}, marked: async () => {} },
    body: async () => ({ text: '', next: null }),
    decide: async (decision) => {
      asked.push(decision);
      return gateway.answer();
    },
  });
  const commits = async (): Promise<void> => {
    for (let round = 0; round < 3; round += 1) await ledger.write('wait', () => {});
  };
  const hold = async (id = 'x', more: Partial<HoldEvent> = {}): Promise<void> => {
    approvals.held({
      ...{ event: 'hold', hold: id, session: showId('s', session.id), group: 'assistant', service: 'api' },
      ...{ method: 'POST', host: 'api.example.com', path: '/a', policy: HASH, body_sha256: HASH, body_bytes: 4 },
      ...{ headers: [], preview: 'body', expires_ms: clock.now() + 60_000, ...more },
    });
    await commits();
  };
  const hops = (): [string, Record<string, unknown>][] =>
    ledger.db
      .all<{ kind: string; data: string }>("SELECT kind, data FROM events WHERE kind GLOB 'approval.*' ORDER BY id")
      .map(({ kind, data }) => [kind, JSON.parse(data)]);
  return { ledger, approvals, asked, gateway, owner, member, hold, hops, commits };
}

test('a held request is a row of its turn, a hop, and a word to the owner without its body', async (context) => {
  const { ledger, approvals, hold, hops } = await world(context);
  await hold();
  const { expires_ms, created_ms, ...shown } = approvals.show('h1');
  assert.deepEqual(shown, {
    ...{ id: 'h1', state: 'pending', reason: '', decided_by: null, decided_ms: null, session: 's1' },
    ...{ group: 'assistant', service: 'api', method: 'POST', host: 'api.example.com', path: '/a', policy: HASH },
    ...{ body_sha256: HASH, body_bytes: 4, headers: [], preview: 'body' },
  });
  assert.ok(expires_ms > created_ms);
  const to = 'POST api.example.com/a';
  assert.deepEqual(hops(), [['approval.held', { approval: 'h1', service: 'api', to, bytes: 4, sha256: HASH }]]);
  assert.deepEqual(
    openAlerts(ledger.db).map(({ kind, subject, text }) => [kind, subject, text]),
    [['approval', 'h1', `h1: assistant asks for approval of ${to}, 4 bytes: ./glass approval show h1`]],
  );
  assert.equal(countPending(ledger.db), 1);
  const links = ledger.db.get<object>("SELECT turn_id, session_id FROM events WHERE kind = 'approval.held'");
  assert.deepEqual({ ...links }, { turn_id: 1, session_id: 1 });
});

test('an approval names who decided, what was shown, and the rules in force now; then it was sent', async (context) => {
  const { ledger, approvals, asked, owner, hold, hops } = await world(context);
  await hold();
  const sent = await approvals.decide('h1', { person: owner, allow: true, reason: '' });
  assert.deepEqual([sent.state, sent.decided_by], ['done', 'Olga']);
  assert.deepEqual(asked, [{ hold: 'x', session: 's1', policy: IN_FORCE, body_sha256: HASH, allow: true, reason: '' }]);
  assert.deepEqual(hops().slice(1), [
    [
      'approval.decided',
      {
        approval: 'h1',
        allowed: true,
        person: `p${owner}`,
        by: 'Olga',
        as: 'owner',
        reason: '',
        where: 'the command line',
      },
    ],
    ['approval.sent', { approval: 'h1' }],
  ]);
  assert.deepEqual(openAlerts(ledger.db), []);
});

test('a decision is made once: a second one changes nothing, reaches nobody, and says whose the first was', async (context) => {
  const { approvals, asked, owner, hold, hops } = await world(context);
  await hold();
  const both = await Promise.allSettled(
    [true, true, false].map((allow) => approvals.decide('h1', { person: owner, allow, reason: '' })),
  );
  assert.deepEqual(
    both.map((each) => (each.status === 'fulfilled' ? 'decided' : [each.reason.code, each.reason.message])),
    ['decided', ...Array(2).fill(['conflict', 'h1 does not wait any more: Olga approved it'])],
  );
  assert.equal(asked.length, 1);
  assert.deepEqual(
    hops().map(([kind]) => kind.replace('approval.', '')),
    ['held', 'decided', 'refused', 'refused', 'sent'],
  );
});

test('a denial keeps its reason, and later approvals are told of it', async (context) => {
  const { approvals, asked, owner, hold } = await world(context);
  await hold();
  const denied = await approvals.decide('h1', { person: owner, allow: false, reason: 'wrong list' });
  assert.deepEqual([denied.state, denied.reason], ['denied', 'wrong list']);
  assert.equal(asked[0]?.reason, 'wrong list');
  await assert.rejects(approvals.decide('h1', { person: owner, allow: true, reason: '' }), {
    ...{ code: 'conflict', message: 'h1 does not wait any more: Olga denied it' },
  });
});

test('who is no owner decides nothing, and neither does anybody about what is not there', async (context) => {
  const { approvals, asked, owner, member, hold } = await world(context);
  await hold();
  const by = (person: number) => ({ person, allow: true, reason: '' });
  await assert.rejects(approvals.decide('h1', by(member)), { code: 'refused' });
  await assert.rejects(approvals.decide('h1', by(9999)), { code: 'refused' });
  for (const id of ['h2', 'a1', '1', 'x', '']) {
    const message = `there is no held request "${id}"`;
    await assert.rejects(approvals.decide(id, by(owner)), { code: 'not_found', message });
  }
  assert.deepEqual(asked, []);
  assert.equal(approvals.show('h1').state, 'pending');
});

test('an owner of one group does not decide for another', async (context) => {
  const { ledger, approvals, hold } = await world(context);
  await hold();
  const [own, other] = await ledger.write('people', (db) => [
    ensurePerson(db, 0, 'local', 'own', 'Own', 'owner', 'assistant'),
    ensurePerson(db, 0, 'local', 'other', 'Other', 'owner', 'other'),
  ]);
  await assert.rejects(approvals.decide('h1', { person: other!, allow: true, reason: '' }), { code: 'refused' });
  assert.equal((await approvals.decide('h1', { person: own!, allow: true, reason: '' })).state, 'done');
});

test('an approval after the time is refused, and the gateway is not asked', async (context) => {
  let later_ms = 0;
  const clock = { ...systemClock, now: () => systemClock.now() + later_ms };
  const { approvals, asked, owner, hold } = await world(context, clock);
  await hold();
  later_ms = 60_001;
  await assert.rejects(approvals.decide('h1', { person: owner, allow: true, reason: '' }), {
    ...{ code: 'conflict', message: 'h1 has expired: nothing was sent' },
  });
  assert.deepEqual(asked, []);
});

test('what the gateway has refused by itself says why, and stands in no alert any more', async (context) => {
  const { ledger, approvals, owner, hold, hops, commits } = await world(context);
  await hold();
  approvals.ended('x', 'the agent went away');
  approvals.ended('unknown', 'the agent went away');
  await commits();
  assert.equal(approvals.show('h1').reason, 'the agent went away');
  assert.deepEqual(hops()[1], ['approval.ended', { approval: 'h1', reason: 'the agent went away' }]);
  assert.deepEqual(openAlerts(ledger.db), []);
  await assert.rejects(approvals.decide('h1', { person: owner, allow: true, reason: '' }), {
    ...{ code: 'conflict', message: 'h1 does not wait any more: the agent went away' },
  });
});

test('a request that ends in the moment that it begins leaves no alert behind', async (context) => {
  const { ledger, approvals, hold, commits } = await world(context);
  const held = hold();
  approvals.ended('x', 'the agent went away');
  await held;
  await commits();
  assert.equal(approvals.show('h1').state, 'expired');
  assert.deepEqual(openAlerts(ledger.db), []);
});

test('what was approved and did not leave all the same is told to who approved, with the reason', async (context) => {
  const { approvals, gateway, owner, hold, hops } = await world(context);
  await hold();
  gateway.answer = () => 'while it waited for approval, the secrets changed';
  await assert.rejects(approvals.decide('h1', { person: owner, allow: true, reason: '' }), {
    code: 'conflict',
    message: 'h1 was approved, but nothing was sent: while it waited for approval, the secrets changed',
  });
  const { state, reason, decided_by } = approvals.show('h1');
  assert.deepEqual(
    [state, reason, decided_by],
    [...['expired', 'while it waited for approval, the secrets changed', 'Olga']],
  );
  assert.deepEqual(
    hops().map(([kind]) => kind),
    ['approval.held', 'approval.decided', 'approval.ended'],
  );
});

test('a gateway that dies over a decision leaves it unknown, and the row says where to look', async (context) => {
  const { approvals, gateway, owner, hold } = await world(context);
  await hold();
  gateway.answer = () => {
    throw new OperatingError('unavailable', 'the connection to the gateway was lost');
  };
  await assert.rejects(approvals.decide('h1', { person: owner, allow: true, reason: '' }), { code: 'conflict' });
  assert.match(approvals.show('h1').reason, /the connection to the gateway was lost; the audit says/);
});

test('a lost connection, and a new host, end what waits; what ended before keeps its end', async (context) => {
  const { ledger, approvals, owner, hold, hops, commits } = await world(context);
  await hold('one');
  await approvals.decide('h1', { person: owner, allow: false, reason: '' });
  await hold('two');
  approvals.lost();
  await commits();
  await hold('three');
  await ledger.write('start', (db) => {
    db.run("UPDATE approvals SET state = 'approved' WHERE id = 1");
    endLeftOver(db, systemClock);
  });
  assert.deepEqual(
    approvals.list().map(({ id, state, reason }) => [id, state, reason]),
    [
      ['h3', 'expired', 'the host restarted'],
      ['h2', 'expired', 'the connection to the gateway was lost'],
      ['h1', 'expired', 'the host ended while it was sent: the audit says whether it was'],
    ],
  );
  assert.equal(hops().filter(([kind]) => kind === 'approval.ended').length, 3);
  assert.deepEqual(openAlerts(ledger.db), []);
});

test('what cannot be recorded is denied at once', async (context) => {
  const { approvals, asked, hold } = await world(context);
  await hold('x', { session: 's77' });
  assert.deepEqual(
    asked.map(({ hold: id, allow, policy, reason }) => [id, allow, policy, reason]),
    [['x', false, HASH, 'it could not be recorded']],
  );
  assert.deepEqual(approvals.list(), []);
});
