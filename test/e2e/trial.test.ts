import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, afterEach, test } from 'node:test';
import { ROOT } from '../../src/base/paths.ts';
import { ControlClient } from '../../src/cli/control_client.ts';
import { OPERATIONS } from '../../src/control/operations.ts';
import { refuseInTrial } from '../../src/control/safe_mode.ts';
import { CHECK_GROUP } from '../../src/evidence/check/names.ts';
import { Install, until } from '../fakes/install.ts';
import { cannotDrop, passesForOrdinaryUser } from '../fakes/ordinary_user.ts';
import { rows } from '../fakes/terminal.ts';

/** `glass up --trial`, as it is typed, on a home in which much waits. */

const install = new Install();
install.group('assistant', 'harness: probe\n');
afterEach((context) => install.explain(context));
after(() => install.stop());

interface Tried {
  message: string;
  secrets: number;
  schema: number;
  record: string;
}

const column = (sql: string): string[] => rows<{ state: string }>(install, sql).map(({ state }) => state);
const states = (): string[] => column('SELECT state FROM inbound ORDER BY id');
const waiting = (): string[] =>
  column("SELECT state FROM outbound WHERE chat_id IN (SELECT id FROM chats WHERE platform_id = 'main') ORDER BY id");

test('it answers one message of its own; what waits goes on waiting, and a real start takes it up', async () => {
  await install.start();
  await install.secret('anthropic', 'fake-secret-value');
  const say = (text: string, key: string): Promise<unknown> => install.control.call('say', { chat: 'main', text, key });
  await say('/help', 'k1'); // Nobody shows its answer: it waits.
  await say('sleep 30', 'k2');
  await until('a turn runs', async () => assert.ok(states().includes('running')));
  await install.end('host', 'SIGKILL');
  await install.end('gateway', 'SIGKILL');
  const before = { inbound: states(), outbound: waiting(), yaml: readFileSync(install.paths.config, 'utf8') };

  const run = install.glass('up', '--trial', '--json');
  assert.equal(run.status, 0, run.stderr);
  const tried = JSON.parse(run.stdout) as Tried;
  assert.equal(tried.secrets, 1);
  assert.match(tried.record, /^\d+ events and \d+ links/);
  assert.ok(!run.stdout.includes('fake-secret-value'));

  assert.deepEqual(states().slice(0, -1), before.inbound, 'nothing of it was touched');
  assert.deepEqual(waiting(), before.outbound);
  assert.equal(readFileSync(install.paths.config, 'utf8'), before.yaml);
  assert.ok(!existsSync(install.paths.group(CHECK_GROUP).folder), 'the throw-away is gone');
  for (const part of ['host', 'gateway']) assert.ok(!existsSync(join(install.paths.run, `${part}.pid`)), part);

  await install.start();
  await until('the turn runs again', async () =>
    assert.ok(states().slice(0, before.inbound.length).includes('running')),
  );
  const second = install.glass('up', '--trial');
  assert.equal(second.status, 5);
  assert.match(second.stderr, /already running/);
});

test('what keeps it from answering is one sentence and an exit code, and nothing is left running', async () => {
  await install.end('host', 'SIGKILL');
  await install.end('gateway', 'SIGKILL');
  const key = install.paths.vaultKey;
  renameSync(key, `${key}.away`);
  const locked = install.glass('up', '--trial');
  renameSync(`${key}.away`, key);
  assert.equal(locked.status, 3);
  assert.match(locked.stderr, /the gateway does not start: .*vault\.key is missing, and the vault was sealed with it/);

  const turn = (sql: string): void => {
    const vault = new DatabaseSync(install.paths.vault);
    vault.exec(sql);
    vault.close();
  };
  turn("UPDATE secrets SET next = envelope, envelope = CAST(x'00' || substr(envelope, 2) AS BLOB)");
  const damaged = install.glass('up', '--trial', '--json');
  turn('UPDATE secrets SET envelope = next, next = NULL');
  assert.equal(damaged.status, 8);
  assert.match(damaged.stderr, /of the vault these do not open: anthropic/);

  const ledger = new DatabaseSync(install.paths.ledger);
  const { user_version: schema } = ledger.prepare('PRAGMA user_version').get() as { user_version: number };
  ledger.exec('PRAGMA user_version = 9999');
  const newer = install.glass('up', '--trial');
  ledger.exec(`PRAGMA user_version = ${schema}`);
  ledger.close();
  assert.equal(newer.status, 8);
  assert.match(newer.stderr, /the host does not start: .*has schema 9999, this GlassClaw knows/);
  assert.ok(!existsSync(install.paths.controlSocket));
});

test('both processes end with the one that tries them out, however it ends', async () => {
  const env = { ...process.env, GLASS_HOME: install.paths.home };
  const trial = spawn(process.execPath, [join(ROOT, 'src/cli/main.ts'), 'up', '--trial'], { env, stdio: 'ignore' });
  const client = new ControlClient(install.paths.controlSocket);
  await until('the host answers', () => client.call('status'));
  await assert.rejects(client.call('say', { chat: 'main', text: 'hello', key: 'k9' }), /is tried out now/);
  client.close();
  const gone = new Promise((resolve) => trial.on('exit', resolve));
  trial.kill('SIGKILL');
  await gone;
  for (const part of ['host', 'gateway'])
    await until(`the ${part} has ended`, async () => assert.ok(!existsSync(join(install.paths.run, `${part}.pid`))));
});

test('a trial does what is about its throw-away, and refuses all else', () => {
  const all = { chat: 'local:check-x', group: CHECK_GROUP };
  const allowed = OPERATIONS.map(({ name }) => name).filter((name) => {
    try {
      refuseInTrial(name, name === 'say' ? { chat: 'check-x' } : all);
      return true;
    } catch {
      return false;
    }
  });
  assert.equal(allowed.length, 11);
  for (const [name, input] of [
    ['say', { chat: 'main' }],
    ['wiring_set', { chat: 'local:main', group: CHECK_GROUP }],
    ['wiring_set', { chat: 'local:check-x', group: 'assistant' }],
    ['group_resume', {}],
  ] as const)
    assert.throws(() => refuseInTrial(name, input), { code: 'refused' }, name);
});

const skip = cannotDrop();
test('the same for an ordinary user', { skip }, () => {
  passesForOrdinaryUser(import.meta.url, '--test-name-pattern=^it answers one');
});
