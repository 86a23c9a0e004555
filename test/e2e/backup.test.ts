import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathsOf, ROOT } from '../../src/base/paths.ts';
import { ControlClient } from '../../src/cli/control_client.ts';
import type { AlertShown } from '../../src/control/operations/alerts.ts';
import type { Status } from '../../src/evidence/status.ts';
import { MANIFEST, type Manifest, type Proof } from '../../src/operations/backup/manifest.ts';
import { Install, until } from '../fakes/install.ts';
import { cannotDrop, passesForOrdinaryUser } from '../fakes/ordinary_user.ts';
import { remove } from '../fakes/remove.ts';
import { Terminal } from '../fakes/terminal.ts';

/** `glass backup` and `glass restore`, as they are typed, on an install that works meanwhile. */

const install = new Install();
install.group('assistant', 'harness: probe\ntools: [send_message, history_search]\n');
const shelf = join(install.paths.home, 'backups');
const homes: string[] = [];
afterEach((context) => install.explain(context));
after(async () => {
  await install.stop();
  for (const home of homes) {
    remove(pathsOf(home, process.env).run);
    remove(home);
  }
});

interface Ran {
  status: number | null;
  stdout: string;
  stderr: string;
}

function start(home: string, words: string[]): ChildProcess {
  const env = { ...process.env, GLASS_HOME: home, NO_COLOR: '1' };
  return spawn(process.execPath, [join(ROOT, 'src/cli/main.ts'), ...words], { env, stdio: ['ignore', 'pipe', 'pipe'] });
}

function run(words: string[], home = install.paths.home): Promise<Ran> {
  const child = start(home, words);
  const ran: Ran = { status: null, stdout: '', stderr: '' };
  child.stdout!.on('data', (part) => {
    ran.stdout += part;
  });
  child.stderr!.on('data', (part) => {
    ran.stderr += part;
  });
  return new Promise((resolve) => child.on('close', (status) => resolve({ ...ran, status })));
}

interface Made {
  folder: string;
  proof: Proof;
  removed: string[];
}
async function backup(...words: string[]): Promise<Made> {
  const ran = await run(['backup', '--json', ...words]);
  assert.equal(ran.status, 0, ran.stderr + ran.stdout);
  return JSON.parse(ran.stdout) as Made;
}

const newHome = (): string => {
  const home = mkdtempSync(join(tmpdir(), 'gb-'));
  homes.push(home);
  return home;
};
const left = (): string[] => readdirSync(shelf).filter((name) => name.startsWith('.'));
const proofOf = (folder: string): Proof => JSON.parse(readFileSync(join(folder, 'proof.json'), 'utf8')) as Proof;
const alerts = async (): Promise<AlertShown[]> =>
  (await install.control.call<{ alerts: AlertShown[] }>('alerts')).alerts.filter(
    ({ kind, state }) => kind === 'backup.failed' && state !== 'over',
  );

let first: Made;

test('a backup that is made while messages flow and turns run is proven by an answer', async () => {
  await install.start();
  await install.secret('anthropic', 'fake-secret-value');
  const terminal = await Terminal.open(install.control, 'main');
  await terminal.say('the magpie nests in the old oak');
  await terminal.hears(/magpie/);
  await install.control.call('say', { chat: 'unheard', text: '/help', key: 'u1' }); // nobody shows its answer
  await install.control.call('say', { chat: 'long', text: 'sleep 20', key: 'l1' });
  const flowing = new AbortController();
  const flow = (async () => {
    for (let at = 0; !flowing.signal.aborted; at += 1) {
      await install.control.call('say', { chat: 'main', text: `flows ${at}`, key: `f${at}` });
      await sleep(20);
    }
  })();
  first = await backup();
  flowing.abort();
  await flow;
  terminal.close();
  assert.match(first.proof.says, /^m\d+ was answered by GlassClaw \S+; 1 secrets open; \d+ events/);
  assert.deepEqual(left(), []);
  const listed = await run(['backup', 'list']);
  assert.match(listed.stdout, /proven \d{4}-\d\d-\d\d\n/);
  const status = await install.control.call<Status>('status');
  assert.ok(status.last_backup_ms !== null && Date.now() - status.last_backup_ms < 120_000);
  for (const name of readdirSync(first.folder))
    assert.ok(!readFileSync(join(first.folder, name)).includes('fake-secret-value'), name);
});

test('put back elsewhere it comes up stopped, sends nothing by itself, and goes on with its memory', async () => {
  const home = newHome();
  const words = ['restore', first.folder, '--home', home];
  const locked = await run(words, newHome());
  assert.equal(locked.status, 2);
  assert.match(
    locked.stderr,
    /the vault was sealed with .*vault\.key, which is not in the backup — name it: --key <file>/,
  );
  const done = await run([...words, '--key', install.paths.vaultKey], newHome());
  assert.equal(done.status, 0, done.stderr);
  const up = await run(['up', '--detach'], home);
  assert.match(
    up.stdout,
    /^GlassClaw \S+ is up on \S+, stopped as a whole by the restore of .*: \.\/glass resume --all/,
  );
  const control = new ControlClient(pathsOf(home, process.env).controlSocket);
  try {
    const status = await control.call<Status>('status');
    assert.deepEqual(status.conservation.violations, []);
    assert.deepEqual(
      status.stopped.map(({ group, held }) => [group, held > 0]),
      [[null, true]],
    );
    const [unheard, main] = [await Terminal.open(control, 'unheard'), await Terminal.open(control, 'main')];
    await sleep(1000);
    assert.deepEqual(unheard.heard, [], 'an answer that waited may have been shown since');
    assert.equal((await run(['resume', '--all'], home)).status, 0);
    await until('what was held is shown', async () => assert.equal(unheard.heard.length, 1));
    await main.say('search magpie');
    await until('it remembers', async () => assert.ok(main.heard.some(({ body }) => body.includes('old oak'))));
    assert.equal(unheard.heard.length, 1);
    const later = await control.call<Status>('status');
    assert.deepEqual([later.stopped, later.conservation.violations], [[], []]);
    const record = await run(['events', 'verify', '--json'], home);
    assert.equal(record.status, 0, record.stdout + record.stderr);
    unheard.close();
    main.close();
  } finally {
    control.close();
    assert.equal((await run(['down'], home)).status, 0);
  }
  const again = await run(words, home);
  assert.equal(again.status, 5);
  assert.match(again.stderr, /holds an install — name an empty folder with --home, or add --replace/);
});

test('a backup that says that it is complete and lacks the ledger, or has a cut vault, is said to be none', async () => {
  const hash = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex');
  const change = (act: (manifest: Manifest) => void): void => {
    const file = join(first.folder, MANIFEST);
    const manifest = JSON.parse(readFileSync(file, 'utf8')) as Manifest;
    act(manifest);
    writeFileSync(file, JSON.stringify(manifest));
  };
  const cases: [name: string, act: () => void, says: RegExp][] = [
    ['ledger.db', () => rmSync(join(first.folder, 'ledger.db')), /says that it has ledger\.db, and lacks it/],
    ['vault.db', () => truncateSync(join(first.folder, 'vault.db'), 4096), /vault\.db has 4096 bytes instead of/],
    [
      'vault.db',
      () => {
        const file = join(first.folder, 'vault.db');
        const db = new DatabaseSync(file);
        db.exec('DELETE FROM secrets; PRAGMA journal_mode = DELETE');
        db.close();
        change(({ files }) => {
          const entry = files.find(({ path }) => path === 'vault.db')!;
          Object.assign(entry, { bytes: readFileSync(file).length, sha256: hash(file) });
        });
      },
      /it has \d+ events and 0 secrets, and should have more/,
    ],
  ];
  for (const [name, sabotage, says] of cases) {
    const [kept, manifest] = [readFileSync(join(first.folder, name)), readFileSync(join(first.folder, MANIFEST))];
    sabotage();
    const ran = await run(['backup', 'prove', first.folder]);
    assert.equal(ran.status, 1, ran.stdout + ran.stderr);
    assert.match(ran.stdout, says);
    assert.match(proofOf(first.folder).says, says);
    await until('people are told', async () => assert.equal((await alerts()).length, 1));
    assert.match((await run(['backup', 'list'])).stdout, /✗ /);
    writeFileSync(join(first.folder, name), kept);
    writeFileSync(join(first.folder, MANIFEST), manifest);
  }
  const ran = await run(['backup', 'prove', first.folder]);
  assert.equal(ran.status, 0, ran.stdout);
  await until('the alert is over', async () => assert.deepEqual(await alerts(), []));
});

test('a backup that is killed at any point is none, and the next one clears up', async () => {
  const seen = new Set<string>();
  const before = readdirSync(shelf).filter((name) => !name.startsWith('.'));
  for (const [prefix, file] of [
    ['.draft-', ''],
    ['.draft-', 'files.tar'],
    ['.trial-', ''],
    ['.trial-', 'logs/host.log'],
  ] as const) {
    const child = start(install.paths.home, ['backup']);
    const ended = new Promise((resolve) => child.on('exit', resolve));
    await until(`there is ${prefix} ${file}`, async () => {
      const found = left().find((name) => name.startsWith(prefix) && existsSync(join(shelf, name, file)));
      assert.ok(found !== undefined || child.exitCode !== null);
    });
    child.kill('SIGKILL');
    await ended;
    for (const name of left()) seen.add(name.slice(0, 4));
  }
  assert.ok(seen.has('.dra') && seen.has('.tri'), [...seen].join());
  for (const name of readdirSync(shelf).filter((each) => !each.startsWith('.') && !before.includes(each)))
    assert.ok(existsSync(join(shelf, name, MANIFEST)), `${name} is whole`);
  // The processes of its trial end with it, and are waited for.
  const made = await backup('--keep', '1');
  assert.deepEqual(left(), []);
  assert.ok(made.removed.length > 0 && !made.removed.includes(made.folder.split('/').at(-1)!));
  const { backups } = JSON.parse((await run(['backup', 'list', '--json'])).stdout) as {
    backups: { proof: Proof | null }[];
  };
  assert.equal(backups.filter(({ proof }) => proof?.ok === true).length, 1);
  first = made;
});

test('a running install is not replaced; one that is killed while it is replaced is the old one or the new one', async () => {
  const refused = await run(['restore', first.folder, '--replace', '--yes']);
  assert.equal(refused.status, 5);
  assert.match(refused.stderr, /GlassClaw is running on/);
  const home = newHome();
  const key = ['--key', install.paths.vaultKey];
  assert.equal((await run(['restore', first.folder, '--home', home, ...key])).status, 0);
  for (const wait_ms of [0, 30, 60, 90]) {
    const child = start(home, ['restore', first.folder, '--replace', '--yes', ...key]);
    const ended = new Promise((resolve) => child.on('exit', resolve));
    const isStaged = (): boolean => readdirSync(join(home, 'backups')).some((name) => name.startsWith('.restore-'));
    await until('it is being made ready', async () => assert.ok(isStaged() || child.exitCode !== null));
    await sleep(wait_ms);
    child.kill('SIGKILL');
    await ended;
    const tried = await run(['up', '--detach'], home);
    assert.equal(tried.status, 0, tried.stderr);
    assert.match(tried.stdout, /stopped as a whole by the restore of/);
    assert.equal((await run(['down'], home)).status, 0);
  }
  const done = await run(['restore', first.folder, '--replace', '--yes', ...key], home);
  assert.equal(done.status, 0, done.stderr);
  assert.deepEqual(
    readdirSync(join(home, 'backups')).filter((name) => name.startsWith('.')),
    [],
  );
});

test('an install that does not run is backed up, too, also when all of it is stopped', async () => {
  assert.equal((await run(['stop', '--all'])).status, 0);
  await install.end('host', 'SIGKILL');
  await install.end('gateway', 'SIGKILL');
  const made = await backup();
  assert.equal(made.proof.ok, true);
  await install.start();
  const status = await install.control.call<Status>('status');
  assert.equal(status.stopped.length, 1, 'its own stop stands');
  assert.equal((await run(['resume', '--all'])).status, 0);
});

const skip = cannotDrop();
test('the same for an ordinary user', { skip }, () => {
  passesForOrdinaryUser(import.meta.url, '--test-name-pattern=^a backup that is made|^put back elsewhere');
});
