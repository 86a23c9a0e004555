import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, before, test } from 'node:test';
import { ROOT } from '../../src/base/paths.ts';
import type { Io } from '../../src/cli/io.ts';
import { secret } from '../../src/cli/secret.ts';
import { GatewayProcess } from '../fakes/gateway_process.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';
import { FAILS, fakeNpm } from '../fakes/npm.ts';

/** `glass secret …` against a real gateway. */

const gateway = new GatewayProcess();
before(async () => {
  gateway.group('assistant', '');
  await gateway.start();
});
after(() => gateway.dispose());

interface Ran {
  code: number;
  out: string;
  err: string;
}

/** A terminal or a pipe that types `input`. */
async function run(
  args: string[],
  input = '',
  options: { json?: boolean; tty?: boolean; root?: string } = {},
): Promise<Ran> {
  const ran: Ran = { code: -1, out: '', err: '' };
  const stdin = new PassThrough() as unknown as NodeJS.ReadStream & PassThrough;
  const modes: boolean[] = [];
  if (options.tty === true) Object.assign(stdin, { isTTY: true, setRawMode: (on: boolean) => modes.push(on) });
  const io: Io = {
    out: (text) => {
      ran.out += `${text}\n`;
    },
    err: (text) => {
      ran.err += `${text}\n`;
    },
    json: options.json ?? false,
    colour: false,
  };
  stdin.end(input);
  ran.code = await secret(args, { ...gateway.paths, root: options.root ?? gateway.paths.root }, io, stdin);
  if (options.tty === true) assert.deepEqual(modes, [true, false], 'the terminal is put into raw mode and back');
  return ran;
}

test('a secret is set from a pipe, listed, replaced from a terminal without echo, and removed', async () => {
  assert.deepEqual(await run(['list']), { code: 0, out: 'no secrets are set\n', err: '' });
  assert.deepEqual(await run(['set', 'anthropic', '--stdin'], 'fake-secret-one\n'), {
    code: 0,
    out: 'anthropic is set\n',
    err: '',
  });
  const typed = await run(['set', 'anthropic'], 'fake-secret-twp\x7fo\r', { tty: true });
  assert.deepEqual(typed, { code: 0, out: 'anthropic is replaced\n', err: '' });
  assert.match(
    (await run(['list'])).out,
    /^anthropic +set \d{4}-\d\d-\d\d \d\d:\d\d +used never +model → api\.anthropic\.com\n$/,
  );
  const { secrets } = JSON.parse((await run(['list'], '', { json: true })).out);
  assert.deepEqual(Object.keys(secrets[0]), [
    'name',
    'created_ms',
    'updated_ms',
    'form',
    'hosts',
    'next',
    'last_used_ms',
  ]);
  assert.equal((await run(['remove', 'anthropic'])).out, 'anthropic is removed\n');
  await assert.rejects(run(['remove', 'anthropic']), { code: 'not_found' });
});

test('a secret is set also where the packages of its harness cannot be got: who cannot answer is said, and what to do', async (context) => {
  const root = temporaryFolder(context);
  for (const file of ['package.json', 'package-lock.json'])
    cpSync(join(ROOT, 'sandbox/harnesses/claude', file), join(root, 'sandbox/harnesses/claude', file));
  fakeNpm(context, root, FAILS);
  const { code, out, err } = await run(['set', 'anthropic', '--stdin'], 'fake-secret-one\n', { root });
  assert.deepEqual([code, out], [0, 'anthropic is set\n']);
  assert.match(
    err,
    /runs the harness claude from now on\.\n.*404 there is no such package.*glass harness install claude\n$/s,
  );
  assert.equal((await run(['remove', 'anthropic'])).out, 'anthropic is removed\n');
});

const OAUTH = {
  client_id: 'fake-client',
  client_secret: 'fake-client-secret',
  refresh_token: 'fake-refresh-token',
  token_url: 'https://login.example.com/token',
};

test('a secret is told what it is: kind, hosts, and what the kind needs', async () => {
  const set = (words: string, value = 'fake-secret-value') => run(['set', ...words.split(' '), '--stdin'], value);
  await set('gh --kind bearer --host api.github.com --host uploads.github.com:443');
  await set('git --kind basic --user x-access-token --host github.com');
  await set('lab --kind header --header private-token --host gitlab.example.com:8443');
  await set('old --kind header --header authorization --format token="{}" --host old.example.com');
  await set('map --kind query --parameter appid --host maps.example.com');
  await set('bot --kind channel');
  await set('mail --kind oauth2 --host mail.example.com', JSON.stringify(OAUTH));
  const { secrets } = JSON.parse((await run(['list'], '', { json: true })).out) as {
    secrets: Record<string, unknown>[];
  };
  assert.deepEqual(
    secrets.map(({ name, form, hosts }) => [name, form, hosts]),
    [
      ['bot', { kind: 'channel' }, []],
      ['gh', { kind: 'bearer' }, ['api.github.com', 'uploads.github.com']],
      ['git', { kind: 'basic', user: 'x-access-token' }, ['github.com']],
      ['lab', { kind: 'header', header: 'private-token', format: '{}' }, ['gitlab.example.com:8443']],
      ['mail', { kind: 'oauth2', token_url: OAUTH.token_url }, ['mail.example.com']],
      ['map', { kind: 'query', parameter: 'appid' }, ['maps.example.com']],
      ['old', { kind: 'header', header: 'authorization', format: 'token="{}"' }, ['old.example.com']],
    ],
  );
  const shown = (await run(['list'])).out;
  assert.match(shown, /^git .* basic x-access-token → github\.com$/m);
  assert.match(shown, /^mail .* oauth2 by https:\/\/login\.example\.com\/token → mail\.example\.com$/m);
  assert.ok(!/fake-(client|refresh)/.test(shown));
});

test('a new value keeps what the secret is; new words change only what they say', async () => {
  const found = async (name: string) => {
    const { secrets } = JSON.parse((await run(['list'], '', { json: true })).out) as { secrets: { name: string }[] };
    return secrets.find((row) => row.name === name) as object;
  };
  await run(['set', 'lab', '--stdin'], 'fake-secret-replaced');
  assert.partialDeepStrictEqual(await found('lab'), {
    form: { kind: 'header', header: 'private-token', format: '{}' },
    hosts: ['gitlab.example.com:8443'],
  });
  await run(['set', 'lab', '--host', 'lab.example.com', '--stdin'], 'fake-secret-replaced');
  assert.partialDeepStrictEqual(await found('lab'), {
    form: { kind: 'header', header: 'private-token', format: '{}' },
    hosts: ['lab.example.com'],
  });
  await run(['set', 'mail', '--stdin'], JSON.stringify({ ...OAUTH, token_url: 'https://login.example.org/token' }));
  assert.partialDeepStrictEqual(await found('mail'), { form: { token_url: 'https://login.example.org/token' } });
});

test('a next value is set, listed, promoted and removed', async () => {
  assert.equal((await run(['set', 'gh', '--next', '--stdin'], 'fake-secret-next')).out, 'gh has a next value\n');
  assert.match((await run(['list'])).out, /^gh .* bearer → api\.github\.com uploads\.github\.com, with a next value$/m);
  assert.match((await run(['promote', 'gh'])).out, /^gh has its next value now/);
  assert.equal((await run(['remove', 'gh', '--next'])).out, 'the next value of gh is removed\n');
  await assert.rejects(run(['promote', 'gh']), { code: 'conflict' });
  await assert.rejects(run(['remove', 'gh', '--next']), { code: 'not_found' });
  await assert.rejects(run(['set', 'nothing', '--next', '--stdin'], 'fake-secret-next'), { code: 'not_found' });
});

test('rotate says what it has done', async () => {
  const { out } = await run(['rotate'], '', { json: true });
  assert.deepEqual(JSON.parse(out), { rewrapped: 7, damaged: 0, left: null });
  assert.match((await run(['rotate'])).out, /^7 values are under a new key/);
});

test('words that do not fit are refused before the value is asked for', async () => {
  const wrong: [words: string, message: RegExp][] = [
    ['--kind bearer', /^hosts: a secret of kind bearer needs the hosts/],
    ['--kind nonsense --host a.example.com', /^kind: /],
    ['--kind basic --host a.example.com', /^user: /],
    ['--kind header --header Host --host a.example.com', /^header: must be the name of a header/],
    ['--kind bearer --host https://a.example.com', /^hosts\.0: must be a host/],
    ['--kind bearer --host a.example.com --user x', /Unrecognized key: "user"/],
    ['--colour red', /Unknown option '--colour'/],
  ];
  for (const [words, message] of wrong)
    await assert.rejects(run(['set', 'wrong', ...words.split(' '), '--stdin'], ''), { code: 'usage', message }, words);
  await assert.rejects(run(['set', 'wrong', '--kind', 'oauth2', '--host', 'a.example.com'], 'fake-secret-value'), {
    code: 'usage',
    message: /is JSON/,
  });
  for (const { name } of JSON.parse((await run(['list'], '', { json: true })).out).secrets) {
    assert.notEqual(name, 'wrong');
    await run(['remove', name]);
  }
});

test('a secret that no model names is taken for a model’s, and a person is told', async () => {
  assert.match(
    (await run(['set', 'spare', '--stdin'], 'fake-secret-value')).err,
    /for a service, say so: --kind bearer/,
  );
  await run(['remove', 'spare']);
});

test('a value on the command line, an empty, a short and a cancelled one are refused', async () => {
  await assert.rejects(run(['set', 'x', 'fake-secret-value']), {
    code: 'usage',
    message: /never given on the command/,
  });
  await assert.rejects(run(['set', 'x', '--stdin'], '\n'), { code: 'usage', message: 'the value is empty' });
  await assert.rejects(run(['set', 'x', '--stdin'], 'short\n'), { code: 'usage', message: /fewer than 8 bytes/ });
  await assert.rejects(run(['set', 'x'], 'fake-secret\x03', { tty: true }), { code: 'usage', message: /cancelled/ });
  await assert.rejects(run(['set', 'Bad Name', '--stdin'], 'fake-secret-value'), { code: 'usage' });
  await assert.rejects(run([]), { code: 'usage' });
  assert.equal((await run(['list'])).out, 'no secrets are set\n');
});

test('without a gateway it says what to do', async () => {
  await gateway.end('SIGTERM');
  await assert.rejects(run(['list']), {
    code: 'unavailable',
    message: 'the gateway is not running',
    fix: 'start it: ./glass up, or systemctl start glassclaw-gateway',
  });
});
