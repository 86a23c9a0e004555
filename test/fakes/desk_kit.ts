import type { TestContext } from 'node:test';
import { Approvals } from '../../src/approvals/approvals.ts';
import { Desk } from '../../src/approvals/desk.ts';
import { Wishes } from '../../src/approvals/wishes.ts';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { showId } from '../../src/base/ids.ts';
import { silentLog } from '../../src/base/log.ts';
import type { ButtonPress, Channel, IncomingMessage } from '../../src/channels/channel.ts';
import { LocalChannel } from '../../src/channels/local/local.ts';
import { Alerts } from '../../src/evidence/alerts.ts';
import { ensureChat, ensureGroup, setPolicy, wire } from '../../src/ledger/chats.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { ensurePerson, type Role } from '../../src/ledger/people.ts';
import { ensureSession } from '../../src/ledger/sessions.ts';
import type { Decision, HoldEvent } from '../../src/protocol/gateway.ts';
import { Answers } from '../../src/router/answers.ts';
import { Intake } from '../../src/router/intake.ts';
import { Router } from '../../src/router/router.ts';
import { chatCommands } from './chat_commands.ts';
import { freshLedger, temporaryFolder } from './ledger_kit.ts';

/** Router and desk on a real ledger with a clock of the test's own; the test is the platform, and nothing is delivered. */
export interface DeskWorld {
  ledger: Ledger;
  desk: Desk;
  approvals: Approvals;
  intake: Intake;
  /** What it was asked, and what it says: null is sent. */
  gateway: { asked: Decision[]; answer: () => string | null };
  /** An agent of `assistant`, in the chat `team`, asks for what must be approved. */
  hold(more?: Partial<HoldEvent>): Promise<void>;
  people: { olga: number; alma: number; bob: number };
  clock: Clock;
  /** What the platform opens as somebody's direct chat; else `dm-` and their handle. */
  opens: Map<string, string>;
  /** Moves the clock. */
  later(ms: number): void;
  /** Groups that are there; a test may take one away. */
  groups: string[];
  /** The row of the message, as `state: reason`. */
  say(chat: string, handle: string, text: string, more?: Partial<IncomingMessage>): Promise<string>;
  /** What the one who pressed is told. */
  press(chat: string, handle: string, token: string): Promise<string>;
  /** State and reason of each row of the message with this text. */
  stateOf(text: string): string[];
  /** What was written to a chat by the host itself, oldest first. */
  heard(chat: string): string[];
  /** The newest card of a chat. */
  card(chat: string): { text: string; code: string; tokens: Record<string, string> };
  events(kind: string): Record<string, unknown>[];
  /** Resolves when what was asked is shown. */
  settled(): Promise<void>;
  /** Sessions that were woken. */
  woken: number[];
}

/**
 * Olga is the owner, in her direct chat `dm-olga`; Alma administers `assistant`, in `dm-alma`; Bob is a member. The chat `team`
 * is wired to `assistant` and asks about strangers.
 */
export async function deskWorld(context: TestContext): Promise<DeskWorld> {
  const ledger = await freshLedger(context);
  let offset = 0;
  const clock: Clock = { ...systemClock, now: () => systemClock.now() + offset };
  const groups = ['assistant', 'work'];
  const { operatorChat, people } = await ledger.write('seed', (db) => {
    const now = clock.now();
    for (const group of groups) ensureGroup(db, now, group, null);
    const person = (handle: string, role: Role, group = '') =>
      ensurePerson(db, now, 'platform', handle, handle, role, group);
    const olga = person('olga', 'owner');
    ensurePerson(db, now, 'local', 'operator', 'operator', 'owner');
    const team = ensureChat(db, now, 'platform', 'team', 'team');
    wire(db, team, 'assistant', 'always');
    setPolicy(db, team, 'ask');
    return {
      operatorChat: ensureChat(db, now, 'local', 'main', 'main'),
      people: { olga, alma: person('alma', 'admin', 'assistant'), bob: person('bob', 'member') },
    };
  });
  const opens = new Map<string, string>();
  const driver: Channel = {
    name: 'platform',
    capabilities: { markup: 'markdown', text_max: 4000, file_bytes_max: 0, buttons: true },
    start: async () => {},
    stop: async () => {},
    send: async () => ({ ok: true, receipt: 'sent' }),
    openDm: async (handle) =>
      handle.startsWith('closed') ? null : { platform_id: opens.get(handle) ?? `dm-${handle}`, title: '' },
    health: () => ({ state: 'connected', detail: '' }),
  };
  const channels = new Map([driver, new LocalChannel()].map((channel) => [channel.name, channel]));
  const services = { clock, spoken: () => {}, nudge: () => {}, groups: () => groups };
  const woken: number[] = [];
  const effects = { wake: (session: number) => woken.push(session), deliver: () => {} };
  const { approvals, gateway } = approvalsOf(ledger, clock, channels, operatorChat);
  const common = { ledger, log: silentLog, channels, operatorChat, ...effects };
  const noFiles = (): never => {
    throw new Error('groups of this world have no files');
  };
  const wishes = new Wishes({ ...common, clock, foresee: noFiles, grant: noFiles, asked: (id) => desk.asked(id) });
  const desk: Desk = new Desk({ ...common, services, requests: approvals, wishes });
  context.after(() => desk.stop());
  const router = new Router(
    ledger,
    clock,
    temporaryFolder(context),
    services,
    desk,
    chatCommands(ledger, [], { waiting: (db, person) => desk.waiting(db, person) }),
    new Answers(services, () => {}),
  );
  const intake = new Intake(ledger, router, { ...effects, asked: (question) => desk.asked(question) });
  const later = (ms: number): void => {
    offset += ms;
  };
  const hold = holdIn(ledger, clock, approvals);
  return {
    ...{ ledger, desk, approvals, gateway, hold, intake, people, groups, woken, later, clock, opens },
    ...views(ledger, intake),
  };
}

const NO_BODY = { text: '', next: null };

function approvalsOf(ledger: Ledger, clock: Clock, channels: ReadonlyMap<string, Channel>, operatorChat: number) {
  const gateway: DeskWorld['gateway'] = { asked: [], answer: () => null };
  const alerts = new Alerts({ ledger, clock, log: silentLog, channels, operatorChat, deliver: () => {}, ways: [] });
  const approvals = new Approvals({
    ...{ ledger, clock, log: silentLog, channels, operatorChat, alert: alerts.alert.bind(alerts) },
    ...{ deliver: () => {}, marked: async () => {}, body: async () => NO_BODY },
    decide: async (decision) => {
      gateway.asked.push(decision);
      return gateway.answer();
    },
  });
  return { approvals, gateway };
}

function holdIn(ledger: Ledger, clock: Clock, approvals: Approvals): DeskWorld['hold'] {
  return async (more = {}) => {
    const session = await ledger.write('seed', (db) => {
      const team = ensureChat(db, clock.now(), 'platform', 'team', 'team');
      return ensureSession(db, clock.now(), 'assistant', team, '').id;
    });
    approvals.held({
      ...{ event: 'hold', hold: 'x', session: showId('s', session), group: 'assistant', service: 'api' },
      ...{ method: 'POST', host: 'api.example.com', path: '/pulls', policy: 'a'.repeat(64), body_bytes: 9 },
      ...{ body_sha256: 'b'.repeat(64), headers: ['x-op: merge'], preview: 'the body.' },
      ...{ expires_ms: clock.now() + 60_000, ...more },
    });
    await settle(ledger);
  };
}

async function settle(ledger: Ledger): Promise<void> {
  for (let round = 0; round < 6; round += 1) await ledger.write('wait', () => {});
}

let made = 0;

function views(ledger: Ledger, intake: Intake) {
  const { db } = ledger;
  const sink = intake.sinkOf('platform');
  const common = (chat: string, handle: string): Omit<ButtonPress, 'token'> => {
    made += 1;
    const seen = { platform_id: chat, title: chat, direct: chat.startsWith('dm-') };
    return {
      dedupe_key: `kit:${made}`,
      chat: seen,
      thread: '',
      sender: { handle, name: handle },
      platform_id: `k${made}`,
      sent_ms: 0,
    };
  };
  const statesOf = (where: string, value: string | number): string[] =>
    db
      .all<{ state: string }>(
        `SELECT i.state || CASE i.reason WHEN '' THEN '' ELSE ': ' || i.reason END AS state FROM inbound i
           JOIN messages m ON m.id = i.message_id WHERE ${where} = ? ORDER BY i.id`,
        value,
      )
      .map(({ state }) => state);
  const settled = (): Promise<void> => settle(ledger);
  return {
    say: async (chat: string, handle: string, text: string, more: Partial<IncomingMessage> = {}) => {
      const { message } = await sink.accept({ ...common(chat, handle), addressed: true, text, files: [], ...more });
      const [state] = statesOf('m.id', message);
      await settled();
      return state!;
    },
    press: async (chat: string, handle: string, token: string) => {
      const { answer } = await sink.pressed({ ...common(chat, handle), token });
      await settled();
      return answer;
    },
    stateOf: (text: string) => statesOf('m.text', text),
    heard: (chat: string) =>
      db
        .all<{ body: string }>(
          "SELECT o.body FROM outbound o JOIN chats c ON c.id = o.chat_id WHERE c.platform_id = ? AND o.kind = 'notice' ORDER BY o.id",
          chat,
        )
        .map(({ body }) => body),
    card: (chat: string) => {
      const row = db.get<{ body: string; buttons: string }>(
        'SELECT o.body, o.buttons FROM outbound o JOIN chats c ON c.id = o.chat_id WHERE c.platform_id = ? AND o.buttons IS NOT NULL ORDER BY o.id DESC LIMIT 1',
        chat,
      )!;
      const buttons = JSON.parse(row.buttons) as { token: string; label: string }[];
      const tokens = Object.fromEntries(buttons.map(({ token, label }) => [label, token]));
      return { text: row.body, code: /deny ([0-9a-f]{4})/.exec(row.body)![1]!, tokens };
    },
    events: (kind: string) =>
      db
        .all<{ data: string }>('SELECT data FROM events WHERE kind = ? ORDER BY id', kind)
        .map(({ data }) => JSON.parse(data) as Record<string, unknown>),
    settled,
  };
}
