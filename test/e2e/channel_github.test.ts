import { hooked, polled } from '../fakes/github/subject.ts';
import { channelKit, channelWrongs } from '../kits/channel_kit.ts';

channelKit(polled);
channelKit(hooked);
channelWrongs(polled);
channelWrongs(hooked, 'webhook');
