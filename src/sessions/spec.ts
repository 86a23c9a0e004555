import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Authority } from '../authority/authority.ts';
import type { HarnessName } from '../base/config.ts';
import type { Paths } from '../base/paths.ts';
import { CA_FILE, EGRESS_FOLDER, proxyEnv } from '../protocol/proxy.ts';
import type { Bind, SandboxSpec } from '../runtimes/runtime.ts';
import { harnessFolder } from './harnesses.ts';
import { INBOX } from './inbox.ts';

/**
 * Everything a session's sandbox can see, as data: the group's workspace, this session's state, its two sockets, and
 * read-only the files that came in, the group's instructions, our runner with one harness, and Node; for a group with egress
 * services the certificate to trust; then the mounts that its authority names. Nothing else.
 */
const APP = '/opt/glass/app';
const NODE = '/opt/glass/node/bin/node';
const CODE_CACHE = '/opt/glass/cache';

/** Files and folders of the checkout that the runner is made of. */
const APP_PARTS = ['package.json', 'sandbox/runner', 'sandbox/tools', 'sandbox/prompt.ts', 'src/base', 'src/protocol'];

export interface SpecInput {
  paths: Paths;
  authority: Authority;
  /** What its system files come from; null: the host's own. */
  image: string | null;
  /** Shown id: `s7`. */
  session: string;
  harness: HarnessName;
  uid: number | null;
  /** Absolute path of the Node that runs the host. */
  node: string;
  /** Folder of this harness's compiled code; no session can write it. */
  codeCache: string;
}

export function sessionSpec(input: SpecInput): SandboxSpec {
  const { paths, authority, image } = input;
  const session = paths.session(input.session);
  const folder = paths.group(authority.group);
  const services = Object.keys(authority.egress).length > 0;
  const binds: Bind[] = [
    ...runnerBinds(input),
    { source: folder.workspace, target: '/workspace', access: 'write' },
    { source: session.state, target: '/state', access: 'write' },
    { source: session.inbox, target: INBOX, access: 'read' },
    { source: session.run, target: '/run/glass', access: 'read' },
    ...(paths.isService ? [{ source: dirname(session.egress), target: EGRESS_FOLDER, access: 'read' } as const] : []),
    ...[
      { source: folder.instructions, target: '/group/AGENTS.md' },
      { source: folder.skills, target: '/group/skills' },
    ]
      .filter((bind) => existsSync(bind.source))
      .map((bind): Bind => ({ ...bind, access: 'read' })),
    ...(services ? [{ source: paths.caCertificate, target: CA_FILE, access: 'read' } as const] : []),
    ...authority.mounts,
  ];
  return {
    install: paths.install,
    session: input.session,
    uid: input.uid,
    binds,
    env: services ? { ...sandboxEnv(), ...proxyEnv() } : sandboxEnv(),
    argv: [NODE, `${APP}/sandbox/runner/runner.ts`],
    cwd: '/workspace',
    userland: image === null ? { kind: 'host' } : { kind: 'image', ref: image },
    oci_runtime: authority.oci_runtime,
    limits: {
      memory_bytes: authority.limits.memory,
      pids: authority.limits.pids,
      cpus: authority.limits.cpus,
      tmp_bytes: authority.limits.tmp,
      shm_bytes: authority.limits.shm,
      open_files: authority.limits.files,
      disk_write_bytes: authority.limits.disk_write,
    },
  };
}

/**
 * A sandbox that only loads the runner and its harness, with our folder of compiled code writable: later ones start in a
 * third of the time and need 20 MB less, because types are stripped already. Nothing untrusted runs in it.
 */
export function warmUpSpec(input: SpecInput): SandboxSpec {
  const spec = sessionSpec(input);
  const binds = runnerBinds(input).map(
    (bind): Bind => (bind.target === CODE_CACHE ? { ...bind, access: 'write' } : bind),
  );
  return {
    ...spec,
    session: `${input.session}-warm`,
    binds,
    env: sandboxEnv(),
    cwd: '/tmp',
    argv: [...spec.argv, '--warm-up', input.harness],
  };
}

function runnerBinds(input: SpecInput): Bind[] {
  const { root } = input.paths;
  return [
    { source: input.node, target: NODE, access: 'read' },
    { source: input.codeCache, target: CODE_CACHE, access: 'read' },
    ...APP_PARTS.map((part): Bind => ({ source: join(root, part), target: `${APP}/${part}`, access: 'read' })),
    { source: harnessFolder(root, input.harness), target: `${APP}/sandbox/harnesses/${input.harness}`, access: 'read' },
  ];
}

function sandboxEnv(): Record<string, string> {
  return {
    PATH: '/opt/glass/node/bin:/usr/local/bin:/usr/bin:/bin',
    HOME: '/state',
    USER: 'agent',
    LANG: 'C.UTF-8',
    TMPDIR: '/tmp',
    NODE_COMPILE_CACHE: CODE_CACHE,
    TZ: Intl.DateTimeFormat().resolvedOptions().timeZone || 'UTC',
  };
}
