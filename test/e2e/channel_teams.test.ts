import { teamsSubject } from '../fakes/teams/account.ts';
import { channelKit, channelWrongs } from '../kits/channel_kit.ts';

channelKit(teamsSubject);
channelWrongs(teamsSubject);
