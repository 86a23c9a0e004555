import { test } from 'node:test';
import { missingOf } from '../fakes/emulators/emulator.ts';
import { channelKit, channelWrongs } from './channel_kit.ts';
import type { ChannelUnderTest } from './channel_scene.ts';
import { IS_FULL } from './long_form.ts';

/**
 * A driver against what others have made of its platform, `name` in `test/oracles/emulators`. That each row is red with a wrong driver
 * is shown with our own fake; the long form shows it here too.
 */
export function emulatorKit(name: string, subjects: readonly ChannelUnderTest[]): void {
  const missing = missingOf(`emulators/${name}`);
  for (const subject of subjects) {
    if (missing !== null) {
      test(subject.title, { skip: missing }, () => {});
      continue;
    }
    channelKit(subject);
    if (IS_FULL) channelWrongs(subject);
    else test(`what the kit finds wrong, with ${subject.title}`, { skip: 'in ./glass test --full' }, () => {});
  }
}
