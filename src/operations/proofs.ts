import { rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Authority } from '../authority/authority.ts';
import type { Clock } from '../base/clock.ts';
import { messageOf, OperatingError } from '../base/errors.ts';
import { randomToken } from '../base/ids.ts';
import { PROOF_LOOK_MS } from '../base/limits/sandbox.ts';
import type { Log } from '../base/log.ts';
import type { Paths } from '../base/paths.ts';
import type { Inspection, InspectionInput } from '../evidence/inspection/inspection.ts';
import type { Depth, Profile } from '../evidence/inspection/probes/probe.ts';
import { recordEvent } from '../ledger/events.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { guardsSeen, insertProof, type ProofRow } from '../ledger/proofs.ts';
import { prepareFolders } from '../sessions/folders.ts';
import type { Planner } from '../sessions/planner.ts';
import type { StartPlan } from '../sessions/services.ts';
import { Timer } from '../sessions/timer.ts';
import type { WorkspaceKeeper } from '../sessions/workspaces.ts';
import { boundaryFacts, fingerprintOf } from './fingerprint.ts';
import { countingProof, depthNeeded, isFullDue, isProven } from './proven.ts';

/**
 * Whether a group's boundary holds, proven by attempts to break it in a sandbox of that group. No sandbox starts before it
 * was proven for everything that it depends on now; what has failed starts nothing until it passes again.
 */
export interface ProofsInput {
  paths: Paths;
  ledger: Ledger;
  clock: Clock;
  log: Log;
  planner: Pick<Planner, 'plan' | 'harnessOf'>;
  /** Tries to break out of a sandbox. */
  attempt(input: InspectionInput): Promise<Inspection>;
  workspaces: WorkspaceKeeper;
  /** Of the code that makes the boundary, and of the one that inspects it. */
  code: string;
  groups(): string[];
  alert(kind: string, subject: string, text: string): void;
  clear(kind: string, subject: string): void;
}

export interface Inspected {
  group: string;
  /** Hash of the authority in force. */
  authority: string;
  /** Names: services, and secrets of theirs and of the model's. */
  egress: string[];
  secrets: string[];
  inspection: Inspection;
  /** When each probe last passed. */
  last_seen: Record<string, number>;
}

const ALERT = 'boundary.failed';
const FAILED_SHOWN = 3;

export class Proofs {
  readonly #input: ProofsInput;
  /** The last one that was asked for, by group. */
  readonly #running = new Map<string, Promise<unknown>>();
  readonly #timer = new Timer();
  #stopped = false;

  constructor(input: ProofsInput) {
    this.#input = input;
  }

  /** Once a day, in the background, each group is inspected in full. */
  start(): void {
    this.#timer.start(PROOF_LOOK_MS, () => {
      void this.#inspectDue().then(() => {
        if (!this.#stopped) this.start();
      });
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer.stop();
  }

  /** Before a start. Rejects with `OperatingError('refused')` that names the first guards that failed. */
  async require(plan: StartPlan): Promise<void> {
    const { group } = plan.authority;
    const fingerprint = this.#fingerprint(plan);
    if (this.#proven(group, fingerprint)) return;
    await this.#alone(group, async () => {
      if (this.#proven(group, fingerprint)) return;
      const { inspection } = await this.#inspect(group, depthNeeded(this.#input.ledger.db, group), false);
      if (!inspection.ok) throw failed(group, inspection);
    });
  }

  /** Inspects now and keeps what was found. Rejects with `OperatingError` when the group cannot be started at all. */
  inspect(group: string, depth: Depth, canary: boolean): Promise<Inspected> {
    return this.#alone(group, () => this.#inspect(group, depth, canary));
  }

  /** One after the other for each group: they share a session's name, and the first one's result may serve the others. */
  #alone<T>(group: string, job: () => Promise<T>): Promise<T> {
    const before = this.#running.get(group) ?? Promise.resolve();
    const next = before.then(job, job);
    this.#running.set(group, next);
    return next;
  }

  /** The proof that counts, for status. */
  last(group: string): (Pick<ProofRow, 'at_ms' | 'depth' | 'ms'> & { ok: boolean }) | null {
    const row = countingProof(this.#input.ledger.db, group);
    return row === undefined ? null : { at_ms: row.at_ms, depth: row.depth, ms: row.ms, ok: row.ok === 1 };
  }

  async #inspect(group: string, depth: Depth, canary: boolean): Promise<Inspected> {
    const { paths, planner, ledger } = this.#input;
    const session = `inspect-${group}`;
    const plan = await planner.plan(group, session);
    const { spec, runtime, controls } = plan;
    const use = { group, bytes: plan.authority.limits.workspace, spec, runtime };
    const leave = await this.#input.workspaces.enter(use, () => {});
    const planted = canary ? plantCanary() : null;
    const folder = dirname(paths.session(session).state);
    try {
      prepareFolders(paths, session, group, spec.uid);
      const absent = controls.filter(({ state }) => state !== 'enforced').map(({ name }) => name);
      const workspace_bytes = plan.authority.limits.workspace;
      const { run } = paths.session(session);
      const inspection = await this.#input.attempt({
        runtime,
        spec,
        profile: profileOf(plan),
        depth,
        run,
        canary: planted,
        workspace_bytes,
        absent,
      });
      await this.#keep(group, this.#fingerprint(plan), inspection);
      const last_seen = guardsSeen(ledger.db, group);
      return { group, authority: plan.egress.policy, ...namedBy(plan.authority), inspection, last_seen };
    } finally {
      leave();
      if (planted !== null) rmSync(planted, { force: true });
      rmSync(folder, { recursive: true, force: true });
    }
  }

  async #keep(group: string, fingerprint: string, inspection: Inspection): Promise<void> {
    const { ledger, clock, log } = this.#input;
    const { ok, depth, ms, at_ms, probes } = inspection;
    const named = (state: string): string[] => probes.filter((probe) => probe.state === state).map(({ id }) => id);
    const row = { group_name: group, fingerprint, depth, ok: ok ? (1 as const) : (0 as const), at_ms, ms };
    await ledger.write('proof', (db) => {
      insertProof(db, { ...row, inspection: JSON.stringify(inspection) }, named('passed'));
      recordEvent(db, clock, 'boundary.inspected', {}, { group, depth, ok, ms, failed: named('failed') });
    });
    log.info('boundary.inspected', { group, depth, ok, ms, passed: named('passed').length });
    if (countingProof(ledger.db, group)?.ok === 1) this.#input.clear(ALERT, group);
    if (!ok) this.#input.alert(ALERT, group, `${failed(group, inspection).message}. The group does not start.`);
  }

  #proven(group: string, fingerprint: string): boolean {
    return isProven(this.#input.ledger.db, group, fingerprint);
  }

  async #inspectDue(): Promise<void> {
    for (const group of this.#input.groups()) {
      if (this.#input.planner.harnessOf(group) === null) continue;
      await this.#inspectIfDue(group).catch((error) => {
        if (this.#stopped) return;
        const reason = messageOf(error);
        this.#input.log.warn('boundary.not_inspected', { group, reason });
        this.#input.alert(ALERT, group, `The boundary of the group ${group} cannot be inspected: ${reason}.`);
      });
    }
  }

  async #inspectIfDue(group: string): Promise<void> {
    const { clock, ledger, planner } = this.#input;
    const fingerprint = this.#fingerprint(await planner.plan(group, `inspect-${group}`));
    if (isFullDue(ledger.db, group, fingerprint, clock.now())) await this.inspect(group, 'full', false);
    // It could not be looked at before, and nothing has changed since it held.
    else if (this.#proven(group, fingerprint)) this.#input.clear(ALERT, group);
  }

  #fingerprint(plan: StartPlan): string {
    return fingerprintOf(boundaryFacts(plan, this.#input.paths.root, this.#input.code));
  }
}

/** By name only: no value of a secret is known here. */
function namedBy({ egress, secrets, model }: Authority): Pick<Inspected, 'egress' | 'secrets'> {
  const used = model.secret === null ? secrets : [model.secret, ...secrets];
  return { egress: Object.keys(egress), secrets: [...new Set(used)] };
}

function profileOf({ runtime, spec }: StartPlan): Profile {
  return spec.oci_runtime === 'runsc' ? 'gvisor' : runtime.name;
}

function failed(group: string, { problem, probes }: Inspection): OperatingError {
  const red = probes.filter(({ state }) => state === 'failed');
  const shown = red
    .slice(0, FAILED_SHOWN)
    .map(({ id, expected, seen }) => `${id} (expected ${expected}, seen ${seen})`);
  const more = red.length > FAILED_SHOWN ? ` and ${red.length - FAILED_SHOWN} more` : '';
  return new OperatingError(
    'refused',
    `the self-check of the group ${group} failed: ${problem ?? `${shown.join(', ')}${more}`}`,
    `./glass inspect ${group}`,
  );
}

/** A world-readable file among the host's own, which no sandbox must see. Throws when this account may not write there. */
function plantCanary(): string {
  const path = join('/etc', `glassclaw-canary-${randomToken(9)}`);
  try {
    writeFileSync(path, 'of the host\n', { mode: 0o644, flag: 'wx' });
    return path;
  } catch (error) {
    throw new OperatingError(
      'refused',
      `a canary cannot be put into /etc (${messageOf(error)})`,
      'leave --canary out',
      error,
    );
  }
}
