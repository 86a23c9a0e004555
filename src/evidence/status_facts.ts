import { createHash } from 'node:crypto';
import { readFileSync, statfsSync, statSync } from 'node:fs';
import type { GroupFile } from '../authority/schema.ts';
import type { Paths } from '../base/paths.ts';
import { authorityInForce } from '../ledger/authorities.ts';
import type { Db } from '../ledger/db.ts';
import { IS_OPEN } from '../ledger/messages.ts';
import type { UsageRow } from '../protocol/gateway.ts';

/** Sections of the status that are facts by themselves: queues, budgets, disk, configuration. */

export interface QueueStatus {
  /** '': texts of the host itself. */
  group: string;
  queued: number;
  /** When the oldest message that waits for its turn came. */
  oldest_queued_ms: number | null;
  leaving: number;
  /** When the oldest text that is not delivered yet was written. */
  oldest_leaving_ms: number | null;
}

interface Waiting {
  name: string;
  n: number;
  oldest_ms: number;
}

/** By group, what waits for a turn and what waits for its platform; groups in which nothing waits are left out. */
export function queuesOf(db: Db): QueueStatus[] {
  const inbound = db.all<Waiting>(
    `SELECT s.group_name AS name, count(*) AS n, min(m.received_ms) AS oldest_ms
       FROM inbound i INDEXED BY inbound_open JOIN messages m ON m.id = i.message_id JOIN sessions s ON s.id = i.session_id
      WHERE i.${IS_OPEN} AND i.state = 'queued' GROUP BY s.group_name`,
  );
  const outbound = db.all<Waiting>(
    `SELECT coalesce(s.group_name, '') AS name, count(*) AS n, min(o.created_ms) AS oldest_ms
       FROM outbound o INDEXED BY outbound_open LEFT JOIN sessions s ON s.id = o.session_id
      WHERE o.state IN ('queued', 'sending', 'retry') GROUP BY 1`,
  );
  const names = [...new Set([...inbound, ...outbound].map(({ name }) => name))].sort();
  return names.map((group) => {
    const [coming, leaving] = [inbound, outbound].map((rows) => rows.find(({ name }) => name === group));
    return {
      group,
      queued: coming?.n ?? 0,
      oldest_queued_ms: coming?.oldest_ms ?? null,
      leaving: leaving?.n ?? 0,
      oldest_leaving_ms: leaving?.oldest_ms ?? null,
    };
  });
}

/** When the oldest request or question that waits for a decision was asked; null: none waits. */
export function oldestApproval(db: Db): number | null {
  return db.get<{ at_ms: number | null }>("SELECT min(created_ms) AS at_ms FROM approvals WHERE state = 'pending'")!
    .at_ms;
}

export interface BudgetStatus {
  group: string;
  /** As its authority in force says; empty: none. */
  of: GroupFile['budget'];
  /** Since midnight. */
  used: { usd: number; tokens: number; requests: number };
  /** Dollars of models in the last hour and since somebody spoke to it; null: there is no such budget. */
  idle_usd: number | null;
}

/** Of groups that have one. `idle`: the use of models since a time, of all groups. */
export async function budgetsOf(
  db: Db,
  groups: readonly string[],
  today: readonly UsageRow[],
  idle: (group: string) => Promise<UsageRow[]>,
): Promise<BudgetStatus[]> {
  const rows = groups.map(async (group): Promise<BudgetStatus[]> => {
    const row = authorityInForce(db, group);
    const of = row === undefined ? {} : ((JSON.parse(row.object) as { budget?: GroupFile['budget'] }).budget ?? {});
    if (Object.keys(of).length === 0) return [];
    const idle_usd = of.usd_per_idle_hour === undefined ? null : usedOf(group, await idle(group)).usd;
    return [{ group, of, used: usedOf(group, today), idle_usd }];
  });
  return (await Promise.all(rows)).flat();
}

function usedOf(group: string, rows: readonly UsageRow[]): BudgetStatus['used'] {
  const row = rows.find((usage) => usage.group === group);
  if (row === undefined) return { usd: 0, tokens: 0, requests: 0 };
  return { usd: row.cost_micros / 1e6, tokens: row.input_tokens + row.output_tokens, requests: row.requests };
}

export interface DiskStatus {
  free_bytes: number;
  total_bytes: number;
  ledger_bytes: number;
  /** Null: they are the gateway's own, and closed to the host. */
  audit_bytes: number | null;
  vault_bytes: number | null;
}

export function diskOf({ home, ledger, audit, vault }: Paths): DiskStatus {
  const { bavail, blocks, bsize } = statfsSync(home);
  return {
    free_bytes: bavail * bsize,
    total_bytes: blocks * bsize,
    ledger_bytes: databaseBytes(ledger) ?? 0,
    audit_bytes: databaseBytes(audit),
    vault_bytes: databaseBytes(vault),
  };
}

/** With its write-ahead log. */
function databaseBytes(file: string): number | null {
  const sizes = [file, `${file}-wal`].map((path) => sizeOf(path));
  return sizes[0] === null ? null : sizes.reduce((sum: number, size) => sum + (size ?? 0), 0);
}

function sizeOf(path: string): number | null {
  try {
    return statSync(path).size;
  } catch {
    return null; // none yet, or in a folder of the gateway's
  }
}

/** SHA-256 (hex) of `glass.yaml` as it is; of an empty text where there is none. */
export function configHash(file: string): string {
  const hash = createHash('sha256');
  try {
    hash.update(readFileSync(file));
  } catch {
    // what is missing says the same as an empty one
  }
  return hash.digest('hex');
}
