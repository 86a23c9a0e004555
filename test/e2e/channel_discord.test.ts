import { discordGateway } from '../fakes/discord/account.ts';
import { channelKit, channelWrongs } from '../kits/channel_kit.ts';

channelKit(discordGateway);
channelWrongs(discordGateway);
