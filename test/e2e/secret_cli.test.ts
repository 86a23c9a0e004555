import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { after, before, test } from 'node:test';
import type { Io } from '../../src/cli/io.ts';
import { secret } from '../../src/cli/secret.ts';
import { GatewayProcess } from '../fakes/gateway_process.ts';

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
async function run(args: string[], input = '', options: { json?: boolean; tty?: boolean } = {}): Promise<Ran> {
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
  ran.code = await secret(args, gateway.paths, io, stdin);
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
    fix: 'start it with ./glass up',
  });
});
