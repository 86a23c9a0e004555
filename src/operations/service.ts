import { existsSync, mkdirSync, readFileSync, realpathSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { OperatingError } from '../base/errors.ts';
import { ROOT } from '../base/paths.ts';
import { writeWhole } from '../base/whole_file.ts';

/**
 * The files of GlassClaw as a service of systemd: `deploy/systemd/`, with the places of this checkout filled in. The units run
 * the checkout itself, so that what is audited is what runs; nothing of it is copied.
 */
export interface ServiceFile {
  /** Absolute, on the machine that it is for. */
  path: string;
  text: string;
  /** The operator's from then on: written where there is none, and never removed. */
  isKept: boolean;
}

/** In the order in which they are stopped. */
export const UNITS = ['glassclaw.service', 'glassclaw-gateway.service'] as const;
export const SYSUSERS = '/etc/sysusers.d/glassclaw.conf';
export const TMPFILES = '/etc/tmpfiles.d/glassclaw.conf';

const TEMPLATES: readonly [from: string, path: string][] = [
  ['deploy/systemd/glassclaw.sysusers', SYSUSERS],
  ['deploy/systemd/glassclaw.tmpfiles', TMPFILES],
  ...UNITS.map((unit): [string, string] => [`deploy/systemd/${unit}`, `/etc/systemd/system/${unit}`]),
];

/** The vault's key and its next one, as `systemd-creds` encrypts them; systemd does not start a unit with one that is missing. */
const CREDENTIALS = ['glassclaw-vault-key', 'glassclaw-vault-key.next'].map((name) => ({
  name,
  path: `/etc/credstore.encrypted/${name}`,
}));

/**
 * `root` is where the checkout lies, `node` what runs it, `below` where the machine's own files are looked for. Throws
 * `OperatingError('config')` for a path that a unit cannot name.
 */
export function serviceFiles(root: string, node: string, below: string): ServiceFile[] {
  for (const path of [root, node]) {
    if (!/^[\w./@+-]+$/.test(path))
      throw new OperatingError(
        'config',
        `a unit cannot name ${path}`,
        'move the checkout to a plain path: /opt/glassclaw',
      );
  }
  const credentials = CREDENTIALS.filter(({ path }) => existsSync(join(below, path)))
    .map(({ name, path }) => `LoadCredentialEncrypted=${name}:${path}`)
    .join('\n');
  const fill = (text: string): string =>
    text
      .replaceAll('@ROOT@', root)
      .replaceAll('@NODE@', node)
      .replace('@CREDENTIALS@\n', credentials === '' ? '' : `${credentials}\n`);
  const files = TEMPLATES.map(([from, path]) => ({
    path,
    text: fill(readFileSync(join(ROOT, from), 'utf8')),
    isKept: false,
  }));
  const config = readFileSync(join(ROOT, 'templates/glass.yaml'), 'utf8');
  return [...files, { path: '/etc/glassclaw/glass.yaml', text: config, isKept: true }];
}

/** Writes what is missing or another one, below `below` (`/` for this machine). Returns the paths that it wrote. */
export function writeFiles(files: readonly ServiceFile[], below: string): string[] {
  return files.flatMap(({ path, text, isKept }) => {
    const place = join(below, path);
    if (existsSync(place) && (isKept || readFileSync(place, 'utf8') === text)) return [];
    mkdirSync(dirname(place), { recursive: true, mode: 0o755 });
    writeWhole(place, Buffer.from(text), 0o644);
    return [path];
  });
}

/** Removes the files that are not the operator's. Returns the paths of those that were there. */
export function removeFiles(files: readonly ServiceFile[], below: string): string[] {
  return files.flatMap(({ path, isKept }) => {
    const place = join(below, path);
    if (isKept || !existsSync(place)) return [];
    rmSync(place);
    return [path];
  });
}

/** Folders that the units do not see: `ProtectHome=`, `PrivateTmp=`. */
const HIDDEN = ['/home', '/root', '/run/user', '/tmp', '/var/tmp'];
const NEEDED = ['src/gateway.ts', 'src/host.ts', 'sandbox/runner/runner.ts', 'node_modules'];
const MOVE = 'move it, for example: sudo cp -a … /opt/glassclaw, and run ./glass service install there';

/** Why the two accounts cannot run the checkout, in one sentence with its fix; null when they can. */
export function checkoutProblem(root: string, node: string): { says: string; fix: string } | null {
  const hidden = HIDDEN.find((folder) => [root, realpathSync(node)].some((path) => path.startsWith(`${folder}/`)));
  if (hidden !== undefined)
    return { says: `the units see nothing of ${hidden}, where this checkout or its Node lies`, fix: MOVE };
  for (const path of [...NEEDED.map((name) => join(root, name)), realpathSync(node)]) {
    const closed = closedOn(path);
    if (closed === null) continue;
    const says = `other accounts cannot read ${path}: ${closed} is closed to them`;
    return { says, fix: `chmod o+rX ${closed}, or ${MOVE}` };
  }
  return null;
}

/** The first part of a path that only its owner or group may pass or read. */
function closedOn(path: string): string | null {
  const above = dirname(path) === path ? null : closedOn(dirname(path));
  if (above !== null) return above;
  const stat = statSync(path);
  const needed = stat.isDirectory() ? 0o001 : 0o004;
  return (stat.mode & needed) === needed ? null : path;
}

/** Accounts besides root that can change what the service runs. */
export function foreignOwner(root: string): number | null {
  const { uid } = statSync(root);
  return uid === 0 ? null : uid;
}

/** Throws `OperatingError` when this machine or account cannot have a service. */
export function requireSystemd(): void {
  if (process.geteuid!() !== 0)
    throw new OperatingError('refused', 'only root can change the services of a machine', 'run it with sudo');
  if (!existsSync('/run/systemd/system'))
    throw new OperatingError(
      'unavailable',
      'systemd does not run on this machine',
      'for an image, write the files below a folder: --root <folder>',
    );
}
