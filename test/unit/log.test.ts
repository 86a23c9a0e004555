import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fstatSync, mkdirSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openLog, redact } from '../../src/base/log.ts';
import { ROOT } from '../../src/base/paths.ts';
import { alertOf } from '../../src/cli/up.ts';
import { beginLife, endLife, livesCut } from '../../src/ledger/lives.ts';
import { freshLedger, temporaryFolder } from '../fakes/ledger_kit.ts';

/** A log that cannot be written, one that the journal reads, and lives of the host that were cut short. */

test('a log says why its newest line is not in the file, and forgets it with the next one that is', (context) => {
  const folder = join(temporaryFolder(context), 'logs');
  const log = openLog('host', join(folder, 'host.log'), true);
  log.info('lost');
  assert.match(log.trouble()!, /ENOENT/);
  mkdirSync(folder);
  log.info('kept');
  assert.equal(log.trouble(), null);
  assert.match(readFileSync(join(folder, 'host.log'), 'utf8'), /"event":"kept"/);
  rmSync(folder, { recursive: true });
});

/** Each as it could come into a reason, with the part that must not stay. */
const CREDENTIALS: readonly [line: string, secret: string][] = [
  ...['sk-ant-api03-AbC_d-123456789', `ghp_${'a1B2'.repeat(9)}`, `ghs_${'a1B2'.repeat(9)}`].map(alone),
  ...['xoxb-123456789-abcdef', 'xoxp-123456789-abcdef', 'xapp-1-A123-456-abcdef'].map(alone),
  ['Authorization: Bearer abc.def-123', 'abc.def-123'],
  ['{"authorization":"Bearer abc.def-123"}', 'abc.def-123'],
  ['x-api-key = abcdef123456', 'abcdef123456'],
  ['it said:\nsk-ant-api03-behind-a-line', 'sk-ant-api03-behind-a-line'],
  ['Cookie: session=abcdef123456', 'session=abcdef123456'],
  ['https://example.com/a?token=abcdef123456', 'abcdef123456'],
  ['a header that it calls "cookie: abcdef123456"', 'abcdef123456'],
];

function alone(secret: string): [string, string] {
  return [`the key ${secret} was refused`, secret];
}

test('what looks like a credential is in no line of a log, whatever field it is in, nor in the journal', (context) => {
  const folder = temporaryFolder(context);
  const file = join(folder, 'host.log');
  const printed: string[] = [];
  context.mock.method(process.stderr, 'write', (line: string) => printed.push(line) > 0);
  const log = openLog('host', file);
  for (const [reason] of CREDENTIALS)
    for (const level of ['info', 'warn', 'error'] as const) log[level]('x', { reason });
  log.info('by its field', { token: 'abcdef123456' });
  context.mock.restoreAll();
  for (const text of [readFileSync(file, 'utf8'), printed.join('')]) {
    const lines = text.trimEnd().split('\n');
    assert.equal(lines.length, 3 * CREDENTIALS.length + 1);
    for (const [reason, secret] of CREDENTIALS) assert.ok(!text.includes(secret), reason);
    for (const line of lines) assert.match(Object.values(JSON.parse(line)).at(-1) as string, /\[redacted\]/);
  }
});

test('an alert is shown by its sentence, whatever stands in it, and a line that a dying process left as it is', (context) => {
  const printed: string[] = [];
  context.mock.method(process.stderr, 'write', (line: string) => printed.push(line) > 0);
  openLog('host', null).error('alert', { text: 'the chat "token: abcdef" refused it' });
  context.mock.restoreAll();
  assert.equal(alertOf(printed[0]!.trimEnd()), '⚠ the chat "token: [redacted]" refused it');
  const cut = '{"at":"2026-01-02T03:04:05Z","event":"alert","te';
  assert.equal(alertOf(cut), cut);
  assert.equal(alertOf('{"event":"other"}'), null);
});

test('what is no credential stays readable', () => {
  for (const text of ['no token was given', 'the task k1 of s12 failed', '{"tokens":12,"at":"2026-01-02T03:04:05Z"}'])
    assert.equal(redact(text), text);
});

test('in the journal a line begins with how bad it is; where somebody reads it for us it does not', (context) => {
  const file = join(temporaryFolder(context), 'journal');
  const code = `import('${join(ROOT, 'src/base/log.ts')}').then(({ openLog }) => { const log = openLog('host', null); log.error('alert'); log.info('x'); })`;
  const run = (stream: (fd: number) => string): string[] => {
    const fd = openSync(file, 'w');
    const env = { ...process.env, JOURNAL_STREAM: stream(fd) };
    assert.equal(spawnSync(process.execPath, ['-e', code], { env, stdio: ['ignore', 'ignore', fd] }).status, 0);
    return readFileSync(file, 'utf8').trimEnd().split('\n');
  };
  const own = run((fd) => `${fstatSync(fd).dev}:${fstatSync(fd).ino}`);
  assert.deepEqual(
    own.map((line) => line.slice(0, 4)),
    ['<3>{', '<6>{'],
  );
  assert.ok(run(() => '1:2').every((line) => line.startsWith('{')));
});

test('a life that did not end in order was cut short; the one that runs was not', async (context) => {
  const { db } = await freshLedger(context);
  const cut = (): number => livesCut(db, 0);
  beginLife(db, 1000);
  assert.equal(cut(), 0);
  beginLife(db, 2000);
  assert.equal(cut(), 1);
  endLife(db, 2500);
  beginLife(db, 3000);
  beginLife(db, 4000);
  assert.deepEqual([cut(), livesCut(db, 1500)], [2, 1]);
});
