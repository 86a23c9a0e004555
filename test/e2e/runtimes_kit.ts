import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BubblewrapRuntime } from '../../src/runtimes/bubblewrap.ts';
import { PODMAN } from '../../src/runtimes/dialect.ts';
import { DockerRuntime } from '../../src/runtimes/docker.ts';
import { engineSocket } from '../../src/runtimes/engine.ts';
import { labelIn } from '../../src/runtimes/leftovers.ts';
import type { Runtime, Sandbox, SandboxExit, SandboxSpec } from '../../src/runtimes/runtime.ts';
import { DENIED, EXAMINED, type SeccompArch } from '../../src/runtimes/seccomp_table.ts';

/** What the tests of each runtime share: a home on disk, specs for it, and a program that tries every guard from inside. */

export const IS_ROOT = process.geteuid!() === 0;
/** Above the range that groups get by default. */
const SANDBOX_UID = IS_ROOT ? 2_000_050_000 : null;
const MIB = 2 ** 20;

/** A small valid spec; a test changes what it is about. */
export function sandboxSpec(change: Partial<SandboxSpec> = {}): SandboxSpec {
  return {
    install: 'aaaaaaaaaa',
    session: 's1',
    uid: null,
    binds: [],
    env: { PATH: '/usr/bin:/bin', HOME: '/workspace' },
    argv: ['/bin/sh', '-c', 'true'],
    cwd: '/',
    userland: { kind: 'host' },
    oci_runtime: null,
    limits: {
      memory_bytes: 128 * MIB,
      pids: 40,
      cpus: 1,
      tmp_bytes: 8 * MIB,
      shm_bytes: 4 * MIB,
      open_files: 256,
      disk_write_bytes: 8 * MIB,
    },
    ...change,
  };
}

/** A home below a 0700 folder, as `/root` is, and a run folder that any uid may traverse. */
export class Home {
  readonly folder = mkdtempSync(join(tmpdir(), 'glass-e2e-'));
  readonly run = mkdtempSync(join(IS_ROOT ? '/run' : this.folder, 'glass-e2e-'));
  /** Of this home only: tests run beside each other. */
  readonly install = `e2e${process.pid}${Math.random().toString(36).slice(2, 8)}`;

  /** Seconds that nobody else sleeps. */
  readonly #nap = 1_000_000 + process.pid;
  /** Leaves processes in sessions of their own, which only the end of the pid namespace ends. */
  readonly linger = `setsid sleep ${this.#nap} & setsid sleep ${this.#nap} & echo ready; wait`;

  constructor() {
    chmodSync(this.run, 0o711);
    for (const name of ['workspace', 'cache']) mkdirSync(join(this.folder, name));
    writeFileSync(join(this.folder, 'secret'), 'of the host');
    writeFileSync(join(this.folder, 'notes file'), 'readable');
    chmodSync(join(this.folder, 'notes file'), 0o644);
    if (SANDBOX_UID !== null) chownSync(join(this.folder, 'workspace'), SANDBOX_UID, SANDBOX_UID);
  }

  spec(session: string, script: string, change: Partial<SandboxSpec> = {}): SandboxSpec {
    return sandboxSpec({
      install: this.install,
      session,
      uid: SANDBOX_UID,
      binds: [
        { source: join(this.folder, 'notes file'), target: '/workspace/notes/file', access: 'read' },
        { source: join(this.folder, 'workspace'), target: '/workspace', access: 'write' },
      ],
      argv: ['/bin/sh', '-c', script],
      cwd: '/workspace',
      ...change,
    });
  }

  /** `socket`: of the engine, when it is not the one of this machine's environment. */
  runtime(name: Runtime['name'], socket: string | null = engineSocket(process.env)): Runtime {
    return runtimeOf(name, { cache: join(this.folder, 'cache'), run: this.run }, socket);
  }

  /** How many of the sleepers that `linger` started there are on this machine. */
  lingering(): number {
    return argumentsOfAll().filter((words) => words[0] === 'sleep' && words[1] === String(this.#nap)).length;
  }

  remove(): void {
    rmSync(this.run, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

function runtimeOf(name: Runtime['name'], folders: { cache: string; run: string }, socket: string | null): Runtime {
  switch (name) {
    case 'bubblewrap':
      return new BubblewrapRuntime(folders);
    case 'docker':
      return new DockerRuntime({ ...folders, socket });
    case 'podman':
      return new DockerRuntime({ ...folders, socket, dialect: PODMAN });
  }
}

export interface Ran {
  exit: SandboxExit;
  output: string;
}

/** Runs a sandbox to its end. */
export async function ran(runtime: Runtime, spec: SandboxSpec): Promise<Ran> {
  let output = '';
  const sandbox = await runtime.start(spec, (chunk) => {
    output += chunk.toString();
  });
  return { exit: await sandbox.exited, output };
}

/** Starts a sandbox and waits until it has said something. */
export async function started(runtime: Runtime, spec: SandboxSpec): Promise<Sandbox> {
  let said: () => void;
  const first = new Promise<void>((resolve) => {
    said = resolve;
  });
  const sandbox = await runtime.start(spec, () => said());
  await Promise.race([first, sandbox.exited.then((exit) => assert.fail(`ended early: ${JSON.stringify(exit)}`))]);
  return sandbox;
}

/** Name, and the errno that the sandbox must get: EPERM unless something else is said. */
const CALLS: [string, number, ...(number | string)[]][] = [
  ['keyctl', 1, 0, -3, 0],
  ['ptrace', 1, 0],
  ['unshare', 1, 0x10000000],
  ['mount', 1, 0, 0, 0, 0, 0],
  ['io_uring_setup', 1, 1, 0],
  ['bpf', 1, 0, 0, 0],
  ['userfaultfd', 1, 0],
  ['perf_event_open', 1, 0, 0, 0, 0, 0],
  ['process_vm_readv', 1, 1, 0, 0, 0, 0, 0],
  ['open_by_handle_at', 1, 0, 0, 0],
  ['personality', 1, 0x400000],
  ['clone3', 38, 0, 0],
  ['clone', 1, 0x10000011, 0, 0, 0, 0],
];
const FAMILIES = { vsock: 40, alg: 38, packet: 17, bluetooth: 31 };

/** Prints `name=value` lines; Perl is in every Debian, and makes system calls by number. */
export function probeScript(arch: SeccompArch): string {
  const numbers: Record<string, Record<SeccompArch, number | null>> = { ...DENIED, ...EXAMINED };
  const calls = CALLS.map(([name, , ...args]) => {
    const list = [numbers[name]![arch], ...args].join(', ');
    return `$! = 0; syscall(${list}); print "call.${name}=", $! + 0, "\\n";`;
  });
  const sockets = Object.entries(FAMILIES).map(
    ([name, family]) =>
      `$! = 0; syscall(${EXAMINED.socket[arch]}, ${family}, ${family === 17 ? 3 : 1}, 0); print "socket.${name}=", $! + 0, "\\n";`,
  );
  return `
    echo uid=$(id -u); grep -E '^(CapEff|CapPrm|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\t ' | tr : =
    echo links=$(tail -n +3 /proc/net/dev | cut -d: -f1)
    for folder in / /usr /usr/bin /etc /etc/ssl /proc/sys/kernel /dev /run /var/tmp; do
      touch $folder/probe 2>/dev/null && echo wrote=$folder
    done
    ( echo x > /proc/sys/kernel/core_pattern ) 2>/dev/null && echo wrote=core_pattern
    ( echo x > /workspace/notes/file ) 2>/dev/null && echo wrote=notes
    touch /workspace/mine && echo workspace=written
    echo notes=$(cat /workspace/notes/file)
    echo host=$(ls -d /home/* /root/* /var/lib/dpkg/status ${tmpdir()}/glass-e2e-* 2>/dev/null | wc -l)
    echo variables=$(env | cut -d= -f1 | sort | tr '\\n' ' ')
    echo descriptors=$(ls -l /proc/self/fd | tail -n +2 | grep -vE '/dev/null|socket:|pipe:|/proc/' | wc -l)
    echo hosts=$(grep -c localhost /etc/hosts)
    echo strangers=$(grep -cvE 'localhost|sandbox|ip6-' /etc/hosts)
    echo resolver=$(grep -cv 127.0.0.1 /etc/resolv.conf)
    perl -e '${calls.join(' ')} ${sockets.join(' ')}'
    git --version >/dev/null && echo git=works
  `;
}

/** What the probe must have printed in any runtime. `own` has the lines that differ. */
export function assertGuards(output: string, own: Record<string, string>): void {
  const lines = output.split('\n').filter((line) => line.includes('='));
  const found = new Map(
    lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1).trim()]),
  );
  assert.deepEqual(
    lines.filter((line) => line.startsWith('wrote=')),
    [],
    'nothing of the system can be written',
  );
  const expected: Record<string, string> = {
    CapEff: '0000000000000000',
    CapPrm: '0000000000000000',
    CapBnd: '0000000000000000',
    NoNewPrivs: '1',
    Seccomp: '2',
    links: 'lo',
    workspace: 'written',
    notes: 'readable',
    descriptors: '0',
    resolver: '0',
    strangers: '0',
    git: 'works',
    ...own,
  };
  for (const [name, , ...rest] of CALLS) assert.ok(rest.length > 0 && found.has(`call.${name}`), `${name} was tried`);
  for (const [name, errno] of CALLS) expected[`call.${name}`] = String(errno);
  for (const name of Object.keys(FAMILIES)) expected[`socket.${name}`] = '97';
  for (const [name, value] of Object.entries(expected)) assert.equal(found.get(name), value, name);
}

/** Forks until it may not, and prints how often it could. */
export const FORK_BOMB = `exec perl -e '
  my @children;
  while (defined(my $pid = fork())) { if ($pid == 0) { sleep 30; exit } push @children, $pid; last if @children > 500 }
  print "forks=", scalar @children, "\\n"; kill 9, @children'`;
export const MEMORY_HOG = `exec perl -e 'my $x = "x" x (400 << 20); print "allocated\\n"'`;
/** Keeps a processor busy for about 2 s of wall time, and prints how much of one it got. */
/** Three times of what its limit lets through in a second, all of it on the disk at the end. */
export const SYNCED_WRITE =
  'a=$(date +%s%N); dd if=/dev/zero of=/workspace/fill bs=1M count=24 conv=fsync 2>/dev/null; b=$(date +%s%N); echo "ms=$(((b - a) / 1000000))"; rm /workspace/fill';
export const BUSY_LOOP = `exec perl -MTime::HiRes=time -e '
  my $end = time + 2; 1 while time < $end; printf "share=%.2f\n", (times)[0] / 2'`;
/** Opens files until it may not, and prints how many descriptors that makes. */
export const FILE_HOARD = `exec perl -e '
  my @kept; while (open(my $file, "<", "/dev/null")) { push @kept, $file; last if @kept > 10_000 }
  print "open=", @kept + 3, "\n"'`;
export const SHM_FILL = 'head -c 64M /dev/zero > /dev/shm/full 2>/dev/null; echo size=$(wc -c < /dev/shm/full)';
export const TMP_FILL = 'head -c 64M /dev/zero > /tmp/full 2>/dev/null; echo size=$(wc -c < /tmp/full)';
/** Processes of this machine that belong to a sandbox of the install, as their arguments say. */
export function processesOf(install: string): number {
  return argumentsOfAll().filter((words) => labelIn(words)?.startsWith(`${install}/`)).length;
}

function argumentsOfAll(): string[][] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      return [readFileSync(`/proc/${name}/cmdline`, 'latin1').split('\0')];
    } catch {
      return [];
    }
  });
}

/** Resolves when `done()` holds; fails with `what` after a deadline far above what it takes. */
export async function until(done: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + 5000;
  while (!done()) {
    assert.ok(performance.now() < deadline, what);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/**
 * A host of its own in another process. It starts one sandbox; resolves when that has said something, or, with
 * `killAfter_ms`, at once: then the process kills itself so long after the start.
 */
export async function hostProcess(
  home: Home,
  name: Runtime['name'],
  spec: SandboxSpec,
  killAfter_ms: number | null = null,
  socket: string | null = engineSocket(process.env),
): Promise<ChildProcess> {
  const options = { name, cache: join(home.folder, 'cache'), run: home.run, socket, spec, killAfter_ms };
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url), JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  if (killAfter_ms !== null) return child;
  await new Promise<void>((resolve, reject) => {
    child.stdout!.once('data', () => resolve());
    child.once('close', () => reject(new Error('the host process ended early')));
  });
  return child;
}

if (import.meta.main) {
  const { name, cache, run, socket, spec, killAfter_ms } = JSON.parse(process.argv[2]!);
  const runtime = runtimeOf(name, { cache, run }, socket);
  const start = runtime.start(spec, (chunk) => process.stdout.write(chunk));
  if (killAfter_ms !== null) setTimeout(() => process.kill(process.pid, 'SIGKILL'), killAfter_ms);
  await start;
}
