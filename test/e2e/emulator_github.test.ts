import { test } from 'node:test';
import { missingOf } from '../fakes/emulators/emulator.ts';
import { emulatedGitHub, emulatedGitHubApp } from '../fakes/emulators/github.ts';
import { channelKit, channelWrongs } from '../kits/channel_kit.ts';

const missing = missingOf('slack_github');
if (missing !== null) test('GitHub against emulate', { skip: missing }, () => {});
else {
  channelKit(emulatedGitHub);
  channelWrongs(emulatedGitHub);
  channelKit(emulatedGitHubApp);
  channelWrongs(emulatedGitHubApp, 'webhook');
}
