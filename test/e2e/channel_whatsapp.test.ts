import { cloud } from '../fakes/whatsapp/subject.ts';
import { channelKit, channelWrongs } from '../kits/channel_kit.ts';

channelKit(cloud);
channelWrongs(cloud);
