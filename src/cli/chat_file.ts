import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { homedir } from 'node:os';
import { basename } from 'node:path';
import { messageOf, OperatingError, systemCodeOf } from '../base/errors.ts';
import { MESSAGE_FILES_BYTES_MAX } from '../base/limits/messages.ts';
import { showBytes } from '../base/text.ts';

/** `/file <path> [text]` in `glass chat`. Everything else is a text, also what only begins with a slash. */
export interface Said {
  text: string;
  /** `data` in base64. */
  files: { name: string; data: string }[];
}

/** A path with spaces is quoted, or has them behind backslashes, as a terminal writes one that is dropped into it. */
const COMMAND = /^\/file(?:\s+(?:"([^"]+)"|'([^']+)'|((?:\\.|[^\s\\])+))(?:\s+([\s\S]*))?)?\s*$/;

/** Rejects with `OperatingError` when the file cannot be sent. */
export async function readSaid(line: string): Promise<Said> {
  const found = COMMAND.exec(line.trimStart());
  if (found === null) return { text: line, files: [] };
  const [, doubly, singly, bare, text = ''] = found;
  const path = doubly ?? singly ?? bare?.replace(/\\(.)/g, '$1');
  if (path === undefined) throw new OperatingError('usage', 'which file? Write /file <path> [text]');
  const data = await readWhole(path.replace(/^~(?=\/|$)/, homedir()));
  return { text: text.trim(), files: [{ name: basename(path), data: data.toString('base64') }] };
}

async function readWhole(path: string): Promise<Buffer> {
  // Without it, opening a pipe would wait for somebody who writes to it.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error) => {
    throw new OperatingError('usage', WHY_NOT[systemCodeOf(error) ?? '']?.(path) ?? messageOf(error));
  });
  try {
    const stat = await file.stat();
    if (stat.isDirectory()) throw new OperatingError('usage', `${path} is a folder`);
    if (!stat.isFile()) throw new OperatingError('usage', `${path} is not a regular file`);
    if (stat.size > MESSAGE_FILES_BYTES_MAX) {
      const most = MESSAGE_FILES_BYTES_MAX / 1024 ** 2;
      throw new OperatingError('usage', `${path} has ${showBytes(stat.size)}; a message takes at most ${most} MiB`);
    }
    return await file.readFile();
  } finally {
    await file.close();
  }
}

const WHY_NOT: Record<string, (path: string) => string> = {
  ENOENT: (path) => `there is no file ${path}`,
  ENOTDIR: (path) => `there is no file ${path}`,
  EACCES: (path) => `you may not read ${path}`,
};
