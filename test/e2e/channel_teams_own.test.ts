import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { MESSAGE_FILES_BYTES_MAX } from '../../src/base/limits/messages.ts';
import { textIn } from '../../src/channels/dialects/outgoing.ts';
import { NOT_TAKEN } from '../../src/channels/teams/connector.ts';
import { DIRECT, GROUP, type TeamsAccount, teamsSubject } from '../fakes/teams/account.ts';
import { claimsFor } from '../fakes/teams/signer.ts';
import { refusalOf, Scene } from '../kits/channel_scene.ts';

/** What is Teams' alone, beside the kit. */

const HELLO = { place: 'direct', from: 'person', text: 'hello' } as const;
const OPERATION = { thread: '', body: 'hello', kind: 'send', reply_to: null, file: null, key: 'k' } as const;

async function begin(): Promise<{ scene: Scene; account: TeamsAccount } & AsyncDisposable> {
  const scene = await Scene.of(teamsSubject);
  return { scene, account: scene.account as TeamsAccount, [Symbol.asyncDispose]: () => scene[Symbol.asyncDispose]() };
}

/** How often that was asked of the fake. */
function asked(account: TeamsAccount, what: string): number {
  return account.teams.requests.filter((request) => request.startsWith(what)).length;
}

describe('the token of ours', () => {
  test('that has had its time is replaced once, and the message sent once', async () => {
    await using world = await begin();
    const { scene, account } = world;
    await scene.sent('direct', 'one');
    account.teams.expire();
    await scene.sent('direct', 'two');
    assert.deepEqual(
      account.sent().map(({ shown }) => shown),
      ['one', 'two'],
    );
    assert.equal(asked(account, 'POST /login'), 2);
  });

  test('that Teams does not take makes the channel fail, until Teams takes one', async () => {
    await using world = await begin();
    const { scene, account } = world;
    account.teams.isDeaf = true;
    const refusal = refusalOf(await scene.send('direct', 'hello'));
    assert.deepEqual([refusal.class, refusal.reason], ['auth', NOT_TAKEN]);
    await scene.quiet();
    assert.deepEqual(scene.channel.health(), { state: 'failed', detail: NOT_TAKEN });
    account.teams.isDeaf = false;
    await scene.sent('direct', 'hello');
    assert.equal(scene.channel.health().state, 'connected');
  });

  test('never goes to a host that is not Microsoft’s, whatever was remembered', async () => {
    await using world = await begin();
    const { scene, account } = world;
    await scene.halt();
    scene.sink.cursors.set(`service:${DIRECT}`, `http://localhost:${new URL(account.teams.address).port}/teams/`);
    const before = account.teams.requests.length;
    await scene.open();
    assert.equal(refusalOf(await scene.send('direct', 'hello')).class, 'gone');
    assert.equal(account.teams.requests.slice(before).filter((each) => each.includes('/v3/')).length, 0);
  });
});

describe('what Teams answers', () => {
  for (const [status, as] of [
    [500, 'ambiguous'],
    [502, 'ambiguous'],
    [504, 'ambiguous'],
    [503, 'retryable'],
    [412, 'retryable'],
    [413, 'too_large'],
    [404, 'gone'],
    [307, 'permanent'],
  ] as const)
    test(`${status} is ${as}, and is asked once`, async () => {
      await using world = await begin();
      const { scene, account } = world;
      account.teams.status = status;
      assert.equal(refusalOf(await scene.send('direct', 'hello')).class, as);
      assert.equal(asked(account, 'POST /teams/v3/conversations/'), 1);
      assert.equal(asked(account, 'POST /elsewhere'), 0, 'our token is led nowhere else');
    });
});

describe('a host that is ill', () => {
  test('is tried again in the order of its chat, and Teams is told', async () => {
    await using world = await begin();
    const { scene, account } = world;
    scene.sink.failNext(2);
    const answers = ['one', 'two'].map((text) => scene.webhook(account.hook.request({ ...HELLO, text })));
    const [one, two] = await Promise.allSettled(answers);
    assert.deepEqual([one!.status, two!.status], ['rejected', 'fulfilled']);
    assert.deepEqual(
      scene.sink.messages.map(({ text }) => text),
      ['one', 'two'],
    );
  });
});

describe('where a chat is', () => {
  test('is kept before its first message, and known after a restart', async () => {
    await using world = await begin();
    const { scene, account } = world;
    scene.sink.hold();
    await account.people.say(HELLO);
    await scene.until('the driver hands it over', () => scene.sink.calls.length > 0);
    assert.equal(scene.sink.cursors.get(`service:${DIRECT}`), account.teams.service);
    await scene.restart('dies');
    await scene.sent('direct', 'hello');
  });

  test('is not guessed', async () => {
    await using world = await begin();
    const { scene } = world;
    const chat = 'a:1nobody-ever-wrote-here';
    const refusal = refusalOf(await scene.channel.send({ ...OPERATION, chat }));
    assert.equal(refusal.class, 'gone');
    assert.match(refusal.reason, /somebody has to write/);
  });

  test('and that we are there again makes it reachable', async () => {
    await using world = await begin();
    const { scene, account } = world;
    assert.deepEqual(scene.sink.reached, [DIRECT, GROUP]);
    await scene.webhook(account.added(GROUP));
    assert.deepEqual(scene.sink.reached, [DIRECT, GROUP, GROUP]);
  });

  test('a person’s chat is opened by the id that Teams has for them, and with nobody else', async () => {
    await using world = await begin();
    const { scene, account } = world;
    account.teams.direct.delete(account.handle('person'));
    assert.equal(await scene.channel.openDm!(account.handle('person')), null);
    await account.people.say(HELLO);
    await scene.until('the message', () => scene.sink.messages.length === 1);
    await scene.restart('stops');
    const opened = await scene.channel.openDm!(account.handle('person'));
    assert.deepEqual(opened, { platform_id: DIRECT, title: 'Ann Example' });
    assert.equal(await scene.channel.openDm!(account.handle('other')), null);
    const before = account.teams.requests.length;
    assert.equal(await scene.channel.openDm!('28:another-bot'), null);
    assert.equal(account.teams.requests.length, before, 'nobody is asked about what is no person');
  });
});

describe('Microsoft’s signature', () => {
  test('by a new key is believed, and whoever invents keys causes one fetch', async () => {
    await using world = await begin();
    const { scene, account } = world;
    const { signer, service } = account.teams;
    signer.add('second');
    assert.equal((await scene.webhook(account.hook.request(HELLO))).status, 200);
    const before = asked(account, 'GET /keys');
    for (let number = 0; number < 5; number += 1) {
      const token = signer.token(claimsFor(service), { kid: `invented-${number}`, by: 'first' });
      assert.equal((await scene.webhook(account.signed(account.activity(HELLO), `Bearer ${token}`))).status, 401);
    }
    assert.equal(asked(account, 'GET /keys'), before);
    assert.equal(scene.sink.messages.length, 1);
  });

  test('that cannot be checked now is neither believed nor called a forgery', async () => {
    await using world = await begin();
    const { scene, account } = world;
    const request = account.hook.request(HELLO);
    await account.teams.close();
    assert.equal((await scene.webhook(request)).status, 200, 'by the keys that it has');
    const other = account.open({ ...account.parts, folder: '', log: () => {}, changed: () => {} });
    await other.start(scene.sink, scene.sink.cursors);
    assert.equal((await other.webhook!(request)).status, 503);
    await account.teams.listen();
    assert.equal((await other.webhook!(request)).status, 200);
    await other.stop();
    assert.equal((await other.webhook!(request)).status, 503, 'nobody is there');
  });

  test('is asked for before anything is read', async () => {
    await using world = await begin();
    const { scene, account } = world;
    const { headers, ...request } = account.hook.request(HELLO);
    const body = Buffer.from('{ this is not JSON');
    const logged = scene.logs.length;
    assert.equal((await scene.webhook({ ...request, headers: {}, body })).status, 401);
    assert.equal((await scene.webhook({ ...request, headers, body })).status, 401);
    assert.equal((await scene.webhook({ ...request, headers, method: 'GET' })).status, 405);
    assert.equal((await scene.webhook({ ...request, headers, path: '/more' })).status, 404);
    assert.equal(scene.logs.length, logged);
  });
});

describe('what comes with a message', () => {
  test('a picture is fetched with our token, and nothing from elsewhere', async () => {
    await using world = await begin();
    const { scene, account } = world;
    const { teams } = account;
    teams.files.set('pic', Buffer.from('a picture')).set('huge', Buffer.alloc(MESSAGE_FILES_BYTES_MAX, 1));
    const info = 'application/vnd.microsoft.teams.file.download.info';
    const attachments = [
      { contentType: 'image/*', contentUrl: `${teams.address}/teams/v3/attachments/pic/views/original` },
      { contentType: 'image/png', name: 'evil.png', contentUrl: 'https://smba.trafficmanager.example/x.png' },
      { contentType: info, name: 'evil.bin', content: { downloadUrl: `http://localhost/files/pic` } },
      { contentType: info, name: 'lost.bin', content: { downloadUrl: `${teams.address}/files/lost` } },
      { contentType: info, name: 'huge.bin', content: { downloadUrl: `${teams.address}/files/huge` } },
      { contentType: info, name: 'nowhere.bin', content: {} },
      { contentType: 'application/vnd.microsoft.card.adaptive', content: {} },
    ];
    await scene.webhook(account.signed({ ...account.activity(HELLO), attachments }));
    const [message] = scene.sink.messages;
    assert.deepEqual(
      message!.files.map(({ name, data }) => [name, Buffer.from(data).toString()]),
      [['image.png', 'a picture']],
    );
    assert.deepEqual(message!.text.split('\n'), [
      'hello',
      '[the file "evil.png" was left out: it is not kept by Microsoft]',
      '[the file "evil.bin" was left out: it is not kept by Microsoft]',
      '[the file "lost.bin" was left out: it could not be fetched]',
      '[the file "huge.bin" was left out: it is too large]',
      '[the file "nowhere.bin" was left out: it is not kept by Microsoft]',
    ]);
  });

  test('a button of the newer kind is answered in the request, before its commit', async () => {
    await using world = await begin();
    const { scene, account } = world;
    scene.sink.hold();
    const action = { type: 'Action.Execute', data: { token: 'abc' } };
    const invoke = { ...account.activity(HELLO), type: 'invoke', name: 'adaptiveCard/action', value: { action } };
    const answer = await scene.webhook(account.signed(invoke));
    assert.deepEqual([answer.status, answer.type], [200, 'application/json']);
    assert.equal((JSON.parse(answer.body!) as { statusCode: number }).statusCode, 200);
    scene.sink.release();
    await scene.until('the press', () => scene.sink.presses.length === 1);
    assert.equal(scene.sink.presses[0]!.token, 'abc');
  });
});

test('a text with buttons is one message, and says what it says', async () => {
  await using world = await begin();
  const { scene, account } = world;
  const text = 'a < b & c > d "e"\n- *x* [y](z) \\<at>\n1. `&lt;` # h';
  await scene.sent('direct', textIn(scene.capabilities.markup, text), { buttons: [{ token: 'abc', label: 'Yes' }] });
  assert.equal(account.teams.messages.length, 1);
  assert.equal(account.sent()[0]!.shown, text);
});

test('a card says what an agent wrote as it is, instead of the text', async () => {
  await using world = await begin();
  const { scene, account } = world;
  const fields = [{ name: '[x](https://e.example)', value: '**a**\nb' }];
  await scene.sent('direct', 'the text', { card: { title: '# A <title>', text: '', fields } });
  assert.equal(account.sent()[0]!.shown, '# A <title>\n[x](https://e.example)\n**a**\nb');
  assert.equal(account.teams.messages[0]!.text, '');
});
