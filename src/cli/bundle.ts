import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { readInstall } from '../base/config.ts';
import { describeError, messageOf, OperatingError, systemCodeOf } from '../base/errors.ts';
import { BUNDLE_EVENTS_MAX } from '../base/limits/telemetry.ts';
import type { Paths } from '../base/paths.ts';
import type { Status } from '../evidence/status.ts';
import { type BundleFacts, bundleOf } from '../operations/bundle.ts';
import { tarOf } from '../operations/tar.ts';
import { versionsHere } from '../operations/versions.ts';
import { ControlClient } from './control_client.ts';
import type { Io } from './io.ts';

/** `glass doctor --bundle`: one file for who helps. It is made with and without a host, and says what is in it. */
export interface BundleAsked {
  findings: readonly object[];
  /** Null: a name with the time, in this folder. */
  file: string | null;
  names: boolean;
}

export async function makeBundle({ findings, file, names }: BundleAsked, paths: Paths, io: Io): Promise<number> {
  const at_ms = Date.now();
  const asked = await askHost(paths);
  const versions = await versionsHere(paths.root, runtimeOf(paths));
  const entries = bundleOf(paths, { at_ms, ...asked, versions, findings, names, env: process.env });
  const stamp = new Date(at_ms).toISOString().slice(0, 19).replaceAll(':', '-');
  const path = resolve(file ?? `glass-diagnostics-${stamp}.tar.gz`);
  write(path, gzipSync(tarOf(entries, at_ms)));
  const listed = entries.map(({ name, text }) => ({ name, bytes: Buffer.byteLength(text) }));
  if (io.json) io.out(JSON.stringify({ file: path, host: asked.host !== null, missing: asked.missing, files: listed }));
  else {
    io.out(`${path} (mode 600) holds:`);
    for (const { name, bytes } of listed) io.out(`  ${name.padEnd(20)} ${String(bytes).padStart(8)} bytes`);
    if (asked.missing !== null) io.out(`Without what only the host knows: ${asked.missing}`);
    io.out(`Look before you send it: tar -xzOf ${path} | less`);
  }
  return 0;
}

/** Whatever fails, the rest of the bundle is made. */
async function askHost(paths: Paths): Promise<Pick<BundleFacts, 'host' | 'missing'>> {
  const client = new ControlClient(paths.controlSocket);
  try {
    const status = await client.call<Status>('status');
    const events: object[] = [];
    await client.stream('events', { follow: false, limit: BUNDLE_EVENTS_MAX }, (row) => events.push(row));
    return { host: { status, events, names: await namesKnown(client) }, missing: null };
  } catch (error) {
    return { host: null, missing: describeError(error) };
  } finally {
    client.close();
  }
}

/** What people and chats are called, here and on platforms. */
async function namesKnown(client: ControlClient): Promise<string[]> {
  return [...stringsUnder(await client.call('people'), NAMES), ...stringsUnder(await client.call('wirings'), NAMES)];
}

const NAMES = new Set(['name', 'handle', 'title', 'chat', 'identities', 'senders']);

function stringsUnder(value: unknown, keys: ReadonlySet<string>, key = ''): string[] {
  if (typeof value === 'string') return keys.has(key) && !/^(?:p\d+|anyone|admins)$/.test(value) ? [value] : [];
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) return value.flatMap((item) => stringsUnder(item, keys, key));
  return Object.entries(value).flatMap(([name, item]) => stringsUnder(item, keys, name));
}

function runtimeOf(paths: Paths) {
  try {
    return readInstall(paths.config).runtime;
  } catch {
    return 'bubblewrap'; // the doctor's findings say what is wrong with the file
  }
}

/** Nobody's file is written over. Throws `OperatingError`. */
function write(path: string, bytes: Buffer): void {
  try {
    writeFileSync(path, bytes, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    if (systemCodeOf(error) === 'EEXIST')
      throw new OperatingError('conflict', `${path} is there already`, 'name another one: -o <file>', error);
    throw new OperatingError('storage', `${path} cannot be written (${messageOf(error)})`, '-o <file>', error);
  }
}
