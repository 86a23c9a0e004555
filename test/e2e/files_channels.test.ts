import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import { until } from '../fakes/install.ts';
import { Talk } from '../fakes/talk.ts';
import { polled as telegram } from '../fakes/telegram/subject.ts';
import { ChannelInstall } from '../kits/channel_install.ts';

/** A file on its way from a platform to the agent that reads it. */

const BYTES = randomBytes(70_000);
const SHA256 = createHash('sha256').update(BYTES).digest('hex');
const FILES = [{ name: 'plan 1.bin', data: BYTES }];

/** What the probe says of a file that it has read. */
const READ = new RegExp(`/inbox/m\\d+/plan 1\\.bin application/octet-stream ${BYTES.length} ${SHA256}`);

const talk = await Talk.make();

before(async () => {
  talk.install.group('assistant', 'harness: probe\n');
  await talk.install.start();
  await talk.known('bob', 'member', 'assistant');
  await talk.wire('files', 'assistant');
});
afterEach((context) => talk.install.explain(context));
after(() => talk.end());

test('a file from a platform lies in the inbox of the agent, byte for byte; so does one without a word', async () => {
  await talk.say('files', 'bob', 'files', { files: FILES });
  await talk.hears('files', READ);
  const alone = await talk.say('files', 'bob', '', { files: FILES });
  await talk.settles(alone, 'answered');
});

test('a file that comes through the driver of Telegram lies in the inbox, byte for byte', async (context) => {
  const channel = await ChannelInstall.of(telegram);
  context.after(() => channel.end());
  await channel.account.people.say({ place: 'direct', from: 'person', text: 'files', files: FILES });
  await until('the agent has read it', async () => {
    const heard = channel.heard('/inbox/');
    assert.match(heard.join('\n'), READ);
  });
});
