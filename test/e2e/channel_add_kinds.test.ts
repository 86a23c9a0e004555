import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, afterEach, before, test } from 'node:test';
import { parse } from 'yaml';
import { ROOT } from '../../src/base/paths.ts';
import type { DriverParts } from '../../src/channels/kind.ts';
import { channel } from '../../src/cli/channel.ts';
import type { ChannelShown } from '../../src/operations/channels.ts';
import { DiscordAccount } from '../fakes/discord/account.ts';
import { APP_ID as GITHUB_APP, INSTALLATION_ID } from '../fakes/github/app_door.ts';
import { GitHubAccount } from '../fakes/github/subject.ts';
import { Install, until } from '../fakes/install.ts';
import { SlackAccount } from '../fakes/slack/account.ts';
import { TeamsAccount } from '../fakes/teams/account.ts';
import { rows } from '../fakes/terminal.ts';
import { WhatsappAccount } from '../fakes/whatsapp/subject.ts';

/** `glass channel add <kind>` as it is typed, for each kind that needs more than a token, against servers that speak their protocols. */
const install = new Install();

before(async () => {
  install.group('assistant', 'harness: probe\n');
  install.install('');
  await install.start();
});
afterEach((context) => install.explain(context));
after(() => install.stop());

interface Ran {
  status: number | null;
  out: string;
  err: string;
}

/** While this process goes on: the platforms are part of it. */
function glass(input: string, ...words: string[]): Promise<Ran> {
  const child = spawn(process.execPath, [join(ROOT, 'src/cli/main.ts'), 'channel', ...words], {
    env: { ...process.env, GLASS_HOME: install.paths.home, NO_COLOR: '1' },
  });
  const ran: Ran = { status: null, out: '', err: '' };
  child.stdout.on('data', (part) => {
    ran.out += part;
  });
  child.stderr.on('data', (part) => {
    ran.err += part;
  });
  child.stdin.end(input);
  return new Promise((resolve) => child.on('close', (status) => resolve({ ...ran, status })));
}

const CTRL_C = '\x03';

/** At a terminal, where each answer is typed when there is a prompt for it. Resolves with what was printed, prompts left out, and how it ended. */
async function typed(words: string[], answers: string[]): Promise<{ out: string; ended: string }> {
  const input = new PassThrough() as unknown as NodeJS.ReadStream & PassThrough;
  const left = [...answers];
  const setRawMode = (on: boolean): void => {
    if (on) setImmediate(() => input.write(`${left.shift() ?? CTRL_C}\r`));
  };
  Object.assign(input, { isTTY: true, setRawMode });
  let out = '';
  const print = (text: string): void => {
    out += `${text}\n`;
  };
  const io = { out: print, err: print, json: false, colour: false };
  const ended = await channel(words, install.paths, io, input).then(
    (code) => `exit ${code}`,
    (error: Error) => error.message,
  );
  assert.deepEqual(left, [], 'every answer was asked for');
  return { out, ended };
}

/** The ids of messages with this text. */
const heard = (text: string): number[] =>
  rows<{ id: number }>(install, 'SELECT id FROM messages WHERE text = ?', text).map(({ id }) => id);

const NEEDS: [kind: string, steps: RegExp, sentence: string][] = [
  [
    'github',
    /^1\. Make a GitHub account for the agent/,
    'a channel of kind github needs --set repos=… (the repositories, owner/name each, with commas between them)',
  ],
  [
    'teams',
    /^1\. In https:\/\/portal\.azure\.com .*Microsoft App ID \(app_id\)/,
    'a channel of kind teams needs --set app_id=… (the Microsoft App ID of the bot) and --set tenant=… (the App Tenant ID of the bot)',
  ],
  [
    'whatsapp',
    /^1\. Open https:\/\/developers\.facebook\.com\/apps/,
    'a channel of kind whatsapp needs --set phone_number_id=… (the Phone number ID, which is not the phone number)',
  ],
];

for (const [kind, steps, sentence] of NEEDS)
  test(`add ${kind} without its settings says the steps, and then all that is missing`, async () => {
    const { status, out, err } = await glass('', 'add', kind, '--stdin');
    assert.match(out, steps);
    assert.equal(err.split('\n')[0], `glass: ${sentence}`);
    assert.equal(status, 2);
  });

test('a part of the settings of a GitHub App asks for the other', async () => {
  const { out, err } = await glass('', 'add', 'github', '--set', 'repos=acme/app', '--set', 'app_id=7', '--stdin');
  assert.match(out, /settings\/apps\/new/);
  assert.match(err, /^glass: a channel of kind github needs --set installation_id=… \(the number at the end of/);
});

const ACCOUNTS: [kind: string, start: () => Promise<Played>][] = [
  ['github', () => GitHubAccount.start(false)],
  ['slack', () => SlackAccount.start('socket')],
  ['discord', () => DiscordAccount.start()],
  ['teams', () => TeamsAccount.start()],
  ['whatsapp', () => WhatsappAccount.start()],
];

interface Played {
  readonly parts: Pick<DriverParts, 'settings' | 'secrets'>;
  stop(): Promise<void>;
}

/** As a person writes them: lists with commas, no quotes. */
const sets = (settings: Record<string, unknown>): string[] =>
  Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`]);

for (const [kind, start] of ACCOUNTS)
  test(`add ${kind} with all it needs is connected, and writes what was said`, async () => {
    const account = await start();
    try {
      const { settings, secrets } = account.parts;
      const lines = Object.entries(secrets).map(([name, value]) => `${name}=${value}\n`);
      const { status, out, err } = await glass(lines.join(''), 'add', kind, ...sets(settings), '--stdin');
      assert.equal(status, 0, `${out}${err}`);
      assert.match(out, /^ok\s+connected/m);
      const { channels } = parse(readFileSync(install.paths.config, 'utf8')) as { channels: Record<string, unknown> };
      assert.deepEqual(channels[kind], { kind, ...settings });
      const file = join(install.paths.home, `${kind}.zip`);
      const uploaded = await glass('', 'package', kind, file);
      if (kind === 'teams') assert.ok(readFileSync(file).includes(String(settings['app_id'])), uploaded.err);
      else assert.match(uploaded.err, /nothing is uploaded for a channel of kind/);
      assert.equal((await glass('', 'remove', kind, '--yes')).status, 0);
    } finally {
      await account.stop();
    }
  });

test('the key of a GitHub App is given by its file, in a script too', async () => {
  const account = await GitHubAccount.start(false);
  const file = join(install.paths.home, 'app.pem');
  const other = join(install.paths.home, 'other.pem');
  writeFileSync(file, account.rest.app.key);
  writeFileSync(other, 'no key');
  const given = { ...account.parts.settings, app_id: GITHUB_APP, installation_id: INSTALLATION_ID };
  const add = (line: string): Promise<Ran> => glass(line, 'add', 'github', '--name', 'app', ...sets(given), '--stdin');
  try {
    for (const [line, said] of [
      ['', /is missing — .*key=@<path of its file>/],
      [`key=${account.rest.app.key}`, /one <name>=<token> a line — .*<name>=@<path of its file>/],
      ['key=-----BEGIN RSA PRIVATE KEY-----', /is not the private key.*key=@<path of its file>/],
      ['key=@/no/such/file', /\/no\/such\/file cannot be read \(ENOENT\)/],
      [`key=@${other}`, /is not the private key of the app/],
    ] as const)
      assert.match((await add(line)).err, said);
    const { status, out, err } = await add(`key=@${file}\n`);
    assert.equal(status, 0, `${out}${err}`);
    assert.match(out, /^ok\s+connected.*@?glass/m);
    assert.equal((await glass('', 'remove', 'app', '--yes')).status, 0);
    // At a terminal a path is asked for, again as long as there is no key behind it; with or without an `@`.
    const [paths, nobody] = [['', '/no/such/file', other, `@${file}`], ''];
    const asked = await typed(['add', 'github', '--name', 'typed', ...sets(given)], [...paths, nobody]);
    assert.match(asked.out, /^ok\s+connected.*@?glass/m);
    assert.equal(asked.ended, 'exit 0', asked.out);
    assert.equal((await glass('', 'remove', 'typed', '--yes')).status, 0);
  } finally {
    await account.stop();
  }
});

for (const [kind, start] of ACCOUNTS.filter(([kind]) => kind === 'slack' || kind === 'discord'))
  test(`a second channel of ${kind} with the token of another has failed, and says whose it is`, async () => {
    const account = await start();
    try {
      const { settings, secrets } = account.parts;
      for (const name of ['one', 'two'])
        for (const [part, value] of Object.entries(secrets))
          await install.secret(`${name}-${part}`, value, { form: { kind: 'channel' }, hosts: [] });
      for (const name of ['one', 'two']) await install.control.call('channel_add', { name, kind, settings });
      await until('the second has failed', async () => {
        const shown = await install.control.call<ChannelShown>('channel_show', { name: 'two' });
        assert.match(`${shown.state}: ${shown.detail}`, /^failed: its token is that of the channel one: /);
      });
      for (const name of ['one', 'two']) assert.equal((await glass('', 'remove', name, '--yes')).status, 0);
    } finally {
      await account.stop();
    }
  });

const APP_ID = '00000000-0000-4000-8000-000000000001';

test('at a terminal each missing setting is asked for with what it is, again when it cannot be, and then the token', async () => {
  for (const [words, answers, steps, ended] of [
    [['teams', '--name', 'ms'], ['', 'nonsense', APP_ID, 'contoso.example'], /Azure Bot/, /cancelled/],
    [['whatsapp', '--name', 'wa'], ['12', '106540352242922'], /Phone number ID \(phone_number_id\)/, /cancelled/],
    [['github', '--name', 'gh'], ['acme', 'acme/app, acme/site'], /GitHub account/, /cancelled/],
    [['github', '--name', 'gh', '--set', 'app_id=7'], ['[acme/app, acme/site]', 'x', '8'], /Private keys/, /cancelled/],
    [['slack', '--name', 'sl'], ['nonsense', 'xoxb-1-fake', 'nonsense'], /From a manifest/, /cancelled/],
    [['discord', '--name', 'dc'], ['nonsense'], /Message Content Intent/, /cancelled/],
  ] as const) {
    const ran = await typed(['add', ...words], [...answers]);
    assert.match(ran.out, steps);
    assert.match(ran.ended, ended);
  }
});

test('where there are no direct chats the wizard asks who you are and where to try it, and a test names its chat', async () => {
  const account = await GitHubAccount.start(false);
  const { settings, secrets } = account.parts;
  const place = account.place('direct').chat;
  try {
    const adding = typed(
      ['add', 'github', '--name', 'code', ...sets(settings)],
      ['', secrets['token']!, 'zoe', account.handle('person'), place],
    );
    await until('the comment of the test', async () => {
      assert.ok(account.sent().some(({ shown }) => /This is a test of GlassClaw\. Answer/.test(shown)));
    });
    await account.people.say({ place: 'direct', from: 'person', text: 'here I am' });
    const { out, ended } = await adding;
    assert.equal(ended, 'exit 0', out);
    assert.ok(!/direct chat|pair /.test(out), out);
    assert.match(out, / is p\d+, an owner\.\nok {5}/);
    assert.deepEqual(out.match(/^ok/gm), ['ok', 'ok', 'ok'], out);
    const tried = await glass('', 'test', 'code');
    assert.match(tried.out, /^skipped .*name a chat: \.\/glass channel test code --to <owner\/name#12>$/m);
    const quiet = await glass('', 'test', 'code', '--to', place, '--no-reply');
    assert.deepEqual([quiet.status, quiet.out.match(/^ok/gm)?.length], [0, 2], quiet.out);
    // Who answers elsewhere does not answer it.
    const trying = glass('', 'test', 'code', '--to', place);
    await until('the comment of that test', async () => {
      assert.equal(account.sent().filter(({ shown }) => /Answer anything/.test(shown)).length, 2);
    });
    await account.people.say({ place: 'group', from: 'person', text: 'elsewhere' });
    await until('that has come', async () => assert.equal(heard('elsewhere').length, 1));
    await account.people.say({ place: 'direct', from: 'person', text: 'in its place' });
    const { out: answered } = await trying;
    assert.deepEqual(
      answered.match(/m\d+ has come/g),
      heard('in its place').map((id) => `m${id} has come`),
      answered,
    );
    const nowhere = await glass('', 'test', 'code', '--to', 'acme/other#1', '--no-reply');
    assert.deepEqual([nowhere.status, /^failed +a message out/m.test(nowhere.out)], [1, true], nowhere.out);
    await assert.rejects(install.control.call('pair', { channel: 'code' }), /code has no direct chats/);
    assert.equal((await glass('', 'remove', 'code', '--yes')).status, 0);
  } finally {
    await account.stop();
  }
});

test('what a kind refuses ends it before any step', async () => {
  for (const [words, said] of [
    [['github', '--set', 'repos=acme'], /channels\.github\.repos\.0: must be owner\/name/],
    [['github', '--set', 'repos=a/b', '--set', 'poll_s=often'], /channels\.github\.poll_s: /],
    [['teams', '--set', 'colour=red'], /channels\.teams: .*colour/],
    [['whatsapp', '--set', 'phone_number_id=+491'], /channels\.whatsapp\.phone_number_id: must be the digits/],
  ] as const) {
    const { status, out, err } = await glass('', 'add', ...words, '--stdin');
    assert.match(err, said);
    assert.deepEqual([status, out], [3, '']);
  }
});
