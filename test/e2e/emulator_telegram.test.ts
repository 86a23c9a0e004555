import { test } from 'node:test';
import { missingOf } from '../fakes/emulators/emulator.ts';
import { emulatedTelegram } from '../fakes/emulators/telegram.ts';
import { channelKit, channelWrongs } from '../kits/channel_kit.ts';

const missing = missingOf('telegram');
if (missing !== null) test('telegram against telegram-test-api', { skip: missing }, () => {});
else {
  channelKit(emulatedTelegram);
  channelWrongs(emulatedTelegram);
}
