import { emulatedTeams } from '../fakes/emulators/teams.ts';
import { emulatorKit } from '../kits/emulator_kit.ts';

emulatorKit('teams', [emulatedTeams]);
