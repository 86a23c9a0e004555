import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { PUBLIC, withOverrides } from '@microsoft/teams.api';
import { App, ExpressAdapter } from '@microsoft/teams.apps';
import { ActionSet, AdaptiveCard, SubmitAction, TextBlock } from '@microsoft/teams.cards';

/**
 * A bot made with Microsoft's library. Its settings (JSON) come on standard input; on a port of this machine alone, which is told
 * on the first line, it takes what Teams calls; what it is to do, and what it has heard, goes over the channel to whoever started it.
 */
const {
  app_id: clientId,
  tenant: tenantId,
  password: clientSecret,
  login,
  openid,
  service,
} = JSON.parse(readFileSync(0));
process.on('disconnect', () => process.exit());
process.on('SIGTERM', () => process.exit());
for (const name of Object.keys(process.env)) if (/_proxy$/i.test(name)) delete process.env[name];

// Its login takes no address without TLS, and asks an unknown one of Microsoft: so it asks for Microsoft's, and is led elsewhere.
const { fetch } = globalThis;
globalThis.fetch = (address, how) => {
  if (!address.startsWith(`${PUBLIC.loginEndpoint}/`)) throw new Error(`nothing leaves this machine: ${address}`);
  return fetch(address.replace(PUBLIC.loginEndpoint, login), how);
};
const server = createServer();
const { listen } = server;
// Without a port of its own it takes 3978, whatever it is given.
server.listen = (_, done) => listen.call(server, { port: 0, host: '127.0.0.1' }, done);
const silent = { error() {}, warn() {}, info() {}, debug() {}, trace() {}, log() {}, child: () => silent };
const app = new App({
  ...{ clientId, tenantId, clientSecret, serviceUrl: service, logger: silent },
  cloud: withOverrides(PUBLIC, { openIdMetadataUrl: openid }),
  httpServerAdapter: new ExpressAdapter(server, { logger: silent }),
});

let heard = [];
const ROUTES = [
  ...['message', 'mention', 'editMessage', 'softDeleteMessage', 'messageReaction', 'conversationUpdate'],
  ...['file.consent.accept', 'file.consent.decline', 'card.action'],
];
for (const route of ROUTES)
  app.on(route, async (context) => {
    heard.push({ route, ...(await told(context)) });
    if (context.activity.text === 'answer me') await context.reply('answered');
    // What it makes of this is the answer to the request.
    if (route === 'card.action')
      return { statusCode: 200, type: 'application/vnd.microsoft.activity.message', value: 'Noted.' };
    await context.next();
  });

async function told({ activity, files, ref }) {
  const isMessage = activity.type === 'message';
  return {
    ...{
      id: activity.id,
      text: activity.text,
      from: activity.from,
      value: activity.value,
      replyToId: activity.replyToId,
    },
    ...{ conversation: activity.conversation, service: ref.serviceUrl, sent: activity.timestamp },
    ...{ added: activity.reactionsAdded, removed: activity.reactionsRemoved, members: activity.membersAdded },
    ...(isMessage && {
      isToUs: activity.isRecipientMentioned(),
      said: activity.stripMentionsText().text,
      team: activity.team?.name,
      channel: activity.channel?.id,
      files: (await files.list()).map(({ name, uniqueId, extension }) => ({ name, uniqueId, extension })),
    }),
  };
}

const { conversations } = app.api;
const DOES = {
  send: (chat, said) => app.send(chat, said),
  reply: (chat, message, said) => app.reply(chat, message, said),
  edit: (chat, message, text) => conversations.updateActivity(chat, message, { type: 'message', text }),
  remove: (chat, message) => conversations.deleteActivity(chat, message),
  typing: (chat) => app.send(chat, { type: 'typing' }),
  card: (chat, text, title, data) =>
    app.send(chat, new AdaptiveCard(new TextBlock(text), new ActionSet(new SubmitAction({ title, data })))),
  open: (person) =>
    conversations.create({
      ...{ isGroup: false, bot: { id: `28:${clientId}` }, members: [{ id: person }], tenantId },
      channelData: { tenant: { id: tenantId } },
    }),
  heard: () => {
    const all = heard;
    heard = [];
    return all;
  },
};

process.on('message', async ({ call, act, with: given }) => {
  try {
    process.send({ call, value: (await DOES[act](...given)) ?? null });
  } catch (error) {
    const { response, message, errorCode } = error;
    const refused = response && {
      status: response.status,
      code: response.data?.error?.code,
      after: response.headers['retry-after'],
    };
    process.send({ call, failed: { message, ...(errorCode && { code: errorCode }), ...refused } });
  }
});
await app.start(0);
process.stdout.write(`${server.address().port}\n`);
