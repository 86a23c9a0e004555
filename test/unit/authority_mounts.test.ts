import assert from 'node:assert/strict';
import { mkdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkMounts, judgeMount, lookAt, type MountFacts, type MountPlaces } from '../../src/authority/mounts.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';

const PLACES: MountPlaces = {
  state: ['/srv/people/ann/.glassclaw', '/tmp/glass-1000/glassclaw-0a1b2c'],
  root: '/opt/glassclaw',
  homes: ['/srv/people/ann', '/root'],
  writable: ['/srv/people/ann/shared'],
};

function facts(real: string, more: Partial<MountFacts> = {}): MountFacts {
  return { real, kind: 'folder', entries: ['a.txt'], ...more };
}

const REFUSED: [name: string, facts: MountFacts, access: 'read' | 'write', reason: RegExp][] = [
  ['the root', facts('/'), 'read', /folder of the system/],
  ['all programs', facts('/usr'), 'read', /folder of the system/],
  ['every home at once', facts('/srv/people'), 'read', /contains .*the home of an account/],
  ['a home', facts('/srv/people/ann'), 'read', /is the home of an account/],
  ['root’s home', facts('/root'), 'read', /folder of the system/],
  ['the system’s configuration', facts('/etc/ssl'), 'read', /lies in \/etc/],
  ['the kernel’s files', facts('/proc/1'), 'read', /lies in \/proc/],
  ['devices', facts('/dev/shm'), 'read', /lies in \/dev/],
  ['the folder of an engine’s socket', facts('/run/docker'), 'read', /lies in \/run/],
  ['a socket', facts('/srv/people/ann/agent.sock', { kind: 'other' }), 'read', /neither a file nor a folder/],
  ['our state', facts('/srv/people/ann/.glassclaw'), 'read', /keeps its state/],
  ['a part of our state', facts('/srv/people/ann/.glassclaw/vault.db', { kind: 'file' }), 'read', /keeps its state/],
  ['the folder of our sockets', facts('/tmp/glass-1000/glassclaw-0a1b2c'), 'read', /keeps its state/],
  ['a folder above it', facts('/tmp/glass-1000'), 'read', /keeps its state/],
  ['a folder of a session in it', facts('/tmp/glass-1000/glassclaw-0a1b2c/s7'), 'read', /keeps its state/],
  ['keys of ssh', facts('/srv/people/ann/.ssh'), 'read', /leads into \.ssh/],
  ['a key of ssh elsewhere', facts('/data/keys/id_ed25519', { kind: 'file' }), 'read', /leads into id_ed25519/],
  ['a cloud’s credentials', facts('/data/backup/.aws/credentials', { kind: 'file' }), 'read', /leads into \.aws/],
  ['an environment file', facts('/data/app/.env', { kind: 'file' }), 'read', /leads into \.env/],
  ['another environment file', facts('/data/app/.env.production', { kind: 'file' }), 'read', /leads into \.env\.prod/],
  ['a folder that holds one', facts('/data/app', { entries: ['src', '.env'] }), 'read', /holds \.env/],
  ['settings of a program', facts('/srv/people/ann/.config/app'), 'read', /hidden part of a home/],
  ['a write that nobody allowed', facts('/srv/people/ann/notes'), 'write', /mounts\.write of glass\.yaml/],
  ['a write beside the allowed', facts('/srv/people/ann/shared2'), 'write', /mounts\.write of glass\.yaml/],
  ['a write to our code', facts('/opt/glassclaw/src'), 'write', /code of GlassClaw/],
  ['a write above our code', facts('/opt/glassclaw'), 'write', /code of GlassClaw/],
];

for (const [name, found, access, reason] of REFUSED)
  test(`${name} is not mounted`, () => assert.match(judgeMount(found, access, PLACES) ?? 'allowed', reason));

const ALLOWED: [name: string, facts: MountFacts, access: 'read' | 'write'][] = [
  ['a folder of a home', facts('/srv/people/ann/notes'), 'read'],
  ['a file', facts('/srv/people/ann/todo.md', { kind: 'file', entries: ['todo.md'] }), 'read'],
  ['an example of an environment file', facts('/data/app', { entries: ['.env.example'] }), 'read'],
  ['what may be written', facts('/srv/people/ann/shared'), 'write'],
  ['a part of what may be written', facts('/srv/people/ann/shared/a'), 'write'],
  ['our code, to read', facts('/opt/glassclaw/docs'), 'read'],
];

for (const [name, found, access] of ALLOWED)
  test(`${name} may be mounted to ${access}`, () => assert.equal(judgeMount(found, access, PLACES), null));

test('a link is followed before it is judged', (context) => {
  const folder = realpathSync(temporaryFolder(context));
  mkdirSync(join(folder, '.ssh'));
  symlinkSync(join(folder, '.ssh'), join(folder, 'harmless'));
  const found = lookAt(join(folder, 'harmless'));
  assert.equal(found.real, join(folder, '.ssh'));
  assert.match(judgeMount(found, 'read', PLACES)!, /leads into \.ssh/);
});

test('what is not there is refused in one sentence, and a socket is no file', async (context) => {
  const folder = temporaryFolder(context);
  assert.throws(() => lookAt(join(folder, 'none')), { code: 'config', message: /none does not exist$/ });
  const server = createServer().listen(join(folder, 's'));
  await new Promise((resolve) => server.once('listening', resolve));
  assert.equal(lookAt(join(folder, 's')).kind, 'other');
  server.close();
});

test('at a start, a source that became a link, a secret, or nothing is refused', (context) => {
  const folder = realpathSync(temporaryFolder(context));
  const source = join(folder, 'notes');
  mkdirSync(source);
  const mounts = [{ source, target: '/mnt/notes', access: 'read' as const }];
  checkMounts(mounts, PLACES);
  writeFileSync(join(source, '.env'), '');
  assert.throws(() => checkMounts(mounts, PLACES), { code: 'refused', message: /holds \.env/ });
  rmSync(source, { recursive: true });
  assert.throws(() => checkMounts(mounts, PLACES), { code: 'config', message: /does not exist/ });
  symlinkSync('/etc', source);
  assert.throws(() => checkMounts(mounts, PLACES), { code: 'refused', message: /leads to \/etc now/ });
});
