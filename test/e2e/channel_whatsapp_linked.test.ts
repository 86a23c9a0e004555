import { linkedDevice } from '../fakes/whatsapp_linked/account.ts';
import { channelKit, channelWrongs } from '../kits/channel_kit.ts';

channelKit(linkedDevice);
channelWrongs(linkedDevice);
