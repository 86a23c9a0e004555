import { existsSync } from 'node:fs';
import { isAbsolute, normalize } from 'node:path';
import { OperatingError } from '../base/errors.ts';
import type { Bind, SandboxSpec } from './runtime.ts';

/**
 * What every runtime checks before it starts anything. Install and session become names of folders, labels and
 * control groups, so they are held to a narrow alphabet here, whatever the callers promise.
 */

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;
/** An OCI runtime as an engine registers it: never a path or a flag. */
const OCI_RUNTIME = /^[a-z][a-z0-9_-]{0,30}$/;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** Targets that would undo the sandbox's own mounts. */
const RESERVED = ['/proc', '/dev', '/sys'];
/** A bind over one of these replaces the userland or hides what lies below. */
const RESERVED_EXACT = ['/', '/usr', '/etc', '/tmp', '/run'];

/**
 * Throws `OperatingError`: `refused` for a spec that would weaken the sandbox, `unavailable` for a source that does
 * not exist. `hostUid` is the effective uid of this process.
 */
export function checkSpec(spec: SandboxSpec, hostUid: number): void {
  if (!NAME.test(spec.install) || !NAME.test(spec.session)) refuse(`the name ${spec.install}/${spec.session}`);
  if (hostUid === 0 && (spec.uid === null || spec.uid <= 0))
    refuse('running as root: the group needs a uid of its own');
  if (hostUid !== 0 && spec.uid !== null) refuse(`uid ${spec.uid}: only a host that runs as root can give one`);
  if (spec.argv.length === 0 || !isAbsolute(spec.argv[0]!)) refuse('a program without an absolute path');
  for (const name of Object.keys(spec.env)) if (!VARIABLE.test(name)) refuse(`the environment variable "${name}"`);
  for (const text of [...spec.argv, ...Object.values(spec.env), spec.cwd])
    if (text.includes('\0')) refuse('a NUL byte');
  if (spec.oci_runtime !== null && !OCI_RUNTIME.test(spec.oci_runtime))
    refuse(`the OCI runtime "${spec.oci_runtime}": it must be a plain name`);
  for (const bind of spec.binds) checkBind(bind);
}

function checkBind(bind: Bind): void {
  for (const path of [bind.source, bind.target]) {
    if (!isAbsolute(path) || normalize(path) !== path || path.includes('\0')) refuse(`the path "${path}" in a bind`);
  }
  const target = bind.target.length > 1 ? bind.target.replace(/\/$/, '') : bind.target;
  const reserved = RESERVED.some((top) => target === top || target.startsWith(`${top}/`));
  if (reserved || RESERVED_EXACT.includes(target)) refuse(`a bind over ${target}`);
  if (!existsSync(bind.source)) {
    throw new OperatingError(
      'unavailable',
      `${bind.source} does not exist, and the sandbox is to have it at ${target}`,
    );
  }
}

/** Binds in the order in which they can be mounted: a folder before what is mounted inside it. */
export function bindOrder(binds: Bind[]): Bind[] {
  const depth = (bind: Bind): number => bind.target.split('/').length;
  return [...binds].sort((a, b) => depth(a) - depth(b));
}

/** `<install>/<session>`: what `reap` looks for. */
export function labelOf(spec: { install: string; session: string }): string {
  return `${spec.install}/${spec.session}`;
}

function refuse(what: string): never {
  throw new OperatingError('refused', `A sandbox cannot be started with ${what}`);
}
