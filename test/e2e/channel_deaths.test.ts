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

for (const { subject, tells } of SUBJECTS)
  for (const point of POINTS)
    test(`through ${subject.title}, killed at ${point}`, async (context) => {
      // A home of its own: what waits for the operator after a death would be the first to come past the point.
      const world = await ChannelInstall.of(subject);
      const { install } = world;
      context.after(() => {
        install.explain(context);
        return world.end();
      });
      await install.end('host', 'SIGTERM');
      install.spawn('host', { GLASS_FAULT: JSON.stringify({ point, hit: 1, kill: ['host'] }) });
      await install.ready();
      await world.say('hello there');
      await install.died('host');
      install.spawn('host');
      await install.ready();
      const state = await until('its answer has come to its end', async () => {
        const found = rows<{ state: string }>(
          install,
          "SELECT state FROM outbound WHERE instr(body, 'hello there') > 0",
        );
        assert.deepEqual([found.length, found[0]?.state === 'sent' || found[0]?.state === 'uncertain'], [1, true]);
        return found[0]!.state;
      });
      assert.ok(state === 'sent' || !tells, 'the platform knows what became of it');
      const heard = world.heard('You said: hello there').length;
      assert.ok(state === 'sent' ? heard === 1 : heard <= 1, `${state}, heard ${heard} times`);
      const taken = rows<{ state: string }>(
        install,
        "SELECT i.state FROM inbound i JOIN messages m ON m.id = i.message_id WHERE m.text = 'hello there'",
      );
      assert.deepEqual(
        taken.map((row) => row.state),
        ['answered'],
      );
      await world.connected();
      await world.say('and again');
      await until('it goes on', async () => assert.equal(world.heard('and again').length, 1));
    });
