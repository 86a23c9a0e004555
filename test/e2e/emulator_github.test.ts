import { emulatedGitHub, emulatedGitHubApp } from '../fakes/emulators/github.ts';
import { emulatorKit } from '../kits/emulator_kit.ts';

emulatorKit('slack_github', [emulatedGitHub, emulatedGitHubApp]);
