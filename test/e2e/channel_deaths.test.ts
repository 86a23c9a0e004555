import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ROOT } from '../../src/base/paths.ts';
import { collectPoints } from '../crash/points.ts';
import { type Install, until } from '../fakes/install.ts';
import { slackSocket } from '../fakes/slack/account.ts';
import { polled } from '../fakes/telegram/subject.ts';
import { rows } from '../fakes/terminal.ts';
import { ChannelInstall } from '../kits/channel_install.ts';
import type { ChannelUnderTest } from '../kits/channel_scene.ts';
import { IS_FULL } from '../kits/long_form.ts';

/**
 * The host dies at each point of a message's way through a real driver: what was said is answered once. Where the platform
 * cannot tell what became of a send, it may be uncertain instead, and then it is never sent again. Short form: the points between
 * driver and ledger. Long form: every point of the host that a message comes past.
 */
const BETWEEN = [
  'ledger.accept:before',
  'ledger.accept:after',
  'ledger.settle:before',
  'ledger.settle:after',
  'channel.send:before',
  'channel.send:after',
  'ledger.sent:before',
  'ledger.sent:after',
];
const POINTS = IS_FULL
  ? collectPoints(ROOT).flatMap(({ process: dies, name }) => (dies === 'host' ? [name] : []))
  : BETWEEN;

const SUBJECTS: readonly { subject: ChannelUnderTest; tells: boolean }[] = [
  { subject: polled, tells: false },
  { subject: slackSocket, tells: true },
];

/** How long the host may die after an answer was sent, because of what it still writes about it. */
const AFTER_MS = 1000;

/** Says it as soon as there is somebody to hear it. Resolves with whether the host has died, at the latest soon after the answer. */
async function diesOver(world: ChannelInstall, text: string): Promise<boolean> {
  const { install } = world;
  const died = install.died('host').then(() => true);
  const ready = install.ready().catch(() => {});
  // Also what nobody listened to is heard later: the platform keeps it.
  await Promise.race([died, ready]);
  await world.say(text);
  const answered = until('it is sent', async () => assert.equal(answersTo(install, text)[0]?.state, 'sent'))
    .then(() => sleep(AFTER_MS))
    .then(() => false);
  return Promise.any([died, answered]);
}

function answersTo(install: Install, text: string): { state: string }[] {
  return rows(install, `SELECT state FROM outbound WHERE instr(body, '${text}') > 0`);
}

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
      if (!(await diesOver(world, 'hello there'))) {
        assert.ok(IS_FULL, 'nothing has died');
        return context.skip('a message does not come past it');
      }
      install.spawn('host');
      await install.ready();
      const state = await until('its answer has come to its end', async () => {
        const found = answersTo(install, 'hello there');
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
