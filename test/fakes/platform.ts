import { appendFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';

/**
 * A chat platform in a process of its own, which nothing here kills: the judge of the crash matrix. It keeps a journal of
 * what people wrote, what the bot acknowledged, and what the bot sent. It never deduplicates, so that a repeated send shows.
 *
 *   node test/fakes/platform.ts <journal file>      prints its port
 *
 *   POST /people/say   {chat, from, text, …}    a person writes; `Update` says what more there may be
 *   POST /people/press {chat, from, token}      a person presses a button
 *   POST /people/change {chat, from, message, edit | deleted | emoji, removed | broken | receipt}   a person edits, deletes, reacts; something cannot be read
 *   POST /people/echo  {}                       from now on the bot is told of its own messages, as some platforms do
 *   GET  /bot/updates?after=N                   long poll; asking after N acknowledges everything up to N
 *   POST /bot/send     {chat, text, key, …}     → {id}; a text with `reject-me` is refused with 400
 *   POST /bot/edit     {id, text}               a text of ours is another one; every text it had is kept in `texts`; one with `uneditable` is refused with 400
 *   POST /bot/react    {message, emoji}         our reaction to a message of a person
 *   POST /bot/typing   {chat, thread}           we are busy there
 *   POST /bot/menu     {commands}               the menu of commands
 *   POST /bot/open     {handle}                 → {chat}: where that person reads alone; 404 for one who is called `closed…`
 *   GET  /bot/sent?key=K                        history by key → {id} or 404
 *   *    /alerts                            takes what the install tells of itself
 *   GET  /journal                               everything
 */
export interface Update {
  id: number;
  chat: string;
  from: string;
  text: string;
  /** What the person is called, if not as `from`. */
  name?: string;
  thread?: string;
  /** False: nobody is addressed. */
  mention?: boolean;
  kind?: 'person' | 'bot' | 'self';
  /** It passes on what somebody else wrote. */
  forwarded?: boolean;
  /** In base64. */
  files?: { name: string; data: string }[];
  /** The id of one of the bot's messages that it answers. */
  reply_to?: number;
  /** A button's; then there is no text. */
  token?: string;
  /** The message that something is done to, by its number; then there is no text but `edit`. */
  message?: number;
  edit?: string;
  deleted?: boolean;
  emoji?: string;
  removed?: boolean;
  /** It lacks what each message has; `message` is any number. */
  broken?: boolean;
  /** What became of the bot's message of that number. */
  receipt?: 'delivered' | 'read' | 'failed';
  /** The platform's time; absent: the host's own. */
  at?: number;
}

interface Sent {
  id: number;
  chat: string;
  text: string;
  /** What it said before it was edited. */
  texts?: string[];
  /** The message that it quotes. */
  quotes?: string;
  key: string;
  thread?: string;
  buttons?: { token: string; label: string }[];
  card?: object;
  file?: { name: string; text: string } | null;
}

const LONG_POLL_MS = 1000;

const journalFile = process.argv[2];
let echoes = false;
let menu: object[] = [];
const updates: Update[] = [];
const sent: Sent[] = [];
const reactions: { message: string; emoji: string }[] = [];
const typing: { chat: string; thread: string; at: number }[] = [];
let acknowledged = 0;
const waiting: (() => void)[] = [];

function journal(entry: object): void {
  if (journalFile !== undefined) appendFileSync(journalFile, `${JSON.stringify({ at: Date.now(), ...entry })}\n`);
}

function add(given: Omit<Update, 'id'>): number {
  const update = { id: updates.length + 1, ...given };
  updates.push(update);
  journal({ said: update });
  for (const wake of waiting.splice(0)) wake();
  return update.id;
}

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://platform');
  switch (`${request.method} ${url.pathname}`) {
    case 'POST /people/say':
    case 'POST /people/press':
    case 'POST /people/change':
      return answer(response, 200, { id: add((await body(request)) as Omit<Update, 'id'>) });
    case 'POST /people/echo':
      echoes = true;
      return answer(response, 200, {});
    case 'POST /bot/open': {
      const { handle } = (await body(request)) as { handle: string };
      return handle.startsWith('closed') ? answer(response, 404, {}) : answer(response, 200, { chat: `dm-${handle}` });
    }
    case 'GET /bot/updates': {
      const after = Number(url.searchParams.get('after') ?? 0);
      if (after > acknowledged) {
        acknowledged = after;
        journal({ acknowledged });
      }
      if (updates.length <= after) await somethingNew();
      return answer(response, 200, { updates: updates.filter((update) => update.id > after) });
    }
    case 'POST /bot/send': {
      const message = { id: sent.length + 1, ...((await body(request)) as Omit<Sent, 'id'>) };
      if (message.text.includes('reject-me')) return answer(response, 400, { error: 'the platform refuses this text' });
      sent.push(message);
      journal({ sent: message });
      if (echoes) add({ chat: message.chat, from: 'bot', text: message.text, kind: 'self' });
      return answer(response, 200, { id: message.id });
    }
    case 'POST /bot/edit': {
      const { id, text } = (await body(request)) as { id: number; text: string };
      if (text.includes('uneditable')) return answer(response, 400, { error: 'the platform refuses this edit' });
      const message = sent.find((each) => each.id === id);
      if (message === undefined) return answer(response, 404, {});
      message.texts = [...(message.texts ?? []), message.text];
      message.text = text;
      journal({ edited: { id, text } });
      return answer(response, 200, { id });
    }
    case 'POST /bot/react': {
      const reaction = (await body(request)) as { message: string; emoji: string };
      if (!updates.some(({ id }) => String(id) === reaction.message)) return answer(response, 404, {});
      reactions.push(reaction);
      journal({ reaction });
      return answer(response, 200, {});
    }
    case 'POST /bot/typing': {
      const { chat, thread } = (await body(request)) as { chat: string; thread: string };
      typing.push({ chat, thread, at: Date.now() });
      return answer(response, 200, {});
    }
    case 'POST /bot/menu':
      ({ commands: menu } = (await body(request)) as { commands: object[] });
      return answer(response, 200, {});
    case 'GET /bot/sent': {
      const found = sent.find((message) => message.key === url.searchParams.get('key'));
      return found === undefined ? answer(response, 404, {}) : answer(response, 200, { id: found.id });
    }
    case 'GET /alerts':
    case 'POST /alerts':
      return answer(response, 200, {});
    case 'GET /journal':
      return answer(response, 200, { updates, sent, acknowledged, reactions, typing, menu });
    default:
      return answer(response, 404, { error: 'unknown' });
  }
}

function somethingNew(): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, LONG_POLL_MS);
    waiting.push(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

async function body(request: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of request) text += chunk;
  return JSON.parse(text);
}

function answer(response: ServerResponse, status: number, value: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

const server = createServer((request, response) => void handle(request, response).catch(() => response.destroy()));
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') console.log(address.port);
});
