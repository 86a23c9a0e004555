import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { TYPING_CALL_MS, TYPING_DELAY_MS, TYPING_EVERY_MS } from '../../src/base/limits/messages.ts';
import type { Channel } from '../../src/channels/channel.ts';
import { Typing } from '../../src/delivery/typing.ts';
import { freshLedger, seedChat } from '../fakes/ledger_kit.ts';

/** A channel that shows it unless `can` says no; `calls` grows with each sign, and `answer` is how a driver takes it. */
async function world(context: TestContext, answer: () => Promise<void> = async () => {}, can = true) {
  const ledger = await freshLedger(context);
  const { chat_id } = seedChat(ledger.db);
  const calls: string[] = [];
  const channel: Channel = {
    name: 'local',
    capabilities: { markup: 'markdown', text_max: 1000, file_bytes_max: 0, typing: can },
    start: async () => {},
    stop: async () => {},
    send: async () => ({ ok: true, receipt: '' }),
    health: () => ({ state: 'connected', detail: '' }),
    typing: (chat, thread) => {
      calls.push(`${chat}/${thread}`);
      return answer();
    },
  };
  let now = 0;
  context.mock.timers.enable({ apis: ['setTimeout'] });
  const typing = new Typing(ledger, { ...systemClock, monotonic: () => now }, new Map([['local', channel]]));
  context.after(() => typing.stop());
  const pass = async (ms: number): Promise<void> => {
    for (let left = ms; left > 0; left -= 50) {
      now += Math.min(50, left);
      context.mock.timers.tick(Math.min(50, left));
      await Promise.resolve();
    }
  };
  return { typing, calls, pass, at: (thread = '') => ({ chat_id, thread }) };
}

test('a turn is shown after a moment, again and again, and not any more once it has ended', async (context) => {
  const { typing, calls, pass, at } = await world(context);
  typing.begin(at('t'));
  await pass(TYPING_DELAY_MS - 50);
  assert.deepEqual(calls, []);
  await pass(50);
  assert.deepEqual(calls, ['main/t']);
  await pass(3 * TYPING_EVERY_MS);
  assert.equal(calls.length, 4);
  typing.end(at('t'));
  await pass(3 * TYPING_EVERY_MS);
  assert.equal(calls.length, 4);
});

test('a quick turn shows nothing', async (context) => {
  const { typing, calls, pass, at } = await world(context);
  typing.begin(at());
  await pass(TYPING_DELAY_MS - 50);
  typing.end(at());
  await pass(TYPING_EVERY_MS);
  assert.deepEqual(calls, []);
});

test('two turns for one place are one sign, until both have ended; two places are two', async (context) => {
  const { typing, calls, pass, at } = await world(context);
  typing.begin(at());
  typing.begin(at());
  typing.begin(at('other'));
  await pass(TYPING_DELAY_MS);
  assert.deepEqual(calls, ['main/', 'main/other']);
  typing.end(at());
  typing.end(at('other'));
  await pass(TYPING_EVERY_MS);
  assert.equal(calls.length, 3);
  typing.end(at());
  await pass(TYPING_EVERY_MS);
  assert.equal(calls.length, 3);
});

test('a driver that fails is asked again, one that hangs only when its call is given up', async (context) => {
  const failing = await world(context, () => Promise.reject(new Error('no')));
  failing.typing.begin(failing.at());
  await failing.pass(TYPING_DELAY_MS + 2 * TYPING_EVERY_MS);
  assert.equal(failing.calls.length, 3);
  failing.typing.end(failing.at());
  context.mock.timers.reset();
  const hanging = await world(context, () => new Promise(() => {}));
  hanging.typing.begin(hanging.at());
  await hanging.pass(TYPING_DELAY_MS + TYPING_CALL_MS - 50);
  assert.equal(hanging.calls.length, 1);
  await hanging.pass(TYPING_EVERY_MS);
  assert.equal(hanging.calls.length, 2);
});

test('a channel that cannot show it costs no timer', async (context) => {
  const { typing, calls, pass, at } = await world(context, undefined, false);
  const timers = context.mock.method(globalThis, 'setTimeout');
  typing.begin(at());
  await pass(TYPING_EVERY_MS);
  assert.deepEqual([calls.length, timers.mock.callCount()], [0, 0]);
  typing.end(at());
});
