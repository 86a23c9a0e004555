import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { GROUP, type TeamsAccount, teamsSubject } from '../fakes/teams/account.ts';
import { ASKS } from '../fakes/teams/service.ts';
import { refusalOf, Scene } from '../kits/channel_scene.ts';

/** Files to people in Teams: they are asked, say yes, and have it in their own OneDrive. */

const DATA = Buffer.from('the whole file\n');

async function begin(): Promise<{ scene: Scene; account: TeamsAccount } & AsyncDisposable> {
  const scene = await Scene.of(teamsSubject);
  return { scene, account: scene.account as TeamsAccount, [Symbol.asyncDispose]: () => scene[Symbol.asyncDispose]() };
}

/** What the person of the newest card was asked. */
function asked(account: TeamsAccount): { chat: string; name: string; context: object } {
  const { conversation, attachments } = account.teams.messages.findLast(
    ({ attachments: [card] }) => card?.contentType === ASKS,
  )!;
  return { chat: conversation, name: attachments[0]!.name!, context: attachments[0]!.content.acceptContext! };
}

function files(account: TeamsAccount): string[] {
  return account.sent().flatMap(({ file }) => (file === null ? [] : `${file.name}: ${file.data}`));
}

function puts(account: TeamsAccount): number {
  return account.teams.requests.filter((request) => request.startsWith('PUT /places/')).length;
}

test('it comes with a text of any length, and without one', async () => {
  await using world = await begin();
  const { scene, account } = world;
  const words = Array.from({ length: 1200 }, (_, at) => `word${at}`).join(' ');
  await scene.sent('direct', words, { file: scene.file('one.txt', DATA) });
  await scene.sent('direct', '', { file: scene.file('two.txt', DATA) });
  assert.deepEqual(files(account), [], 'nothing before they say yes');
  await account.agree();
  assert.deepEqual(files(account), [`one.txt: ${DATA}`, `two.txt: ${DATA}`]);
  assert.deepEqual(
    account.sent().flatMap(({ shown }) => shown || []),
    [words],
  );
});

test('in a group it is refused before anything is said', async () => {
  await using world = await begin();
  const { scene, account } = world;
  const refusal = refusalOf(await scene.send('group', 'here', { file: scene.file('one.txt', DATA) }));
  assert.equal(refusal.class, 'unsupported');
  assert.deepEqual(account.sent(), []);
});

test('who says yes after the host was started again has it all the same', async () => {
  await using world = await begin();
  const { scene, account } = world;
  await scene.sent('direct', 'here', { file: scene.file('one.txt', DATA) });
  await scene.restart('dies');
  await account.agree();
  assert.deepEqual(files(account), [`one.txt: ${DATA}`]);
});

test('a yes counts in the chat that was asked alone, and once', async () => {
  await using world = await begin();
  const { scene, account } = world;
  await scene.sent('direct', 'here', { file: scene.file('one.txt', DATA) });
  const { chat, name, context } = asked(account);
  assert.equal((await scene.webhook(account.consent(GROUP, name, context))).status, 404);
  assert.equal((await scene.webhook(account.consent(chat, name, { file: '../../other' }))).status, 404);
  assert.equal(puts(account), 0);
  const yes = account.consent(chat, name, context);
  const answers = await Promise.all([scene.webhook(yes), scene.webhook(yes)]);
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200],
  );
  assert.equal((await scene.webhook(yes)).status, 404);
  assert.deepEqual([puts(account), files(account).length], [1, 1]);
});

test('after a no it does not come', async () => {
  await using world = await begin();
  const { scene, account } = world;
  await scene.sent('direct', 'here', { file: scene.file('one.txt', DATA) });
  const { chat, name, context } = asked(account);
  assert.equal((await scene.webhook(account.consent(chat, name, context, { no: true }))).status, 200);
  assert.equal((await scene.webhook(account.consent(chat, name, context))).status, 404);
  assert.deepEqual([puts(account), files(account)], [0, []]);
});

test('a place that is not Microsoft’s gets nothing, and the person can say yes again', async (running) => {
  await using world = await begin();
  const { scene, account } = world;
  let came = 0;
  const elsewhere = createServer((_, response) => {
    came += 1;
    response.writeHead(201).end();
  });
  await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
  running.after(() => elsewhere.close());
  const { port } = elsewhere.address() as AddressInfo;
  await scene.sent('direct', 'here', { file: scene.file('one.txt', DATA) });
  const { chat, name, context } = asked(account);
  // The fake's own host is one of `services`; this name of the same machine is not.
  const away = account.consent(chat, name, context, { at: `http://localhost:${port}/here` });
  assert.equal((await scene.webhook(away)).status, 502);
  const gone = account.consent(chat, name, context, { at: `${account.teams.address}/nowhere` });
  assert.equal((await scene.webhook(gone)).status, 502);
  assert.equal(came, 0);
  await account.agree();
  assert.deepEqual(files(account), [`one.txt: ${DATA}`]);
});

test('a text whose file could not be offered is not said again', async () => {
  await using world = await begin();
  const { scene, account } = world;
  const file = scene.file('one.txt', DATA);
  rmSync(file.path);
  const refusal = refusalOf(await scene.send('direct', 'here', { file, key: 'same' }));
  assert.equal(refusal.class, 'retryable');
  assert.match(refusal.reason, /^the text has arrived, its file not/);
  writeFileSync(file.path, DATA);
  const receipt = await scene.sent('direct', 'here', { file, key: 'same' });
  assert.equal(receipt, account.teams.messages[0]!.id);
  await account.agree();
  assert.deepEqual(files(account), [`one.txt: ${DATA}`]);
  assert.deepEqual(
    account.sent().flatMap(({ shown }) => shown || []),
    ['here'],
  );
});
