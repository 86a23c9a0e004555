import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../src/base/paths.ts';

/** A small Debian in a container whose first process is systemd, with this checkout in its `/opt/glassclaw`. */

const IMAGE = 'glassclaw-systemd:test';
const PACKAGES = 'systemd,systemd-sysv,bubblewrap,mount,procps,libatomic1';
const CHECKOUT = '/opt/glassclaw';
const NODE = `${CHECKOUT}/.node/bin/node`;
/** Longer than a mirror takes that answers. */
const IMAGE_MS = 150_000;
/** What the service runs: without what only tests need, and without packages of a harness that is not asked for. */
const PARTS = ['package.json', 'package-lock.json', 'src', 'sandbox', 'templates', 'deploy', 'docs', 'test/fakes'];
const MODULES = Object.keys(JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).dependencies).map(
  (name) => `node_modules/${name}`,
);

/** Why there cannot be one here; makes its image when it is missing (a minute). */
export function cannotHaveSystemd(): string | false {
  if (process.geteuid!() !== 0) return 'only root makes the image';
  if (spawnSync('docker', ['info']).status !== 0) return 'there is no docker';
  if (spawnSync('docker', ['image', 'inspect', IMAGE]).status === 0) return false;
  const make = `mmdebstrap --quiet --variant=minbase --include=${PACKAGES} bookworm - | docker import - ${IMAGE}`;
  const words = ['-c', `set -o pipefail; ${make}`];
  const made = spawnSync('bash', words, { encoding: 'utf8', timeout: IMAGE_MS });
  return made.status === 0 ? false : `the image cannot be made: ${made.stderr.trim().split('\n').at(-1)}`;
}

export interface Ran {
  code: number | null;
  out: string;
  err: string;
}

export class SystemdMachine {
  readonly #name = `glassclaw-systemd-${process.pid}`;

  /** Throws what docker said. Whether systemd came up, `running` tells. */
  start(): void {
    // Not `--privileged`: a machine of which docker itself has not every capability cannot give it.
    const rights = ['SYS_ADMIN', 'NET_ADMIN', 'SYS_PTRACE', 'MKNOD', 'AUDIT_CONTROL'].flatMap((cap) => [
      '--cap-add',
      cap,
    ]);
    const open = ['seccomp', 'apparmor', 'systempaths'].flatMap((what) => ['--security-opt', `${what}=unconfined`]);
    const memory = ['--tmpfs', '/run:exec', '--tmpfs', '/tmp:exec'];
    const words = ['run', '--detach', '--rm', '--name', this.#name, '--network=none', '--cgroupns=private'];
    must(docker([...words, ...rights, ...open, ...memory, '--env', 'container=docker', IMAGE, '/lib/systemd/systemd']));
    must(this.run(['mkdir', '-p', `${CHECKOUT}/.node/bin`]));
    this.#copy(['-C', ROOT, '--exclude=sandbox/harnesses/claude/node_modules', ...PARTS, ...MODULES], CHECKOUT);
    this.#copy(
      ['-C', '/', '--dereference', '--transform=s|.*|node|', process.execPath.slice(1)],
      `${CHECKOUT}/.node/bin`,
    );
  }

  /** Of the machine: `running`, `degraded`, or what went wrong. */
  get state(): string {
    return this.run(['systemctl', 'is-system-running', '--wait']).out.trim();
  }

  run(words: string[], input = ''): Ran {
    return docker(['exec', '--interactive', '--env', 'GLASS_HOME=/var/lib/glassclaw', this.#name, ...words], input);
  }

  glass(words: string[], input = ''): Ran {
    return this.run([NODE, `${CHECKOUT}/src/cli/main.ts`, ...words], input);
  }

  /** A program of this checkout that goes on; ends with the machine. */
  spawn(file: string, ...words: string[]): void {
    must(docker(['exec', '--detach', this.#name, NODE, `${CHECKOUT}/${file}`, ...words]));
  }

  stop(): void {
    docker(['rm', '--force', '--volumes', this.#name]);
  }

  #copy(from: string[], to: string): void {
    const script = 'to=$1 name=$2; shift 2; tar -cf - "$@" | docker exec -i "$name" tar -C "$to" --no-same-owner -xf -';
    const { status, stderr } = spawnSync('bash', ['-c', script, 'copy', to, this.#name, ...from], { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
  }
}

function docker(words: string[], input = ''): Ran {
  const { status, stdout, stderr } = spawnSync('docker', words, { encoding: 'utf8', input, timeout: 60_000 });
  return { code: status, out: stdout, err: stderr };
}

function must({ code, err }: Ran): void {
  if (code !== 0) throw new Error(err);
}
