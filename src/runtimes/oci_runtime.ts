import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { messageOf } from '../base/errors.ts';
import { randomToken } from '../base/ids.ts';
import { RUNTIME_CHECK_MS } from '../base/limits/sandbox.ts';
import type { Dialect } from './dialect.ts';
import type { Sandbox, SandboxSpec } from './runtime.ts';

/**
 * Whether a sandbox under another OCI runtime (gVisor's `runsc`) can do its work. What decides is a trial, not a version:
 * gVisor connects to a host's socket only when it was registered with `--host-uds=open`.
 */

/** The part of `GET /info` that tells about OCI runtimes. */
export interface KnownRuntimes {
  ServerVersion?: string;
  DefaultRuntime?: string;
  Runtimes?: Record<string, { path?: string; runtimeArgs?: string[] }>;
}

/** Why the engine would not start containers with that OCI runtime, as a sentence with the fix; null when it would. */
export function unknownRuntime(dialect: Dialect, info: KnownRuntimes, name: string): string | null {
  switch (dialect.ociRuntime) {
    case 'request':
      if (Object.hasOwn(info.Runtimes ?? {}, name)) return null;
      return `The container engine does not know the OCI runtime ${name}: add it to "runtimes" in /etc/docker/daemon.json`;
    case 'service':
      if (info.DefaultRuntime === name) return null;
      return (
        `Podman's service starts every container with ${info.DefaultRuntime}, whatever is asked for: ` +
        `start it as podman --runtime ${name} system service`
      );
  }
}

/** Changes when the trial has to be made again: another engine, other arguments, or another file at the same path. */
export function trialKey(info: KnownRuntimes, name: string): string {
  const known = info.Runtimes?.[name] ?? {};
  const stat = known.path === undefined ? undefined : statSync(known.path, { throwIfNoEntry: false });
  return JSON.stringify([name, info.ServerVersion, known, stat?.mtimeMs]);
}

/** Connects, prints the first bytes, and exits 0; else prints why not. */
const CONNECT = `require('net').connect('/run/glass/trial.sock').on('data', (data) => process.stdout.write(data))
  .on('error', (error) => process.stdout.write(error.code))`;
const GREETING = 'hello from the host';

/**
 * Starts a small sandbox like `spec` with a listening socket mounted, and lets it connect. Returns why that did not work,
 * as a sentence with the fix, or null. `run` is where the sessions' sockets are.
 */
export async function tryHatch(
  spec: SandboxSpec,
  run: string,
  start: (spec: SandboxSpec, onOutput: (chunk: Buffer) => void) => Promise<Sandbox>,
): Promise<string | null> {
  const folder = mkdtempSync(join(run, 'trial-'));
  const server = createServer((socket) => socket.on('error', () => {}).end(GREETING));
  try {
    chmodSync(folder, 0o755);
    await new Promise<void>((resolve, reject) =>
      server.once('error', reject).listen(join(folder, 'trial.sock'), resolve),
    );
    chmodSync(join(folder, 'trial.sock'), 0o666);
    return verdict(spec.oci_runtime!, await heard(trialSpec(spec, folder), start));
  } catch (error) {
    return `No sandbox starts with the OCI runtime ${spec.oci_runtime}: ${messageOf(error)}`;
  } finally {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function trialSpec(spec: SandboxSpec, folder: string): SandboxSpec {
  return {
    ...spec,
    session: `trial-${randomToken(6)}`,
    binds: [
      { source: process.execPath, target: '/opt/glass/node', access: 'read' },
      { source: folder, target: '/run/glass', access: 'read' },
    ],
    env: {},
    argv: ['/opt/glass/node', '-e', CONNECT],
    cwd: '/',
  };
}

async function heard(spec: SandboxSpec, start: Parameters<typeof tryHatch>[2]): Promise<string> {
  let output = '';
  const sandbox = await start(spec, (chunk) => {
    output += chunk.toString('utf8');
  });
  const timer = setTimeout(() => sandbox.kill(), RUNTIME_CHECK_MS);
  const exit = await sandbox.exited;
  clearTimeout(timer);
  return output.trim() || (exit.reason ?? `exit code ${exit.code}`);
}

function verdict(name: string, said: string): string | null {
  if (said === GREETING) return null;
  return (
    `A sandbox with the OCI runtime ${name} cannot connect to a socket of the host (${said}), so its agent would have no ` +
    'hatch: register gVisor with the arguments --host-uds=open and --network=none'
  );
}
