import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Status } from '../../src/evidence/status.ts';
import type { Trace } from '../../src/evidence/trace.ts';
import { isInstalled } from '../../src/sessions/harnesses.ts';
import { until } from '../fakes/install.ts';
import { modelInstall } from '../fakes/model_install.ts';
import { rows, sessionOf, statesOf, Terminal } from '../fakes/terminal.ts';

/** Commands with real parts: what a person types to the platform is done while the agent is at work. */

const world = modelInstall();
const { install } = world;

function status(): Promise<Status> {
  return install.control.call<Status>('status');
}

/** A chat whose agent is in the middle of a turn. */
async function working(name: string): Promise<Terminal> {
  const chat = await Terminal.open(install.control, name);
  await chat.say('hello');
  await chat.hears(/You said: hello/);
  await chat.say('sleep 600');
  await until('the turn runs', async () => assert.equal(statesOf(install, name)[1], 'running'));
  return chat;
}

function pidOf(all: Status, chat: string): number | null {
  const id = sessionOf(install, chat);
  return all.sessions.find(({ session }) => session === id)?.pid ?? null;
}

test('/stop ends the turn and the sandbox; what waits is dropped, and the next message is served', async () => {
  const chat = await working('stop');
  const before = pidOf(await status(), 'stop');
  await chat.say('never seen');
  await chat.say('/stop');
  await chat.hears(
    /^Stopped assistant, which was at 1 message\. Nothing of it had been sent\. 1 waiting message: dropped\.$/,
  );
  await until('the sandbox is gone', async () => assert.equal(pidOf(await status(), 'stop'), null));
  assert.notEqual(before, null);
  assert.deepEqual(statesOf(install, 'stop'), ['answered', 'cancelled', 'cancelled', 'answered']);
  await chat.say('are you there?');
  await chat.hears(/You said: are you there\?/);
  assert.doesNotMatch(chat.text(), /never seen/);
});

test('/stop keep serves what waited, at once', async () => {
  const chat = await working('keep');
  await chat.say('kept');
  await chat.say('/stop keep');
  await chat.hears(/1 waiting message: kept\./);
  await chat.hears(/You said: kept/);
  assert.deepEqual(statesOf(install, 'keep'), ['answered', 'cancelled', 'answered', 'answered']);
});

test('a trace of a stopped message says who stopped it; /why says it in the chat', async () => {
  const chat = await working('trace');
  await chat.say('/stop');
  await chat.hears(/^Stopped/);
  const id = rows<{ id: number }>(
    install,
    "SELECT m.id FROM messages m JOIN chats c ON c.id = m.chat_id WHERE c.platform_id = ? AND m.text LIKE 'sleep%'",
    'trace',
  )[0]!.id;
  const trace = await install.control.call<Trace>('trace', { message: `m${id}` });
  assert.match(trace.handled[0]!.reason, /^stopped by /);
  assert.ok(trace.steps.some(({ kind }) => kind === 'turn.stopped'));
  await chat.say('/why');
  await chat.hears(
    new RegExp(`^m${id} from [\\s\\S]*cancelled \\(stopped by [\\s\\S]*attempt 1, probe, warm: [\\s\\S]*stopped by`),
  );
});

test('/new begins a session without the memory of the old one, which still answers what it had', async () => {
  const chat = await Terminal.open(install.control, 'new');
  await chat.say('hello');
  await chat.hears(/You said: hello/);
  const old = sessionOf(install, 'new');
  await chat.say('sleep 1');
  await until('the turn runs', async () => assert.equal(statesOf(install, 'new')[1], 'running'));
  await chat.say('/new');
  await chat.hears(/What I am at is finished first/);
  await chat.say('second');
  await chat.hears(/You said: second/);
  await until('the old turn has ended', async () => assert.equal(statesOf(install, 'new')[1], 'answered'));
  const sessions = rows<{ id: number; closed: number }>(
    install,
    'SELECT s.id, s.closed_ms IS NOT NULL AS closed FROM sessions s JOIN chats c ON c.id = s.chat_id WHERE c.platform_id = ? ORDER BY s.id',
    'new',
  );
  assert.equal(sessions.length, 2);
  assert.deepEqual([`s${sessions[0]!.id}`, sessions[0]!.closed, sessions[1]!.closed], [old, 1, 0]);
});

test('a command is answered while every place is asleep, and starts no sandbox', async () => {
  const chat = await Terminal.open(install.control, 'asleep');
  for (const text of ['/help', '/status', '/usage', '/model', '/resume', '/stop', '/nonsense']) await chat.say(text);
  await chat.hears(/There is no command \/nonsense/);
  assert.deepEqual(statesOf(install, 'asleep'), Array(7).fill('answered'));
  assert.deepEqual(
    rows(install, "SELECT s.id FROM sessions s JOIN chats c ON c.id = s.chat_id WHERE c.platform_id = 'asleep'"),
    [],
  );
});

test('nobody is wired to, or paired for, a group that was never applied', () => {
  assert.notEqual(install.glass('group', 'new', 'fresh').status, 1);
  const wired = install.glass('wiring', 'set', 'local:main', 'fresh');
  assert.deepEqual([wired.status, /no group fresh is in force/.test(wired.stderr)], [4, true], wired.stderr);
});

test('`wiring test` knows a command, and who may give it', () => {
  const own = install.glass('wiring', 'test', 'local:main', '/stop', '--as', 'p1');
  assert.deepEqual([own.status, own.stdout.split('\n')[0]], [0, 'would be answered by the host itself: a command']);
  const stranger = install.glass('wiring', 'test', 'local:main', '/stop');
  assert.equal(stranger.status, 1);
  assert.match(stranger.stdout, /^would be ignored: a command of a sender without a role/);
});

for (const harness of ['native', 'claude'] as const) {
  test(`/stop ends ${harness} in the middle of a tool, with what it had started`, async (context) => {
    if (!isInstalled(install.paths.root, harness)) return context.skip(`${harness} is not installed`);
    await install.change('assistant', world.yaml(harness));
    const tool = { name: harness === 'claude' ? 'Bash' : 'bash', input: { command: `sleep ${MARK}` } };
    // What a conversation that begins anew is told of the old one has its words too.
    world.model.script = ({ lastText }) => (lastText.includes('hello') ? { text: 'yes' } : { tools: [tool] });
    const chat = await Terminal.open(install.control, `stop-${harness}`);
    await chat.say('work');
    await until('its tool runs', async () => assert.ok(marked().length > 0), 60_000);
    await chat.say('/stop');
    await chat.hears(/^Stopped assistant/);
    await until('nothing of it is left', async () => assert.deepEqual(marked(), []));
    await chat.say('hello');
    await chat.hears(/^yes$/, 60_000);
  });
}

/** Seconds of a sleep that no other test sleeps. */
const MARK = '31234.5';

/** Processes of the machine that sleep so long. */
function marked(): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'latin1') === `sleep\0${MARK}\0`;
    } catch {
      return false; // it has ended meanwhile
    }
  });
}
