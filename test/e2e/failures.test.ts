import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { ROOT } from '../../src/base/paths.ts';
import type { Status } from '../../src/evidence/status.ts';
import { until } from '../fakes/install.ts';
import { Talk } from '../fakes/talk.ts';
import { rows, sessionOf, statesOf, Terminal } from '../fakes/terminal.ts';
import { lacking, missing } from '../kits/held.ts';
import { BAD_INPUT, FAILURES, HERE } from './failures_rows.ts';

/**
 * How platforms of this kind fail the people who use them, one test a row; then bad input in conversations. A row is held by tests
 * that stand elsewhere: it is red when one of them is not there under its title. What none of them holds is tested at the end.
 */

for (const [of, table] of [['others', FAILURES] as const, ['bad input', BAD_INPUT] as const]) {
  for (const { name, by, skip } of table) {
    test(`${of}: ${name}`, (context) => {
      assert.deepEqual(
        by.map(missing).filter((words) => words !== ''),
        [],
      );
      if (skip !== undefined) return context.skip(skip);
      assert.ok(by.length > 0);
    });
  }
}

test('a row whose test was renamed, removed, or lost its case is red', () => {
  const title = 'a burst of 15 is answered in arrival order, each once';
  assert.equal(missing(['e2e/message.test.ts', title]), '');
  assert.match(missing(['e2e/message.test.ts', title.slice(1)]), /has no test/);
  assert.match(missing(['e2e/messages.test.ts', title]), /there is no/);
  assert.match(missing(['e2e/message.test.ts', title, 'no such case']), /has no case/);
  assert.match(missing([HERE, title]), /has no test/);
  assert.equal(missing(['unit/scheduler_times.test.ts', '"{}" in {} is refused: {}']), '');
  assert.match(missing(['unit/scheduler_times.test.ts', '"{}" in {} is taken: {}']), /has no test/);
  assert.equal(missing(['kits/channel_rows_in.ts', 'files come in whole']), '');
  assert.match(missing(['kits/channel_rows_in.ts', 'files come in half']), /has no test/);
});

test('a row whose test is commented out, is none, or is always skipped is red', () => {
  const held = (text: string): string => lacking(text, ['e2e/made_up.test.ts', 'it holds']);
  for (const text of ["test('it holds', () => {});", "  await context.test('it holds', { skip }, () => {});"])
    assert.equal(held(`${text}\n`), '', text);
  for (const text of [
    "// test('it holds', () => {});",
    ...['skip', 'todo'].map((way) => `test.${way}('it holds', () => {});`),
    "latest('it holds');",
    'const title = "test(\'it holds\')";',
  ])
    assert.match(held(`import x;\n${text}\n`), /has no test/, text);
  for (const skip of ['{ skip: true }', "{ timeout: 5, skip: 'not today' }", '{\n  skip: true,\n}'])
    assert.match(held(`test('it holds', ${skip}, () => {});`), /always skips/, skip);
});

const talk = await Talk.make(ROOT, { GLASS_TEST_DEAF: '1' });
const { install } = talk;
let operator: Terminal;

before(async () => {
  install.group('assistant', 'harness: probe\nlimits: {idle: 60s}\n');
  await install.start();
  await talk.known('olga', 'owner');
  operator = await Terminal.open(install.control, 'main');
});
afterEach((context) => install.explain(context));
after(() => talk.end());

function openStates(chat: string): string[] {
  return statesOf(install, chat).filter((state) => state === 'queued' || state === 'running');
}

test('a channel that cannot start is in status, is told through another channel, and holds up nobody', async () => {
  const { state, channels, alerts } = await talk.call<Status>('status');
  assert.equal(state, 'attention');
  assert.deepEqual(
    channels.find(({ name }) => name === 'deaf'),
    { name: 'deaf', proof: null, unreadable: 0, state: 'failed', detail: 'the platform refused the token' },
  );
  const text = 'The channel deaf could not start: the platform refused the token';
  assert.equal(alerts.find(({ kind }) => kind === 'channel.start')?.text, text);
  assert.equal((await operator.hears(/channel deaf/)).body, `⚠ ${text}\n→ see ./glass channel list`);
  await talk.wire('works', 'assistant', { engage: 'always' });
  await talk.say('works', 'olga', 'hello');
  await talk.hears('works', /You said: hello/);
});

test('ten stuck rows starve nobody: a burst beside them is answered in the order of arrival', async () => {
  const stuck = await Terminal.open(install.control, 'stuck');
  await stuck.say('sleep 3000');
  await until('it runs', async () => assert.deepEqual(openStates('stuck'), ['running']));
  for (let i = 0; i < 10; i += 1) await stuck.say(`stuck ${i}`);
  const burst = await Terminal.open(install.control, 'beside');
  for (let i = 0; i < 15; i += 1) await burst.say(`number ${i};`);
  await burst.hears(/number 14;/);
  const answered = [...burst.text().matchAll(/You said: number (\d+);/g)].map((match) => Number(match[1]));
  assert.deepEqual(answered, [...Array(15).keys()]);
  assert.equal(openStates('stuck').length, 11, 'they were stuck all the while');
  await stuck.say('/stop');
  await until('they are not stuck any more', async () => assert.deepEqual(openStates('stuck'), []));
  for (const terminal of [stuck, burst]) terminal.close();
});

test('a follow-up that was pushed into a turn whose sandbox is killed is answered', async () => {
  const chat = await Terminal.open(install.control, 'pushed');
  await chat.say('sleep 3');
  await until('it runs', async () => assert.deepEqual(openStates('pushed'), ['running']));
  await chat.say('and this');
  await until('it is pushed', async () => assert.deepEqual(openStates('pushed'), ['running', 'running']));
  const { sessions } = await talk.call<Status>('status');
  process.kill(sessions.find(({ session }) => session === sessionOf(install, 'pushed'))!.pid!, 'SIGKILL');
  await chat.hears(/You said: and this/);
  await until('both are answered', async () => assert.deepEqual(statesOf(install, 'pushed'), ['answered', 'answered']));
  assert.equal(chat.text().split('You said: and this').length, 2);
  chat.close();
});

test('each line of a log is an object with its date', async () => {
  assert.ok(rows(install, 'SELECT id FROM turns').length > 0, 'something has happened');
  for (const part of ['host', 'gateway']) {
    const lines = readFileSync(join(install.paths.logs, `${part}.log`), 'utf8')
      .trimEnd()
      .split('\n');
    for (const line of lines) {
      const { at, level, event } = JSON.parse(line) as Record<string, string>;
      assert.equal(new Date(at!).toISOString(), at, line);
      assert.ok(level !== undefined && event !== undefined, line);
    }
  }
});

/**
 * What may start a program or a thread on the host: the runtimes, what installs, the operator's own commands and the doctor (who asks programs for
 * their versions, too), drivers, exporters, and the one that alerts are given to.
 */
const STARTERS = [
  /^src\/runtimes\//,
  /^src\/cli\//,
  /^src\/operations\/(?:package_install|doctor_machine|mend|versions|upgrade\/programs|backup\/archive)\.ts$/,
  /^src\/evidence\/telemetry\/telemetry(?:_worker)?\.ts$/,
  /^src\/evidence\/alert_command\.ts$/,
  /^src\/channels\/driver_(?:thread|worker)\.ts$/,
  /^src\/vault\/key_keyring\.ts$/,
  /^src\/base\/watchdog\.ts$/,
];

test('on the host, programs and threads are started by what is known to, and by nothing else', () => {
  const found = globSync('src/**/*.ts', { cwd: ROOT, exclude: ['**/node_modules/**'] }).filter((path) =>
    /node:(child_process|worker_threads|cluster)|process\.binding/.test(readFileSync(join(ROOT, path), 'utf8')),
  );
  assert.ok(found.length > 5);
  assert.deepEqual(
    found.filter((path) => !STARTERS.some((starter) => starter.test(path))),
    [],
  );
});
