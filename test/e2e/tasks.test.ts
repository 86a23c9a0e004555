import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Trace } from '../../src/evidence/trace.ts';
import type { TaskShown } from '../../src/scheduler/tasks.ts';
import { isInstalled } from '../../src/sessions/harnesses.ts';
import { until } from '../fakes/install.ts';
import { modelInstall } from '../fakes/model_install.ts';
import { rows, Terminal } from '../fakes/terminal.ts';

/** Tasks with real parts: a time comes, and an agent in a sandbox answers without anybody writing. */

const world = modelInstall();
const { install } = world;

/** A chat that the group answers in. */
async function chatNamed(name: string): Promise<Terminal> {
  const chat = await Terminal.open(install.control, name);
  await chat.say('hello');
  await chat.hears(/You said: hello/);
  return chat;
}

function add(chat: string, when: string, text: string, part: object = {}): Promise<TaskShown> {
  return install.control.call('task_add', { group: 'assistant', to: `local:${chat}`, when, text, ...part });
}

function soon(seconds: number): string {
  return `at ${new Date(Date.now() + seconds * 1000).toISOString().slice(0, 19)}Z`;
}

function runs(task: string): [state: string, reason: string][] {
  return rows<{ state: string; reason: string }>(
    install,
    'SELECT state, reason FROM task_runs WHERE task_id = ? ORDER BY id',
    Number(task.slice(1)),
  ).map(({ state, reason }) => [state, reason]);
}

function ended(task: string, expected: [state: string, reason: string][]): Promise<void> {
  return until(`the runs of ${task}`, async () => assert.deepEqual(runs(task), expected));
}

test('a task speaks at its time, is traced from it, and is done', async () => {
  const chat = await chatNamed('once');
  const { task } = await add('once', soon(2), 'the hour has come');
  await chat.hears(/You said: the hour has come/);
  await ended(task, [['answered', '']]);
  const { runs: log } = await install.control.call<{ runs: { message: string }[] }>('task_log', { task });
  const trace = await install.control.call<Trace>('trace', { message: log[0]!.message });
  assert.deepEqual(
    trace.steps.slice(0, 3).map(({ kind }) => kind),
    ['task.due', 'message.routed', 'message.queued'],
  );
  assert.equal(trace.message.from, `task ${task}`);
  const tasks = await install.control.call<{ tasks: TaskShown[] }>('tasks', {});
  assert.equal(tasks.tasks.find((one) => one.task === task)?.state, 'done');
});

test('its session remembers its own runs, and not the chat’s conversation', async () => {
  const chat = await chatNamed('memory');
  const { task } = await add('memory', 'every 1h', 'where');
  for (const expected of [/probe, turn \d+, attempt 1, 0 messages/, /probe, turn \d+, attempt 1, 1 messages/]) {
    await install.control.call('task_run', { task });
    await chat.hears(expected);
  }
});

test('a gate that says no wakes nobody; one that says yes is shown to the agent', async () => {
  const chat = await chatNamed('gate');
  const no = await add('gate', 'every 1h', 'never asked', { gate: 'echo nothing new; exit 1' });
  await install.control.call('task_run', { task: no.task });
  await ended(no.task, [['silent', '']]);
  const yes = await add('gate', 'every 1h', 'look', { gate: 'echo two stalled in $PWD' });
  await install.control.call('task_run', { task: yes.task });
  await chat.hears(/You said: look\n\n\[Its gate printed:\]\ntwo stalled in \/workspace$/);
  assert.doesNotMatch(chat.text(), /never asked/);
});

test('a gate that breaks is a failure that the chat hears of', async () => {
  const chat = await chatNamed('broken-gate');
  const { task } = await add('broken-gate', 'every 1h', 'x', { gate: 'echo no such list >&2; exit 3' });
  await install.control.call('task_run', { task });
  await chat.hears(/^The task failed: its gate ended with 3: no such list\.$/);
  await until('the run has ended', async () => assert.equal(runs(task)[0]![0], 'failed'));
});

test('/stop reaches a gate, and the run of a task', async () => {
  const chat = await chatNamed('stopped');
  for (const part of [{ gate: 'sleep 600' }, {}]) {
    const { task } = await add('stopped', 'every 1h', 'sleep 600', part);
    const { message } = await install.control.call<{ message: string }>('task_run', { task });
    await until('it runs', async () => {
      const { handled } = await install.control.call<Trace>('trace', { message });
      assert.equal(handled[0]!.state, 'running');
    });
    const before = chat.heard.length;
    await chat.say('/stop');
    await until('it is stopped', async () => assert.match(chat.heard[before]?.body ?? '', /^Stopped assistant/));
    await until('the run has ended', async () => assert.equal(runs(task)[0]![0], 'cancelled'));
  }
});

test('a host that dies over a task’s time says it once, after it is back', async () => {
  const chat = await chatNamed('death');
  const { task } = await add('death', soon(3), 'once and no more');
  await install.end('host', 'SIGKILL');
  await new Promise((resolve) => setTimeout(resolve, 4000));
  install.spawn('host');
  await install.ready();
  await chat.open();
  await chat.hears(/You said: once and no more/);
  await ended(task, [['answered', '']]);
  const said = rows<{ n: number }>(install, "SELECT count(*) AS n FROM messages WHERE text = 'once and no more'");
  assert.equal(said[0]!.n, 1);
});

test('a host that dies in the middle of a run ends it with the next one', async () => {
  const chat = await chatNamed('middle');
  const { task } = await add('middle', 'every 1h', 'sleep 3');
  await install.control.call('task_run', { task });
  await until('it runs', async () => assert.deepEqual(runs(task), [['running', '']]));
  await install.end('host', 'SIGKILL');
  install.spawn('host');
  await install.ready();
  await chat.open();
  await chat.hears(/slept 3 s/);
  await ended(task, [['answered', '']]);
});

test('the command line sets, shows, runs and removes tasks, and says what it cannot', async () => {
  const chat = await chatNamed('cli');
  const words = ['--to', 'local:cli', '--when', 'cron 0 9 * * 1-5', '--zone', 'Europe/Berlin', 'good morning'];
  const added = install.glass('task', 'add', 'assistant', ...words);
  assert.equal(added.status, 0, added.stderr);
  const task = /^(k\d+) {2}assistant → local:cli {2}cron 0 9 \* \* 1-5 \(Europe\/Berlin\), next .*Z\n/.exec(
    added.stdout,
  )?.[1];
  assert.ok(task !== undefined, added.stdout);
  assert.match(install.glass('task', 'run', task).stdout, new RegExp(`^${task} runs as m\\d+: ./glass trace m\\d+\n$`));
  await chat.hears(/You said: good morning/);
  await ended(task, [['answered', '']]);
  assert.match(install.glass('task', 'log', task).stdout, /answered in \d/);
  assert.match(install.glass('task', 'list').stdout, new RegExp(`${task}  assistant → local:cli`));
  await chat.say('/tasks');
  await chat.hears(new RegExp(`${task}: cron 0 9 \\* \\* 1-5 \\(Europe/Berlin\\), next .*: good morning`));
  assert.match(install.glass('status').stdout, /tasks +\d+ active, next \S+Z, \d+ paused, \d+ failing/);
  assert.match(install.glass('task', 'pause', task).stdout, /paused: by the operator/);
  assert.equal(JSON.parse(install.glass('task', 'remove', task, '--json').stdout).state, 'removed');
  for (const [given, status, reason] of [
    [['task', 'log', task], 4, /there is no task/],
    [['task', 'add', 'assistant', '--to', 'local:cli', '--when', 'every 1s', 'x'], 2, /at most once in 60 seconds/],
    [['task', 'add', 'assistant', '--to', 'local:cli', '--when', 'cron 0 0 30 2 *', 'x'], 2, /never comes/],
    [['task', 'add', 'assistant', '--to', 'local:nowhere', '--when', 'every 1h', 'x'], 2, /does not answer in/],
    [['task', 'add', 'assistant', 'x'], 2, /usage/],
    [['task', 'dance'], 2, /usage/],
  ] as const) {
    const refused = install.glass(...given);
    assert.equal(refused.status, status, given.join(' '));
    assert.match(refused.stderr, reason);
  }
});

test('in its chat it is paused, goes on, runs and is removed by a word', async () => {
  const chat = await chatNamed('words');
  const { task } = await add('words', 'every 1h', 'the hour');
  const shown = async () =>
    (await install.control.call<{ tasks: TaskShown[] }>('tasks', {})).tasks.find((one) => one.task === task);
  await chat.say(`/tasks pause ${task}`);
  await chat.hears(new RegExp(`^${task} is paused\\.$`));
  const paused = (await shown())!;
  assert.deepEqual([paused.state, paused.next], ['paused', null]);
  assert.match(paused.reason, /^by /);
  await chat.say(`/tasks resume ${task}`);
  await chat.hears(new RegExp(`^${task} goes on at its next time\\.$`));
  assert.equal((await shown())!.state, 'active');
  await chat.say(`/tasks run ${task}`);
  await chat.hears(/You said: the hour/);
  await ended(task, [['answered', '']]);
  await chat.say(`/tasks remove ${task}`);
  await chat.hears(new RegExp(`^${task} is removed\\.$`));
  assert.equal(await shown(), undefined);
  await chat.say(`/tasks run ${task}`);
  await chat.hears(new RegExp(`^There is no task ${task} in this chat; /tasks lists them\\.$`));
});

test('an agent sets, lists and removes its tasks; what cannot be kept is a reason that it reads', async (context) => {
  if (!isInstalled(install.paths.root, 'native')) return context.skip('native is not installed');
  const chat = await chatNamed('agent');
  await install.change('assistant', world.yaml('native'));
  const call = async (name: string, input: object): Promise<string> => {
    const before = chat.heard.length;
    await chat.say(`tool ${name} ${JSON.stringify(input)}`);
    return until('the agent repeats the receipt', async () => {
      assert.match(chat.heard[before]?.body ?? '', /^tool said: /);
      return chat.heard[before]!.body;
    });
  };
  assert.match(await call('task_add', { when: 'every 1s', text: 'x' }), /at most once in 60 seconds/);
  const added = await call('task_add', { when: 'every 3h', text: 'count the birds' });
  const task = /k\d+/.exec(added)?.[0];
  assert.ok(task !== undefined, added);
  const kept = {
    ...rows<{ by: string; text: string }>(install, 'SELECT by, text FROM tasks ORDER BY id DESC LIMIT 1')[0]!,
  };
  assert.deepEqual(kept, { by: 'agent', text: 'count the birds' });
  assert.match(await call('task_list', {}), /count the birds/);
  assert.match(await call('task_cancel', { task }), /removed/);
  assert.match(await call('task_cancel', { task }), /there is no task/);
});
