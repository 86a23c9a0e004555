import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { conservation } from '../../src/ledger/conservation.ts';
import type { Db } from '../../src/ledger/db.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import type { SessionRow } from '../../src/ledger/sessions.ts';
import { Intake } from '../../src/router/intake.ts';
import { Router } from '../../src/router/router.ts';
import { type OpenedTurn, openTurn } from '../../src/sessions/turn_book.ts';
import { chatCommands } from './chat_commands.ts';
import {
  ANSWERS,
  freshLedger,
  NOBODY_DECIDES,
  queueMessage,
  ROUTER_EFFECTS,
  seedChat,
  TAKES,
  temporaryFolder,
} from './ledger_kit.ts';

/** Commands over a real ledger and router: what is said, what is answered, and what was done outside of the ledger. */

export interface CommandWorld {
  ledger: Ledger;
  session: SessionRow;
  /** What the commands did outside of the ledger, in order. */
  done: string[];
  /** Says something as alice; resolves with the answers of the platform. */
  say(
    text: string,
    part?: { handle?: string; key?: string; reply_to?: string; chat?: string; addressed?: boolean },
  ): Promise<string[]>;
}

let keys = 0;

export async function commandWorld(
  context: TestContext,
  facts: Parameters<typeof chatCommands>[2] = {},
): Promise<CommandWorld> {
  const ledger = await freshLedger(context);
  const session = await ledger.write('seed', (db) => seedChat(db));
  const done: string[] = [];
  const commands = chatCommands(ledger, done, facts);
  const folder = temporaryFolder(context);
  const router = new Router(ledger, systemClock, folder, ROUTER_EFFECTS, NOBODY_DECIDES, commands, ANSWERS);
  const intake = new Intake(ledger, router, {
    wake: (id) => done.push(`wake ${id}`),
    deliver: () => {},
    asked: () => {},
  });
  const say: CommandWorld['say'] = async (
    text,
    { handle = 'alice', key, reply_to, chat = 'main', addressed = true } = {},
  ) => {
    keys += 1;
    const before = notices(ledger.db).length;
    await intake.sinkOf('local').accept({
      dedupe_key: key ?? `command:${keys}`,
      chat: { platform_id: chat, title: chat },
      thread: '',
      sender: { handle, name: handle },
      addressed,
      platform_id: `said-${keys}`,
      text,
      files: [],
      sent_ms: 1,
      ...(reply_to === undefined ? {} : { reply_to }),
    });
    assert.deepEqual(conservation(ledger.db, systemClock.now()).violations, []);
    return notices(ledger.db).slice(before);
  };
  return { ledger, session, done, say };
}

function notices(db: Db): string[] {
  return db
    .all<{ body: string }>("SELECT body FROM outbound WHERE kind = 'notice' ORDER BY id")
    .map(({ body }) => body);
}

/** A turn that runs over these messages. */
export function running({ ledger, session }: CommandWorld, ...texts: string[]): Promise<OpenedTurn> {
  return ledger.write('test', (db) => {
    for (const text of texts) queueMessage(db, session, text);
    return openTurn(db, systemClock, { session, harness: 'probe', warm: true, reseed: false })!;
  });
}

export function ending(own: CommandWorld, turn: OpenedTurn) {
  const taken = [{ ids: turn.messages.map((message) => message.inbound_id), at_us: 0 }];
  const place = { session: own.session, takes: () => TAKES };
  return {
    ...place,
    turn,
    harness: 'probe',
    taken,
    tools: [],
    compactions: [],
    outcome: 'answered' as const,
    text: 'done',
    resume: null,
  };
}
