import type { Bind, Runtime } from '../../runtimes/runtime.ts';

/** The mount table of a sandbox against what was declared. Pure. */

export interface Mount {
  target: string;
  /** `major:minor` of its file system. */
  device: string;
  /** Path of what is mounted, within its own file system. */
  root: string;
  flags: string[];
  /** Whether mounts made here appear elsewhere too. */
  shared: boolean;
  kind: string;
}

/** Lines of `/proc/self/mountinfo`; a line of another form is left out, and what it mounts is missing then. */
export function parseMounts(text: string): Mount[] {
  return text.split('\n').flatMap((line) => {
    const [head, tail] = line.split(' - ');
    const words = head!.split(' ');
    if (words.length < 6 || tail === undefined) return [];
    const [, , device, root, target, flags, ...optional] = words as [string, string, string, string, string, string];
    return [
      {
        target: unescaped(target),
        device,
        root: unescaped(root),
        flags: flags.split(','),
        shared: (optional as string[]).some((word) => word.startsWith('shared:')),
        kind: tail.split(' ')[0]!,
      },
    ];
  });
}

function unescaped(path: string): string {
  return path.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** Mounts that the runtime makes besides the declared ones: exact targets, folders below which it masks, and which of them may be written. */
interface OwnMounts {
  exact: readonly string[];
  below: readonly string[];
  writable: readonly string[];
}

const DEVICES = ['null', 'zero', 'full', 'random', 'urandom', 'tty'].map((name) => `/dev/${name}`);
const SCRATCH = ['/proc', '/dev/pts', '/dev/shm', '/tmp'];
const ENGINE: OwnMounts = {
  exact: [
    ...['/', '/dev', '/dev/mqueue', '/sys', ...SCRATCH],
    ...['/etc/hosts', '/etc/hostname', '/etc/resolv.conf', '/sbin/docker-init', '/usr/sbin/docker-init'],
  ],
  below: ['/proc/', '/sys/'],
  writable: ['/dev', '/dev/mqueue', ...SCRATCH],
};

/**
 * Its own init, its marker, the accounts file that it writes for a user that the image does not know, and our read-only
 * covers over what it would mount to be written: without a cover the mount is a writable one, and `mounts.writable` says so.
 */
const OF_PODMAN = [
  ...['/run/podman-init', '/dev/init', '/run/.containerenv', '/run/secrets', '/etc/passwd', '/etc/group'],
  ...['/run', '/var/tmp'],
];

/** Nothing is ever started from these, whoever mounts them. */
const NO_PROGRAMS = ['/proc', '/sys', '/dev/pts', '/dev/mqueue'];

/** `userland`: folders of the host that bubblewrap binds. */
export function ownMounts(runtime: Runtime['name'], userland: readonly string[]): OwnMounts {
  switch (runtime) {
    case 'bubblewrap':
      return {
        exact: ['/', '/etc', '/dev', ...DEVICES, ...SCRATCH, ...userland],
        below: [],
        writable: [...DEVICES, ...SCRATCH],
      };
    case 'podman':
      return { ...ENGINE, exact: [...ENGINE.exact, ...OF_PODMAN] };
    case 'docker':
      return ENGINE;
  }
}

/** Each key is an observation: a list of the targets that are not as declared. `devices`: those of the sources. */
export function compareMounts(
  mounts: Mount[],
  binds: readonly Bind[],
  own: OwnMounts,
  devices: Readonly<Record<string, string>>,
): Map<string, string[]> {
  const declared = new Map(binds.map((bind) => [bind.target, bind]));
  const isOwn = ({ target }: Mount): boolean =>
    own.exact.includes(target) || own.below.some((folder) => target.startsWith(folder));
  const writable = mounts.filter((mount) => !mount.flags.includes('ro') && !isMask(mount, own));
  const found = new Map(mounts.map((mount) => [mount.target, mount]));
  const targets = (list: Mount[]): string[] => [...new Set(list.map(({ target }) => target))];
  const without = (flag: string): Mount[] => writable.filter(({ flags }) => !flags.includes(flag));
  const wrong = (test: (bind: Bind, mount: Mount) => boolean): string[] =>
    binds
      .filter((bind) => {
        const mount = found.get(bind.target);
        return mount !== undefined && test(bind, mount);
      })
      .map(({ target }) => target);
  return new Map([
    ['mounts.extra', targets(mounts.filter((mount) => !declared.has(mount.target) && !isOwn(mount)))],
    ['mounts.missing', binds.filter(({ target }) => !found.has(target)).map(({ target }) => target)],
    ['mounts.access', wrong((bind, mount) => (bind.access === 'read') !== mount.flags.includes('ro'))],
    ['mounts.sources', wrong((bind, mount) => !isFrom(mount, bind.source, devices[bind.source]))],
    [
      'mounts.writable',
      targets(
        writable.filter(({ target }) => declared.get(target)?.access !== 'write' && !own.writable.includes(target)),
      ),
    ],
    ['mounts.shared', targets(mounts.filter(({ shared }) => shared))],
    [
      'mounts.exec',
      targets(mounts.filter(({ target, flags }) => NO_PROGRAMS.includes(target) && !flags.includes('noexec'))),
    ],
    ['mounts.suid', targets(without('nosuid').filter(({ target }) => !declared.has(target)))],
    ['mounts.dev', targets(without('nodev').filter(({ target }) => !declared.has(target) && !isDevice(target)))],
    ['workspace.flags', ['nosuid', 'nodev'].filter((flag) => !found.get('/workspace')?.flags.includes(flag))],
    ['binds.suid', targets(without('nosuid').filter(({ target }) => declared.has(target)))],
    ['binds.dev', targets(without('nodev').filter(({ target }) => declared.has(target)))],
  ]);
}

/** An engine hides files of /proc and /sys under /dev/null or an empty tmpfs. */
function isMask(mount: Mount, own: OwnMounts): boolean {
  const masks = mount.root === '/null' || mount.kind === 'tmpfs';
  return masks && own.below.some((folder) => mount.target.startsWith(folder));
}

/** Device files are what these are for. */
function isDevice(target: string): boolean {
  return /^\/dev(\/|$)/.test(target) && !['/dev/shm', '/dev/mqueue'].includes(target);
}

/**
 * The table names a path within its file system: a part of the source, or the source below a subvolume. So it does not say
 * which file system; and of one that is mounted as a whole it says nothing else.
 */
function isFrom({ root, device }: Mount, source: string, expected: string | undefined): boolean {
  return device === expected && (root === '/' || source.endsWith(root) || root.endsWith(source.slice(1)));
}

/** The file system that a path without links lies on, by the table of whoever sees the path. */
export function deviceAt(mounts: readonly Mount[], path: string): string | undefined {
  const above = mounts.filter(({ target }) => target === '/' || path === target || path.startsWith(`${target}/`));
  // Of two at one place the later one hides the other.
  const longest = Math.max(...above.map(({ target }) => target.length));
  return above.findLast(({ target }) => target.length === longest)?.device;
}
