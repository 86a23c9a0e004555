import type { Authority } from '../authority/authority.ts';
import { checkMounts, type MountPlaces } from '../authority/mounts.ts';
import type { HarnessName, RuntimeName } from '../base/config.ts';
import { messageOf, OperatingError } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';
import { groupUid } from '../ledger/chats.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { LimitState, Runtime } from '../runtimes/runtime.ts';
import { openCodeFolder } from './code_folder.ts';
import type { Egress } from './egress.ts';
import { effectiveHarness, isInstalled, requireInstalled } from './harnesses.ts';
import { checkControls, inForce } from './in_force.ts';
import type { StartPlan } from './services.ts';
import { sessionSpec } from './spec.ts';

/** From what is in force for a group to a sandbox of it: decided anew for each start. */
export interface PlannerInput {
  paths: Paths;
  ledger: Ledger;
  egress: Egress;
  runtimes: ReadonlyMap<RuntimeName, Runtime>;
  /** What decides whether a mount is dangerous, as it is now. */
  places(group: string): MountPlaces;
  /** Limits of a group that are no runtime's. */
  limitsOf(): Promise<LimitState[]>;
  node: string;
  codeCache: string;
}

export class Planner {
  readonly #input: PlannerInput;

  constructor(input: PlannerInput) {
    this.#input = input;
  }

  /** `session` is a shown id. Rejects with `OperatingError` when the group must not or cannot start. */
  async plan(group: string, session: string): Promise<StartPlan> {
    const { paths, runtimes, egress, ledger, node } = this.#input;
    const { authority, row } = inForce(ledger.db, paths, group);
    const harness = effectiveHarness(authority, egress.names);
    requireInstalled(paths.root, harness);
    const runtime = runtimes.get(authority.runtime);
    if (runtime === undefined)
      throw new OperatingError('unavailable', `the runtime ${authority.runtime} does not exist here`);
    checkMounts(authority.mounts, this.#input.places(group));
    const controls = [...(await runtime.limits()), ...(await this.#input.limitsOf())];
    checkControls(row, controls);
    const codeCache = openCodeFolder(this.#input.codeCache, harness);
    const uid = groupUid(ledger.db, group);
    return {
      authority,
      harness,
      runtime,
      controls,
      spec: sessionSpec({ paths, authority, image: row.image, session, harness, uid, node, codeCache }),
      egress: { session, group, policy: row.hash, socket: paths.session(session).egress },
    };
  }

  /** What a group would run now; null when nothing is in force or the harness is not installed. */
  harnessOf(group: string): { authority: Authority; image: string | null; harness: HarnessName } | null {
    const { paths, ledger, egress } = this.#input;
    try {
      const { authority, row } = inForce(ledger.db, paths, group);
      const harness = effectiveHarness(authority, egress.names);
      return isInstalled(paths.root, harness) ? { authority, image: row.image, harness } : null;
    } catch {
      return null; // `describe` says why
    }
  }

  /** What runs for a group now, or why nothing can. */
  describe(name: string): { name: string; harness: string; model: string; problem: string | null } {
    const { paths, ledger, egress } = this.#input;
    try {
      const { authority } = inForce(ledger.db, paths, name);
      const harness = effectiveHarness(authority, egress.names);
      const { provider, name: model } = authority.model;
      return { name, harness, model: harness === 'probe' ? 'none' : `${provider} ${model}`, problem: null };
    } catch (error) {
      return { name, harness: 'none', model: 'none', problem: messageOf(error) };
    }
  }
}
