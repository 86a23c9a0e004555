import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Clock } from '../../src/base/clock.ts';
import { OperatingError } from '../../src/base/errors.ts';
import {
  TASK_BACKOFF_MAX_MS,
  TASK_BACKOFF_MS,
  TASK_CATCH_UP_MAX,
  TASK_FAILURES_MAX,
  TASK_RUNS_KEPT,
  TASK_TEXT_BYTES_MAX,
  TASKS_MAX,
} from '../../src/base/limits/messages.ts';
import { ensureGroup } from '../../src/ledger/chats.ts';
import { conservation } from '../../src/ledger/conservation.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import { endStops, takeStop } from '../../src/ledger/stops.ts';
import { gateOf } from '../../src/ledger/tasks.ts';
import { Scheduler } from '../../src/scheduler/scheduler.ts';
import { type TaskAsked, Tasks } from '../../src/scheduler/tasks.ts';
import { freshLedger, seedChat } from '../fakes/ledger_kit.ts';

const START = Date.parse('2026-01-15T12:00:00Z');
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

interface World {
  ledger: Ledger;
  tasks: Tasks;
  person: number;
  /** What the scheduler told others, in order. */
  told: string[];
  /** A host that starts again, with what lies in the ledger. */
  restart(): void;
  /** Time goes on; resolves when everything that was due has been looked at. */
  pass(ms: number): Promise<void>;
  /** Somebody sets the clock. */
  setClock(ms: number): Promise<void>;
  /** Ends the runs that are under way. */
  end(state: 'answered' | 'silent' | 'failed' | 'cancelled', reason?: string): Promise<void>;
  /** Due times of what was said, oldest first. */
  said(): string[];
  runs(task: string): [state: string, reason: string][];
}

async function world(context: TestContext): Promise<World> {
  const ledger = await freshLedger(context);
  let [wall, monotonic] = [START, 1000];
  const clock: Clock = { now: () => wall, micros: () => wall * 1000, monotonic: () => monotonic };
  const told: string[] = [];
  const effects = { nudge: () => {}, wake: (id: number) => told.push(`wake ${id}`) };
  const alert = (kind: string, subject: string): void => void told.push(`${kind} ${subject}`);
  const make = (): Scheduler =>
    new Scheduler({ ledger, clock, ...effects, deliver: (id) => told.push(`deliver ${id}`), alert });
  let scheduler = make();
  await ledger.write('seed', (db) => seedChat(db));
  const person = ledger.db.get<{ person_id: number }>('SELECT person_id FROM identities')!.person_id;
  const tasks = new Tasks({
    ...{ ledger, clock, nudge: () => {}, zone: () => 'UTC' },
    scheduler: { look: () => scheduler.look(), settle: (made) => scheduler.settle(made) },
  });
  scheduler.start();
  context.after(() => scheduler.stop());
  const looked = async (): Promise<void> => {
    scheduler.look();
    for (let i = 0; i < 60; i += 1) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(conservation(ledger.db, wall).violations, []);
  };
  return {
    ...{ ledger, tasks, person, told },
    restart: () => {
      scheduler.stop();
      scheduler = make();
      scheduler.start();
    },
    pass: (ms) => {
      wall += ms;
      monotonic += ms;
      return looked();
    },
    setClock: (ms) => {
      wall = ms;
      return looked();
    },
    end: async (state, reason = '') => {
      await ledger.write('test', (db) => {
        const harness =
          "INSERT INTO turns (session_id, state, attempt, deaths, harness, started_ms) VALUES (?, ?, 1, 0, '', 0)";
        for (const row of db.all<{ id: number; session_id: number }>(
          "SELECT id, session_id FROM inbound WHERE state = 'queued'",
        )) {
          const turn = db.insert(harness, row.session_id, state === 'failed' ? 'failed' : 'settled');
          db.run('UPDATE inbound SET state = ?, reason = ?, turn_id = ? WHERE id = ?', state, reason, turn, row.id);
        }
      });
      await looked();
    },
    said: () =>
      ledger.db
        .all<{ sent_ms: number }>('SELECT sent_ms FROM messages WHERE task_id IS NOT NULL ORDER BY id')
        .map(({ sent_ms }) => new Date(sent_ms).toISOString().slice(5, 16)),
    runs: (task) => tasks.log(task, 50).runs.map(({ state, reason }) => [state, reason]),
  };
}

function asked(when: string, part: Partial<TaskAsked> = {}): TaskAsked {
  return { group: 'assistant', to: 'local:main', when, text: 'look around', ...part };
}

function add(own: World, when: string, part: Partial<TaskAsked> = {}) {
  return own.tasks.add(asked(when, part), { person: own.person, by: 'operator' });
}

test('a task runs at its time, each time, in a session of its own, and not before', async (context) => {
  const own = await world(context);
  await add(own, 'every 1h');
  await own.pass(HOUR - 1);
  assert.deepEqual(own.said(), []);
  await own.pass(1);
  assert.deepEqual(own.said(), ['01-15T13:00']);
  await own.end('answered');
  await own.pass(HOUR);
  await own.end('silent');
  assert.deepEqual(own.said(), ['01-15T13:00', '01-15T14:00']);
  const sessions = own.ledger.db.all<{ session_id: number }>('SELECT DISTINCT session_id FROM inbound');
  assert.equal(sessions.length, 1);
  assert.deepEqual(own.told, [`wake ${sessions[0]!.session_id}`, `wake ${sessions[0]!.session_id}`]);
  assert.notEqual(sessions[0]!.session_id, 1, 'not the conversation of the chat');
  assert.deepEqual(own.runs('k1'), [
    ['silent', ''],
    ['answered', ''],
  ]);
});

test('with `here` it is said in the conversation of its chat', async (context) => {
  const own = await world(context);
  await add(own, 'every 1h', { here: true });
  await own.pass(HOUR);
  assert.deepEqual({ ...own.ledger.db.get<object>('SELECT session_id FROM inbound') }, { session_id: 1 });
});

test('what runs once is done after it, and is said once however often the host starts', async (context) => {
  const own = await world(context);
  await add(own, 'at 2026-01-15T13:00Z');
  await own.pass(HOUR);
  own.restart();
  await own.pass(MINUTE);
  assert.deepEqual(own.said(), ['01-15T13:00']);
  assert.equal(own.tasks.list(null)[0]!.state, 'done');
});

test('two tasks of one moment both run', async (context) => {
  const own = await world(context);
  await add(own, 'every 1h');
  await add(own, 'every 30m');
  await own.pass(HOUR);
  assert.equal(own.said().length, 2);
});

test('a run that is not over when the next time comes: that time is skipped, and says why', async (context) => {
  const own = await world(context);
  await add(own, 'every 1h');
  await own.pass(HOUR);
  await own.pass(HOUR);
  assert.deepEqual(own.runs('k1'), [
    ['skipped', 'the run before it was not over'],
    ['running', ''],
  ]);
  await own.end('answered');
  await own.pass(HOUR);
  assert.deepEqual(own.said(), ['01-15T13:00', '01-15T15:00']);
});

for (const [catch_up, said] of [
  ['skip', ['01-15T18:00']],
  ['once', ['01-15T13:00', '01-15T18:00']],
  ['all', ['01-15T13:00', '01-15T14:00', '01-15T15:00', '01-15T16:00', '01-15T17:00', '01-15T18:00']],
] as const) {
  test(`five hours without a host, catch-up ${catch_up}: ${said.length} runs`, async (context) => {
    const own = await world(context);
    await add(own, 'every 1h', { catch_up });
    own.restart();
    await own.pass(5 * HOUR + 30 * MINUTE);
    for (let i = 0; i < 6; i += 1) await own.end('answered');
    await own.pass(30 * MINUTE);
    assert.deepEqual(own.said(), said);
  });
}

test('a year without a host is not made up for time by time', async (context) => {
  const own = await world(context);
  await add(own, 'every 1m', { catch_up: 'all' });
  await own.pass(365 * 24 * HOUR);
  await own.end('answered');
  assert.equal(own.said().length, 1);
  assert.ok(own.said().length < TASK_CATCH_UP_MAX);
});

test('a run that fails is followed later and later, and after the eighth failure by none', async (context) => {
  const own = await world(context);
  await add(own, 'every 1m');
  const waits: number[] = [];
  for (let failed = 1; failed <= TASK_FAILURES_MAX; failed += 1) {
    let waited = 0;
    for (const before = own.said().length; own.said().length === before; waited += MINUTE) await own.pass(MINUTE);
    waits.push(waited);
    await own.end('failed', 'no answer');
  }
  const expected = Array.from({ length: TASK_FAILURES_MAX - 1 }, (_, i) =>
    Math.min(TASK_BACKOFF_MS * 2 ** i, TASK_BACKOFF_MAX_MS),
  );
  assert.deepEqual(waits.slice(1), expected);
  const [task] = own.tasks.list(null);
  assert.deepEqual([task!.state, task!.reason], ['paused', `it failed ${TASK_FAILURES_MAX} times: no answer`]);
  assert.deepEqual(own.told.slice(-2), ['deliver 1', 'task.paused k1']);
  await own.pass(24 * HOUR);
  assert.equal(own.said().length, TASK_FAILURES_MAX);
  await own.tasks.change('k1', 'resume', 'operator');
  await own.pass(MINUTE);
  assert.equal(own.said().length, TASK_FAILURES_MAX + 1);
});

test('one success forgets the failures before it', async (context) => {
  const own = await world(context);
  await add(own, 'every 1h');
  await own.pass(HOUR);
  await own.end('failed', 'x');
  assert.equal(own.tasks.list(null)[0]!.failures, 1);
  await own.pass(HOUR);
  await own.end('answered');
  assert.equal(own.tasks.list(null)[0]!.failures, 0);
});

test('what ran once and failed is tried again', async (context) => {
  const own = await world(context);
  await add(own, 'at 2026-01-15T13:00Z');
  await own.pass(HOUR);
  await own.end('failed', 'x');
  await own.pass(TASK_BACKOFF_MS);
  assert.equal(own.said().length, 2);
  await own.end('answered');
  assert.equal(own.tasks.list(null)[0]!.state, 'done');
});

test('a person who loses their role, or a chat that loses its group, ends the runs, and everybody hears why', async (context) => {
  const own = await world(context);
  await add(own, 'every 1h');
  await own.ledger.write('test', (db) => db.run('DELETE FROM roles'));
  await own.pass(HOUR);
  assert.deepEqual(own.said(), []);
  assert.match(own.tasks.list(null)[0]!.reason, /has no role in its group any more/);
  assert.deepEqual(own.told, ['deliver 1', 'task.paused k1']);
  const other = await world(context);
  await add(other, 'every 1h');
  await other.ledger.write('test', (db) => db.run('DELETE FROM wirings'));
  await other.pass(HOUR);
  assert.match(other.tasks.list(null)[0]!.reason, /does not answer in its chat any more/);
});

test('a clock that is set back and forth: no time comes twice, and none is lost for a day', async (context) => {
  const own = await world(context);
  await add(own, 'cron 0 * * * *');
  await own.pass(HOUR);
  await own.end('answered');
  await own.setClock(START + 24 * HOUR);
  await own.end('answered');
  await own.setClock(START + 61 * MINUTE);
  assert.equal(own.tasks.list(null)[0]!.next, '2026-01-15T14:00:00.000Z');
  await own.setClock(START - HOUR);
  assert.equal(own.tasks.list(null)[0]!.next, '2026-01-15T12:00:00.000Z');
  const times = own.said();
  assert.equal(new Set(times).size, times.length);
  await own.pass(2 * HOUR);
  await own.end('answered');
  assert.equal(new Set(own.said()).size, own.said().length);
});

test('run now is a run like any other, and one at a time', async (context) => {
  const own = await world(context);
  await add(own, 'every 1h');
  const { next } = own.tasks.list(null)[0]!;
  const { message } = await own.tasks.run('k1');
  assert.equal(message, 'm1');
  await assert.rejects(own.tasks.run('k1'), (error) => error instanceof OperatingError && error.code === 'conflict');
  await own.end('answered');
  assert.deepEqual(own.runs('k1'), [['answered', '']]);
  assert.equal(own.tasks.list(null)[0]!.next, next);
});

test('while a run of a task that catches up is open, nothing is committed for it again and again', async (context) => {
  const own = await world(context);
  await add(own, 'every 1m', { catch_up: 'all' });
  await own.pass(3 * MINUTE);
  let commits = 0;
  own.ledger.onCommit(() => {
    commits += 1;
  });
  await own.ledger.write('test', () => {});
  await own.pass(0);
  assert.ok(commits <= 2, `${commits} commits`);
  await own.end('answered');
  assert.equal(own.said().length, 2);
});

test('a task that is removed says nothing any more, also where it waits; its gate stays until then', async (context) => {
  const own = await world(context);
  await add(own, 'every 1h', { gate: 'exit 1' });
  await own.pass(HOUR);
  await own.tasks.change('k1', 'remove', 'operator');
  const row = own.ledger.db.get<object>('SELECT state, reason FROM inbound');
  assert.deepEqual({ ...row }, { state: 'cancelled', reason: 'its task was removed' });
  assert.equal(gateOf(own.ledger.db, 1), 'exit 1');
  await own.pass(0);
});

test('a task that may not run does not run by hand either', async (context) => {
  const own = await world(context);
  await add(own, 'every 1h');
  await own.ledger.write('test', (db) => db.run('DELETE FROM roles'));
  await assert.rejects(own.tasks.run('k1'), /may not run: the person that it runs for has no role/);
  assert.deepEqual(own.said(), []);
});

test('a paused task sleeps, a removed one is gone', async (context) => {
  const own = await world(context);
  await add(own, 'every 1h');
  await own.tasks.change('k1', 'pause', 'operator');
  await own.pass(2 * HOUR);
  assert.deepEqual(own.said(), []);
  await own.tasks.change('k1', 'resume', 'operator');
  assert.equal(own.tasks.list(null)[0]!.next, '2026-01-15T15:00:00.000Z');
  await own.tasks.change('k1', 'remove', 'operator');
  assert.deepEqual(own.tasks.list(null), []);
  await own.pass(2 * HOUR);
  assert.deepEqual(own.said(), []);
  await assert.rejects(own.tasks.change('k1', 'resume', 'operator'), /there is no task "k1"/);
});

test('the log keeps the newest runs', async (context) => {
  const own = await world(context);
  await add(own, 'every 1m');
  for (let i = 0; i < TASK_RUNS_KEPT + 5; i += 1) {
    await own.pass(MINUTE);
    await own.end('answered');
  }
  const kept = own.ledger.db.get<{ n: number }>('SELECT count(*) AS n FROM task_runs')!.n;
  assert.ok(kept <= TASK_RUNS_KEPT + 1, `${kept}`);
});

const REFUSED: [what: string, part: Partial<TaskAsked>, reason: RegExp][] = [
  ['a chat where the group does not answer', { to: 'local:elsewhere' }, /does not answer in "local:elsewhere"/],
  ['a group that is not there', { group: 'nobody' }, /nobody does not answer in/],
  ['no text', { text: ' ' }, /needs a text/],
  ['a long text', { text: 'x'.repeat(TASK_TEXT_BYTES_MAX + 1) }, /at most 16 KiB/],
  ['a long gate', { gate: 'x'.repeat(TASK_TEXT_BYTES_MAX + 1) }, /at most 16 KiB/],
  ['an interval of a second', { when: 'every 1s' }, /at most once in 60 seconds/],
  ['a zone that does not exist', { zone: 'Mars/Base' }, /no time zone/],
];

for (const [what, part, reason] of REFUSED) {
  test(`${what} is refused, and nothing is kept of it`, async (context) => {
    const own = await world(context);
    await assert.rejects(add(own, 'every 1h', part), reason);
    assert.deepEqual(own.tasks.list(null), []);
  });
}

test('a group has so many tasks and no more', async (context) => {
  const own = await world(context);
  for (let i = 0; i < TASKS_MAX; i += 1) await add(own, 'every 1h');
  await assert.rejects(add(own, 'every 1h'), /has 100 tasks already/);
});

test('an agent sees and removes the tasks of its own group only', async (context) => {
  const own = await world(context);
  await own.ledger.write('test', (db) => ensureGroup(db, 0, 'other', null));
  await add(own, 'every 1h');
  const agents = own.tasks.forAgents();
  assert.equal(agents.list('assistant').length, 1);
  assert.deepEqual(agents.list('other'), []);
  await assert.rejects(agents.cancel('other', 'k1'), /there is no task "k1"/);
  await agents.cancel('assistant', 'k1');
  assert.deepEqual(own.tasks.list(null), []);
});

test('no task of a stopped group runs, also not by hand; at the resume each does what it says about missed times', async (context) => {
  const own = await world(context);
  await add(own, 'every 1h');
  await add(own, 'every 1h', { catch_up: 'skip' });
  await own.ledger.write('test', (db) => takeStop(db, START, 'assistant', 'olga'));
  await own.pass(5 * HOUR + 30 * MINUTE);
  own.restart();
  await own.pass(MINUTE);
  await assert.rejects(own.tasks.run('k1'), { code: 'refused', message: /assistant is stopped/ });
  assert.deepEqual(own.said(), []);
  await own.ledger.write('test', (db) => endStops(db, START, 'assistant', 'olga'));
  await own.pass(0);
  assert.deepEqual(own.said(), ['01-15T13:00']);
  assert.deepEqual(own.runs('k2'), [['skipped', 'the host was not running, or its group was stopped']]);
});
