import assert from 'node:assert/strict';
import { mkdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  checkMounts,
  homesIn,
  judgeMount,
  judgeNesting,
  lookAt,
  type Mount,
  type MountFacts,
  type MountPlaces,
} from '../../src/authority/mounts.ts';
import { temporaryFolder } from '../fakes/ledger_kit.ts';

const PLACES: MountPlaces = {
  state: ['/srv/people/ann/.glassclaw', '/tmp/glass-1000/glassclaw-0a1b2c'],
  root: '/opt/glassclaw',
  homes: ['/srv/people/ann', '/root'],
  engines: ['/run', '/data/engines/own'],
  writable: ['/srv/people/ann/shared'],
  others: [],
};

function facts(real: string, more: Partial<MountFacts> = {}): MountFacts {
  return { real, kind: 'folder', entries: ['a.txt'], sockets: [], ...more };
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
  ['a folder with an engine’s socket', facts('/data/x', { sockets: ['docker.sock'] }), 'read', /holds docker\.sock/],
  ['a folder with another socket', facts('/data/x', { sockets: ['default'] }), 'read', /holds default, a socket/],
  ['the folder of the engine that is used', facts('/data/engines/own'), 'read', /socket of a container engine/],
  ['a folder above it', facts('/data/engines'), 'read', /socket of a container engine/],
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
  ['a folder beside that of an engine’s socket', facts('/data/engines/other'), 'read'],
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
  context.after(() => server.close());
  await new Promise((resolve) => server.once('listening', resolve));
  assert.equal(lookAt(join(folder, 's')).kind, 'other');
  assert.deepEqual(lookAt(folder).sockets, ['s']);
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

const NESTED: [
  name: string,
  own: Record<string, Mount['access']>,
  other: Record<string, Mount['access']>,
  RegExp | null,
][] = [
  [
    'a folder that the group writes around it',
    { '/w/a': 'read', '/w': 'write' },
    {},
    /^\/w\/a lies in \/w, which it may/,
  ],
  ['a folder that another group writes', { '/w/a/b': 'read' }, { '/w': 'write' }, /which the group other may write$/],
  ['what is written in another group’s', { '/w/a': 'write' }, { '/w': 'write' }, /which the group other may write$/],
  [
    'what would be written around another’s',
    { '/w': 'write' },
    { '/w/a': 'read' },
    /^\/w\/a of the group other lies in/,
  ],
  ['what another one only reads', { '/w/a': 'read' }, { '/w': 'read' }, null],
  ['what is read around what another one writes', { '/w': 'read' }, { '/w/a': 'write' }, null],
  ['the same folder, which cannot be replaced from inside', { '/w': 'write' }, { '/w': 'write' }, null],
  ['a name that only begins alike', { '/w2': 'read' }, { '/w': 'write' }, null],
  ['what is nested between two other groups', { '/x': 'read' }, { '/w': 'write', '/w/a': 'read' }, null],
];

for (const [name, own, other, reason] of NESTED)
  test(`a mount beside ${name} is ${reason === null ? 'taken' : 'refused'}`, () => {
    const mounts = Object.entries(own).map(([source, access]) => ({ source, target: `/mnt${source}`, access }));
    const others = Object.entries(other).map(([source, access]) => ({ source, access, group: 'other' }));
    const found = judgeNesting(mounts, others);
    if (reason === null) assert.equal(found, null);
    else assert.match(found ?? 'taken', reason);
  });

test('at a start, what lies by now in a folder that another group writes is refused', (context) => {
  const folder = realpathSync(temporaryFolder(context));
  mkdirSync(join(folder, 'notes'));
  const mounts = [{ source: join(folder, 'notes'), target: '/mnt/notes', access: 'read' as const }];
  checkMounts(mounts, PLACES);
  const others = [{ source: folder, access: 'write' as const, group: 'writer' }];
  assert.throws(() => checkMounts(mounts, { ...PLACES, others }), {
    code: 'refused',
    message: /notes lies in .*, which the group writer may write/,
  });
});

test('homes are those of every account of a person, wherever they lie, and of others at the usual places', () => {
  const passwd = `root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
backup:x:34:34::/export/backup:/usr/sbin/nologin
ann:x:1000:1000:Ann,,,:/srv/homes/ann:/bin/bash
ben:x:1001:1001::/data/people/ben:/bin/zsh
big:x:2000000001:1::/srv/big:
broken:x:1002

`;
  assert.deepEqual(homesIn(passwd), ['/root', '/export/backup', '/srv/homes/ann', '/data/people/ben', '/srv/big']);
});
