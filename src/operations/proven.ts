import { PROOF_EVERY_MS } from '../base/limits/sandbox.ts';
import type { Depth } from '../evidence/inspection/probes/probe.ts';
import type { Db } from '../ledger/db.ts';
import { lastProof, type ProofRow } from '../ledger/proofs.ts';

/**
 * What the kept proofs of a group say. A quick look leaves out what only a full one tries: so what failed in full stays
 * failed, whatever changes and whoever looks, until a full one is green.
 */

/** The proof that counts: the newest full one while it is red, else the newest. */
export function countingProof(db: Db, group: string): ProofRow | undefined {
  const full = lastProof(db, group, 'full');
  return full?.ok === 0 ? full : lastProof(db, group);
}

export function isProven(db: Db, group: string, fingerprint: string): boolean {
  const proof = countingProof(db, group);
  return proof?.ok === 1 && proof.fingerprint === fingerprint;
}

/** How deep a start must look. */
export function depthNeeded(db: Db, group: string): Depth {
  return lastProof(db, group, 'full')?.ok === 0 ? 'full' : 'quick';
}

/** Whether a full one is due: once in `PROOF_EVERY_MS`, and for each boundary that had none. */
export function isFullDue(db: Db, group: string, fingerprint: string, now_ms: number): boolean {
  const full = lastProof(db, group, 'full');
  return full === undefined || full.fingerprint !== fingerprint || now_ms - full.at_ms >= PROOF_EVERY_MS;
}
