import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { MESSAGE_TEXT_BYTES_MAX, SANDBOXES_MAX } from '../../src/base/limits/messages.ts';
import type { Status } from '../../src/evidence/status.ts';
import type { Trace } from '../../src/evidence/trace.ts';
import { Install, until } from '../fakes/install.ts';
import { post } from '../fakes/raw_control.ts';
import { rows, sessionOf, statesOf, Terminal } from '../fakes/terminal.ts';

/**
 * Flow 1 with real parts: gateway and host as processes, sandboxes of bubblewrap, terminals on the control socket. Each
 * test has a chat, and so a session, of its own; the last ones look at what all of them left behind.
 */

const YAML = 'harness: probe\nlimits: {idle: 20s}\n';
const install = new Install();

before(async () => {
  install.group('assistant', YAML);
  await install.start();
});
afterEach((context) => install.explain(context));
after(() => install.stop());

function status(): Promise<Status> {
  return install.control.call<Status>('status');
}

async function liveSession(chat: string): Promise<Status['sessions'][number] | undefined> {
  const id = sessionOf(install, chat);
  return (await status()).sessions.find((session) => session.session === id);
}

function settled(chat: string, count: number): Promise<string[]> {
  return until(`${count} messages of ${chat} are settled`, async () => {
    const states = statesOf(install, chat);
    const open = states.filter((state) => state === 'queued' || state === 'running');
    if (states.length < count || open.length > 0) throw new Error(states.join(' '));
    return states;
  });
}

test('hello is answered, its trace tells every hop in order, and both laws hold', async () => {
  const chat = await Terminal.open(install.control, 'hello');
  const message = await chat.say('hello');
  await chat.hears(/^I am `probe`[\s\S]*You said: hello$/);
  const trace = await until('the trace is complete', async () => {
    const found = await install.control.call<Trace>('trace', { message });
    if (found.steps.at(-1)?.kind !== 'delivery.sent') throw new Error(found.steps.at(-1)?.kind);
    return found;
  });
  assert.deepEqual(
    trace.steps.map((step) => step.kind),
    [
      'message.received',
      'message.admitted',
      'message.routed',
      'message.queued',
      'sandbox.starting',
      'sandbox.ready',
      'turn.started',
      'turn.taken',
      'turn.settled',
      'reply.queued',
      'delivery.sending',
      'delivery.sent',
    ],
  );
  assert.equal(trace.handled[0]!.state, 'answered');
  assert.deepEqual((await status()).conservation.violations, []);
});

test('a burst of 15 is answered in arrival order, each once', async () => {
  const chat = await Terminal.open(install.control, 'burst');
  for (let i = 0; i < 15; i += 1) await chat.say(`number ${i};`);
  await chat.hears(/number 14;/);
  const answered = [...chat.text().matchAll(/You said: number (\d+);/g)].map((match) => Number(match[1]));
  assert.deepEqual(
    answered,
    Array.from({ length: 15 }, (_, i) => i),
  );
  assert.deepEqual(await settled('burst', 15), Array(15).fill('answered'));
});

test('a sandbox that crashes once costs an attempt, not the message', async () => {
  const chat = await Terminal.open(install.control, 'crash-once');
  await chat.say('crash-once hello');
  await chat.hears(/attempt 2; sent before: nothing[\s\S]*survived: hello/);
  assert.deepEqual(await settled('crash-once', 1), ['answered']);
});

test('a message that crashes every time is given up: the person is told, and the next one is served', async () => {
  const chat = await Terminal.open(install.control, 'crash');
  await chat.say('crash');
  const told = await chat.hears(/could not be answered/);
  assert.equal(told.kind, 'notice');
  assert.match(told.body, /^That message could not be answered: [^\n]*Nothing else is affected\.$/);
  await chat.say('still there?');
  await chat.hears(/You said: still there\?/);
  assert.deepEqual(await settled('crash', 2), ['failed', 'answered']);
});

test('a poison in a batch fails alone; the others are answered once, in order', async () => {
  const chat = await Terminal.open(install.control, 'poison');
  await chat.say('sleep 0.3');
  for (const text of ['good one', 'crash', 'good two']) await chat.say(text);
  await chat.hears(/You said: good two/);
  assert.deepEqual(await settled('poison', 4), ['answered', 'answered', 'failed', 'answered']);
  const poison = rows<{ id: number }>(install, "SELECT id FROM messages WHERE text = 'crash'").at(-1)!;
  await until('the operator hears of it', async () => {
    const { alerts } = await install.control.call<Status>('status');
    const own = alerts.filter(({ kind, subject }) => kind === 'turn.failed' && subject === `m${poison.id}`);
    assert.equal(own.length, 1);
  });
  assert.deepEqual(chat.text().match(/^(slept|You said: good one|That message could not|You said: good two)/gm), [
    'slept',
    'You said: good one',
    'That message could not',
    'You said: good two',
  ]);
});

test('an agent that chooses silence sends nothing, and that is an end', async () => {
  const chat = await Terminal.open(install.control, 'silent');
  await chat.say('silent');
  assert.deepEqual(await settled('silent', 1), ['silent']);
  await chat.say('hello');
  await chat.hears(/hello/);
  assert.equal(chat.heard.length, 1);
});

test('a reply waits for a terminal, and is delivered once when one comes', async () => {
  const absent = new Terminal(install.control, 'absent');
  await absent.say('anybody?');
  await settled('absent', 1);
  const waiting = await until('it waits', async () => {
    const [row] = rows<{ state: string; error: string | null }>(
      install,
      "SELECT o.state, o.error FROM outbound o JOIN chats c ON c.id = o.chat_id WHERE c.platform_id = 'absent'",
    );
    assert.ok(row?.error);
    return row;
  });
  assert.deepEqual({ ...waiting }, { state: 'queued', error: 'no terminal is connected' });
  await absent.open();
  await absent.hears(/You said: anybody\?/);
  const late = await Terminal.open(install.control, 'absent');
  await absent.say('again');
  await late.hears(/You said: again/);
  assert.equal(absent.heard.filter((message) => message.body.includes('anybody?')).length, 1);
  assert.equal(late.heard.length, 1, 'the first reply is the past for it');
});

test('two terminals of one chat both see what is said in it', async () => {
  const [one, two] = [await Terminal.open(install.control, 'pair'), await Terminal.open(install.control, 'pair')];
  await one!.say('hello both');
  const heard = await Promise.all([one!.hears(/hello both/), two!.hears(/hello both/)]);
  assert.equal(heard[0].key, heard[1].key);
});

test('a send in mid-turn comes before the reply', async () => {
  const chat = await Terminal.open(install.control, 'send');
  await chat.say('send on my way');
  await chat.hears(/^[\s\S]*ok: \{"id":"o\d+"\}/);
  assert.deepEqual(
    chat.heard.map((message) => message.kind),
    ['send', 'reply'],
  );
  assert.equal(chat.heard[0]!.body, 'on my way');
});

test('a flood of frames ends its own session, and no other hears of it', async () => {
  const [calm, wild] = [await Terminal.open(install.control, 'calm'), await Terminal.open(install.control, 'wild')];
  await calm.say('hello');
  await calm.hears(/hello/);
  const before = await liveSession('calm');
  await wild.say('flood 20000');
  const told = await wild.hears(/could not be answered/);
  assert.match(told.body, /frames a second|reports/);
  await calm.say('and now?');
  await calm.hears(/and now\?/);
  assert.equal((await liveSession('calm'))?.pid, before?.pid, 'the same sandbox');
});

test('a sandbox that is killed in mid-turn is replaced, and the message answered', async () => {
  const chat = await Terminal.open(install.control, 'killed');
  await chat.say('sleep 1.5');
  const live = await until('the turn runs', async () => {
    const found = await liveSession('killed');
    if (found?.state !== 'running') throw new Error(found?.state);
    return found;
  });
  process.kill(live.pid!, 'SIGKILL');
  await chat.hears(/attempt 2[\s\S]*slept 1\.5 s/);
  assert.notEqual((await liveSession('killed'))?.pid, live.pid);
});

test('the death of the gateway costs a live session nothing', async () => {
  const chat = await Terminal.open(install.control, 'gateway');
  await chat.say('before');
  await chat.hears(/before/);
  const before = await liveSession('gateway');
  await install.end('gateway', 'SIGKILL');
  await chat.say('meanwhile');
  await chat.hears(/meanwhile/);
  install.spawn('gateway');
  await install.ready();
  await chat.say('after');
  await chat.hears(/You said: after/);
  assert.equal((await liveSession('gateway'))?.pid, before?.pid, 'the same sandbox');
});

test('the death of the host in mid-turn is an attempt that nobody is blamed for', async () => {
  const chat = await Terminal.open(install.control, 'host');
  await chat.say('sleep 1');
  await until('the turn runs', async () => assert.deepEqual(statesOf(install, 'host'), ['running']));
  await install.end('host', 'SIGKILL');
  install.spawn('host');
  await install.ready();
  await chat.open();
  await chat.hears(/attempt 2[\s\S]*slept 1 s/);
  assert.deepEqual(
    rows(install, 'SELECT max(deaths) AS n FROM inbound WHERE id = (SELECT max(id) FROM inbound)').map((row) => ({
      ...(row as object),
    })),
    [{ n: 0 }],
  );
});

test('a turn beyond its time is stopped, and the person is told in one sentence', async () => {
  await install.change('assistant', 'harness: probe\nlimits: {turn: 2s}\n');
  const chat = await Terminal.open(install.control, 'deadline');
  await chat.say('sleep 30');
  const told = await chat.hears(/took longer/);
  await install.change('assistant', YAML);
  assert.match(told.body, /^That took longer than 2 seconds and was stopped\.$/);
  assert.deepEqual(await settled('deadline', 1), ['failed']);
  await chat.say('quick');
  await chat.hears(/quick/);
});

test('an idle sandbox ends; the next message starts another, which remembers', async () => {
  await install.change('assistant', 'harness: probe\nlimits: {idle: 1s}\n');
  const chat = await Terminal.open(install.control, 'idle');
  await chat.say('one');
  await chat.hears(/one/);
  await until('the sandbox has ended', async () => assert.equal(await liveSession('idle'), undefined));
  const message = await chat.say('where');
  await chat.hears(/attempt 1, 1 messages before this one/);
  await install.change('assistant', YAML);
  const trace = await install.control.call<Trace>('trace', { message });
  const ready = trace.steps.find((step) => step.kind === 'sandbox.ready');
  assert.equal(ready?.data['resumed'], true);
});

test('a group that cannot start is told to the person, shown by status, and forgotten when it is repaired', async () => {
  const notes = mkdtempSync(join(tmpdir(), 'glass-notes-'));
  await install.change('assistant', `harness: probe\nmounts: [{source: "${notes}", target: /mnt/notes}]\n`);
  rmSync(notes, { recursive: true });
  const chat = await Terminal.open(install.control, 'invalid');
  await chat.say('hello?');
  const told = await chat.hears(/could not be answered/);
  assert.ok(told.body.includes(`the mount ${notes} does not exist`), told.body);
  assert.equal(chat.heard.length, 1);
  const wrong = await status();
  assert.equal(wrong.state, 'attention');
  const session = sessionOf(install, 'invalid');
  assert.equal(wrong.alerts.find((alert) => alert.kind === 'sandbox.start')?.subject, session);
  const given = rows<{ id: number }>(install, "SELECT id FROM messages WHERE text = 'hello?'").at(-1)!;
  assert.ok(
    !wrong.alerts.some(({ kind, subject }) => kind === 'turn.failed' && subject === `m${given.id}`),
    'one cause, one alert',
  );
  await install.end('host', 'SIGKILL');
  install.spawn('host');
  await install.ready(); // a host comes up with a group that it cannot serve
  await install.change('assistant', YAML);
  await chat.open();
  await chat.say('and now?');
  await chat.hears(/You said: and now\?/);
  await until('no alert is left', async () => {
    const { alerts } = await status();
    assert.deepEqual(
      alerts.filter((alert) => alert.kind === 'sandbox.start').map((alert) => alert.text),
      [],
    );
  });
});

const say = (text: string): Buffer => Buffer.from(JSON.stringify({ chat: 'refused', text, key: 'refused' }));

const REFUSED: [name: string, body: Buffer, sentence: RegExp][] = [
  ['an empty text', say(''), /the message is empty/],
  ['white space', say(' \n\t '), /the message is empty/],
  ['a text of 1 MiB', say('x'.repeat(2 ** 20)), /longer than 256 KiB/],
  ['a text of 16 MiB', say('x'.repeat(2 ** 24)), /at most 13 MiB/],
  [
    'invalid UTF-8',
    Buffer.concat([Buffer.from('{"text":"'), Buffer.from([0xc3, 0x28]), Buffer.from('","key":"k"}')]),
    /not JSON in UTF-8/,
  ],
  ['a chat of no good name', Buffer.from('{"text":"x","key":"k","chat":"../x"}'), /^chat: must be/],
  ['an unknown key', Buffer.from('{"text":"x","key":"k","group":"other"}'), /Unrecognized key/],
  ['no key', Buffer.from('{"text":"x"}'), /^key: /],
  ['no object', Buffer.from('[]'), /expected object/],
  ['half of an object', Buffer.from('{"text"'), /not JSON/],
];

for (const [name, body, sentence] of REFUSED) {
  test(`${name} on the control socket is refused in one sentence`, async () => {
    const { status: code, error } = await post(install.paths.controlSocket, '/v1/say', body);
    assert.deepEqual([code, error.code], [400, 'usage']);
    assert.match(error.message, sentence);
    assert.deepEqual(statesOf(install, 'refused'), []);
    const last = readFileSync(join(install.paths.logs, 'host.log'), 'utf8').trimEnd().split('\n').at(-1)!;
    assert.deepEqual([JSON.parse(last).event, JSON.parse(last).reason], ['control.refused', error.message]);
  });
}

const ODD: [name: string, text: string][] = [
  ['control characters', 'a\u0000b\u0001\u001b[2J\u0007\u007f\u009b\r\nend'],
  ['odd spaces and directions', 'x\u2028\u202e\ufeff😀end'],
  ['the longest text', 'é'.repeat(MESSAGE_TEXT_BYTES_MAX / 2)],
  ['the longest text of what JSON escapes most', `${'\u0001'.repeat(MESSAGE_TEXT_BYTES_MAX - 3)}end`],
];

for (const [index, [name, text]] of ODD.entries()) {
  test(`a message of ${name} is kept as it is and answered`, async () => {
    const chat = await Terminal.open(install.control, `odd-${index}`);
    await chat.say(text);
    await chat.hears(/You said/);
    assert.deepEqual(await settled(chat.chat, 1), ['answered']);
    const [kept] = rows<{ text: string }>(
      install,
      'SELECT m.text FROM messages m JOIN chats c ON c.id = m.chat_id WHERE c.platform_id = ?',
      chat.chat,
    );
    assert.equal(kept!.text, text);
  });
}

test('two such messages in one turn fit into what the sandbox is told', async () => {
  const chat = await Terminal.open(install.control, 'odd-two');
  const text = '\u0001'.repeat(MESSAGE_TEXT_BYTES_MAX - 3);
  await Promise.all([chat.say(`${text}one`), chat.say(`${text}two`)]);
  assert.deepEqual(await settled('odd-two', 2), ['answered', 'answered']);
  const attempts = rows<{ attempt: number }>(
    install,
    'SELECT t.attempt FROM turns t JOIN sessions s ON s.id = t.session_id JOIN chats c ON c.id = s.chat_id WHERE c.platform_id = ?',
    'odd-two',
  );
  assert.ok(
    attempts.every((turn) => turn.attempt === 1),
    'no sandbox died of it',
  );
});

test('a search for hostile words is an answer like any other', async () => {
  const chat = await Terminal.open(install.control, 'search');
  const host = install.pid('host');
  for (const [index, words] of ['a\u0000b', '"', 'NEAR(', '\u0000'].entries()) {
    await chat.say(`search ${words}`);
    await until(`answer ${index + 1}`, async () => assert.equal(chat.heard.length, index + 1));
  }
  assert.deepEqual(await settled('search', 4), Array(4).fill('answered'));
  assert.equal((await status()).sweeps_needed, 0);
  assert.equal(install.pid('host'), host);
});

test('more chats than there are places for sandboxes: each is answered, without waiting for anybody’s idle limit', async () => {
  await install.change('assistant', 'harness: probe\nlimits: {idle: 10m}\n');
  const names = Array.from({ length: SANDBOXES_MAX + 6 }, (_, i) => `crowd-${i}`);
  await Promise.all(names.map((name) => new Terminal(install.control, name).say('hello')));
  await until(
    'the whole crowd is answered',
    async () =>
      assert.deepEqual(
        names.filter((name) => statesOf(install, name)[0] !== 'answered'),
        [],
      ),
    // Forty-six cold starts on whatever machine this is; what would hang, hangs for ten minutes.
    180_000,
  );
  assert.ok((await status()).sessions.length <= SANDBOXES_MAX);
  await install.change('assistant', YAML);
});

test('after all of this both laws hold, nothing is overdue, and no wake-up was lost', async () => {
  await until('everything has ended', async () => {
    const { conservation } = await status();
    assert.deepEqual(conservation.violations, []);
    assert.deepEqual(Object.keys(conservation.inbound).sort(), ['answered', 'failed', 'silent']);
    assert.equal(conservation.unheard, 0);
  });
  assert.equal((await status()).sweeps_needed, 0);
});
