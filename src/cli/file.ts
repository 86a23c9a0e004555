import { createHash } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { messageOf, OperatingError, systemCodeOf } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';
import { showBytes } from '../base/text.ts';
import type { FileFacts } from '../ledger/files.ts';
import { ControlClient } from './control_client.ts';
import { type Io, printable } from './io.ts';

/** `glass file <o12> [path]`: saves what an agent sent, by default under its own name, here. Never over another file. */
export async function file(args: string[], paths: Paths, io: Io): Promise<number> {
  const [id, path] = args;
  if (id === undefined)
    throw new OperatingError('usage', 'which file? its id is in the line that came with it', 'glass file o12 [path]');
  const client = new ControlClient(paths.controlSocket);
  try {
    const saved = await saveFile(client, id, path);
    io.out(io.json ? JSON.stringify(saved) : savedText(saved));
    return 0;
  } finally {
    client.close();
  }
}

export interface Saved extends FileFacts {
  path: string;
}

export function savedText({ path, bytes, type }: Saved): string {
  return `saved ${printable(path)} (${type}, ${showBytes(bytes)})`;
}

/** Rejects with `OperatingError`; then nothing of it is left on disk. */
export async function saveFile(client: ControlClient, id: string, path?: string): Promise<Saved> {
  const parts: Buffer[] = [];
  let facts: FileFacts | null = null;
  let whole = false;
  await client.stream('file', { id }, (row) => {
    if (row['t'] === 'file') facts = row as unknown as FileFacts;
    if (row['t'] === 'part') parts.push(Buffer.from(String(row['data']), 'base64'));
    if (row['t'] === 'end') whole = true;
  });
  const bytes = Buffer.concat(parts);
  const known = facts as FileFacts | null;
  if (known === null || !whole || createHash('sha256').update(bytes).digest('hex') !== known.sha256)
    throw new OperatingError(
      'storage',
      `the file ${id} did not come whole`,
      'look into host.log; its bytes are in blobs/',
    );
  const { name, type, sha256 } = known;
  const target = (path ?? name).replace(/^~(?=\/|$)/, homedir());
  await writeNew(target, bytes);
  return { name, type, bytes: bytes.length, sha256, path: target };
}

async function writeNew(path: string, bytes: Buffer): Promise<void> {
  const created = await open(path, 'wx', 0o600).catch((error) => {
    const why = systemCodeOf(error) === 'EEXIST' ? `${path} is there already` : messageOf(error);
    throw new OperatingError('usage', why, 'name another path');
  });
  try {
    await created.writeFile(bytes);
  } catch (error) {
    await rm(path, { force: true });
    throw new OperatingError('storage', `${path} could not be written: ${messageOf(error)}`);
  } finally {
    await created.close();
  }
}
