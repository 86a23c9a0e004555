import { emulatedSlack } from '../fakes/emulators/slack.ts';
import { emulatorKit } from '../kits/emulator_kit.ts';

emulatorKit('slack_github', [emulatedSlack]);
