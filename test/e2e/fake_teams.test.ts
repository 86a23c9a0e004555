import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { missingOf } from '../fakes/emulators/emulator.ts';
import { DIRECT, GROUP, TeamsAccount, THREAD } from '../fakes/teams/account.ts';
import { PASSWORD } from '../fakes/teams/service.ts';
import { APP } from '../fakes/teams/signer.ts';
import { type Heard, TheirBot } from '../fakes/teams/their_bot.ts';
import type { SendFault } from '../kits/channel_scene.ts';

/** Our fake of Teams with a bot made by Microsoft's own library: what the fake says is read, what the library says is taken. */

const missing = missingOf('teams_client') ?? false;
const ANN = 'aaaaaaaa-0000-0000-0000-000000000001';
const HELLO = { place: 'direct', from: 'person', text: 'hello' } as const;
const HEARD_MS = 10_000;

let account: TeamsAccount;
let bot: TheirBot;

before(async () => {
  if (missing !== false) return;
  account = await TeamsAccount.start();
  bot = await TheirBot.start({ ...account.parts.settings, password: PASSWORD });
  account.calls.comes(bot.channel);
});
after(async () => {
  await bot?.stop();
  await account?.stop();
});

/** What the library has made of what somebody did. */
async function heard(route: string, act: () => Promise<unknown>): Promise<Heard> {
  await act();
  for (const until = Date.now() + HEARD_MS; Date.now() < until; ) {
    const found = (await bot.heard()).find((each) => each.route === route);
    if (found !== undefined) return found;
    await sleep(5);
  }
  throw new Error(`the library has heard no ${route}`);
}

function asked(what: string): string[] {
  return account.teams.requests.filter((request) => request.startsWith(what));
}

/** Those parts of it. */
function only(from: Heard, ...names: string[]): object {
  return Object.fromEntries(names.map((name) => [name, from[name]]));
}

describe('what the fake says, Microsoft’s library reads', { skip: missing }, () => {
  test('a message, its sender, its chat, and where that is answered', async () => {
    const message = await heard('message', () => account.people.say(HELLO));
    assert.deepEqual(only(message, 'text', 'isToUs', 'files'), { text: 'hello', isToUs: false, files: [] });
    const { from, conversation, service, sent } = message as Record<string, Record<string, unknown>> & Heard;
    assert.deepEqual([from!['aadObjectId'], from!['name']], [ANN, 'Ann Example']);
    assert.deepEqual([conversation!['id'], conversation!['conversationType']], [DIRECT, 'personal']);
    assert.equal(`${service}/`, account.teams.service);
    assert.ok(Math.abs(Date.parse(String(sent)) - Date.now()) < HEARD_MS);
  });

  test('that it is called, in the thread of a channel', async () => {
    const saying = { place: 'thread', from: 'other', text: 'hello', mention: true } as const;
    const message = await heard('mention', () => account.people.say(saying));
    assert.deepEqual(only(message, 'isToUs', 'team', 'channel'), { isToUs: true, team: 'Makers', channel: GROUP });
    assert.equal((message['conversation'] as { id: string }).id, `${GROUP};messageid=${THREAD}`);
    assert.match(String(message['said']), /^(&nbsp;)?hello$/);
  });

  test('files', async () => {
    const files = [{ name: 'a.bin', data: Buffer.from('x') }];
    const message = await heard('message', () => account.people.say({ ...HELLO, files }));
    assert.deepEqual(message['files'], [{ name: 'a.bin', uniqueId: 'f0', extension: 'bin' }]);
  });

  test('what is changed, taken back, and met with a reaction', async () => {
    const id = await account.people.say(HELLO);
    const edit = await heard('editMessage', () => account.people.edit('direct', 'person', id, 'hello you'));
    assert.deepEqual(only(edit, 'id', 'text'), { id, text: 'hello you' });
    const reaction = await heard('messageReaction', () => account.people.react('direct', 'person', id, '👍', false));
    assert.deepEqual(only(reaction, 'replyToId', 'added'), { replyToId: id, added: [{ type: 'like' }] });
    const back = await heard('messageReaction', () => account.people.react('direct', 'person', id, '👍', true));
    assert.deepEqual(only(back, 'replyToId', 'removed'), { replyToId: id, removed: [{ type: 'like' }] });
    const deletion = await heard('softDeleteMessage', () => account.people.remove('direct', 'person', id));
    assert.equal(deletion.id, id);
  });

  test('that the bot was added, and a press of a button', async () => {
    const added = await heard('conversationUpdate', () => bot.webhook(account.added(GROUP)));
    assert.deepEqual(added['members'], [{ id: `28:${APP}` }]);
    const { id } = await bot.does('send', DIRECT, 'press');
    const press = await heard('message', () => account.people.press('direct', 'person', id!, 'abc'));
    assert.deepEqual(only(press, 'text', 'value', 'replyToId'), { text: '', value: { token: 'abc' }, replyToId: id });
  });

  test('what a person says to a file, and a button whose answer is that of the request', async () => {
    const offer = { file: 'a word' };
    const yes = await heard('file.consent.accept', () => bot.webhook(account.consent(DIRECT, 'a.bin', offer)));
    const { context, uploadInfo } = yes['value'] as { context: object; uploadInfo: { uploadUrl: string } };
    assert.deepEqual(context, offer);
    assert.ok(uploadInfo.uploadUrl.startsWith(account.teams.address));
    await heard('file.consent.decline', () => bot.webhook(account.consent(DIRECT, 'a.bin', offer, { no: true })));
    const { status, body } = await bot.webhook(account.invoked('1700000000002', { token: 'abc' }));
    assert.equal(status, 200);
    const noted = { statusCode: 200, type: 'application/vnd.microsoft.activity.message', value: 'Noted.' };
    assert.deepEqual(JSON.parse(body!), noted);
  });
});

describe('whom Microsoft’s library believes', { skip: missing }, () => {
  /** Of what the fake forges, in its order: our driver refuses these too. */
  const TAKEN = new Map([
    [2, 'a token without the word before it'],
    [9, 'a token without an end'],
    [13, 'a token by a key that is for other channels'],
    [16, 'a token for another service'],
    [17, 'an activity that names no service'],
  ]);

  test('nobody who forges, but for what it does not look at', async () => {
    const answers = await Promise.all(account.hook.forged(HELLO).map((request) => bot.webhook(request)));
    const expected = answers.map((_, at) => (TAKEN.has(at) ? 200 : 401));
    assert.deepEqual(
      answers.map(({ status }) => status),
      expected,
    );
  });

  test('the fake, by whichever key it signs', async () => {
    account.teams.signer.add('next');
    assert.equal((await heard('message', () => account.people.say(HELLO))).text, 'hello');
  });
});

describe('what Microsoft’s library says, the fake takes', { skip: missing }, () => {
  test('a login: its form, and a token that the library can read', async () => {
    await bot.does('send', DIRECT, 'hello');
    assert.equal(asked('POST /login').length, 1);
  });

  test('a message, its change, and its end', async () => {
    const { id } = await bot.does('send', DIRECT, 'one');
    assert.equal(account.sent().at(-1)!.receipt, id);
    await bot.does('edit', DIRECT, id, 'two');
    const { receipt, chat, shown } = account.sent().at(-1)!;
    assert.deepEqual([receipt, chat, shown], [id, DIRECT, 'two']);
    await bot.does('remove', DIRECT, id);
    assert.ok(account.sent().every((each) => each.receipt !== id));
  });

  test('a card with a button', async () => {
    const { id } = await bot.does('card', DIRECT, 'Do it?', 'Yes', { token: 'abc' });
    const { receipt, buttons } = account.sent().at(-1)!;
    assert.deepEqual([receipt, buttons], [id, [{ token: 'abc', label: 'Yes' }]]);
  });

  test('an answer in a thread, and that somebody types', async () => {
    await bot.does('reply', GROUP, THREAD, 'in the thread');
    const { chat, thread, shown } = account.sent().at(-1)!;
    assert.deepEqual([chat, thread, shown], [GROUP, THREAD, 'in the thread']);
    await bot.does('typing', DIRECT);
    assert.deepEqual(account.typing().at(-1), { chat: DIRECT, thread: '' });
  });

  test('what a handler answers, where the message says', async () => {
    const before = account.sent().length;
    await bot.webhook(account.signed(account.activity({ ...HELLO, text: 'answer me' })));
    assert.equal(account.sent().length, before + 1);
    assert.match(account.sent().at(-1)!.shown, /answered$/);
  });

  test('a first word to somebody', async () => {
    const opened = await bot.does<{ id: string }>('open', ANN);
    assert.equal(opened.id, DIRECT);
    await bot.does('send', opened.id, 'good morning');
    assert.equal(account.sent().at(-1)!.shown, 'good morning');
  });
});

describe('what the fake refuses, Microsoft’s library understands', { skip: missing }, () => {
  const REFUSALS: Record<Exclude<SendFault, 'cut'>, object> = {
    limited: { status: 429, code: 'TooManyRequests', after: '2' },
    limited_untimed: { status: 429, code: 'TooManyRequests' },
    broken: { status: 503, code: 'ServiceUnavailable' },
    gone: { status: 403, code: 'BotNotInConversationRoster' },
    refused: { status: 400, code: 'BadSyntax' },
  };
  for (const [fault, expected] of Object.entries(REFUSALS))
    test(`a message: ${fault}`, async () => {
      account.faults.next(fault as SendFault);
      const { message, ...failed } = await bot.fails('send', DIRECT, fault);
      assert.deepEqual(failed, expected, message);
      assert.ok(account.sent().every(({ shown }) => shown !== fault));
    });

  test('a message that is cut off', async () => {
    account.faults.next('cut');
    const { message, status } = await bot.fails('send', DIRECT, 'cut');
    assert.equal(status, undefined);
    assert.match(message, /hang up|ECONNRESET/);
  });

  test('a chat, a message and a person that there are not', async () => {
    const gone = await bot.fails('send', 'a:nowhere', 'hello');
    assert.deepEqual([gone.status, gone.code], [404, 'ConversationNotFound']);
    for (const act of ['edit', 'remove']) {
      const unknown = await bot.fails(act, DIRECT, '1', 'hello');
      assert.deepEqual([unknown.status, unknown.code], [404, 'ActivityNotFoundInConversation']);
    }
    assert.equal((await bot.fails('open', 'aaaaaaaa-0000-0000-0000-0000000000ff')).status, 403);
  });

  test('a message that is too long', async () => {
    const { status, code } = await bot.fails('send', DIRECT, 'x'.repeat(41_000));
    assert.deepEqual([status, code], [413, 'MessageSizeTooBig']);
  });

  test('a token', async () => {
    account.teams.isDeaf = true;
    const { status } = await bot.fails('send', DIRECT, 'hello');
    account.teams.isDeaf = false;
    assert.equal(status, 401);
  });

  test('a secret', async () => {
    const other = await TheirBot.start({ ...account.parts.settings, password: 'FAKE~client.secret-of_another_app' });
    const { code, message } = await other.fails('send', DIRECT, 'hello').finally(() => other.stop());
    assert.equal(code, 'invalid_client', message);
    assert.match(message, /AADSTS7000215/);
  });
});
