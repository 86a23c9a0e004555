import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, afterEach, before, test } from 'node:test';
import { Install, until } from '../fakes/install.ts';
import { rows, sessionOf, Terminal } from '../fakes/terminal.ts';

/** What is kept of files, with gateway, host and bubblewrap as they ship. */

const AGE_MS = 8 * 24 * 3_600_000;
const install = new Install();

before(async () => {
  install.install('runtime: bubblewrap\nfiles: { keep: 7d }\n');
  install.group('assistant', 'harness: probe\n');
  await install.start();
});
afterEach((context) => install.explain(context));
after(() => install.stop());

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const blob = (bytes: Buffer): string => join(install.paths.blobs, sha256(bytes));

/** As if everything that is there had happened eight days ago. */
function age(...blobs: Buffer[]): void {
  const db = new DatabaseSync(install.paths.ledger);
  db.exec(
    `UPDATE messages SET received_ms = received_ms - ${AGE_MS}; UPDATE outbound SET updated_ms = updated_ms - ${AGE_MS}`,
  );
  db.close();
  const then = new Date(Date.now() - AGE_MS);
  for (const bytes of blobs) utimesSync(blob(bytes), then, then);
}

test('after its time a file is gone, and status, trace, glass file and the agent say so', async () => {
  const chat = await Terminal.open(install.control, 'old');
  const [came, sent] = [randomBytes(2000), randomBytes(3000)];
  const message = await chat.say('files', [
    { name: 'came.bin', bytes: came },
    { name: 'sent.bin', bytes: sent },
  ]);
  await chat.hears(new RegExp(sha256(sent)));
  const passed = await chat.say(`file /inbox/${message}/sent.bin take it`);
  const { file } = await chat.hears(/^take it$/);
  const inbox = join(install.paths.session(sessionOf(install, 'old')).inbox, message);
  assert.match(install.glass('status').stdout, /files +2 kept, 5 KB; pruned \d{4}-\d\d-\d\d \d\d:\d\d UTC: 0 removed/);
  await install.end('host', 'SIGTERM');
  age(came, sent);
  const young = Buffer.from('young');
  install.spawn('host');
  await install.ready();
  await until('the bytes are gone', async () => assert.ok(!existsSync(blob(came)) && !existsSync(blob(sent))));
  await until('its copy is gone', async () => assert.ok(!existsSync(inbox)));
  assert.match(
    install.glass('file', file!.id).stderr,
    /the bytes of the file sent\.bin were removed on \d{4}-\d\d-\d\d/,
  );
  assert.match(install.glass('trace', message).stdout, /the bytes of came\.bin were removed on \d{4}-/);
  assert.match(install.glass('trace', passed).stdout, /the bytes of sent\.bin \(o\d+\) were removed on \d{4}-/);
  assert.match(install.glass('status').stdout, /files +0 kept, 0 B; pruned .*: 2 removed, 5 KB/);
  await chat.open();
  await chat.say('files', [{ name: 'young', bytes: young }]);
  await chat.hears(new RegExp(sha256(young)));
  assert.ok(existsSync(blob(young)));
});

test('the same bytes that come again are there again', async () => {
  const chat = await Terminal.open(install.control, 'again');
  const bytes = randomBytes(1000);
  await chat.say('files', [{ name: 'a', bytes }]);
  await chat.hears(new RegExp(sha256(bytes)));
  await install.end('host', 'SIGTERM');
  age(bytes);
  install.spawn('host');
  await install.ready();
  await until('the bytes are gone', async () => assert.ok(!existsSync(blob(bytes))));
  await chat.open();
  const heard = chat.heard.length;
  await chat.say('files', [{ name: 'b', bytes }]);
  await until('it is read', async () =>
    assert.ok(chat.heard.slice(heard).some(({ body }) => body.includes(sha256(bytes)))),
  );
  const marks = rows<{ gone: number }>(
    install,
    `SELECT gone_ms IS NOT NULL AS gone FROM files WHERE sha256 = '${sha256(bytes)}' ORDER BY id`,
  );
  assert.deepEqual(
    marks.map(({ gone }) => gone),
    [1, 0],
  );
});

test('a period that is none is refused with the reason', async () => {
  for (const [yaml, reason] of [
    ['files: { keep: 0d }', /files\.keep.*number of days/],
    ['files: { keep: 7h }', /files\.keep.*number of days/],
    ['files: { room: 10 }', /files\.room/],
    ['files: { for_ever: true }', /for_ever/],
  ] as const) {
    const other = new Install();
    try {
      other.install(`runtime: bubblewrap\n${yaml}\n`);
      const { stderr } = other.glass('up');
      assert.match(stderr, reason);
    } finally {
      await other.stop();
    }
  }
});
