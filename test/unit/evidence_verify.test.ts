import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { checkAudit } from '../../src/evidence/request_chain.ts';
import { verify } from '../../src/evidence/verify.ts';
import { chainedAfter, eventHead, eventHeadAt, recordEvent } from '../../src/ledger/events.ts';
import { DAY_MS } from '../../src/protocol/chain.ts';
import { EvidenceWorld } from '../fakes/evidence_world.ts';
import { freshLedger, temporaryFolder } from '../fakes/ledger_kit.ts';

async function world(context: TestContext): Promise<EvidenceWorld> {
  const made = await EvidenceWorld.open(temporaryFolder(context));
  context.after(() => {
    made.ledger.close();
    made.audit.close();
  });
  return made;
}

const none = { links: 0, broken: null, cut: null, from: 0, heads: [], cut_known: true };
const NO_GATEWAY = { check: async () => none };
const NO_HEAD = { head: null, egress_head: null };

test('what was recorded holds, with heads on both sides, and goes on holding', async (context) => {
  const here = await world(context);
  for (let i = 0; i < 3; i += 1) {
    await here.talk();
    await here.anchor();
    const found = await here.verify();
    assert.equal(found.broken, null);
    assert.deepEqual([found.anchors, found.heads], [i + 1, i + 1]);
  }
});

test('a job of a shared commit that is taken back leaves no gap in the chain', async (context) => {
  const ledger = await freshLedger(context);
  const hop = (reason: string) => recordEvent(ledger.db, systemClock, 'host.stopped', {}, { reason });
  const jobs = ['first', 'bad', 'last'].map((reason) =>
    ledger.write('job', () => {
      hop(reason);
      if (reason === 'bad') throw new Error('taken back');
    }),
  );
  const ends = await Promise.allSettled(jobs);
  assert.deepEqual(
    ends.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  await assert.rejects(
    ledger.write('alone', () => {
      hop('alone');
      throw new Error('taken back');
    }),
  );
  await ledger.write('job', () => hop('more'));
  assert.deepEqual(
    chainedAfter(ledger.db, 0, 9).map(({ id, data }) => [id, JSON.parse(data).reason]),
    [
      [1, 'first'],
      [2, 'last'],
      [3, 'more'],
    ],
  );
  assert.equal((await verify(ledger.db, NO_GATEWAY, NO_HEAD, () => {})).broken, null);
});

test('hops from before there was a chain are covered by the first one that has a link', async (context) => {
  const ledger = await freshLedger(context);
  const { db } = ledger;
  const old = (text: string) => db.run("INSERT INTO events (at_us, kind, data) VALUES (1, 'host.started', ?)", text);
  for (let i = 0; i < 3; i += 1) old(`{"n":${i}}`);
  await ledger.write('job', () => recordEvent(db, systemClock, 'host.stopped', {}, { reason: 'first' }));
  const broken = async () => (await verify(db, NO_GATEWAY, NO_HEAD, () => {})).broken;
  assert.equal(await broken(), null);
  for (const change of [
    "UPDATE events SET data = '{}' WHERE id = 2",
    'UPDATE events SET hash = NULL WHERE id = 4',
    'DELETE FROM events WHERE id = 1',
    'DELETE FROM events WHERE id = 3',
  ]) {
    db.raw.exec('BEGIN; DROP TRIGGER events_no_update; DROP TRIGGER events_no_delete');
    db.run(change);
    assert.notEqual(await broken(), null, change);
    db.raw.exec('ROLLBACK');
  }
  assert.equal(await broken(), null);
});

test('a cut that comes while the record is read is no finding', async (context) => {
  const here = await world(context);
  for (let day = 0; day < 40; day += 1) {
    await here.talk();
    await here.anchor();
    here.now_ms += DAY_MS;
  }
  let cuts = 0;
  const gateway: Parameters<typeof verify>[1] = {
    check: async (anchors, cut) => {
      const found = await checkAudit(here.audit, here.signer.key, { anchors, cut });
      if (cuts === 0) await here.cut();
      cuts += 1;
      // What it has read is not what the ledger knows by now.
      return cuts === 1 ? { ...found, heads: [{ event: 1, hash: 'ab'.repeat(32) }] } : found;
    },
  };
  const found = await verify(here.ledger.db, gateway, NO_HEAD, () => {});
  assert.deepEqual([found.broken, found.cut, cuts], [null, '2026-03-10', 2]);
});

test('old days go with a signed cut, of both records, and what is left holds', async (context) => {
  const here = await world(context);
  for (let day = 0; day < 40; day += 1) {
    await here.talk();
    await here.anchor();
    here.now_ms += DAY_MS;
  }
  const before = chainedAfter(here.ledger.db, 0, 10_000).length;
  await here.cut(7);
  const found = await here.verify();
  assert.deepEqual([found.broken, found.cut, found.egress_cut], [null, '2026-03-10', '2026-03-10']);
  const left = chainedAfter(here.ledger.db, 0, 10_000);
  assert.ok(left.length < before && left[0]!.at_us >= Date.parse('2026-03-11T00:00:00Z') * 1000);
  assert.equal(here.audit.log(null, 0, 1000)[0]!.at_ms, left[0]!.at_us / 1000 - 5);
  await here.cut();
  assert.equal((await here.verify()).cut, '2026-03-10');
  here.now_ms += 5 * DAY_MS;
  await here.cut();
  await here.talk();
  await here.anchor();
  assert.deepEqual([(await here.verify()).cut, (await here.verify()).broken], ['2026-03-15', null]);
});

test('a request that goes on is not cut off from its beginning', async (context) => {
  const here = await world(context);
  const asked = {
    ...{ session: 's1', group: 'assistant', method: 'POST', host: 'api.example.test', path: '/long' },
    ...{ rule: 'model', service: null },
  };
  await here.talk();
  here.audit.begin(asked, null, { cost_micros: 0, tokens: 0 });
  await here.talk();
  here.now_ms += 40 * DAY_MS;
  await here.talk();
  await here.cut();
  assert.deepEqual(here.audit.log(null, 0, 9).map(({ path }) => path)[0], '/long');
  assert.equal((await here.verify()).broken, null);
});

test('a head that somebody has kept is compared', async (context) => {
  const here = await world(context);
  await here.talk();
  const { id: event, hash } = eventHead(here.ledger.db);
  const given = (head: { event: number; hash: string }) =>
    verify(here.ledger.db, NO_GATEWAY, { head, egress_head: null }, () => {});
  await here.talk();
  assert.equal((await given({ event, hash })).broken, null);
  assert.match((await given({ event, hash: eventHeadAt(here.ledger.db, event - 1)!.hash })).broken!, /made anew/);
  assert.match((await given({ event: 9999, hash })).broken!, /the end was cut off/);
  const egress_head = { seq: 1, hash };
  const gateway = { check: async (anchors: readonly object[]) => ({ ...none, broken: JSON.stringify(anchors) }) };
  const outside = await verify(here.ledger.db, gateway, { head: null, egress_head }, () => {});
  assert.equal(outside.broken, `requests of the gateway: ${JSON.stringify([egress_head])}`);
  here.now_ms += 40 * DAY_MS;
  await here.talk();
  await here.cut();
  await assert.rejects(given({ event: 1, hash }), /was removed with the day 2026-03-10/);
});

const TURN = 'INSERT INTO turns (id, session_id, state, attempt, deaths, harness, started_ms) VALUES';
const MESSAGE =
  'INSERT INTO messages (id, dedupe_key, chat_id, sender, platform_id, text, sent_ms, received_ms) VALUES';
const APPROVAL =
  'INSERT INTO approvals (id, kind, object_hash, object, state, asked_by, decided_by, created_ms, expires_ms) VALUES';
const LATER = 9_000_000_000_000;

for (const [what, sql, says] of [
  [
    'a turn without its beginning',
    `${TURN} (98, 1, 'running', 1, 0, 'x', ${LATER})`,
    /t98 has no event of its beginning/,
  ],
  ['a turn without its end', `${TURN} (99, 1, 'settled', 1, 0, 'x', ${LATER})`, /t99 has no event of its end/],
  ['a text that is not known to be sent', "UPDATE outbound SET state = 'uncertain'", /o1 is uncertain, and no event/],
  ['a text that counts as refused', "UPDATE outbound SET state = 'rejected'", /o1 is rejected, and no event/],
  ['a message that nobody has received', `${MESSAGE} (99, 'k', 1, '', '', '', 0, ${LATER})`, /m99 has no event/],
  ['a decision of nobody', `${APPROVAL} (99, 'egress', '', '', 'denied', '', 1, ${LATER}, 0)`, /h99 was decided/],
] as const) {
  test(`${what} is found`, async (context) => {
    const here = await world(context);
    await here.talk();
    const started = { attempt: 1, messages: 1, warm: true, harness: 'probe' };
    recordEvent(here.ledger.db, here.clock, 'turn.started', { turn: 99 }, started);
    assert.equal((await here.verify()).broken, null);
    here.ledger.db.raw.exec(sql);
    assert.match((await here.verify()).broken ?? 'nothing', says);
  });
}
