import { chmodSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../base/errors.ts';
import { showId } from '../base/ids.ts';
import { writeWhole } from '../base/whole_file.ts';
import { type FileRow, filesOf } from '../ledger/files.ts';
import type { FrameFile } from '../protocol/frames.ts';
import type { SessionServices } from './services.ts';

/**
 * Files that came with messages, as a session's sandbox gets them: `/inbox/<message>/<name>`, before it is told of the
 * message. Each is a copy: no sandbox shares an inode with `blobs/` or with another session.
 *
 * Everything below the inbox is made by the host and belongs to it, and every sandbox has it mounted read-only. So nothing
 * that is found here, no link and no name, can be a sandbox's, and the host may use plain paths.
 */
export const INBOX = '/inbox';

/** Where the sandbox finds a file. */
export function inboxPath(file: FileRow): string {
  return `${INBOX}/${showId('m', file.message_id)}/${file.name}`;
}

/** Puts a message's files in place, where no earlier attempt has. One that cannot be had is `lost`, and the turn goes on. */
export type PlaceFiles = (messageId: number) => FrameFile[];

export function inboxOf({ ledger, paths, log }: SessionServices, sessionId: number): PlaceFiles {
  const { inbox } = paths.session(showId('s', sessionId));
  const placed = (file: FileRow): boolean => {
    if (file.gone_ms !== null) return false;
    try {
      place(join(paths.blobs, file.sha256), join(inbox, showId('m', file.message_id)), file);
      return true;
    } catch (error) {
      log.warn('inbox.lost', { file: inboxPath(file), sha256: file.sha256, reason: messageOf(error) });
      return false;
    }
  };
  return (messageId) =>
    filesOf(ledger.db, messageId).map((file) => {
      return { path: inboxPath(file), type: file.type, bytes: file.bytes, lost: !placed(file) };
    });
}

function place(blob: string, folder: string, file: FileRow): void {
  const path = join(folder, file.name);
  // A power cut may leave a shorter one.
  if (statSync(path, { throwIfNoEntry: false })?.size === file.bytes) return;
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0o755); // whatever the umask says
  writeWhole(path, readFileSync(blob), 0o444);
}
