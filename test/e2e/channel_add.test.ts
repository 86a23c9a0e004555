import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { ROOT } from '../../src/base/paths.ts';
import type { ChannelShown } from '../../src/operations/channels.ts';
import type { PairingShown } from '../../src/operations/people.ts';
import { Install, until } from '../fakes/install.ts';
import { BOT } from '../fakes/telegram/bot_api.ts';
import { DIRECT } from '../fakes/telegram/people.ts';
import { TelegramAccount, TOKEN } from '../fakes/telegram/subject.ts';

/** `glass channel …` as it is typed, with the real driver of Telegram in its thread, against a server that speaks the Bot API. */
const install = new Install();
const account = await TelegramAccount.start(false);

before(async () => {
  install.group('assistant', 'harness: probe\nlimits: {idle: 60s}\n');
  install.install('# The operator’s own words.\n');
  await install.start();
});
afterEach((context) => install.explain(context));
after(async () => {
  await install.stop();
  await account.stop();
});

/** As `install.glass`, while this process goes on: the fake platform is part of it. */
function glass(input: string, ...words: string[]): Promise<{ status: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [join(ROOT, 'src/cli/main.ts'), ...words], {
    env: { ...process.env, GLASS_HOME: install.paths.home, NO_COLOR: '1' },
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (part) => {
    out += part;
  });
  child.stderr.on('data', (part) => {
    err += part;
  });
  child.stdin.end(input);
  return new Promise((resolve) => child.on('close', (status) => resolve({ status, out, err })));
}

const SET = ['--set', `api=${account.api.url}`, '--stdin'];

test('what cannot be is refused in one sentence, and nothing is changed', async () => {
  for (const [input, words, code, said] of [
    ['', ['add'], 2, /which kind: one of telegram, slack/],
    ['', ['add', 'fax'], 3, /channels\.fax\.kind: there is no kind "fax"/],
    ['', ['add', 'telegram', '--set', 'colour=red'], 3, /channels\.telegram: .*colour/],
    ['', ['add', 'telegram', '--set', 'api=http://example.org'], 3, /channels\.telegram\.api: must be https/],
    ['', ['add', 'telegram', ...SET], 2, /^glass: the bot token .* is missing/],
    ['token=short', ['add', 'telegram', ...SET], 2, /what was given is not the bot token/],
    ['sometoken', ['add', 'telegram', ...SET], 2, /standard input takes one <name>=<token> a line/],
    ['', ['add', 'telegram', '--token', TOKEN], 2, /does not know --token/],
    ['', ['test', 'nobody'], 4, /there is no channel "nobody"/],
    ['', ['remove', 'nobody', '--yes'], 4, /there is no channel "nobody"/],
    ['', ['install', 'fax'], 4, /there is no kind "fax"/],
    ['', ['dance'], 2, /usage: glass channel/],
  ] as const) {
    const { status, err } = await glass(input, 'channel', ...words);
    assert.match(err, said, words.join(' '));
    assert.equal(status, code, `${words.join(' ')}: ${err}`);
  }
  assert.equal(readFileSync(install.paths.config, 'utf8'), '# The operator’s own words.\n');
});

test('it is added with its token from standard input, and says that nobody is paired yet', async () => {
  const { status, out, err } = await glass(`token=${TOKEN}\n`, 'channel', 'add', 'telegram', '--name', 'tg', ...SET);
  assert.equal(status, 0, err);
  assert.match(out, /1\. In Telegram, write \/newbot to @BotFather/);
  assert.match(out, /^ok\s+connected/m);
  assert.match(out, /^skipped\s+a message out .*nobody who decides is known there: \.\/glass pair tg/m);
  const yaml = readFileSync(install.paths.config, 'utf8');
  assert.match(yaml, /^# The operator’s own words\.\n[\s\S]*channels:\n\s+tg:\n\s+kind: telegram\n\s+api: http/);
  assert.ok(!yaml.includes(TOKEN));
});

test('the first owner comes by a link; then a message goes each way, and an agent answers', async () => {
  const { out } = await glass('', 'pair', 'tg', '--json');
  const { code, link } = JSON.parse(out) as PairingShown;
  assert.equal(link, `https://t.me/${BOT.username}?start=${code}`);
  const say = (text: string) => account.people.say({ place: 'direct', from: 'person', text });
  await say(`/start ${code}`);
  await until('the owner is known', async () => {
    assert.ok(
      account.sent().some(({ shown }) => /owner/i.test(shown)),
      JSON.stringify(account.sent()),
    );
  });
  const trying = glass('', 'channel', 'test', 'tg');
  await until('a message has come', async () => {
    assert.ok(account.sent().some(({ shown }) => shown.startsWith('This is a test of GlassClaw.')));
  });
  await say('here I am');
  const tried = await trying;
  assert.equal(tried.status, 0, tried.err);
  assert.deepEqual(tried.out.match(/^\w+/gm), ['ok', 'ok', 'ok'], tried.out);
  await install.control.call('wiring_set', { chat: `tg:${DIRECT}`, group: 'assistant', engage: 'always' });
  await say('are *you* there?');
  await until('the agent answers', async () => {
    assert.ok(account.sent().some(({ shown }) => shown.includes('You said: are')));
  });
});

test('a second channel with the token of another is refused with a sentence, and begins once it has the token alone', async () => {
  await install.secret('again-token', TOKEN, { form: { kind: 'channel' }, hosts: [] });
  await install.control.call('channel_add', { name: 'again', kind: 'telegram', settings: { api: account.api.url } });
  const becomes = (state: string, detail: RegExp) =>
    until(`it is ${state}`, async () => {
      const shown = await install.control.call<ChannelShown>('channel_show', { name: 'again' });
      assert.equal(shown.state, state);
      assert.match(shown.detail, detail);
    });
  await becomes('failed', /^its token is that of the channel tg: each channel needs one of its own$/);
  const tg = await install.control.call<ChannelShown>('channel_show', { name: 'tg' });
  assert.equal(tg.state, 'connected', 'the first one goes on');
  await install.control.call('channel_remove', { name: 'tg' });
  await install.control.call('channel_retry', { name: 'again' });
  await becomes('connected', /glass_test_bot/);
  await install.control.call('channel_remove', { name: 'again' });
  await install.control.call('channel_add', { name: 'tg', kind: 'telegram', settings: { api: account.api.url } });
  await until('the first one is back', async () => {
    const { state } = await install.control.call<ChannelShown>('channel_show', { name: 'tg' });
    assert.equal(state, 'connected');
  });
  await account.people.say({ place: 'direct', from: 'person', text: 'are you still there?' });
  await until('it has come', async () => {
    const { seen } = await install.control.call<ChannelShown>('channel_show', { name: 'tg' });
    assert.ok(seen!.last_in_ms !== null);
  });
});

test('status and list say how it is; a revoked token is seen, and named nowhere', async () => {
  const list = await glass('', 'channel', 'list');
  assert.match(list.out, /^tg\s+telegram\s+connected, @?glass_test_bot.*last in \d{4}-/m);
  account.revoke();
  await until('it has failed', async () => {
    const { state, detail } = await install.control.call<ChannelShown>('channel_show', { name: 'tg' });
    assert.equal(state, 'failed');
    assert.ok(!detail.includes(TOKEN));
  });
  const status = await glass('', 'status');
  assert.match(status.out, /tg: failed /);
  assert.notEqual(status.status, 0);
});

test('it is removed, and what is recorded stays', async () => {
  const asked = await glass('', 'channel', 'remove', 'tg');
  assert.match(asked.err, /--yes/);
  const { status, out } = await glass('', 'channel', 'remove', 'tg', '--yes');
  assert.equal(status, 0);
  assert.match(out, /tg is removed/);
  assert.ok(!readFileSync(install.paths.config, 'utf8').includes('telegram'));
});
