import { EGRESS_FOLDER } from '../../protocol/proxy.ts';
import type { Bind, SandboxSpec } from '../../runtimes/runtime.ts';

/** What a reader holds against what was found inside, by the spec of the group's own sandboxes. Pure. */
export interface DeclaredShown {
  binds: readonly Bind[];
  /** Names only. */
  env: string[];
  /** Paths inside: the hatch, and the way out. */
  sockets: string[];
  /** A runtime's contract, which no spec can widen. */
  capabilities: 'none';
}

export const RUN_TARGET = '/run/glass';
/** The inspection's own, which stands there instead of a session's. */
export const CONTROL_SOCKET = 'inspect.sock';

export function shownOf({ binds, env }: Pick<SandboxSpec, 'binds' | 'env'>): DeclaredShown {
  const isBound = (folder: string): boolean => binds.some(({ target }) => target === folder);
  const egress = isBound(EGRESS_FOLDER) ? EGRESS_FOLDER : RUN_TARGET;
  const sockets = isBound(RUN_TARGET) ? [`${RUN_TARGET}/hatch.sock`, `${egress}/egress.sock`] : [];
  return { binds, env: Object.keys(env).sort(), sockets, capabilities: 'none' };
}
