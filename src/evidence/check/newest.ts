import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';

/** Where the reports of `glass check` lie, and what the newest one says. */
export interface ReportHead {
  state: 'passed' | 'failed';
  /** ISO time of its beginning. */
  at: string;
  /** Without its ending. */
  path: string;
}

const NAME = /^check-[\dTZ-]+\.json$/;
/** A report begins with these two: status need not read the whole. */
const HEAD = /^\{"state":"(passed|failed)","at":"([^"]+)"/;
const HEAD_BYTES = 100;

export function reportsFolder(home: string): string {
  return join(home, 'reports');
}

/** Null: there is none, or none that this account may read. Names sort by time. */
export function newestReport(home: string): ReportHead | null {
  const folder = reportsFolder(home);
  try {
    const name = readdirSync(folder)
      .filter((each) => NAME.test(each))
      .sort()
      .at(-1);
    if (name === undefined) return null;
    const found = HEAD.exec(beginningOf(join(folder, name)));
    if (found === null) return null;
    const state = found[1] === 'passed' ? 'passed' : 'failed';
    return { state, at: found[2]!, path: join(folder, name.replace(/\.json$/, '')) };
  } catch {
    return null;
  }
}

function beginningOf(path: string): string {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(HEAD_BYTES);
    return bytes.toString('utf8', 0, readSync(file, bytes, 0, HEAD_BYTES, 0));
  } finally {
    closeSync(file);
  }
}
