import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { noFaults } from '../../src/base/faults.ts';
import { Delivery } from '../../src/delivery/delivery.ts';
import { queuedIn } from '../../src/ledger/messages.ts';
import { sendingRows } from '../../src/ledger/outbound.ts';
import { ensurePerson } from '../../src/ledger/people.ts';
import { sessionsWithWork } from '../../src/ledger/sessions.ts';
import { runningTurns } from '../../src/ledger/turns.ts';
import { Router } from '../../src/router/router.ts';
import { closeTurn, joinTurn, openTurn, recordDeath } from '../../src/sessions/turn_book.ts';
import { chatCommands } from '../fakes/chat_commands.ts';
import {
  ANSWERS,
  freshLedger,
  NOBODY_DECIDES,
  ROUTER_EFFECTS,
  seedChat,
  TAKES,
  temporaryFolder,
} from '../fakes/ledger_kit.ts';

/** Tables that keep every message for ever. */
const HISTORY = ['messages', 'inbound', 'turns', 'turn_inbound', 'outbound', 'transcript', 'events', 'files', 'asks'];

/** Indexes under which a whole chat or session lies: reading all of it is as bad as reading the table. */
const OF_A_LIFE = ['outbound_chat', 'events_session'];

test('what a message costs does not grow with what was said before it', async (context) => {
  const ledger = await freshLedger(context);
  const { db } = ledger;
  const session = seedChat(db);
  ensurePerson(db, 0, 'local', 'operator', 'Operator', 'owner');
  const statements = new Set<string>();
  const prepare = db.raw.prepare.bind(db.raw);
  db.raw.prepare = (sql: string) => {
    statements.add(sql);
    return prepare(sql);
  };
  const delivery = new Delivery(ledger, '/nowhere', systemClock, new Map(), noFaults, {
    alert: () => {},
    rejected: () => {},
  });
  const router = new Router(
    ...[
      ledger,
      systemClock,
      temporaryFolder(context),
      ROUTER_EFFECTS,
      NOBODY_DECIDES,
      chatCommands(ledger, []),
      ANSWERS,
    ],
  );
  const say = (key: string) =>
    router.route('local', {
      dedupe_key: key,
      platform_id: key,
      chat: { platform_id: 'main', title: 'main' },
      thread: '',
      sender: { handle: 'operator', name: 'Operator' },
      text: 'hello',
      files: [{ name: 'a', data: Buffer.from('a') }],
      sent_ms: 0,
      addressed: true,
    });
  const start = { session, harness: 'probe', warm: true, reseed: false };
  const place = { session, takes: () => TAKES };
  await say('a');
  await ledger.write('test', (own) => {
    const first = openTurn(own, systemClock, start);
    assert.ok(first !== undefined, 'the message is in the queue');
    recordDeath(own, systemClock, place, first, 'test');
    const turn = openTurn(own, systemClock, start)!;
    joinTurn(own, systemClock, session.id, turn.id);
    const taken = [{ ids: turn.messages.map((message) => message.inbound_id), at_us: 0 }];
    closeTurn(own, systemClock, {
      ...place,
      turn,
      harness: 'probe',
      taken,
      tools: [],
      compactions: [],
      outcome: 'answered',
      text: 'hi',
      resume: null,
    });
    delivery.claim(own, session.chat_id);
  });
  for (const ask of [sessionsWithWork, runningTurns, sendingRows]) ask(db);
  queuedIn(db, session.id);
  delivery.wake(session.chat_id);
  delivery.forgotten();
  assert.ok(statements.size > 30, `${statements.size} statements were seen`);
  for (const sql of statements) {
    for (const { detail } of prepare(`EXPLAIN QUERY PLAN ${sql}`).all() as { detail: string }[]) {
      const whole = /^SCAN (\w+)(?! USING (COVERING )?INDEX \w+_open)/.exec(detail)?.[1];
      assert.ok(whole === undefined || !isHistory(whole, sql), `${detail}: ${sql}`);
      assert.ok(!OF_A_LIFE.some((index) => detail.includes(index)), `${detail}: ${sql}`);
    }
  }
});

/** `name` is a table, or an alias of one in this statement. */
function isHistory(name: string, sql: string): boolean {
  return HISTORY.some((table) => table === name || new RegExp(`\\b${table} (AS )?${name}\\b`).test(sql));
}
