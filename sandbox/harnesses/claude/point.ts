import { existsSync, lstatSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * The resume point: a session of the Claude process and the last entry of its transcript that belongs to a settled turn.
 * What follows that entry, of a turn that was cut off or never settled, is not part of the conversation any more.
 */
export interface Point {
  session: string;
  message: string;
}

/** A transcript that is larger is not one; a long conversation has a few MB. */
const TRANSCRIPT_BYTES_MAX = 200 * 1024 * 1024;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function parsePoint(text: string | null): Point | null {
  try {
    const point = JSON.parse(text ?? '');
    return UUID.test(point?.session) && UUID.test(point?.message)
      ? { session: point.session, message: point.message }
      : null;
  } catch {
    return null;
  }
}

/**
 * Cuts the transcript after the point's entry; false when it has none. Whatever a turn that was not settled has left
 * there would be a branch beside the next turn, and of two branches the process resumes the one it likes: seen after two
 * failed turns, when it then no longer found the point at all. Only while no process has the file open.
 */
export function restorePoint(config: string, point: Point): boolean {
  try {
    return cutTranscripts(config, point);
  } catch {
    return false; // what the agent has made unreadable is as good as lost
  }
}

/** Removes what is there of its conversation. */
export function forgetPoint(config: string, point: Point): void {
  try {
    for (const file of transcripts(config, point.session)) rmSync(file, { recursive: true, force: true });
  } catch {
    // What cannot be removed is not found either.
  }
}

function cutTranscripts(config: string, point: Point): boolean {
  return transcripts(config, point.session).some((file) => cutAfter(file, `"uuid":"${point.message}"`));
}

/** The files that a conversation has: how many, and at most so many bytes of base64. */
export function shownIn(config: string, point: Point | null): { bytes: number; files: number } {
  const used = { bytes: 0, files: 0 };
  try {
    for (const text of point === null ? [] : transcripts(config, point.session).map(readTranscript)) {
      used.bytes += text?.length ?? 0;
      used.files += (text ?? '').split('"type":"base64"').length - 1;
    }
  } catch {
    // What the agent has made unreadable, no process can resume either.
  }
  return used;
}

/** A transcript is found by its name: its folder is named after the workspace. */
function transcripts(config: string, session: string): string[] {
  const projects = join(config, 'projects');
  return existsSync(projects)
    ? readdirSync(projects).map((project) => join(projects, project, `${session}.jsonl`))
    : [];
}

function readTranscript(file: string): string | null {
  const stat = lstatSync(file, { throwIfNoEntry: false });
  return stat?.isFile() && stat.size <= TRANSCRIPT_BYTES_MAX ? readFileSync(file, 'utf8') : null;
}

/**
 * Whether the last entry's conversation is there from its beginning. An agent that removes its transcript in the middle of a turn leaves
 * one that begins there, since the process goes on writing: the point is in it, and nothing that was said before.
 */
function isWhole(text: string): boolean {
  const parents = new Map<unknown, unknown>();
  let at: unknown = null;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const { uuid, parentUuid = null } = JSON.parse(line);
    if (uuid === undefined) continue;
    parents.set(uuid, parentUuid);
    at = uuid;
  }
  while (parents.has(at)) {
    const parent = parents.get(at);
    parents.delete(at); // a circle is no conversation
    at = parent;
  }
  return at === null;
}

function cutAfter(file: string, entry: string): boolean {
  const text = readTranscript(file);
  const at = text?.indexOf(entry) ?? -1;
  if (text === null || at === -1) return false;
  const end = text.indexOf('\n', at) + 1;
  if (!isWhole(end === 0 ? text : text.slice(0, end))) return false;
  if (end === 0 || end === text.length) return true;
  writeFileSync(`${file}.cut`, text.slice(0, end));
  renameSync(`${file}.cut`, file);
  return true;
}
