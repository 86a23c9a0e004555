import { DatabaseSync } from 'node:sqlite';
import { noFaults } from '../../src/base/faults.ts';
import { GROUP_UID_COUNT, GROUP_UID_FIRST } from '../../src/base/limits/sandbox.ts';
import { ensureChat, ensureGroup, setPolicy, wire } from '../../src/ledger/chats.ts';
import { Ledger } from '../../src/ledger/ledger.ts';
import { ensurePerson } from '../../src/ledger/people.ts';
import { eventually, FLAKY_YAML, type Journal, type World } from './world.ts';

/**
 * What happens in every run: people write in seven chats of the fake platform, the operator in a local one; an agent
 * sends in mid-turn, a sandbox crashes by itself, the platform refuses a text and says what nobody can read, a group's file is broken for a moment, a
 * credential comes and goes, a service is asked with a token that has to be got first, a request waits for the operator, an agent asks a person, a long answer is shown while it is written, a stranger is let in, a group is stopped and resumed, an agent gets more authority, a task is run, an agent writes to another one, a second channel comes and goes, and, when asked for, the host is restarted on
 * purpose while a turn runs.
 * Every message carries a token, so that the judge can count its answers.
 */
export interface Expectation {
  token: string;
  /** `answer`: one message with this token comes back. `send`: exactly this text is sent once. `refused`: the platform refuses it. */
  kind: 'answer' | 'send' | 'refused';
}

export interface ScenarioOptions {
  /** A planned restart while a turn runs; costs the drain time. */
  plannedRestart: boolean;
  /** Messages pushed in mid-turn to the group with the model. */
  pushed: number;
  /** 0…1, of this run's seed. */
  random: () => number;
}

const CHATS = { assistant: ['alpha', 'beta', 'omega', 'kappa', 'iota', 'sigma'], flaky: ['gamma'], thinker: ['delta'] };
const QUIET_MS = 60_000;
/** Those that an install has without saying so. */
const UIDS = { first: GROUP_UID_FIRST, count: GROUP_UID_COUNT };

/** People, chats and wirings, written before the first start. */
export async function seedLedger(world: World): Promise<void> {
  const ledger = await Ledger.open(world.paths.ledger, noFaults);
  await ledger.write('seed', (db) => {
    const now = Date.now();
    ensurePerson(db, now, 'platform', 'alice', 'Alice', 'owner');
    for (const [group, chats] of Object.entries(CHATS)) {
      ensureGroup(db, now, group, process.getuid?.() === 0 ? UIDS : null);
      for (const chat of chats) wire(db, ensureChat(db, now, 'platform', chat, chat), group, 'always');
    }
    setPolicy(db, ensureChat(db, now, 'platform', 'kappa', 'kappa'), 'ask');
  });
  ledger.close();
}

export async function play(world: World, options: ScenarioOptions): Promise<Expectation[]> {
  const expected: Expectation[] = [];
  const say = async (
    chat: string,
    token: string,
    before = '',
    kind: Expectation['kind'] = 'answer',
    after = '',
  ): Promise<number> => {
    expected.push({ token, kind });
    return world.say(chat, `${before}${token}${after}`);
  };
  await world.vault({ op: 'set', name: 'anthropic', value: 'fake-secret-value' });
  await world.setService();
  await world.apply('thinker');
  await say('alpha', '<a1>');
  await say('beta', '<b1>', 'sleep 0.5 ');
  expected.push({ token: '<k1>', kind: 'answer' });
  await world.say('kappa', '<k1>', 'bob');
  await say('delta', '<d1>');
  await world.vault({ op: 'set', name: 'extra', value: 'fake-secret-extra' });
  await world.vault({ op: 'set', name: 'extra', value: 'fake-secret-in-its-place', next: true });
  await world.vault({ op: 'promote', name: 'extra' });
  await world.vault({ op: 'rotate' });
  await say('alpha', '<s1>', 'send ', 'send');
  // Whether an agent has it by then or not: it is answered once.
  await world.edit('alpha', await say('alpha', '<e1>'), 'edited <e1>');
  await besides(world, { message: 1, broken: true });
  await say('gamma', '<g1>');
  // What comes while the first one sleeps joins its turn.
  await eventually('the sleeping message has begun', async () => {
    const state = rowOf(world, '<b1>')?.state ?? 'nowhere';
    if (state === 'nowhere' || state === 'queued') throw new Error(state);
  });
  for (const token of ['<b2>', '<b3>', '<b4>']) await say('beta', token);
  await pause(options.random() * 300);
  await say('alpha', '<a2>', 'crash-once ');
  await say('omega', '<o1>', 'reject-me ', 'refused');
  for (let i = 0; i < options.pushed; i += 1) {
    await pause(options.random() * 150);
    await say('delta', `<d${i + 2}>`);
  }
  await eventually('a start has failed', async () => {
    if ((rowOf(world, '<g1>')?.deaths ?? 0) === 0) throw new Error('not yet');
  });
  world.group('flaky', FLAKY_YAML);
  await world.apply('flaky');
  // The alert of the failed start is cleared by the good one, before the operator clears whatever is left.
  await say('gamma', '<g2>');
  await eventually('the repaired group has answered', async () => {
    const state = rowOf(world, '<g2>')?.state ?? 'nowhere';
    if (state !== 'answered') throw new Error(state);
  });
  // Its session is live since it was pushed to. Without any there is none; a point that no run comes past is told of all the same.
  await world.serviceRequest(() => liveSession(world, 'thinker')).catch(() => {});
  await stopGroup(world, () => say('gamma', '<g3>'));
  const { sent } = await world.journal();
  for (const { id } of sent.slice(0, 3)) await besides(world, { message: id, receipt: 'delivered' });
  await desk(world);
  // Its beginning is shown while it is written; whoever dies, the answer takes its place.
  await say('sigma', '<v1>', 'stream 8 ', 'answer', ` ${'and so on '.repeat(30)}`);
  // Two agents talk; whoever dies over it, the answer comes back once.
  expected.push({ token: 'probe, turn', kind: 'answer' });
  await world.say('beta', 'tell agent:flaky where');
  expected.push({ token: '<t1>', kind: 'answer' });
  await runTask(world, '<t1>');
  await spareChannel(world);
  await answerAgent(world);
  expected.push({ token: ANSWER, kind: 'answer' });
  await world.approve('sender');
  await world.refusedRequest(() => liveSession(world)).catch(() => {});
  // Whoever dies over it takes the request along.
  await liveSession(world, 'assistant')
    .then((session) => world.heldRequest(session))
    .catch(() => {});
  // Its sandboxes end for it, so that it comes after what needs one.
  // The agent asks for more; whoever dies over it, it hears once that it has it.
  expected.push({ token: 'in a new sandbox', kind: 'answer' });
  await world.say('omega', 'want {"reason":"to see","mcp":[{"name":"clock","command":["true"]}]}');
  await world.approve('authority');
  await world.vault({ op: 'remove', name: 'extra', next: true });
  await world.vault({ op: 'remove', name: 'extra' });
  if (options.plannedRestart) {
    await say('beta', '<b5>', 'sleep 12 ');
    await eventually('the long message runs', async () => {
      if (rowOf(world, '<b5>')?.state !== 'running') throw new Error('not yet');
    });
    await world.restartHost();
  }
  await say('beta', '<b6>');
  await quiet(world);
  return expected;
}

/** The platform tells of what is no message, or what became of one of ours; whoever dies over it, it is told again. */
async function besides(world: World, what: object): Promise<void> {
  const body = JSON.stringify({ chat: 'alpha', from: 'alice', ...what });
  await fetch(`${world.platform}/people/change`, { method: 'POST', body });
}

/** A group is stopped, and goes on. Whoever dies over it: said again, it is so, and what was said to it meanwhile is answered once. */
async function stopGroup(world: World, meanwhile: () => Promise<number>): Promise<void> {
  const stopped = async (): Promise<boolean> =>
    (await world.control.call<{ stopped: object[] }>('status')).stopped.length > 0;
  await eventually('a group is stopped', () => world.control.call('group_stop', { group: 'flaky' }));
  await meanwhile();
  await eventually('it goes on', async () => {
    if (await stopped()) await world.control.call('group_resume', { group: 'flaky' });
  });
}

/** The operator writes from a terminal, through restarts: the same key is the same message. */
async function desk(world: World): Promise<void> {
  await eventually('the operator says something', () =>
    world.control.call('say', { chat: 'desk', text: 'desk', key: 'desk-1' }),
  );
  await eventually('the operator has something searched for', () =>
    world.control.call('say', { chat: 'desk', text: 'search desk', key: 'desk-2' }),
  );
  await eventually('the operator has one more role', () =>
    world.control.call('person_role', { person: 'p1', role: 'admin' }),
  );
  await eventually('the operator has seen the alerts', () => world.control.call('clear_alerts'));
  await eventually('the sign of life is tried', () => signOfLife(world));
}

/** With all other ways of alerts, which nobody waits for. */
async function signOfLife(world: World): Promise<void> {
  const tried = new AbortController();
  const onRow = ({ way }: Record<string, unknown>): void => {
    if (way === 'heartbeat') tried.abort();
  };
  await world.control.stream('alert_test', {}, onRow, tried.signal).catch(() => {});
  if (!tried.signal.aborted) throw new Error('not yet');
}

/** A task that is run at once. Whoever dies over it, it is run once. */
async function runTask(world: World, text: string): Promise<void> {
  const asked = { group: 'assistant', to: 'platform:alpha', when: 'every 1h', text };
  await eventually('a task is there', async () => {
    const { tasks } = await world.control.call<{ tasks: object[] }>('tasks');
    if (tasks.length === 0) await world.control.call('task_add', asked);
  });
  await eventually('the task is run', async () => {
    if (rowOf(world, text) === undefined) await world.control.call('task_run', { task: 'k1' });
  });
}

/** A second channel comes, is tried and goes. Whoever dies over it, it can be said again. */
async function spareChannel(world: World): Promise<void> {
  const call = world.control.call.bind(world.control);
  const terms = { form: { kind: 'channel' }, hosts: [] };
  await world.vault({ op: 'set', name: 'spare-token', value: 'fake-token-good', terms });
  const has = async (): Promise<boolean> => {
    const { channels } = await call<{ channels: { name: string }[] }>('channels');
    return channels.some(({ name }) => name === 'spare');
  };
  const settings = { url: world.platform, deaf: true };
  await eventually('a channel is added', async () => {
    if (!(await has())) await call('channel_add', { name: 'spare', kind: 'fake', settings });
  });
  await eventually('somebody decides there', async () => {
    const { identities } = await call<{ identities: { channel: string }[] }>('person_show', { person: 'p1' });
    if (!identities.some(({ channel }) => channel === 'spare'))
      await call('person_link', { person: 'p1', channel: 'spare', handle: 'alice' });
  });
  await eventually('the channel is tried', async () => {
    let said = false;
    await world.control.stream('channel_test', { name: 'spare', reply: false }, ({ step, state }) => {
      said ||= step === 'send' && state === 'ok';
    });
    if (!said) throw new Error('not yet');
  });
  await eventually('the channel is removed', async () => {
    if (await has()) await call('channel_remove', { name: 'spare' });
  });
}

const ANSWER = '<q1>';

/** An agent asks, and is answered once the question is on the platform: whoever dies, it is asked once and hears of it once. */
async function answerAgent(world: World): Promise<void> {
  await world.say('iota', 'ask Your word?');
  await eventually('the question is there', async () => {
    const { sent } = await world.journal();
    if (!sent.some(({ chat, text }) => chat === 'iota' && text.includes('open for'))) throw new Error('not yet');
  });
  await world.say('iota', ANSWER);
}

async function liveSession(world: World, group?: string): Promise<string> {
  const { sessions } = await world.control.call<{ sessions: { session: string; group: string }[] }>('status');
  const live = sessions.find((session) => group === undefined || session.group === group);
  if (live === undefined) throw new Error('no session is live');
  return live.session;
}

/** Every row is at its end, and the platform has been acknowledged. */
async function quiet(world: World): Promise<void> {
  const { updates } = await world.journal();
  const total = updates.filter(({ message }) => message === undefined).length;
  await eventually(
    'quiet',
    async () => {
      const journal = await world.journal();
      const open = openRows(world, journal, total, updates.length);
      if (open !== null) throw new Error(open);
    },
    QUIET_MS,
  );
}

function openRows(world: World, journal: Journal, total: number, updates: number): string | null {
  const db = new DatabaseSync(world.paths.ledger, { readOnly: true });
  try {
    db.exec('BEGIN'); // all counts are of one moment
    const count = (sql: string): number => Number(db.prepare(sql).get()?.['n'] ?? 0);
    const messages = count(
      "SELECT count(*) AS n FROM messages m JOIN chats c ON c.id = m.chat_id WHERE c.channel = 'platform'",
    );
    if (messages < total) return `${messages} of ${total} messages are in the ledger`;
    const inbound = count("SELECT count(*) AS n FROM inbound WHERE state IN ('queued', 'running')");
    if (inbound > 0) return `${inbound} messages are not settled`;
    const outbound = count(
      // What one agent says to another is a message soon.
      "SELECT count(*) AS n FROM outbound o JOIN chats c ON c.id = o.chat_id WHERE c.channel IN ('platform', 'agents') AND o.state IN ('queued', 'sending', 'retry')",
    );
    if (outbound > 0) return `${outbound} messages are not delivered`;
    return journal.acknowledged < updates ? 'the platform is not acknowledged' : null;
  } finally {
    db.close();
  }
}

/** Whether in that chat a message has joined a turn that ran. */
export function hasJoined(world: World, chat: string): boolean {
  const db = new DatabaseSync(world.paths.ledger, { readOnly: true });
  const row = db
    .prepare(
      `SELECT 1 FROM events e JOIN sessions s ON s.id = e.session_id JOIN chats c ON c.id = s.chat_id
       WHERE e.kind = 'turn.steered' AND c.platform_id = ?`,
    )
    .get(chat);
  db.close();
  return row !== undefined;
}

function rowOf(world: World, token: string): { state: string; deaths: number } | undefined {
  const db = new DatabaseSync(world.paths.ledger, { readOnly: true });
  const row = db
    .prepare(
      'SELECT i.state, i.deaths FROM messages m JOIN inbound i ON i.message_id = m.id WHERE instr(m.text, ?) > 0',
    )
    .get(token);
  db.close();
  return row === undefined ? undefined : { state: String(row['state']), deaths: Number(row['deaths']) };
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
