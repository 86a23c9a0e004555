import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import type { Status } from '../../src/evidence/status.ts';
import { Talk } from '../fakes/talk.ts';

/** The host dies at each step of a draft, as it ships: in the end the chat has the answer once, in one message. */
const talk = await Talk.make();
const { install } = talk;
const WORDS = Array.from({ length: 60 }, (_, i) => `word${i}`).join(' ');

before(async () => {
  install.group('assistant', 'harness: probe\nlimits: {idle: 60s}\n');
  await install.start();
  await talk.known('olga', 'owner');
});
afterEach((context) => install.explain(context));
after(async () => {
  const { conservation } = await talk.call<Status>('status').finally(() => talk.end());
  assert.deepEqual([conservation.violations, conservation.unheard], [[], 0]);
});

/** A host that dies when it passes one point, life by life; the last one lives. */
const LIVES: string[][] = [
  ['ledger.draft:before'],
  ['ledger.draft:after', 'ledger.draft_found:before', 'ledger.draft_found:after'],
  ['channel.draft:before'],
  ['channel.draft:after', 'ledger.draft_found:before', 'ledger.draft_found:after'],
  ['ledger.drafted:before'],
  ['ledger.drafted:after'],
  ['channel.edit:before'],
  ['channel.edit:after'],
  ['ledger.settle:after'],
  ['ledger.settle:after', 'ledger.reconcile:after'],
];

for (const [number, points] of LIVES.entries()) {
  test(`a host that dies at ${points.join(', then at ')} answers once, in one message`, async () => {
    const chat = `chat${number}`;
    await talk.wire(chat, 'assistant', { engage: 'always', session: 'chat' });
    await install.end('host', 'SIGTERM');
    const [first, ...others] = points.map((point) => ({
      GLASS_FAULT: JSON.stringify({ point, hit: 1, kill: ['host'] }),
    }));
    install.spawn('host', first);
    await install.ready();
    const id = await talk.say(chat, 'olga', `stream 8 ${WORDS}`);
    await install.died('host');
    for (const fault of others) {
      install.spawn('host', fault);
      await install.died('host');
    }
    install.spawn('host');
    await install.ready();
    await talk.settles(id, 'answered');
    const { text } = await talk.hears(chat, /word59$/);
    assert.equal(text.split('word59').length, 2);
    assert.equal((await talk.sent(chat)).length, 1);
  });
}
