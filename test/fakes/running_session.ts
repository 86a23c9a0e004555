import type { TestContext } from 'node:test';
import { queueMessage, seedChat } from './ledger_kit.ts';
import { eventually, type FakeSandbox, type SessionWorld, sessionWorld } from './session_world.ts';

/** A session in a turn, with whoever is on its hatch in the hands of the test; and what the ledger has of it. */

export interface Running extends SessionWorld {
  sandbox1: FakeSandbox;
  turn: number;
  id: number;
  /** An inbound key of another session. */
  stranger: number;
}

export async function running(context: TestContext): Promise<Running> {
  const world = await sessionWorld(context);
  const other = await world.ledger.write('seed', (db) => seedChat(db, 'local', 'other', 'stranger'));
  const stranger = queueMessage(world.ledger.db, other, 'of somebody else');
  const id = world.say('hello');
  const sandbox1 = await world.sandbox(1);
  await sandbox1.ready();
  await eventually(() => sandbox1.turn() !== undefined);
  return { ...world, sandbox1, turn: sandbox1.turn()!.turn, id, stranger };
}

export function turnsOf(sandbox: FakeSandbox): number[] {
  return sandbox.heard.flatMap((frame) => (frame.t === 'turn' ? [frame.turn] : []));
}

export function done(turn: number, part: object = {}): object {
  return { t: 'done', turn, outcome: 'answered', text: 'the answer', resume: 'r1', ...part };
}

export function stateOf(world: SessionWorld, id: number): { state: string; deaths: number } {
  return {
    ...world.ledger.db.get<{ state: string; deaths: number }>('SELECT state, deaths FROM inbound WHERE id = ?', id)!,
  };
}

export function bodies(world: SessionWorld): string[] {
  return world.ledger.db.all<{ body: string }>('SELECT body FROM outbound ORDER BY id').map((row) => row.body);
}

export function ends(world: SessionWorld): string[] {
  return world.ledger.db
    .all<{ data: string }>("SELECT data FROM events WHERE kind = 'sandbox.ended' ORDER BY id")
    .map((row) => JSON.parse(row.data).reason);
}
