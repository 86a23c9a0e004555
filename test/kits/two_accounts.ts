import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, realpathSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Paths, pathsOf, ROOT } from '../../src/base/paths.ts';
import { servicePlaces } from '../../src/base/service.ts';
import { ControlClient } from '../../src/cli/control_client.ts';
import type { Status } from '../../src/evidence/status.ts';
import { keptCodeOf } from '../fakes/code_cache.ts';
import { until } from '../fakes/install.ts';
import { cannotDrop } from '../fakes/ordinary_user.ts';
import { remove } from '../fakes/remove.ts';

/** Of no account of this machine: what a process of one of them may do, its numbers alone decide. */
export const HOST = 61301;
export const GATEWAY = 61302;
export const OPERATORS = 61303;
export const STRANGER = 61304;

const PASSWD = `root:x:0:0::/root:/bin/sh
glassclaw:x:${HOST}:${HOST}::/nonexistent:/bin/false
glassclaw-gateway:x:${GATEWAY}:${GATEWAY}::/nonexistent:/bin/false
`;
const GROUP = `root:x:0:
glassclaw:x:${HOST}:
glassclaw-gateway:x:${GATEWAY}:
glassclaw-operators:x:${OPERATORS}:
`;
const UMASK = 0o077;

/** Why there cannot be one here. */
export function cannotHaveTwo(): string | false {
  if (spawnSync('systemd-tmpfiles', ['--version']).status !== 0) return 'there is no systemd-tmpfiles';
  return cannotDrop();
}

/**
 * An install as the two units have it, below a folder: the folders are made by the file that ships, gateway and host run
 * as they ship, each with an account of its own.
 */
export class TwoAccounts {
  readonly root = realpathSync(mkdtempSync(join(tmpdir(), 'g2-')));
  readonly paths: Paths;
  readonly control: ControlClient;
  readonly #checkout: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #children = new Map<'gateway' | 'host', ChildProcess>();

  /** `checkout`: what runs. */
  constructor(checkout = ROOT) {
    this.#checkout = checkout;
    const { XDG_RUNTIME_DIR: _, ...env } = process.env;
    this.#env = { ...env, ...keptCodeOf(checkout), HOME: '/nonexistent', GLASS_SERVICE: this.root };
    this.paths = pathsOf(servicePlaces(this.root).home, this.#env);
    this.control = new ControlClient(this.paths.controlSocket);
    chmodSync(this.root, 0o755);
    mkdirSync(join(this.root, 'etc'));
    writeFileSync(join(this.root, 'etc/passwd'), PASSWD);
    writeFileSync(join(this.root, 'etc/group'), GROUP);
    const layout = join(ROOT, 'deploy/systemd/glassclaw.tmpfiles');
    const made = spawnSync('systemd-tmpfiles', [`--root=${this.root}`, '--create', layout], { encoding: 'utf8' });
    if (made.status !== 0) throw new Error(made.stderr);
    copyFileSync(join(ROOT, 'templates/glass.yaml'), this.paths.config);
  }

  /** A file of the host's, as its operator would put it there. */
  group(name: string, yaml: string): void {
    const { folder, yaml: file } = this.paths.group(name);
    const script = 'umask 077 && mkdir -p "$1" && cat > "$2"';
    spawnSync('setpriv', [...as(HOST), 'sh', '-c', script, 'sh', folder, file], { input: yaml });
  }

  async start(): Promise<void> {
    this.spawn('gateway');
    this.spawn('host');
    await this.ready();
  }

  spawn(part: 'gateway' | 'host'): void {
    const id = part === 'host' ? HOST : GATEWAY;
    const before = process.umask(UMASK);
    const child = spawn(process.execPath, ['--disable-sigusr1', join(this.#checkout, `src/${part}.ts`)], {
      ...{ env: this.#env, uid: id, gid: id, cwd: '/' },
      stdio: ['ignore', 'ignore', process.env['GLASS_TEST_SHOW'] === undefined ? 'ignore' : 'inherit'],
    });
    process.umask(before);
    this.#children.set(part, child);
  }

  /** The command line of the operator: root, or an account of that group. */
  glass(words: string[], input = '', operator?: number): { code: number | null; out: string; err: string } {
    const command = [process.execPath, join(this.#checkout, 'src/cli/main.ts'), ...words];
    const groups = [`--reuid=${operator}`, `--regid=${operator}`, `--groups=${OPERATORS}`, '--'];
    const [program, ...args] = operator === undefined ? command : ['setpriv', ...groups, ...command];
    const { status, stdout, stderr } = spawnSync(program!, args, {
      ...{ env: { ...this.#env, NO_COLOR: '1' }, encoding: 'utf8', timeout: 60_000, input },
    });
    return { code: status, out: stdout, err: stderr };
  }

  ready(): Promise<Status> {
    return until('ready', async () => {
      const status = await this.control.call<Status>('status');
      if (status.gateway !== 'connected') throw new Error('the gateway is not connected');
      return status;
    });
  }

  /** Its exit code, once it has ended by itself. */
  exitOf(part: 'gateway' | 'host'): Promise<number> {
    const child = this.#children.get(part)!;
    return until(`the end of the ${part}`, async () => {
      if (child.exitCode === null) throw new Error('it runs');
      return child.exitCode;
    });
  }

  end(part: 'gateway' | 'host', signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#children.get(part);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
    return new Promise((resolve) => {
      child.on('exit', () => resolve());
      child.kill(signal);
    });
  }

  async stop(): Promise<void> {
    this.control.close();
    for (const part of ['host', 'gateway'] as const) await this.end(part, 'SIGTERM');
    remove(this.root);
  }
}

/** Words for `setpriv`: an account without any group but its own. */
export function as(uid: number): string[] {
  return [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', '--'];
}
