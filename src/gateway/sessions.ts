import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { dirname, normalize } from 'node:path';
import type { SecureContext } from 'node:tls';
import { OperatingError } from '../base/errors.ts';
import { guarded } from '../base/faults.ts';
import type { Paths } from '../base/paths.ts';
import type { CutCall, Mark } from '../protocol/gateway.ts';
import { type Listener, listenEgress } from './listen.ts';
import { Meter } from './meter.ts';
import type { OneCli } from './onecli.ts';
import { readPolicy } from './policy.ts';
import { type EgressContext, EgressSession } from './session.ts';
import { Upstreams } from './upstreams.ts';

/** The open sessions: each has one listening socket, and nothing of it is left when it is closed. */
export class EgressSessions {
  readonly #paths: Paths;
  readonly #context: EgressContext;
  readonly #upstreams: Upstreams;
  readonly #open = new Map<string, { group: string; egress: EgressSession; listener: Listener; socket: string }>();

  /** `trust`: whose certificates of endpoints are believed; null: what Node believes. */
  constructor(paths: Paths, context: EgressContext, trust: SecureContext | null, onecli: OneCli | null) {
    this.#paths = paths;
    this.#context = context;
    this.#upstreams = new Upstreams(trust, onecli);
  }

  get count(): number {
    return this.#open.size;
  }

  /**
   * Resolves when the session's socket listens. A session that is open already is closed first: the host opens again
   * after a change of policy. Throws `OperatingError` (`conflict`: the policy differs; `usage`: the socket's path).
   */
  async open(
    session: string,
    group: string,
    policySha256: string,
    socket: string,
    marks: readonly Mark[],
  ): Promise<void> {
    const { gatewayRun, isService } = this.#paths;
    if (normalize(socket) !== socket || dirname(dirname(socket)) !== gatewayRun)
      throw new OperatingError('usage', `${socket} is not in a session's folder below ${gatewayRun}`);
    const policy = readPolicy(this.#paths, group, policySha256);
    this.close(session);
    if (isService) makeFolder(dirname(socket));
    const meter = new Meter(policy, marks, (more, cause) => this.#context.holds.mark(session, more, cause));
    const pools = this.#upstreams.acquire(group);
    const egress = new EgressSession(this.#context, session, group, { policy, meter }, pools);
    const { faults } = this.#context;
    const listener = guarded(faults, 'egress.listen', () => listenEgress(socket, egress));
    this.#open.set(session, { group, egress, listener, socket });
    try {
      await listener.ready;
    } catch (error) {
      this.close(session);
      throw error;
    }
  }

  /** What an open session has seen and done is on the host's record. */
  know(session: string, marks: readonly Mark[]): void {
    this.#open.get(session)?.egress.meter.know(marks);
  }

  /** Returns the calls that it has cut; does nothing when the session is not open. */
  close(session: string): CutCall[] {
    const found = this.#open.get(session);
    if (found === undefined) return [];
    this.#open.delete(session);
    const cut = found.egress.running;
    guarded(this.#context.faults, 'egress.close', () => found.listener.close());
    found.egress.close();
    this.#upstreams.release(found.group);
    return cut;
  }

  /** Closes it, and its sandbox is gone: so is our folder for it. */
  end(session: string): CutCall[] {
    const socket = this.#open.get(session)?.socket;
    const cut = this.close(session);
    if (this.#paths.isService && socket !== undefined) rmSync(dirname(socket), { recursive: true, force: true });
    return cut;
  }

  closeAll(): void {
    for (const session of [...this.#open.keys()]) this.close(session);
  }
}

/**
 * Where the host has another account, no folder is its: below one of its own, a link could lead what is removed and made
 * there to the vault. Its group comes from the folder above, and is the host's. A folder that is there may be mounted in a
 * live sandbox, and stays.
 */
function makeFolder(path: string): void {
  mkdirSync(path, { recursive: true });
  chmodSync(path, 0o710); // whatever the umask says
}
