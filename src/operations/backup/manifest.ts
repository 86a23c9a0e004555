import { createHash } from 'node:crypto';
import { closeSync, constants, createReadStream, fstatSync, openSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { messageOf, OperatingError, systemCodeOf } from '../../base/errors.ts';
import { MANIFEST_BYTES_MAX } from '../../base/limits/backups.ts';

/**
 * What a backup consists of. A folder:
 *
 *   ledger.db  vault.db  audit.db   copies by SQLite, of one moment
 *   files.tar                       everything else that the install needs
 *   vault.key                       only if that was asked for
 *   manifest.json                   written last: a folder without it is no backup
 *   proof.json                      what a restore of it has answered
 *
 * What a manifest names can be nothing but these: no path of it leads anywhere else.
 */
export const MANIFEST = 'manifest.json';
export const PROOF = 'proof.json';
export const ARCHIVE = 'files.tar';
export const DATABASES = ['ledger.db', 'vault.db', 'audit.db'] as const;
export const KEYS = ['vault.key', 'vault.key.azure'] as const;
const NEEDED = [...DATABASES, ARCHIVE];

const fileSchema = z.strictObject({
  path: z.enum([...DATABASES, ARCHIVE, ...KEYS]),
  bytes: z.int().min(0),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type BackupFile = z.infer<typeof fileSchema>;

const manifestSchema = z
  .strictObject({
    format: z.literal(1),
    /** ISO time of the moment that it is of. */
    at: z.iso.datetime(),
    version: z.string().max(50),
    /** Of the checkout; null: it is not one of git. */
    commit: z.string().max(64).nullable(),
    /** Of the ledger. */
    schema: z.int().min(1),
    home: z.string().max(4096),
    /** Whose files these are: another account cannot give them back to their owners. */
    uid: z.int().min(0),
    files: z.array(fileSchema).max(20),
    /** Where the key of the vault lies; null: it was asked for, and is in it. */
    key: z.string().max(500).nullable(),
    /** What is not in it, and why. */
    without: z.array(z.strictObject({ what: z.string().max(5000), why: z.string().max(500) })).max(100),
    /** What a copy of it must have, at least. */
    counts: z.strictObject({ messages: z.int().min(0), events: z.int().min(0), secrets: z.int().min(0) }),
  })
  .refine(({ files }) => NEEDED.every((path) => files.filter((file) => file.path === path).length === 1), {
    message: `it must name each of ${NEEDED.join(', ')} once`,
  });
export type Manifest = z.infer<typeof manifestSchema>;

const proofSchema = z.strictObject({
  /** ISO time. */
  at: z.iso.datetime(),
  /** Whether a restore of it has answered a message. */
  ok: z.boolean(),
  /** What answered, or why nothing did. */
  says: z.string().max(2000),
  version: z.string().max(50),
});
export type Proof = z.infer<typeof proofSchema>;

/** Throws `OperatingError('config')` for a folder that is no backup, in a sentence. */
export function readManifest(folder: string): Manifest {
  const found = readJson(folder, MANIFEST, manifestSchema);
  if (found !== null) return found;
  throw new OperatingError('config', `${folder} is no backup: it has no ${MANIFEST}`, './glass backup list shows them');
}

/** Null: nobody has tried. What is no proof counts as none. */
export function readProof(folder: string): Proof | null {
  try {
    return readJson(folder, PROOF, proofSchema);
  } catch {
    return null;
  }
}

function readJson<T>(folder: string, name: string, schema: z.ZodType<T>): T | null {
  const fd = openFile(join(folder, name));
  if (fd === null) return null;
  try {
    if (fstatSync(fd).size > MANIFEST_BYTES_MAX) throw new Error('it is too large');
    const found = schema.safeParse(JSON.parse(readFileSync(fd, 'utf8')));
    if (found.success) return found.data;
    const { path, message } = found.error.issues[0]!;
    throw new Error(`${path.length === 0 ? '' : `${path.join('.')}: `}${message}`);
  } catch (error) {
    throw notOne(folder, `its ${name} cannot be used (${messageOf(error)})`);
  } finally {
    closeSync(fd);
  }
}

export function notOne(folder: string, why: string): OperatingError {
  return new OperatingError('config', `${folder} is no backup: ${why}`, 'take another one: ./glass backup list');
}

/** A regular file alone: no link is followed, no pipe waited for. Null: there is none. */
function openFile(path: string): number | null {
  let fd: number;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return null;
    throw new OperatingError('config', `${path} cannot be read (${systemCodeOf(error)})`, undefined, error);
  }
  if (fstatSync(fd).isFile()) return fd;
  closeSync(fd);
  throw new OperatingError('config', `${path} is not a regular file`, 'a backup has no links, pipes or folders in it');
}

/** Compares every file with the manifest. Rejects with `OperatingError('config')` at the first that is another one. */
export async function verifyFiles(
  folder: string,
  { files }: Pick<Manifest, 'files'>,
  onFile: (path: string) => void,
): Promise<void> {
  for (const { path, bytes, sha256 } of files) {
    onFile(path);
    const fd = openFile(join(folder, path));
    if (fd === null) throw notOne(folder, `it says that it has ${path}, and lacks it`);
    const { size } = fstatSync(fd);
    const hash = createHash('sha256');
    await pipeline(createReadStream('', { fd }), hash);
    if (size !== bytes) throw notOne(folder, `${path} has ${size} bytes instead of ${bytes}`);
    if (hash.digest('hex') !== sha256) throw notOne(folder, `${path} is not the file that was backed up`);
  }
}

/** Size and hash of a file that is there for good. */
export async function describeFile(folder: string, path: BackupFile['path']): Promise<BackupFile> {
  const fd = openFile(join(folder, path));
  if (fd === null) throw new OperatingError('storage', `${basename(path)} is not there any more`);
  const { size } = fstatSync(fd);
  const hash = createHash('sha256');
  await pipeline(createReadStream('', { fd }), hash);
  return { path, bytes: size, sha256: hash.digest('hex') };
}
