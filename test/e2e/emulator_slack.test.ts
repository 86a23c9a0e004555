import { test } from 'node:test';
import { missingOf } from '../fakes/emulators/emulator.ts';
import { emulatedSlack } from '../fakes/emulators/slack.ts';
import { channelKit, channelWrongs } from '../kits/channel_kit.ts';

const missing = missingOf('slack_github');
if (missing !== null) test('Slack against emulate', { skip: missing }, () => {});
else {
  channelKit(emulatedSlack);
  channelWrongs(emulatedSlack);
}
