import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  globSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type Paths, pathsOf, ROOT } from '../../src/base/paths.ts';
import { ControlClient } from '../../src/cli/control_client.ts';
import { type Places, placesOf } from '../../src/operations/upgrade/record.ts';
import { litterScript } from '../fakes/litter.ts';
import type { Patch } from '../fakes/patched_tree.ts';
import { remove } from '../fakes/remove.ts';

/**
 * Installs as people have them: clones of a repository, which is made of this checkout and gets newer versions, on homes of their own.
 * Nothing is downloaded: clones get the packages of this checkout.
 */
const FILES = '{glass,.gitignore,CHANGELOG.md,*.json,{src,sandbox,templates}/**}';

/** A migration of a newer version that any ledger takes. */
export const MIGRATION = { 'src/ledger/migrations/0099_more.sql': 'ALTER TABLE messages ADD COLUMN more TEXT;\n' };

/** What `glass upgrade --json` says at its end. */
export interface Upgraded {
  done: boolean;
  returned: boolean;
  why: string | null;
  to: { version: string; commit: string };
  backup: string | null;
  channels_missing: string[];
}

export class Origin {
  /** Short: sockets of throw-away homes lie elsewhere, but git's messages are read. */
  readonly base = mkdtempSync(join(tmpdir(), 'gv-'));
  readonly bare = join(this.base, 'origin.git');
  readonly #seed = join(this.base, 'seed');

  constructor() {
    chmodSync(this.base, 0o755);
    mkdirSync(this.#seed);
    const files = globSync(FILES, { cwd: ROOT, exclude: ['**/node_modules/**'], withFileTypes: true });
    for (const entry of files.filter((file) => file.isFile())) {
      const from = join(entry.parentPath, entry.name);
      const to = join(this.#seed, from.slice(ROOT.length));
      mkdirSync(dirname(to), { recursive: true });
      copyFileSync(from, to);
    }
    this.#git('init', '-q', '-b', 'main');
    this.#git('init', '-q', '--bare', '-b', 'main', this.bare);
    this.#git('remote', 'add', 'origin', this.bare);
    this.publish('0.1.0', []);
  }

  [Symbol.dispose](): void {
    remove(this.base);
  }

  /** A version at the origin, with a tag, made of the newest one: `files` are added, `patches` change what is there. Returns its commit. */
  publish(version: string, patches: readonly Patch[], files: Record<string, string> = {}): string {
    const numbered: Patch[] = [
      ['package.json', /"version": ".*"/.exec(this.#read('package.json'))![0], `"version": "${version}"`],
      ['src/base/version.ts', /VERSION = '.*'/.exec(this.#read('src/base/version.ts'))![0], `VERSION = '${version}'`],
    ];
    for (const [file, from, to] of [...numbered, ...patches]) {
      assert.ok(this.#read(file).includes(from), `${file} has no longer "${from.slice(0, 60)}"`);
      writeFileSync(
        join(this.#seed, file),
        this.#read(file).replace(from, () => to),
      );
    }
    for (const [file, text] of Object.entries(files)) writeFileSync(join(this.#seed, file), text);
    this.#git('add', '-A');
    this.#git('commit', '-qm', `Version ${version}`, '--allow-empty');
    this.#git('tag', `v${version}`);
    this.#git('push', '-q', 'origin', 'main', `v${version}`);
    return this.#git('rev-parse', 'HEAD').trim();
  }

  /** Takes a version back, as if it had never been: the next one is made of the one before. */
  unpublish(version: string): void {
    this.#git('push', '-q', '--delete', 'origin', `v${version}`);
    this.#git('tag', '-d', `v${version}`);
    this.#git('reset', '-q', '--hard', 'HEAD~1');
    this.#git('push', '-q', '--force', 'origin', 'main');
  }

  #read(file: string): string {
    return readFileSync(join(this.#seed, file), 'utf8');
  }

  #git(...args: string[]): string {
    return execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], {
      cwd: this.#seed,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }
}

/** One clone, and its home. */
export class Clone {
  readonly root: string;
  readonly paths: Paths;
  readonly places: Places;
  readonly #env: NodeJS.ProcessEnv;

  constructor(origin: Origin, name: string, version = '0.1.0') {
    this.root = join(origin.base, name);
    const home = join(origin.base, `${name}-home`);
    execFileSync('git', ['clone', '-q', origin.bare, this.root], { stdio: 'pipe' });
    this.git('reset', '-q', '--hard', `v${version}`);
    givePackages(this.root);
    mkdirSync(home, { mode: 0o700 });
    // As a login shell has it; what the test runner was told is not for an install.
    const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
    const run = process.env['XDG_RUNTIME_DIR'];
    this.#env = {
      PATH: path,
      HOME: origin.base,
      GLASS_HOME: home,
      NO_COLOR: '1',
      ...(run === undefined ? {} : { XDG_RUNTIME_DIR: run }),
    };
    this.paths = pathsOf(home, this.#env);
    this.places = placesOf(this.root);
  }

  /** By the launcher, as it is typed. */
  glass(...words: string[]): SpawnSyncReturns<string> {
    return this.glassOn(this.paths.home, ...words);
  }

  glassOn(home: string, ...words: string[]): SpawnSyncReturns<string> {
    const env = { ...this.#env, GLASS_HOME: home };
    return spawnSync(join(this.root, 'glass'), words, { env, encoding: 'utf8', timeout: 120_000, maxBuffer: 2 ** 24 });
  }

  /** As `glass`, with that on its standard input. */
  typed(input: string, ...words: string[]): SpawnSyncReturns<string> {
    return spawnSync(join(this.root, 'glass'), words, { env: this.#env, encoding: 'utf8', input, timeout: 120_000 });
  }

  /** What a hostile agent leaves in its workspace, links to the outside among it. */
  litter(): void {
    const { workspace } = this.paths.group('assistant');
    spawnSync('sh', ['-c', litterScript('/etc')], { cwd: workspace, stdio: 'ignore' });
  }

  /** Still running when this returns. */
  begin(...words: string[]): ChildProcess {
    return spawn(join(this.root, 'glass'), words, { env: this.#env, stdio: ['ignore', 'pipe', 'pipe'] });
  }

  json<T>(...words: string[]): T {
    const ran = this.glass(...words, '--json');
    assert.ok(ran.stdout.trim().startsWith('{'), `${words.join(' ')}: ${ran.stdout}${ran.stderr}`);
    return JSON.parse(ran.stdout.trim().split('\n').at(-1)!) as T;
  }

  /** Says a sentence, and has its answer. */
  answers(text: string): void {
    const { status, stdout, stderr } = this.glass('chat', text);
    assert.equal(status, 0, stderr);
    assert.match(stdout, new RegExp(`You said: ${text}`));
  }

  git(...args: string[]): string {
    return execFileSync('git', args, { cwd: this.root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
  }

  /** What is checked out, and whether anything about it is odd. */
  checkout(): { version: string; branch: string; edits: string } {
    const { version } = JSON.parse(readFileSync(join(this.root, 'package.json'), 'utf8')) as { version: string };
    return { version, branch: this.git('branch', '--show-current'), edits: this.git('status', '--porcelain') };
  }

  /** Of the ledger. */
  rows<T>(sql: string): T[] {
    const db = new DatabaseSync(this.paths.ledger, { readOnly: true });
    try {
      return db.prepare(sql).all() as T[];
    } finally {
      db.close();
    }
  }

  /** What people said, in their chats. */
  said(): string[] {
    const sql =
      "SELECT text FROM messages m JOIN chats c ON c.id = m.chat_id WHERE c.platform_id NOT LIKE 'check-%' ORDER BY m.id";
    return this.rows<{ text: string }>(sql).map(({ text }) => text);
  }

  schema(): number {
    return this.rows<{ user_version: number }>('PRAGMA user_version')[0]!.user_version;
  }

  async runs(): Promise<boolean> {
    const client = new ControlClient(this.paths.controlSocket);
    return client
      .call('groups')
      .then(() => true)
      .catch(() => false)
      .finally(() => client.close());
  }

  end(): void {
    rmSync(this.places.mender, { force: true });
    this.glass('down');
    remove(this.paths.run);
    remove(this.paths.home);
  }
}

/** What the launcher would get: this Node, and the packages that are needed. */
function givePackages(root: string): void {
  const version = /^NODE_VERSION=([\d.]+)/m.exec(readFileSync(join(root, 'glass'), 'utf8'))![1]!;
  const node = join(root, '.node', version, 'bin/node');
  mkdirSync(dirname(node), { recursive: true });
  link(process.execPath, node);
  const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: object };
  for (const name of Object.keys(dependencies))
    cpSync(join(ROOT, 'node_modules', name), join(root, 'node_modules', name), { recursive: true });
  const sum = spawnSync('cksum', { input: readFileSync(join(root, 'package-lock.json')), encoding: 'utf8' });
  writeFileSync(join(root, 'node_modules/.glass-stamp'), `needed ${sum.stdout}`);
  assert.ok(existsSync(node));
}

function link(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    copyFileSync(from, to);
    chmodSync(to, 0o755);
  }
}
