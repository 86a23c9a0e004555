import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { ROOT } from '../../src/base/paths.ts';
import type { Linking } from '../../src/channels/channel.ts';
import { linkChannel } from '../../src/cli/channel_link.ts';
import type { ControlClient } from '../../src/cli/control_client.ts';
import type { Io } from '../../src/cli/io.ts';
import type { ChannelShownAlone } from '../../src/operations/channels.ts';
import { LINKED_FILE, OVER_FILE } from '../fakes/fake_driver.ts';
import { until } from '../fakes/install.ts';
import { Talk } from '../fakes/talk.ts';

/** A channel that a phone links: how it is asked for, through the driver's thread, the host and the command line. */
const talk = await Talk.make(undefined, { GLASS_TEST_DRIVER: '1' });
const { install } = talk;

before(async () => {
  install.group('assistant', 'harness: probe\n');
  install.install('# The operator’s own words.\n');
  await install.start();
});
afterEach((context) => install.explain(context));
after(() => talk.end());

function shown(name: string): Promise<ChannelShownAlone> {
  return talk.call<ChannelShownAlone>('channel_show', { name });
}

interface Ran {
  status: number | null;
  out: string;
  err: string;
}

/** Ends it when `enough` of what it has said. */
function glass(words: string[], enough: (ran: Ran) => boolean = () => false): Promise<Ran> {
  const child = spawn(process.execPath, [join(ROOT, 'src/cli/main.ts'), 'channel', ...words], {
    env: { ...process.env, GLASS_HOME: install.paths.home, NO_COLOR: '1' },
  });
  const ran: Ran = { status: null, out: '', err: '' };
  const heard = (to: 'out' | 'err') => (part: Buffer) => {
    ran[to] += part.toString('utf8');
    if (enough(ran)) child.kill();
  };
  child.stdout.on('data', heard('out'));
  child.stderr.on('data', heard('err'));
  child.stdin.end();
  return new Promise((resolve) => child.on('close', (status) => resolve({ ...ran, status })));
}

test('what a phone is to be told is shown with that channel alone, until it is linked; its folder goes with it', async () => {
  await install.secret('phone-token', 'fake-token-good', { form: { kind: 'channel' }, hosts: [] });
  await talk.call('channel_add', { name: 'phone', kind: 'fake', settings: { url: talk.url, unlinked: true } });
  await until('it asks', async () => assert.deepEqual((await shown('phone')).linking, { code: 'AB12CD34' }));
  assert.equal((await shown('phone')).state, 'starting');
  for (const operation of ['channels', 'status'])
    assert.ok(!JSON.stringify(await talk.call(operation)).includes('AB12CD34'), operation);
  assert.equal((await shown('local')).linking, null);
  const folder = join(install.paths.channels, 'phone');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, LINKED_FILE), '');
  await until('it is linked', async () => {
    const { state, linking } = await shown('phone');
    assert.deepEqual([state, linking], ['connected', null]);
  });
  await talk.call('channel_remove', { name: 'phone' });
  assert.equal(existsSync(folder), false);
});

test('what a channel of the same name has left is not taken over', async () => {
  const folder = join(install.paths.channels, 'phone');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, LINKED_FILE), '');
  await talk.call('channel_add', { name: 'phone', kind: 'fake', settings: { url: talk.url, unlinked: true } });
  await until('it asks', async () => assert.deepEqual((await shown('phone')).linking, { code: 'AB12CD34' }));
  await talk.call('channel_remove', { name: 'phone' });
});

test('a channel that asks for nothing more says so once; begun anew it asks, and nothing of the life before is shown', async () => {
  await talk.call('channel_add', { name: 'phone', kind: 'fake', settings: { url: talk.url, unlinked: true } });
  const folder = join(install.paths.channels, 'phone');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, OVER_FILE), '');
  await talk.call('channel_retry', { name: 'phone' });
  await until('it is over', async () => assert.deepEqual((await shown('phone')).linking, { over: true }));
  const said: string[] = [];
  const out = (line: string): void => void said.push(line);
  const io: Io = { out, err: out, json: true, colour: false };
  assert.equal(await linkChannel(install.control, 'phone', io), false);
  assert.deepEqual(said.splice(0), ['It is not linked: nobody has linked it']);
  rmSync(join(folder, OVER_FILE));
  await talk.call('channel_retry', { name: 'phone' });
  const linked = linkChannel(install.control, 'phone', io);
  await until('it asks', async () => assert.deepEqual(said, [JSON.stringify({ linking: { code: 'AB12CD34' } })]));
  writeFileSync(join(folder, LINKED_FILE), '');
  assert.equal(await linked, true);
  await talk.call('channel_remove', { name: 'phone' });
});

const SERVER = ['--set', 'server=ws://127.0.0.1:1/'];

test('nothing is done until the risk is accepted', async () => {
  const { status, err } = await glass(['add', 'whatsapp-linked', ...SERVER]);
  assert.equal(status, 2);
  assert.match(err, /WhatsApp bans numbers that are used so.*\n.*there is no terminal to ask on: .*--yes/);
  assert.equal(readFileSync(install.paths.config, 'utf8').includes('whatsapp'), false);
  const { status: wrong, err: why } = await glass([
    'add',
    'whatsapp-linked',
    '--yes',
    '--set',
    'server=ws://example.org/',
  ]);
  assert.equal(wrong, 3);
  assert.match(why, /channels\.whatsapp-linked\.server: must be wss:/);
});

test('added, it has a key that nobody saw, a folder of its own, and the real driver in its thread', async () => {
  const words = ['add', 'whatsapp-linked', '--name', 'wa', '--yes', '--set', 'phone=+4917012345678', ...SERVER];
  const ran = await glass(words, ({ out }) => out.includes('is in glass.yaml'));
  assert.match(ran.out, /Link with phone number instead/);
  assert.match(readFileSync(install.paths.config, 'utf8'), /wa:[\s{]+kind: whatsapp-linked,?\s+phone: "4917012345678"/);
  const list = await install.glass('secret', 'list');
  assert.match(list.stdout, /^wa-key\s/m);
  await until('it says what is wrong', async () =>
    assert.match((await shown('wa')).detail, /^the connection to WhatsApp ended \(\d+\); it is tried again$/),
  );
  const folder = join(install.paths.channels, 'wa');
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  assert.equal(statSync(join(folder, 'device.db')).mode & 0o777, 0o600);
});

test('what it keeps is damaged: the channel says so, and nothing is written over', async () => {
  const file = join(install.paths.channels, 'wa/device.db');
  await install.end('host', 'SIGTERM');
  writeFileSync(file, readFileSync(file).fill(0, 4096));
  const before = readFileSync(file);
  install.spawn('host');
  await install.ready();
  await until('it says so', async () =>
    assert.match((await shown('wa')).detail, /^what this linked device keeps is damaged .*link it anew$/),
  );
  assert.ok(readFileSync(file).equals(before));
});

test('it is linked again by a word, which other kinds do not know', async () => {
  await install.secret('plain-token', 'fake-token-good', { form: { kind: 'channel' }, hosts: [] });
  await talk.call('channel_add', { name: 'plain', kind: 'fake', settings: { url: talk.url } });
  const plain = await glass(['link', 'plain']);
  assert.equal(plain.status, 2);
  assert.match(plain.err, /nothing is to be linked/);
  assert.equal((await glass(['link', 'nobody'])).status, 4);
  assert.equal((await glass(['link'])).status, 2);
  const removed = await glass(['remove', 'wa', '--yes']);
  assert.equal(removed.status, 0, removed.err);
  assert.equal(existsSync(join(install.paths.channels, 'wa')), false);
});

/** The host's answers, one after the other; the last one stays. */
async function linking(answers: Partial<ChannelShownAlone>[], json: boolean, more: Partial<Io> = {}) {
  const said: string[] = [];
  let at = -1;
  const call = async () => {
    at = Math.min(at + 1, answers.length - 1);
    return { name: 'wa', kind: 'whatsapp-linked', state: 'starting', detail: '…', linking: null, ...answers[at] };
  };
  const out = (line: string): void => void said.push(line);
  const io: Io = { out, err: out, json, colour: false, ...more };
  const linked = await linkChannel({ call } as unknown as Pick<ControlClient, 'call'>, 'wa', io);
  return { linked, said };
}

const first: Linking = { qr: '2@first', picture: '█▀█' };
const second: Linking = { qr: '2@second', picture: '▀█▀' };

test('a person is shown each picture once, and that it is linked', async () => {
  const { linked, said } = await linking(
    [{}, { linking: first }, { linking: first }, { linking: second }, {}, { state: 'connected', detail: '+49170' }],
    false,
  );
  assert.equal(linked, true);
  assert.equal(said.length, 3);
  assert.match(said[0]!, /█▀█/);
  assert.match(said[1]!, /▀█▀/);
  assert.match(said[2]!, /Linked: \+49170/);
});

test('the picture is light on dark in any terminal, and a narrow one is told of', async () => {
  const linked = { state: 'connected' } as const;
  const { said } = await linking([{ linking: first }, linked], false, { colour: true, columns: 2 });
  assert.match(said[0]!, /too narrow/);
  assert.ok(said[1]!.includes('\x1b[97;40m█▀█\x1b[0m'));
  const hostile = { qr: 'x', picture: 'a\x1b[2Jb' };
  assert.ok(!(await linking([{ linking: hostile }, linked], false)).said.join('').includes('\x1b'));
});

test('a program is given what is in the picture, or the code, a line each', async () => {
  const linked = { state: 'connected' } as const;
  assert.deepEqual((await linking([{ linking: first }, linked], true)).said, [JSON.stringify({ linking: first })]);
  const code = { code: 'AB12CD34' };
  assert.deepEqual((await linking([{ linking: code }, linked], true)).said, [JSON.stringify({ linking: code })]);
  assert.match((await linking([{ linking: code }, linked], false)).said[0]!, /Type on the phone: {2}AB12CD34/);
});

test('when the time is over it says what to do, and is not linked', async () => {
  const over = { state: 'failed', detail: 'it is not linked', linking: { over: true } } as const;
  for (const before of [{ linking: first }, {}])
    for (const json of [true, false]) {
      const { linked, said } = await linking([before, over], json);
      assert.equal(linked, false);
      assert.equal(said.length, 'linking' in before ? 2 : 1);
      assert.match(said.at(-1)!, /^It is not linked: it is not linked/);
    }
});
