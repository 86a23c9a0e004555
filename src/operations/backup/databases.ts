import { copyFileSync, existsSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { messageOf, OperatingError, systemCodeOf } from '../../base/errors.ts';
import { COPY_TRIES_MAX, GATEWAY_COPY_MS } from '../../base/limits/backups.ts';
import { GATEWAY_READY_MS } from '../../base/limits/gateway.ts';
import type { Paths } from '../../base/paths.ts';
import type { VaultAnswers } from '../../protocol/gateway.ts';
import { LineClient } from '../../protocol/lines_client.ts';
import { notOne } from './manifest.ts';

/**
 * Copies of the three databases that belong together. Ledger and audit hold each other's heads, so neither copy may know of something
 * that the other has not: the audit is copied first, then the ledger as it is a moment later, and both again where an anchor came in
 * between. The ledger is read beside the host, which goes on writing; vault and audit are copied by the gateway, or here while there is none.
 */
export interface Copied {
  schema: number;
  counts: { messages: number; events: number; secrets: number };
}

/** In one step: a copy that pauses begins again with every commit of the host. */
const AT_ONCE = 2 ** 31 - 1;
const LOCKED_MS = 5000;

export async function copyDatabases(paths: Paths, folder: string, tell: (text: string) => void): Promise<Copied> {
  if (!existsSync(paths.ledger))
    throw new OperatingError(
      'not_found',
      `there is no install in ${paths.home}: it has no ledger.db`,
      'set GLASS_HOME',
    );
  const ledger = reader(paths.ledger);
  let copied = false;
  try {
    for (let tries = 0; tries < COPY_TRIES_MAX && !copied; tries += 1) {
      tell('copying vault.db and audit.db');
      await copyOfGateway(paths, folder);
      ledger.exec('BEGIN');
      try {
        // From this look on the connection sees the ledger as it is now.
        if (anchored(ledger) <= headOf(join(folder, 'audit.db'))) {
          tell('copying ledger.db');
          await backup(ledger, join(folder, 'ledger.db'), { rate: AT_ONCE });
          copied = true;
        }
      } finally {
        ledger.exec('ROLLBACK');
      }
    }
  } catch (error) {
    throw whyNot(error);
  } finally {
    ledger.close();
  }
  if (!copied)
    throw new OperatingError('unavailable', 'the gateway records too fast for a copy of one moment', 'try again later');
  // Only now: what is read of a host's ledger keeps its log from being emptied, and this lasts longer than the copy.
  return checkCopies(folder);
}

function whyNot(error: unknown): OperatingError {
  if (error instanceof OperatingError) return error;
  const full = /disk is full|ENOSPC/.test(messageOf(error));
  return new OperatingError(
    'storage',
    `the databases cannot be copied: ${messageOf(error)}`,
    full ? 'make room on that disk' : 'try again; ./glass doctor looks at the disk',
    error,
  );
}

async function copyOfGateway(paths: Paths, folder: string): Promise<void> {
  const targets = (['vault.db', 'audit.db'] as const).map((name) => join(folder, name));
  for (const target of targets) rmSync(target, { force: true });
  const client = await gatewayOf(paths);
  if (client === null) {
    for (const [at, source] of [paths.vault, paths.audit].entries()) await copyAtRest(source, targets[at]!);
    return;
  }
  try {
    const made = await client.request<VaultAnswers['copy']>({ op: 'copy' }, GATEWAY_COPY_MS);
    for (const [at, source] of [made.vault, made.audit].entries()) move(source, targets[at]!);
    rmSync(dirname(made.vault), { recursive: true, force: true });
  } finally {
    client.close();
  }
}

/** The shelf may be on another disk than the gateway's home. */
function move(source: string, target: string): void {
  try {
    renameSync(source, target);
  } catch (error) {
    if (systemCodeOf(error) !== 'EXDEV') throw error;
    copyFileSync(source, target);
  }
}

/** Null: none runs. */
async function gatewayOf(paths: Paths): Promise<LineClient | null> {
  try {
    return await LineClient.connect(paths.vaultSocket, GATEWAY_READY_MS, { peer: 'the gateway' });
  } catch {
    return null;
  }
}

async function copyAtRest(source: string, target: string): Promise<void> {
  if (!existsSync(source)) throw new OperatingError('not_found', `${source} is not there`, 'start it once: ./glass up');
  const db = new DatabaseSync(source, { timeout: LOCKED_MS });
  try {
    await backup(db, target, { rate: AT_ONCE });
  } catch (error) {
    if (!/locked|busy/.test(messageOf(error))) throw error;
    throw new OperatingError('conflict', `${source} is in use by a gateway that does not answer yet`, 'try again');
  } finally {
    db.close();
  }
}

function reader(file: string): DatabaseSync {
  try {
    return new DatabaseSync(file, { readOnly: true, timeout: LOCKED_MS });
  } catch (error) {
    throw new OperatingError('storage', `${file} cannot be read: ${messageOf(error)} (${systemCodeOf(error)})`);
  }
}

const one = (db: DatabaseSync, sql: string): number =>
  Number(Object.values(db.prepare(sql).get() ?? { none: 0 })[0] ?? 0);

/** The newest link of the gateway's chain that the ledger knows of. */
function anchored(ledger: DatabaseSync): number {
  return one(
    ledger,
    "SELECT json_extract(data, '$.seq') FROM events WHERE kind = 'egress.anchored' ORDER BY id DESC LIMIT 1",
  );
}

function headOf(audit: string): number {
  return still(audit, (db) =>
    one(
      db,
      `SELECT max(coalesce((SELECT max(max(coalesce(begun_seq, 0), coalesce(ended_seq, 0))) FROM requests), 0),
         coalesce((SELECT max(seq) FROM heads), 0), coalesce((SELECT seq FROM cut), 0))`,
    ),
  );
}

/** Opens a copy without a trace: no side file of it is made. */
function still<T>(file: string, act: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(new URL(`${pathToFileURL(file).href}?immutable=1`), { readOnly: true });
  try {
    return act(db);
  } finally {
    db.close();
  }
}

/**
 * Whether each of them is whole. Throws `OperatingError('config')` for one that is none. Indexes are compared with their tables
 * whatever the size, unlike at a start (decision 0062): nobody waits for an answer. A ledger of 200 MB takes two to four seconds, and
 * seven from a cold disk, where `quick_check` took one and three.
 */
export function checkCopies(folder: string): Copied {
  const look = <T>(name: string, act: (db: DatabaseSync) => T): T => {
    try {
      return still(join(folder, name), (db) => {
        const result = String(Object.values(db.prepare('PRAGMA integrity_check(1)').get() ?? {})[0]);
        if (result !== 'ok') throw new Error(result);
        return act(db);
      });
    } catch (error) {
      throw notOne(folder, `${name} is damaged (${messageOf(error)})`);
    }
  };
  look('audit.db', (db) => one(db, 'SELECT count(*) FROM requests'));
  const secrets = look('vault.db', (db) => one(db, "SELECT count(*) FROM secrets WHERE name <> '.signer'"));
  return look('ledger.db', (db) => ({
    schema: one(db, 'PRAGMA user_version'),
    counts: {
      messages: one(db, 'SELECT count(*) FROM messages'),
      events: one(db, 'SELECT coalesce(max(id), 0) FROM events'),
      secrets,
    },
  }));
}
