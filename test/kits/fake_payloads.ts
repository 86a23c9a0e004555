import { once } from 'node:events';
import type { Channel } from '../../src/channels/channel.ts';
import { DiscordAccount } from '../fakes/discord/account.ts';
import {
  BOT,
  DIRECT as DISCORD_DIRECT,
  GROUP as DISCORD_GROUP,
  TOKEN as DISCORD_TOKEN,
} from '../fakes/discord/world.ts';
import { TOKEN as GITHUB_TOKEN, GitHubAccount } from '../fakes/github/subject.ts';
import { ISSUE, PULL, REPO, ROOT, USERS } from '../fakes/github/world.ts';
import { SlackAccount } from '../fakes/slack/account.ts';
import { BOT_TOKEN } from '../fakes/slack/server.ts';
import { BOT_ID, BOT_USER, GROUP as SLACK_GROUP } from '../fakes/slack/workspace.ts';
import { DIRECT as TEAMS_DIRECT, GROUP as TEAMS_GROUP, TeamsAccount } from '../fakes/teams/account.ts';
import { BOT as TELEGRAM_BOT } from '../fakes/telegram/bot_api.ts';
import { GROUP as TELEGRAM_GROUP } from '../fakes/telegram/people.ts';
import { TelegramAccount } from '../fakes/telegram/subject.ts';
import { FakeGraph } from '../fakes/whatsapp/graph.ts';
import { type Change, signed, WhatsappPeople } from '../fakes/whatsapp/people.ts';
import { TOKEN as META_TOKEN } from '../fakes/whatsapp/subject.ts';
import type { People } from './channel_scene.ts';

/** What our fakes of platforms say, as it goes over the wire. */

export type Json = Record<string, unknown>;
export type SlackEvent = Json & { event: { type: string; subtype?: string } };
export type DiscordEvent = Json & { op: number; t: string; d: Json };
export type MetaCall = Json & { entry: { changes: { value: { messages: { type: string }[] } }[] }[] };

const FILES = [{ name: 'a.bin', data: Buffer.from('bytes') }];

/** People do each thing once; `receipt`: of a message of ours. */
async function live(people: People, receipt: string): Promise<void> {
  const id = await people.say({ place: 'group', from: 'person', text: 'hello', mention: true });
  await people.say({ place: 'group', from: 'other', text: 'hello', reply_to: id });
  await people.say({ place: 'thread', from: 'person', text: 'hello' });
  await people.say({ place: 'direct', from: 'person', text: 'hello', files: FILES });
  await people.say({ place: 'direct', from: 'person', text: 'hello' });
  await people.edit('group', 'person', id, 'hello you');
  await people.react('group', 'person', id, '👍', false);
  await people.react('group', 'person', id, '👍', true);
  await people.press('group', 'person', receipt, 'abc');
  await people.remove('group', 'person', id);
}

export async function teamsSays(): Promise<Json[]> {
  const account = await TeamsAccount.start();
  const told: Json[] = [];
  const hear: Channel['webhook'] = async ({ body }) => {
    told.push(JSON.parse(body.toString()));
    return { status: 200 };
  };
  account.calls.comes({ webhook: hear } as Channel);
  await live(account.people, '1700000000002');
  for (const no of [undefined, true] as const)
    await hear(account.consent(TEAMS_DIRECT, 'a.bin', { file: 'a word' }, no && { no }));
  for (const request of [account.added(TEAMS_GROUP), account.invoked('1700000000002', { token: 'abc' })])
    await hear(request);
  await account.stop();
  return told;
}

export async function telegramSays(): Promise<Json[]> {
  const account = await TelegramAccount.start(false);
  const { updates } = account.api;
  await updates.get(0, 100, 0, ['message', 'edited_message', 'callback_query', 'message_reaction']);
  account.api.messages.push({
    ...{
      chat: TELEGRAM_GROUP,
      message_id: 1,
      from: TELEGRAM_BOT.id,
      html: 'really?',
      text: 'really?',
      bold: [],
      code: [],
    },
    ...{ buttons: [{ text: 'Yes', callback_data: 'abc' }], thread: undefined, reply_to: null, file: null },
  });
  await live(account.people, `${TELEGRAM_GROUP}:1`);
  await account.stop();
  return [...updates.pending];
}

export async function slackSays(): Promise<{ events: SlackEvent[]; presses: Json[]; answers: Json[] }> {
  const account = await SlackAccount.start('events');
  const [events, presses]: [SlackEvent[], Json[]] = [[], []];
  account.slack.listener = (payload) => void events.push(structuredClone(payload) as SlackEvent);
  const hear: Channel['webhook'] = async ({ body }) => {
    presses.push(JSON.parse(new URLSearchParams(body.toString()).get('payload')!));
    return { status: 200 };
  };
  account.calls.channel = { webhook: hear } as Channel;
  const { ts } = account.slack.workspace.add({ channel: SLACK_GROUP, user: BOT_USER, bot_id: BOT_ID, text: 'really?' });
  await live(account.people, ts);
  const answer = await fetch(`${account.slack.address}/api/conversations.history`, {
    method: 'POST',
    headers: { authorization: `Bearer ${BOT_TOKEN}` },
    body: new URLSearchParams({ channel: SLACK_GROUP, limit: '100' }),
  });
  const answers = [(await answer.json()) as Json];
  await account.stop();
  return { events, presses, answers };
}

export async function discordSays(): Promise<{ events: DiscordEvent[]; answers: Record<string, Json[]> }> {
  const account = await DiscordAccount.start();
  const { discord } = account;
  const socket = new WebSocket(`${discord.gatewayUrl}?v=10&encoding=json`);
  const events: DiscordEvent[] = [];
  const done = new Promise<void>((resolve) => {
    socket.addEventListener('message', ({ data }) => {
      const said = JSON.parse(String(data)) as DiscordEvent;
      if (said.op === 0) events.push(said);
      if (said.op === 11) resolve();
    });
  });
  const ready = new Promise<void>((resolve) => {
    discord.gateway.afterReady = resolve;
  });
  await once(socket, 'open');
  socket.send(JSON.stringify({ op: 2, d: { token: DISCORD_TOKEN, intents: 0 } }));
  await ready;
  const { id } = discord.world.add({ channel_id: DISCORD_GROUP, author: BOT, content: 'really?', mentions: [BOT] });
  await live(account.people, id);
  socket.send(JSON.stringify({ op: 1, d: 0 }));
  await done;
  const get = async (path: string): Promise<Json[]> => {
    const headers = { authorization: `Bot ${DISCORD_TOKEN}` };
    return [await (await fetch(`${discord.address}/api/v10${path}`, { headers })).json()].flat() as Json[];
  };
  const answers = {
    gateway: await get('/gateway/bot'),
    direct: await get(`/channels/${DISCORD_DIRECT}`),
    messages: await get(`/channels/${DISCORD_GROUP}/messages?limit=100`),
  };
  socket.close();
  await account.stop();
  return { events, answers };
}

export async function githubSays(): Promise<Record<string, Json[]>> {
  const account = await GitHubAccount.start(true);
  const { rest, hook } = account;
  rest.world.say(USERS.person, ISSUE, 'hello');
  rest.world.say(null, ISSUE, 'hello');
  rest.world.say(USERS.person, PULL, 'hello', ROOT);
  rest.world.review(USERS.person, PULL, 'hello');
  const headers = { authorization: `Bearer ${GITHUB_TOKEN}` };
  const ask = async (path: string, how: object = {}): Promise<Json[]> =>
    [await (await fetch(`${rest.url}/repos/${REPO}${path}`, { headers, ...how })).json()].flat() as Json[];
  rest.faults.push('limited');
  const writes = { method: 'POST', body: JSON.stringify({ body: 'hello' }) };
  const found = {
    limited: await ask(`/issues/${ISSUE}/comments`, writes),
    issues: await ask('/issues'),
    comments: await ask('/issues/comments'),
    reviewComments: await ask('/pulls/comments'),
    reviews: await ask(`/pulls/${PULL}/reviews`),
    permission: await ask(`/collaborators/${USERS.person.login}/permission`),
    written: await ask(`/issues/${ISSUE}/comments`, writes),
    calls: [JSON.parse(hook!.request({ place: 'direct', from: 'person', text: 'hello' }).body.toString())],
  };
  await account.stop();
  return found;
}

export async function whatsappSays(): Promise<{ events: MetaCall[]; refusals: Json[] }> {
  const graph = new FakeGraph(META_TOKEN);
  const events: MetaCall[] = [];
  const people = new WhatsappPeople(
    graph,
    (change: Change) => void events.push(JSON.parse(signed([change]).body.toString())),
  );
  await live(people, 'wamid.OURS');
  await graph.listen();
  graph.isRevoked = true;
  const refused = await fetch(`${graph.url}/v23.0/1/messages`, {
    method: 'POST',
    headers: { authorization: 'Bearer x' },
  });
  const refusals = [(await refused.json()) as Json];
  await graph.close();
  return { events, refusals };
}
