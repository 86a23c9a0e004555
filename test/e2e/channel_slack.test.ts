import { slackEvents, slackSocket } from '../fakes/slack/account.ts';
import { channelKit, channelWrongs } from '../kits/channel_kit.ts';

channelKit(slackSocket);
channelWrongs(slackSocket);
channelKit(slackEvents);
channelWrongs(slackEvents, 'webhook');
