import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../fakes/install.ts';
import { slackSocket } from '../fakes/slack/account.ts';
import { polled } from '../fakes/telegram/subject.ts';
import { rows } from '../fakes/terminal.ts';
import { ChannelInstall } from '../kits/channel_install.ts';
import type { ChannelUnderTest } from '../kits/channel_scene.ts';

/**
 * The host dies at each point of a message's way through a real driver: what was said is answered once. Where the platform
 * cannot tell what became of a send, it may be uncertain instead, and then it is never sent again.
 */
const POINTS = [
  'ledger.accept:before',
  'ledger.accept:after',
  'ledger.settle:before',
  'ledger.settle:after',
  'channel.send:before',
  'channel.send:after',
  'ledger.sent:before',
  'ledger.sent:after',
];

const SUBJECTS: readonly { subject: ChannelUnderTest; tells: boolean }[] = [
  { subject: polled, tells: false },
  { subject: slackSocket, tells: true },
];

for (const { subject, tells } of SUBJECTS) {
  test(`through ${subject.title}`, async (context) => {
    const world = await ChannelInstall.of(subject);
    context.after(() => world.end());
    context.afterEach((each) => world.install.explain(each));

    await context.test('a message is answered', async () => {
      await world.say('hello start');
      await until('it is answered', async () => assert.equal(world.heard('hello start').length, 1));
    });

    for (const [at, point] of POINTS.entries()) {
      await context.test(`killed at ${point}`, async () => {
        const { install } = world;
        await install.end('host', 'SIGTERM');
        install.spawn('host', { GLASS_FAULT: JSON.stringify({ point, hit: 1, kill: ['host'] }) });
        await install.ready();
        const word = `word${at}word`;
        await world.say(`hello ${word}`);
        await install.died('host');
        install.spawn('host');
        await install.ready();
        await world.connected();
        const state = await until('its answer has come to its end', async () => {
          const found = rows<{ state: string }>(install, 'SELECT state FROM outbound WHERE instr(body, ?) > 0', word);
          assert.deepEqual([found.length, found[0]?.state === 'sent' || found[0]?.state === 'uncertain'], [1, true]);
          return found[0]!.state;
        });
        assert.ok(state === 'sent' || !tells, 'the platform knows what became of it');
        const heard = world.heard(word).length;
        assert.ok(state === 'sent' ? heard === 1 : heard <= 1, `${state}, heard ${heard} times`);
        const taken = rows<{ state: string }>(
          install,
          'SELECT i.state FROM inbound i JOIN messages m ON m.id = i.message_id WHERE instr(m.text, ?) > 0',
          word,
        );
        assert.deepEqual(
          taken.map((row) => row.state),
          ['answered'],
        );
      });
    }
  });
}
