import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { VERSION } from '../src/base/version.ts';
import { countTrustedLines, KERNEL_LINES_MAX, TRUSTED_LINES_MAX } from './count_lines.ts';
import { type Import, ROOT, reachable, readSource, type Source } from './source_tree.ts';

/** The house rules that a program can check. A rule that is wrong is changed here, with a reason; there are no exceptions by file. */

const FILE_LINES_MAX = 400;
const FUNCTION_LINES_MAX = 80;
const DIRECT_PACKAGES_MAX = 12;
const LOCKED_PACKAGES_MAX = 40;

/** A folder of `src` imports from itself and from those before it. */
const LAYERS = [
  'base',
  'protocol',
  'authority',
  'ledger',
  'vault',
  'gateway',
  'channels',
  'runtimes',
  'router',
  'sessions',
  'delivery',
  'approvals',
  'scheduler',
  'scheduler',
  'evidence',
  'operations',
  'control',
  'roots', // host.ts and gateway.ts
  'cli',
  'console',
];
const CLIENTS = ['cli', 'console'];
const ENTRIES = ['src/host.ts', 'src/gateway.ts', 'src/cli/main.ts', 'sandbox/runner/runner.ts'];

const ours = (pattern: string): string[] =>
  globSync(pattern, {
    cwd: ROOT,
    exclude: ['**/node_modules/**', '.node/**', '.versions/**', '.git/**', 'report/**'],
  }).sort();
const sources = new Map<string, Source>(
  ours('{src,sandbox,test,bench}/**/*.ts').map((path) => [path, readSource(path)]),
);
const trusted = [...sources.values()].filter((source) => source.path.startsWith('src/'));
const product = [...sources.values()].filter((source) => /^(src|sandbox)\//.test(source.path));

/** Fails with one line for each violation. */
function none(violations: string[]): void {
  assert.equal(violations.length, 0, `\n${violations.join('\n')}`);
}

function layerOf(path: string): string {
  const parts = path.split('/');
  return parts.length > 2 ? parts[1]! : 'roots';
}

/** A file that is started by itself: it may print and exit. */
function isProgram(source: Source): boolean {
  return ENTRIES.includes(source.path) || source.bare.includes('import.meta.main');
}

function isOurs(imported: Import): boolean {
  return imported.to.endsWith('.ts');
}

test('imports run one way', () => {
  const wrong: string[] = [];
  for (const source of trusted) {
    const layer = LAYERS.indexOf(layerOf(source.path));
    if (layer < 0) wrong.push(`${source.path}: the folder is in no layer`);
    for (const { to } of source.imports.filter(isOurs)) {
      if (!to.startsWith('src/')) wrong.push(`${source.path} imports ${to}: outside of src`);
      else if (LAYERS.indexOf(layerOf(to)) > layer) wrong.push(`${source.path} imports ${to}: a layer above it`);
      else if (layerOf(source.path) === 'gateway' && layerOf(to) === 'ledger')
        wrong.push(`${source.path} imports ${to}: the gateway does not know the ledger`);
    }
  }
  none(wrong);
});

test('the sandbox imports only itself, base and protocol', () => {
  const allowed = /^(sandbox|src\/base|src\/protocol)\//;
  none(
    product
      .filter((source) => source.path.startsWith('sandbox/'))
      .flatMap((source) =>
        source.imports
          .filter((imported) => isOurs(imported) && !allowed.test(imported.to))
          .map((imported) => `${source.path} imports ${imported.to}`),
      ),
  );
});

test('no client touches a database', () => {
  const clients = trusted.filter((source) => CLIENTS.includes(layerOf(source.path))).map((source) => source.path);
  const loaded = reachable(clients, sources, (imported) => !imported.type);
  none([...loaded].filter((path) => /^src\/(ledger|vault|gateway)\//.test(path)));
});

test('nothing of the host, and nothing of a sandbox, can open the vault', () => {
  const loaded = reachable(['src/host.ts', 'sandbox/runner/runner.ts'], sources);
  none([...loaded].filter((path) => /^src\/(?:vault|gateway)\//.test(path)));
});

test('there is no import circle, types included', () => {
  const circles: string[] = [];
  const state = new Map<string, 'open' | 'done'>();
  const visit = (path: string, trail: string[]): void => {
    if (state.get(path) === 'open') circles.push([...trail.slice(trail.indexOf(path)), path].join(' → '));
    if (state.has(path)) return;
    state.set(path, 'open');
    for (const { to } of sources.get(path)?.imports ?? []) if (sources.has(to)) visit(to, [...trail, path]);
    state.set(path, 'done');
  };
  for (const path of sources.keys()) visit(path, []);
  none(circles);
});

test('every file is reached, and every import exists', () => {
  const programs = [...sources.values()]
    .filter(
      (source) => isProgram(source) || /(\.test\.ts|\.d\.ts)$/.test(source.path) || source.path.startsWith('bench/'),
    )
    .map((source) => source.path);
  // Programs that others start by their path: named in a string somewhere.
  const started = [...sources.keys()].filter((path) => {
    const name = path.split('/').at(-1)!;
    return [...sources.values()].some((source) => source.path !== path && mentions(source, name));
  });
  const seen = reachable([...programs, ...started], sources);
  const dead = [...sources.keys()].filter((path) => !seen.has(path)).map((path) => `${path}: nobody imports it`);
  const missing = [...sources.values()].flatMap((source) =>
    source.imports
      .filter((imported) => isOurs(imported) && !imported.to.startsWith('..') && !existsSync(join(ROOT, imported.to)))
      .map((imported) => `${source.path} imports ${imported.to}, which is not there`),
  );
  none([...dead, ...missing]);
});

/** Whether a string of `source`, outside of its imports, ends with the file's name. */
function mentions(source: Source, name: string): boolean {
  return source.code
    .split('\n')
    .map((line) => line.replace('import.meta', ''))
    .some((line) => (line.includes(`/${name}'`) || line.includes(`'${name}'`)) && !/\b(from|import)\b/.test(line));
}

test('files and functions are short', (context) => {
  const long = [...sources.values()]
    .filter((source) => source.text.split('\n').length - 1 > FILE_LINES_MAX)
    .map((source) => `${source.path}: ${source.text.split('\n').length - 1} lines, at most ${FILE_LINES_MAX}`);
  const functions = product.flatMap(functionsOf).sort((a, b) => b.lines - a.lines);
  for (const { where, lines } of functions.slice(0, 5)) context.diagnostic(`${lines} lines: ${where}`);
  const endless = functions
    .filter(({ lines }) => lines > FUNCTION_LINES_MAX)
    .map(({ where, lines }) => `${where}: a function of ${lines} lines, at most ${FUNCTION_LINES_MAX}`);
  none([...long, ...endless]);
});

/** What opens a block and is no function. */
const BLOCK = /^\s*(?:\} )?(?:if|else|for|while|do|switch|try|catch|finally|class|interface|namespace|declare)\b/;
const OPENS = /(?:=> |\)(?:: [^{}]+(?:<[^{}]*>)?)? )\{$/;

/** The formatter ends a block at the column where its first line began, and nothing between stands there. */
function functionsOf(source: Source): { where: string; lines: number }[] {
  const lines = source.bare.split('\n');
  const indent = (line: string): number => line.length - line.trimStart().length;
  const found: { where: string; lines: number }[] = [];
  lines.forEach((line, at) => {
    if (!OPENS.test(line.trimEnd()) || BLOCK.test(line)) return;
    const column = indent(line);
    let first = at;
    // A signature over several lines: `): Promise<void> {` closes what began further up.
    if (line.trimStart().startsWith(')')) {
      do first -= 1;
      while (first > 0 && (lines[first]!.trim() === '' || indent(lines[first]!) > column));
      if (BLOCK.test(lines[first]!)) return;
    }
    const length = lines.slice(at + 1).findIndex((next) => indent(next) === column && next.trimStart().startsWith('}'));
    found.push({ where: `${source.path}:${first + 1}`, lines: at - first + length + 2 });
  });
  return found;
}

/** What is refused, where, and why. */
const BANNED: readonly { call: RegExp; why: string; where: (source: Source) => boolean }[] = [
  { call: /\beval\(|\bnew Function\(/, why: 'code from a string', where: () => true },
  { call: /\bshell: true\b/, why: 'a shell reads the words again', where: () => true },
  { call: /\bMath\.random\(/, why: 'use randomToken', where: inTrusted },
  { call: /\bconsole\./, why: 'use Io or Log', where: (source) => inTrusted(source) && !isProgram(source) },
  {
    call: /\bprocess\.exit\(/,
    why: 'only programs and the command line end the process',
    where: (source) => inTrusted(source) && !isProgram(source) && layerOf(source.path) !== 'cli',
  },
  {
    call: /(?<![.\w])fetch\(/,
    why: 'only the gateway and the drivers of channels talk to the internet',
    where: (source) =>
      inTrusted(source) && !['gateway', 'vault'].includes(layerOf(source.path)) && !isDriver(source.path),
  },
];

/** Of a platform: it has a folder, and packages, of its own. */
function isDriver(path: string): boolean {
  return /^src\/channels\/[\w-]+\//.test(path) && existsSync(join(ROOT, dirname(path), 'package.json'));
}

function inTrusted(source: Source): boolean {
  return source.path.startsWith('src/');
}

test('nobody makes a banned call', () => {
  const calls = product.flatMap((source) =>
    BANNED.filter(({ where, call }) => where(source) && call.test(source.bare)).map(
      ({ call, why }) => `${source.path}: ${call.exec(source.bare)![0]} (${why})`,
    ),
  );
  const shells = product
    .filter((source) => /\{[^}]*\bexec(Sync)?\b[^}]*\} from 'node:child_process'/.test(source.code))
    .map((source) => `${source.path}: exec of node:child_process (a shell reads the words again)`);
  none([...calls, ...shells]);
});

test('the trusted code stays small', (context) => {
  const { kernel, all, folders } = countTrustedLines();
  context.diagnostic(`kernel ${kernel} of ${KERNEL_LINES_MAX} lines, all ${all} of ${TRUSTED_LINES_MAX}`);
  context.diagnostic(
    Object.entries(folders)
      .map(([folder, lines]) => `${folder} ${lines}`)
      .join(', '),
  );
  assert.ok(kernel <= KERNEL_LINES_MAX, `the kernel has ${kernel} lines, at most ${KERNEL_LINES_MAX}`);
  assert.ok(all <= TRUSTED_LINES_MAX, `the trusted code has ${all} lines, at most ${TRUSTED_LINES_MAX}`);
});

interface Manifest {
  version?: string;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
}

function readManifest(path: string): Manifest {
  return JSON.parse(readFileSync(join(ROOT, path), 'utf8'));
}

test('packages are few, exact, locked and explained', () => {
  const root = readManifest('package.json');
  assert.equal(root.version, VERSION);
  const direct = Object.keys({ ...root.dependencies, ...root.devDependencies });
  assert.ok(direct.length <= DIRECT_PACKAGES_MAX, `${direct.length} direct packages, at most ${DIRECT_PACKAGES_MAX}`);
  const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as { packages: object };
  const locked = Object.keys(lock.packages).length - 1;
  assert.ok(locked <= LOCKED_PACKAGES_MAX, `${locked} locked packages, at most ${LOCKED_PACKAGES_MAX}`);
  const records = ours('docs/decisions/*.md')
    .map((path) => readFileSync(join(ROOT, path), 'utf8'))
    .join('\n');
  const wrong: string[] = [];
  for (const path of ours('**/package.json')) {
    const { dependencies, devDependencies } = readManifest(path);
    for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
      // A candidate of a release is as exact as a release; docs/decisions/0051 says when one is taken.
      if (!/^\d+\.\d+\.\d+(-rc\.?\d+)?$/.test(version))
        wrong.push(`${path}: ${name} ${version} is not an exact version`);
      if (!records.includes(`\`${name}\``)) wrong.push(`${path}: no record in docs/decisions names \`${name}\``);
    }
    if (!existsSync(join(ROOT, path.replace(/package\.json$/, 'package-lock.json'))))
      wrong.push(`${path}: no lock file`);
  }
  for (const path of ours('**/package-lock.json')) {
    if (readFileSync(join(ROOT, path), 'utf8').includes('"resolved"'))
      wrong.push(`${path}: names the address of a registry; npm writes none with omit-lockfile-registry-resolved`);
  }
  none(wrong);
});

/** Put together so that this file does not hold them. */
const UNFINISHED = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'X' + 'XX', 'HA' + 'CK'].join('|')})\\b`);
const SOMEBODYS_MACHINE = new RegExp(`(${['/Us' + 'ers/', '/ho' + 'me/[a-z]', '/wo' + 'rk/'].join('|')})`);

test('no file holds unfinished work or a path of somebody’s machine', () => {
  const texts = ours('**/*.{ts,sh,sql,md,yaml,yml,json,service}').concat([
    'glass',
    '.ci/run',
    'sandbox/image/Dockerfile',
  ]);
  const wrong: string[] = [];
  for (const path of texts.filter((text) => existsSync(join(ROOT, text)))) {
    readFileSync(join(ROOT, path), 'utf8')
      .split('\n')
      .forEach((line, at) => {
        for (const pattern of [UNFINISHED, SOMEBODYS_MACHINE]) {
          const match = pattern.exec(line);
          if (match !== null) wrong.push(`${path}:${at + 1}: ${match[0]}`);
        }
      });
  }
  none(wrong);
});
