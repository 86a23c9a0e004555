import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';
import { ROOT } from '../../src/base/paths.ts';
import { Chats } from '../../src/channels/telegram/chats.ts';
import { clientOf } from '../../src/channels/telegram/client.ts';
import { Incoming } from '../../src/channels/telegram/incoming.ts';
import { BOT, BotApi } from '../fakes/telegram/bot_api.ts';
import { CHATS } from '../fakes/telegram/people.ts';
import { TOKEN } from '../fakes/telegram/subject.ts';
import { RecordingSink } from '../kits/channel_sink.ts';

/** Each payload as Telegram documents it, and what the host is told. */

const FIXTURES = join(ROOT, 'test/fixtures/telegram');
const PERSON = { handle: '1111111', name: 'Test Lastname' };
const DIRECT = { chat: { platform_id: '1111111', title: 'Test Lastname', direct: true } };
const PLAIN = { chat: { platform_id: '-4567', title: 'Kitchen' } };
const GARDEN = { chat: { platform_id: '-1001234567890', title: 'Garden' } };

const api = new BotApi(TOKEN, CHATS);
before(() => api.listen());
after(() => api.close());

/** What is handed over, and which lines are logged. */
async function taken(name: string): Promise<{ told: { t: string; value: object }[]; logs: string[] }> {
  const sink = new RecordingSink();
  const logs: string[] = [];
  const log = (...line: unknown[]): void => void logs.push(JSON.stringify(line));
  const me = { id: BOT.id, username: BOT.username };
  const incoming = new Incoming(clientOf(TOKEN, api.url), new Chats(new Map()), sink, me, log);
  await incoming.take(JSON.parse(readFileSync(join(FIXTURES, `${name}.json`), 'utf8')));
  return { told: sink.committed, logs };
}

const MESSAGES: Record<string, object> = {
  message_text: {
    ...DIRECT,
    text: '/start AB12CD34',
    addressed: true,
    thread: '',
    sender: PERSON,
    sent_ms: 1441645532000,
  },
  message_entities: { ...PLAIN, text: '👍 @Glass_Test_Bot see this page (https://example.com/a?b=1)', addressed: true },
  message_command: { text: '/stop@glass_test_bot', addressed: true },
  message_other_bot: { text: '/stop@another_bot', addressed: false },
  message_text_mention: { text: 'are you there?', addressed: true },
  message_called: { ...PLAIN, text: '/stop keep (https://example.com/a)', addressed: true },
  message_called_alone: { text: '', addressed: true, files: [] },
  message_topic: { ...GARDEN, thread: '7', addressed: false, reply_to: undefined, platform_id: '-1001234567890:40' },
  message_reply: { ...GARDEN, thread: '', addressed: true, reply_to: '-1001234567890:33' },
  message_anonymous: { sender: { handle: 'chat-1001234567890', name: 'Garden', kind: 'bot' } },
  message_channel_post: { sender: { handle: 'chat-1009999999999', name: 'News', kind: 'bot' } },
  message_document: { text: 'the plan', files: [{ name: 'Testfile.pdf', data: new Uint8Array([112, 108, 97, 110]) }] },
  message_photo: { text: '', files: [{ name: 'photo.jpg', data: new Uint8Array([108, 97, 114, 103, 101]) }] },
  message_voice: { files: [{ name: 'voice.ogg', data: new Uint8Array([118]) }] },
  message_audio: { files: [{ name: 'song.mp3', data: new Uint8Array([97]) }] },
  message_video_too_large: {
    text: 'look\n[the file film.mp4 was left out: it is larger than 8.4 MB]',
    files: [],
  },
  message_sticker: { text: '[sticker 🐢]', files: [] },
  message_location: { text: '[location 52.520008, 13.404954]' },
};

const FILES = {
  'documents/file_1.pdf': 'plan',
  'photos/large.jpg': 'large',
  'voice/file_1.oga': 'v',
  'music/file_1.mp3': 'a',
};

for (const [name, expected] of Object.entries(MESSAGES)) {
  test(`${name} is one message`, async () => {
    for (const [id, data] of Object.entries(FILES)) api.files.set(id, Buffer.from(data));
    const { told, logs } = await taken(name);
    assert.deepEqual(
      told.map(({ t }) => t),
      ['message'],
    );
    const value = told[0]!.value as Record<string, unknown>;
    for (const [field, is] of Object.entries(expected)) assert.deepEqual(value[field], is, field);
    assert.match(String(value['dedupe_key']), /^tg:424242:100\d\d$/);
    assert.deepEqual(logs, []);
  });
}

test('a file that Telegram does not hand out is left out, and the text says so', async () => {
  api.files.clear();
  const { told } = await taken('message_document');
  const { text, files } = told[0]!.value as { text: string; files: unknown[] };
  assert.match(
    text,
    /^the plan\n\[the file Testfile\.pdf was left out: Telegram said: Bad Request: invalid file_id\]$/,
  );
  assert.deepEqual(files, []);
});

test('edited_message is an edit', async () => {
  const { told } = await taken('edited_message');
  assert.deepEqual(told, [
    {
      t: 'edit',
      value: {
        ...DIRECT,
        platform_id: '1111111:1365',
        dedupe_key: 'tg:424242:10017',
        sender: PERSON,
        text: 'Edited text',
        sent_ms: 1441646600000,
      },
    },
  ]);
});

test('callback_query is a press, also under an old message', async () => {
  const { told } = await taken('callback_query');
  const { sent_ms, ...press } = told[0]!.value as { sent_ms: number };
  assert.ok(sent_ms > 0);
  assert.deepEqual(press, {
    ...GARDEN,
    dedupe_key: 'tg:424242:10018',
    thread: '7',
    sender: PERSON,
    token: 'AbC-_9',
    platform_id: '-1001234567890:45',
  });
  const [old] = (await taken('callback_query_old')).told;
  assert.equal((old!.value as { token: string }).token, 'AbC-_8');
});

test('a press under a message that is nobody’s ends there', async () => {
  assert.deepEqual((await taken('callback_query_inline')).told, []);
});

test('message_reaction is what is new of it, and what is gone', async () => {
  const { told } = await taken('message_reaction');
  assert.deepEqual(
    told.map(({ value }) => {
      const { emoji, removed, dedupe_key } = value as { emoji: string; removed: boolean; dedupe_key: string };
      return [emoji, removed, dedupe_key];
    }),
    [
      ['👍', true, 'tg:424242:10021'],
      ['❤', false, 'tg:424242:10021:1'],
      ['custom_emoji:5368324170671202286', false, 'tg:424242:10021:2'],
    ],
  );
});

test('a reaction of nobody in particular is a program’s', async () => {
  const { told } = await taken('message_reaction_anonymous');
  assert.deepEqual((told[0]!.value as { sender: object }).sender, {
    handle: 'chat-1001234567890',
    name: 'Garden',
    kind: 'bot',
  });
});

test('that somebody joined is nothing said', async () => {
  assert.deepEqual(await taken('message_joined'), { told: [], logs: [] });
});

test('what is unknown is logged with its number and kind', async () => {
  const { told, logs } = await taken('inline_query');
  assert.deepEqual(told, []);
  assert.deepEqual(logs, ['["info","telegram.unknown",{"update":10023,"kind":"inline_query"}]']);
});

test('what is broken is kept as it came, and logged with what is missing and without what was said', async () => {
  const { told, logs } = await taken('broken_message');
  const [{ t, value }] = told as [{ t: string; value: { kind: string; raw: string } }];
  const kept = readFileSync(join(FIXTURES, 'broken_message.json'), 'utf8');
  assert.deepEqual([t, value.kind, JSON.parse(value.raw)], ['unreadable', 'message', JSON.parse(kept)]);
  const line = { kind: 'message', update: 10024, where: 'message.chat', kept: 'glass channel unreadable' };
  assert.deepEqual(logs, [JSON.stringify(['warn', 'telegram.broken', line])]);
});

test('each payload has its test', () => {
  const text = readFileSync(join(ROOT, 'test/unit/telegram_payloads.test.ts'), 'utf8');
  const names = globSync(join(FIXTURES, '*.json')).map((path) => basename(path, '.json'));
  assert.deepEqual(
    names.filter((name) => !text.includes(name)),
    [],
  );
});
