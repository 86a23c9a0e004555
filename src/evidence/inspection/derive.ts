import type { SandboxSpec } from '../../runtimes/runtime.ts';
import { type Declared, ETC_NEEDED, isGeneratedEtc } from './declared.ts';
import { compareMounts, parseMounts } from './mounts.ts';

/** From what the observer said to what the probes read: lists become differences from what was declared. Pure. */

/** By key: what was seen, or why it could not be tried. */
export type Observations = ReadonlyMap<string, Observation>;
export type Observation = { value: string } | { not_run: string };

/** The id that a user namespace shows for an account that it does not map: it gives no right inside. */
const UNMAPPED_ID = '65534';

/** gVisor asks for the owner before it asks the mount. */
const REFUSED_BY_GVISOR = ['EROFS', 'EPERM'];

/** Lists that are known only where the system files are the host's. */
const OF_THE_HOST = ['etc.extra', 'etc.missing', 'root.extra', 'run.foreign'];
const AN_IMAGE: Observation = { not_run: 'an image brings its own' };

/** The observations, and the ones that follow from them. What is missing stays missing. */
export function derive(raw: Observations, declared: Declared): Observations {
  const seen = new Map(raw);
  const add = (key: string, from: string, make: (value: string) => string): void => {
    const observation = raw.get(from);
    if (observation !== undefined)
      seen.set(key, 'value' in observation ? { value: make(observation.value) } : observation);
  };
  for (const [name, link] of Object.entries(declared.host.namespaces)) {
    for (const key of [`namespace.${name}`, `host.namespace.${name}`]) add(key, key, (value) => ownOrHost(value, link));
  }
  add('kernel', 'kernel', (value) => (value === declared.host.kernel ? 'the host’s' : 'own'));
  add('groups.foreign', 'status.Groups', (value) => foreign(value.split(' '), [gidOf(declared), UNMAPPED_ID, '']));
  add('env.first.foreign', 'env.first', (value) =>
    isCode(value) ? 'none' : foreign(lines(value), declared.env_first),
  );
  add('etc.extra', 'list./etc', (value) => listed(lines(value).filter((name) => !isGeneratedEtc(name))));
  add('etc.missing', 'list./etc', (value) => foreign(ETC_NEEDED, lines(value)));
  add('dev.extra', 'list./dev', (value) => foreign(lines(value), declared.devices.allowed));
  add('dev.missing', 'list./dev', (value) => foreign(declared.devices.needed, lines(value)));
  add('root.extra', 'list./', (value) => foreign(lines(value), rootNames(declared)));
  add('sockets.foreign', 'sockets', (value) => foreign(lines(value), declared.sockets));
  add('run.foreign', 'list./run', (value) => foreign(lines(value), ['glass']));
  add('resolver.foreign', 'resolver', (value) => foreign(lines(value), ['nameserver 127.0.0.1', 'search .', 'none']));
  add('sys', 'list./sys', (value) => (isCode(value) ? value : 'ok'));
  add('size./workspace', 'size./workspace', (value) =>
    Number(value) <= declared.workspace_bytes ? 'within' : `${value} bytes`,
  );
  const { host_ids } = declared;
  add('host.uid', 'host.uid', (value) => (value === String(host_ids.uid) ? 'as declared' : `uid ${value}`));
  add('host.gid', 'host.gid', (value) => (value === String(host_ids.gid) ? 'as declared' : `gid ${value}`));
  add('host.groups', 'host.groups', (value) => foreign(value.split(' '), ['', ...host_ids.groups.map(String)]));
  // Version 1 limits memory and swap together, version 2 swap alone.
  add('host.swap', 'host.swap', (value) => (['0', declared.facts.memory_bytes].includes(value) ? 'closed' : value));
  if (answerAt(raw, 'host.swap') === 'none') seen.set('host.swap', { not_run: 'this kernel does not count swap' });
  // Where there is no control group, the limit is set for the user namespace, and seen inside only.
  const { pids } = declared.facts;
  if (answerAt(raw, 'limit.processes') === pids) seen.set('host.pids', { value: pids });
  if (declared.spec.userland.kind === 'image') for (const key of OF_THE_HOST) seen.set(key, AN_IMAGE);
  add('host.image', 'host.image', (value) => (sameImage(value, declared.spec) ? 'as declared' : value));
  const unnamed = whyNoImage(declared);
  if (unnamed !== null && raw.has('host.image')) seen.set('host.image', { not_run: unnamed });
  deriveMounts(raw, declared, seen);
  deriveLists(raw, declared, seen);
  return seen;
}

/** Podman leaves the name of the hash out. */
function sameImage(id: string, { userland }: SandboxSpec): boolean {
  return userland.kind === 'image' && id.replace(/^sha256:/, '') === userland.ref.replace(/^sha256:/, '');
}

/** Why there is no id to compare with; null: there is one. */
function whyNoImage({ spec, runtime }: Declared): string | null {
  if (spec.userland.kind === 'host') return 'this group names no image of its own';
  return runtime === 'bubblewrap' ? 'it is unpacked: mounts.sources has the folder' : null;
}

function deriveMounts(raw: Observations, declared: Declared, seen: Map<string, Observation>): void {
  const table = raw.get('mounts');
  if (table === undefined || !('value' in table)) return;
  const differences = compareMounts(parseMounts(table.value), declared.spec.binds, declared.own, declared.host.devices);
  for (const [key, targets] of differences) seen.set(key, { value: listed(targets) });
}

/** Attempts at each of the declared mounts, and at each folder beside them, as one observation. */
function deriveLists(raw: Observations, { spec, profile }: Declared, seen: Map<string, Observation>): void {
  const keysFor = (prefix: string, binds: typeof spec.binds): string[] =>
    binds.map(({ target }) => `${prefix}.${target}`);
  const wrong = (keys: string[], right: string[]): Observation => ({
    value: listed(keys.filter((key) => !right.includes(outcomeAt(raw, key)))),
  });
  const closed = spec.binds.filter(({ access }) => access === 'read');
  seen.set('touch.declared', wrong(keysFor('touch', closed), profile === 'gvisor' ? REFUSED_BY_GVISOR : ['EROFS']));
  seen.set('read.declared', wrong(keysFor('read', spec.binds), ['ok']));
  const absent = [...raw.keys()].filter((key) => key.startsWith('absent./'));
  seen.set(
    'absent.all',
    absent.length === 0 ? { not_run: 'nothing lies beside' } : wrong(absent, ['ENOENT', 'ENOTDIR']),
  );
}

function outcomeAt(raw: Observations, key: string): string {
  return answerAt(raw, key) ?? 'missing';
}

function answerAt(raw: Observations, key: string): string | undefined {
  const observation = raw.get(key);
  return observation !== undefined && 'value' in observation ? observation.value : undefined;
}

/** A link that could not be read is neither. */
function ownOrHost(link: string, ofHost: string): string {
  if (!/^\w+:\[\d+\]$/.test(link)) return link;
  return link === ofHost ? 'the host’s' : 'own';
}

function gidOf({ facts }: Declared): string {
  return facts.gids.split(' ')[0]!;
}

function rootNames({ spec, own, host }: Declared): string[] {
  const paths = [...own.exact, ...host.userland.links.map(([link]) => link), ...spec.binds.map(({ target }) => target)];
  return [...paths.map((path) => path.split('/')[1]!), 'run'];
}

function isCode(value: string): boolean {
  return /^E[A-Z0-9]+$/.test(value);
}

function lines(value: string): string[] {
  return value === 'none' ? [] : value.split('\n');
}

function foreign(found: readonly string[], known: readonly string[]): string {
  return listed(found.filter((word) => !known.includes(word)));
}

function listed(words: readonly string[]): string {
  return words.length === 0 ? 'none' : [...words].sort().join('\n');
}
