import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, isAbsolute, join, normalize } from 'node:path';
import { OperatingError } from '../base/errors.ts';
import { shortHash } from '../base/ids.ts';
import { holds } from './cached_file.ts';

/**
 * The system files of a bubblewrap sandbox: the host's `/usr` and a generated `/etc`, or both of an unpacked root. The
 * host's own `/etc` would leak host names, users, proxies and world-readable credentials; `/var`, `/home` and `/root` are
 * not there at all.
 *
 * A root keeps its own `/etc`, because packages find their configuration there (fonts, Java, ImageMagick); it was made of
 * packages alone, and `finishEtc` put what tells of a machine or its users in order when it was made.
 */

export interface Userland {
  /** Host folders to be bound read-only, `/etc` among them. */
  folders: { source: string; target: string }[];
  /** `[link, target]`: `/bin` → `usr/bin` on a merged-usr host. */
  links: [string, string][];
}

/** The uid and gid that a process sees inside. */
export const INNER_ID = 10001;

const PASSWD = `root:x:0:0:root:/root:/usr/sbin/nologin
sandbox:x:${INNER_ID}:${INNER_ID}:sandbox:/workspace:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
`;
const GROUP = `root:x:0:
sandbox:x:${INNER_ID}:
nogroup:x:65534:
`;
const HOSTS = '127.0.0.1 localhost sandbox\n::1 localhost\n';
const NSSWITCH = 'passwd: files\ngroup: files\nshadow: files\nhosts: files\nservices: files\nprotocols: files\n';

/** What a sandbox is told about its machine and its users, whatever its userland. */
const IDENTITY = {
  passwd: PASSWD,
  group: GROUP,
  hosts: HOSTS,
  'nsswitch.conf': NSSWITCH,
  hostname: 'sandbox\n',
  'resolv.conf': '',
};
/** What a new root has besides, and no sandbox needs: accounts, and where and how packages were fetched. */
const DROPPED = ['shadow', 'shadow-', 'gshadow', 'gshadow-', 'passwd-', 'group-', 'apt', 'machine-id'];

/** Where distributions keep the bundle of certificate authorities: Debian and Alpine, Fedora, SUSE. */
const CA_BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/var/lib/ca-certificates/ca-bundle.pem',
];
const CA_TARGET = 'ssl/certs/ca-certificates.crt';
/** Facts of the distribution, not of this host. */
const COPIED = ['ld.so.cache', 'localtime', 'services', 'protocols', 'ssl/openssl.cnf'];

/** Which top-level folders of `root` (the host's own: `/`) the sandbox gets, and how, with the `/etc` that goes with them. */
export function userlandOf(root: string, etc: string): Userland {
  const userland: Userland = {
    folders: [
      { source: join(root, 'usr'), target: '/usr' },
      { source: etc, target: '/etc' },
    ],
    links: [],
  };
  for (const name of ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32']) {
    const path = join(root, name);
    const entry = lstatSync(path, { throwIfNoEntry: false });
    if (entry?.isSymbolicLink()) userland.links.push([`/${name}`, readlinkSync(path)]);
    else if (entry?.isDirectory()) userland.folders.push({ source: path, target: `/${name}` });
  }
  return userland;
}

/** The userland of an unpacked root. Throws `OperatingError('unavailable')` when there is none at that path. */
export function rootUserland(root: string): Userland {
  if (!isAbsolute(root) || normalize(root) !== root || root === '/' || !existsSync(join(root, 'usr/bin/env'))) {
    throw new OperatingError('unavailable', `There are no system files for sandboxes at ${root}`);
  }
  return userlandOf(root, join(root, 'etc'));
}

/**
 * The folder `<cache>/etc-<hash>`, made when it is not there. The name is the hash of the content: an updated host
 * gets a new folder, and sandboxes that run keep theirs; one that a disk has damaged is made anew. Throws the system's error
 * when `cache` is not writable.
 */
export function generatedEtc(cache: string): string {
  const files = etcFiles();
  const links = alternatives();
  const folder = join(
    cache,
    `etc-${shortHash(JSON.stringify([[...files].map(([n, b]) => [n, shortHash(b.toString('base64'))]), [...links]]))}`,
  );
  const isWhole = (): boolean => [...files].every(([name, bytes]) => holds(join(folder, name), bytes));
  if (isWhole()) return folder;
  mkdirSync(cache, { recursive: true, mode: 0o700 });
  const draft = mkdtempSync(join(cache, 'etc-draft-'));
  chmodSync(draft, 0o755);
  for (const [name, bytes] of files) {
    makeFolder(draft, dirname(name));
    writeFileSync(join(draft, name), bytes);
    chmodSync(join(draft, name), 0o644);
  }
  makeFolder(draft, 'alternatives');
  for (const [name, target] of links) symlinkSync(target, join(draft, 'alternatives', name));
  try {
    if (!isWhole()) rmSync(folder, { recursive: true, force: true });
    renameSync(draft, folder);
  } catch (error) {
    // Another process of this install was quicker.
    rmSync(draft, { recursive: true, force: true });
    if (!isWhole()) throw error;
  }
  return folder;
}

/** Puts the `/etc` of a new root in order. Throws the system's error. */
export function finishEtc(etc: string): void {
  for (const name of [...DROPPED, ...Object.keys(IDENTITY)]) rmSync(join(etc, name), { recursive: true, force: true });
  for (const [name, content] of Object.entries(IDENTITY)) {
    writeFileSync(join(etc, name), content);
    chmodSync(join(etc, name), 0o644);
  }
}

function etcFiles(): Map<string, Buffer> {
  const files = new Map<string, Buffer>();
  for (const [name, content] of Object.entries(IDENTITY)) files.set(name, Buffer.from(content));
  for (const name of COPIED) {
    const bytes = readIfThere(join('/etc', name));
    if (bytes !== null) files.set(name, bytes);
  }
  // An empty bundle still gives the caller a file to bind its own over.
  files.set(CA_TARGET, CA_BUNDLES.map(readIfThere).find((bytes) => bytes !== null) ?? Buffer.alloc(0));
  return files;
}

/** Debian's links from `/usr/bin/awk` over `/etc/alternatives` back to `/usr`; manual pages left out. */
function alternatives(): Map<string, string> {
  const folder = '/etc/alternatives';
  const links = new Map<string, string>();
  if (!existsSync(folder)) return links;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (!entry.isSymbolicLink() || entry.name.endsWith('.gz')) continue;
    const target = readlinkSync(join(folder, entry.name));
    if (target.startsWith('/usr/') || target.startsWith('/bin/')) links.set(entry.name, target);
  }
  return links;
}

/** Every level 0755 whatever the umask: the sandbox reads it under another uid. */
function makeFolder(root: string, name: string): void {
  let path = root;
  for (const part of name.split('/')) {
    path = join(path, part);
    mkdirSync(path, { recursive: true });
    chmodSync(path, 0o755);
  }
}

function readIfThere(path: string): Buffer | null {
  try {
    return readFileSync(path);
  } catch {
    return null;
  }
}
