import { emulatedTelegram } from '../fakes/emulators/telegram.ts';
import { emulatorKit } from '../kits/emulator_kit.ts';

emulatorKit('telegram', [emulatedTelegram]);
