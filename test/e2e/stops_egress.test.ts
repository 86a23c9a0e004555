import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import type { Status } from '../../src/evidence/status.ts';
import type { StopReceipt } from '../../src/operations/stop_words.ts';
import { until } from '../fakes/install.ts';
import { echoScript, wordByWord } from '../fakes/model.ts';
import { ask } from '../fakes/scripted_group.ts';
import { rows, Terminal } from '../fakes/terminal.ts';
import { ServiceWorld } from '../kits/service_world.ts';

/** The emergency stop of a group that is in the middle of something: a real sandbox, the real gateway, a model and a service that see the end. */

const world = new ServiceWorld();
const { install, api } = world;

before(() => world.start());
afterEach((context) => install.explain(context));
beforeEach(async () => {
  await resume().catch(() => {}); // of a test that failed
  world.reset();
  world.model.script = echoScript;
});
after(() => world.stop());

const stop = (): Promise<StopReceipt> => install.control.call('group_stop', { group: 'assistant' });
const resume = (): Promise<object> => install.control.call('group_resume', { group: 'assistant' });

async function nothingLives(): Promise<void> {
  const { sessions, stopped } = await install.control.call<Status>('status');
  assert.deepEqual([sessions, stopped.map(({ group }) => group)], [[], ['assistant']]);
}

/** Processes of the machine whose words have this in them. */
function processesWith(mark: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(mark);
    } catch {
      return false; // it has ended meanwhile
    }
  });
}

test('in the middle of a model’s reply: the call is cut and named, the endpoint sees it end, nothing of it is answered', async () => {
  const chat = await Terminal.open(install.control, 'reply', { partial: true });
  const ended = Promise.withResolvers<void>();
  const slowly = wordByWord('word after word '.repeat(400), () => new Promise((resolve) => setTimeout(resolve, 20)));
  world.model.script = (request) => {
    const { raw } = slowly(request) as { raw: (response: import('node:http').ServerResponse) => void };
    return {
      raw: (response) => {
        response.on('close', ended.resolve);
        return raw(response);
      },
    };
  };
  await chat.say('tell me');
  await until(
    'it is being answered',
    async () => assert.ok(chat.lines.some(({ t, text }) => t === 'partial' && text)),
    120_000, // the first sandbox of the install, with its proof
  );
  const receipt = await stop();
  await ended.promise;
  assert.deepEqual(
    receipt.cut.map(({ method, host, path }) => `${method} ${host}${path}`),
    [`POST 127.0.0.1:${world.model.port}/v1/messages`],
  );
  assert.deepEqual(
    [receipt.egress, receipt.sandboxes.length, receipt.turns.length, receipt.again],
    ['closed', 1, 1, false],
  );
  assert.ok(receipt.ms !== null && receipt.ms < 10_000, `${receipt.ms} ms`);
  assert.match(receipt.last_request!.call, /^POST 127\.0\.0\.1:\d+\/v1\/messages$/);
  await nothingLives();
  await chat.hears(/^assistant is stopped: what was asked here is over\.$/);
  assert.doesNotMatch(chat.text(), /word after word/);
  world.model.script = echoScript;
  await chat.say('later');
  await chat.hears(/^assistant is stopped for now\./);
  await resume();
  await chat.hears(/echo: .*later/s);
  assert.doesNotMatch(chat.text(), /word after word/);
});

test('in the middle of a tool that writes in a loop: nothing of it is left', async () => {
  const chat = await Terminal.open(install.control, 'loop');
  const command = 'while true; do echo looped-31234 >> looped; sleep 0.05; done';
  await chat.say(`tool bash ${JSON.stringify({ command })}`);
  await until('it runs', async () => assert.ok(processesWith('looped-31234').length > 0), 60_000);
  const receipt = await stop();
  assert.ok(receipt.sandboxes.length > 0);
  assert.deepEqual(processesWith('looped-31234'), []);
  await nothingLives();
  await resume();
});

test('in the middle of an upload: the service sees its end, and the receipt says where it was going', async () => {
  const chat = await Terminal.open(install.control, 'upload');
  const { begun, takenBack } = api;
  const command = `while true; do echo 0123456789; sleep 0.05; done | curl -sS -N -X POST -T - https://${api.place}/items`;
  await chat.say(`tool bash ${JSON.stringify({ command })}`);
  await until('it is being uploaded', async () => assert.equal(api.begun, begun + 1), 60_000);
  const receipt = await stop();
  await until('the service sees the end', async () => assert.equal(api.takenBack, takenBack + 1));
  assert.ok(receipt.cut.some(({ method, host, path }) => `${method} ${host}${path}` === `POST ${api.place}/items`));
  await nothingLives();
  await resume();
});

test('a gateway that dies while the group is stopped opens nothing for it when it is back; then all goes on', async () => {
  const chat = await Terminal.open(install.control, 'gateway');
  assert.match(await ask(chat, 'hello'), /echo: .*hello/s);
  await stop();
  await install.end('gateway', 'SIGKILL');
  await chat.say('meanwhile');
  install.spawn('gateway');
  await install.ready();
  await chat.hears(/^assistant is stopped for now\./);
  const asked = world.model.requests.length;
  await nothingLives();
  await resume();
  await chat.hears(/echo: .*meanwhile/s, 60_000);
  assert.ok(world.model.requests.length > asked);
});

test('a stop while the gateway is away says that it is not certain; the exit code does, too', async () => {
  const chat = await Terminal.open(install.control, 'away');
  await chat.say(`tool bash ${JSON.stringify({ command: 'sleep 600' })}`);
  await until('it runs', async () =>
    assert.ok(rows(install, "SELECT 1 FROM turns WHERE state = 'running'").length > 0),
  );
  await install.end('gateway', 'SIGKILL');
  const said = install.glass('stop', 'assistant');
  assert.equal(said.status, 1, said.stdout + said.stderr);
  assert.match(said.stdout, /It is not certain that nothing leaves \(the gateway did not answer\)/);
  install.spawn('gateway');
  await install.ready();
  const again = await stop();
  assert.deepEqual([again.again, again.egress], [true, 'closed']);
  await resume();
});
