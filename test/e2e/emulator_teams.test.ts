import { test } from 'node:test';
import { missingOf } from '../fakes/emulators/emulator.ts';
import { emulatedTeams } from '../fakes/emulators/teams.ts';
import { channelKit, channelWrongs } from '../kits/channel_kit.ts';

const missing = missingOf('teams');
if (missing !== null) test('Teams against its playground', { skip: missing }, () => {});
else {
  channelKit(emulatedTeams);
  channelWrongs(emulatedTeams);
}
