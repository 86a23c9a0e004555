import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { OperatingError, systemCodeOf } from '../base/errors.ts';
import { WORKSPACE_MOVE_MS } from '../base/limits/sandbox.ts';
import { syncFile } from '../base/whole_file.ts';
import {
  copyArgv,
  growArgv,
  imageBytes,
  listArgv,
  makeArgv,
  must,
  removeTree,
  repairArgv,
  run,
} from './image_tools.ts';
import { calm, mountImage, unmountImage } from './loop_mount.ts';
import { fileOfLoop, loopOf, mountAt } from './mounts.ts';

/**
 * A group's workspace as a file system of its own: a sparse ext4 image, mounted over the workspace's folder for as long as
 * the host runs. The kernel holds the size and the number of files, for all sandboxes of the group together.
 *
 *   workspace.img         the image in force, once it has this name
 *   workspace.img.draft   one that is being filled; mounted on `workspace.draft`. Worth nothing.
 *   workspace.plain       the folder that an image replaces. In force as long as there is no image; afterwards it only goes.
 *
 * Each step is one rename, so that a crash leaves either the old or the new one in force. Only while no sandbox of the
 * group lives. The folder below the mount is root's and closed: a sandbox that met it unmounted could write nothing.
 */
export interface WorkspaceImage {
  /** Where it is mounted. */
  folder: string;
  image: string;
  /** The group's host account. */
  uid: number;
  /** Its size; the file system's own tables are within. */
  bytes: number;
}

/**
 * Mounts it, made, moved, repaired and resized as needed; nothing when it is mounted already. Resolves with a sentence when
 * the size is not the wanted one. Rejects with `OperatingError('unavailable')`; then nothing has been deleted.
 */
export async function mountWorkspace(wanted: WorkspaceImage): Promise<string | null> {
  const mounted = mountAt(wanted.folder);
  if (mounted !== null && fileOfLoop(mounted.source) !== wanted.image)
    throw new OperatingError('unavailable', `${wanted.folder} is a mount of ${mounted.source}`, 'unmount it');
  if (mounted !== null && !mounted.readOnly) return resizeMounted(wanted);
  if (mounted !== null) await unmountImage(wanted.folder);
  await recover(wanted);
  if (!existsSync(wanted.image)) await makeImage(wanted);
  const notice = await mountExisting(wanted);
  await calm(wanted.folder);
  await dropPlain(wanted);
  return notice;
}

/** Whether it is unmounted now; a person may stand in it, and then it stays. */
export async function unmountWorkspace(folder: string): Promise<boolean> {
  return unmountImage(folder).then(
    () => true,
    () => false,
  );
}

/** Why images cannot be used on this machine, as one sentence, or null: a small one is made in `scratch`, mounted and unmounted. */
export async function imagesProblem(scratch: string): Promise<string | null> {
  if (process.geteuid!() !== 0) return 'only root can mount';
  const trial = { folder: `${scratch}/trial`, image: `${scratch}/trial.img`, uid: 0, bytes: 2 ** 24 };
  try {
    await unmountWorkspace(trial.folder); // of a host that was killed in the middle of this
    await removeTree(scratch);
    mkdirSync(scratch, { recursive: true, mode: 0o700 });
    await makeEmpty(trial);
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    await unmountWorkspace(trial.folder);
    await removeTree(scratch);
  }
}

const draftOf = ({ image, folder, uid, bytes }: WorkspaceImage): WorkspaceImage => ({
  ...{ image: `${image}.draft`, folder: `${folder}.draft` },
  ...{ uid, bytes },
});

/** Undoes what a crash left half done. */
async function recover(wanted: WorkspaceImage): Promise<void> {
  await dropDraft(wanted);
  const plain = `${wanted.folder}.plain`;
  if (existsSync(wanted.image) || !existsSync(plain)) return;
  if (existsSync(wanted.folder)) rmdirSync(wanted.folder);
  renameSync(plain, wanted.folder);
}

async function dropDraft(wanted: WorkspaceImage): Promise<void> {
  const draft = draftOf(wanted);
  // Lazily: a copy of a host that was killed may still be writing, into a file that nobody will see.
  if (mountAt(draft.folder) !== null) await must('a draft cannot be unmounted', ['umount', '--lazy', draft.folder]);
  rmSync(draft.image, { force: true });
  if (existsSync(draft.folder)) rmdirSync(draft.folder);
}

/** The first image of a workspace: empty, or with everything that lies in its folder. */
async function makeImage(wanted: WorkspaceImage): Promise<void> {
  const draft = draftOf(wanted);
  try {
    if (entriesOf(wanted.folder).length === 0) {
      await makeEmpty(draft);
    } else {
      await fillDraft(wanted, draft);
      renameSync(wanted.folder, `${wanted.folder}.plain`);
    }
    renameSync(draft.image, wanted.image);
    syncFolder(wanted.image);
  } catch (error) {
    await dropDraft(wanted);
    if (!(error instanceof OperatingError)) throw error;
    throw new OperatingError('unavailable', error.message, 'remove files from it, or raise limits.workspace', error);
  }
}

async function makeEmpty(draft: WorkspaceImage): Promise<void> {
  writeFileSync(draft.image, '', { mode: 0o600, flag: 'wx' });
  truncateSync(draft.image, draft.bytes);
  await must('a workspace image cannot be made', makeArgv(draft.image, draft.uid));
  await mountImage(draft.image, draft.folder);
  rmdirSync(`${draft.folder}/lost+found`); // root's: an agent that lists its files would stumble over it
  chmodSync(draft.folder, 0o700);
  await unmountImage(draft.folder);
  rmdirSync(draft.folder);
}

/** An image with a copy of `wanted.folder`, compared entry by entry and on the disk. */
async function fillDraft(wanted: WorkspaceImage, draft: WorkspaceImage): Promise<void> {
  const what = `${wanted.folder} cannot be moved into an image of ${draft.bytes} bytes`;
  await makeEmpty(draft);
  await mountImage(draft.image, draft.folder);
  try {
    await must(what, copyArgv(wanted.folder, draft.folder), WORKSPACE_MOVE_MS);
    const [before, after] = [await listing(wanted.folder), await listing(draft.folder)];
    if (before !== after) throw new OperatingError('unavailable', `${what}: the copy is not equal`);
  } finally {
    await unmountImage(draft.folder);
  }
  rmdirSync(draft.folder);
  syncFile(draft.image);
}

async function listing(folder: string): Promise<string> {
  const found = await must(`${folder} cannot be listed`, listArgv(folder), WORKSPACE_MOVE_MS);
  return found
    .split('\0')
    .filter((entry) => !entry.endsWith(' lost+found'))
    .sort()
    .join('\0');
}

/** An image that exists: checked, resized while that is easy, mounted. */
async function mountExisting(wanted: WorkspaceImage): Promise<string | null> {
  const { folder, image } = wanted;
  if (entriesOf(folder).length > 0)
    throw new OperatingError(
      'unavailable',
      `${folder} holds files although its image ${image} is not mounted there`,
      'keep one of the two: move the files away, or the image',
    );
  if (imageBytes(image) === null) throw damaged(image, 'it holds no ext4 file system');
  // A sandbox of an earlier host may still have it: then it is in use, and not to be touched by a repair.
  if (loopOf(image) !== null) {
    await mountImage(wanted.image, wanted.folder);
    return resizeMounted(wanted);
  }
  const now = imageBytes(image)!;
  const grows = now < wanted.bytes && differs(now, wanted.bytes);
  const { code, complaint } = await run(repairArgv(image, grows), WORKSPACE_MOVE_MS);
  if (code < 0 || code > 1) throw damaged(image, complaint || `e2fsck ended with ${code}`);
  if (grows) {
    truncateSync(image, wanted.bytes);
    await must(`${image} cannot grow`, growArgv(image, image), WORKSPACE_MOVE_MS);
  }
  await mountImage(wanted.image, wanted.folder);
  return shrink(wanted);
}

/** Grows a file system in use. It never shrinks one: that is a copy, which needs the workspace for itself. */
async function resizeMounted(wanted: WorkspaceImage): Promise<string | null> {
  const { image, bytes } = wanted;
  const now = imageBytes(image) ?? bytes;
  if (!differs(now, bytes)) return null;
  if (now > bytes) return `${image} keeps its ${now} bytes until the host starts again`;
  const device = loopOf(image)!;
  truncateSync(image, bytes);
  await must(`${image} cannot grow`, ['losetup', '--set-capacity', device]);
  const { code, complaint } = await run(growArgv(image, device), WORKSPACE_MOVE_MS);
  return code === 0 ? null : `${image} grows when the host starts again (${complaint})`;
}

/** A smaller one is a copy: a crash in the middle of it leaves the larger one. Too small for what is in it: it stays. */
async function shrink(wanted: WorkspaceImage): Promise<string | null> {
  const { folder, image, bytes } = wanted;
  const now = imageBytes(image) ?? bytes;
  if (now <= bytes || !differs(now, bytes)) return null;
  try {
    await fillDraft(wanted, draftOf(wanted));
  } catch (error) {
    await dropDraft(wanted);
    if (!(error instanceof OperatingError)) throw error;
    return `${image} keeps its ${now} bytes: ${error.message}`;
  }
  await unmountImage(folder);
  renameSync(draftOf(wanted).image, image);
  syncFolder(image);
  await mountImage(wanted.image, wanted.folder);
  return null;
}

/** The kernel counts in blocks and groups: the last part of a size may not be usable. */
function differs(now: number, bytes: number): boolean {
  return Math.abs(now - bytes) > bytes / 16;
}

/** What an image has replaced. */
async function dropPlain(wanted: WorkspaceImage): Promise<void> {
  if (existsSync(`${wanted.folder}.plain`)) await removeTree(`${wanted.folder}.plain`);
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return [];
    throw error;
  }
}

function damaged(image: string, why: string): OperatingError {
  return new OperatingError('unavailable', `The workspace image ${image} is damaged (${why})`, `e2fsck -f ${image}`);
}

function syncFolder(file: string): void {
  syncFile(file);
  syncFile(dirname(file));
}
