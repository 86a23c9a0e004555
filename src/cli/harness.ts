import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { readWish } from '../authority/authority.ts';
import { type HarnessName, harnessSchema, isGroupName, readInstall } from '../base/config.ts';
import { describeError, OperatingError } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';
import { installPackages } from '../operations/package_install.ts';
import { effectiveHarness, harnessFolder, isInstalled, packagesOf } from '../sessions/harnesses.ts';
import type { Io } from './io.ts';

/** `glass harness list|install <name>`, and what other verbs do so that nobody has to type it. */

const USAGE = 'usage: glass harness list | install <name>';

export async function harness(args: string[], paths: Paths, io: Io): Promise<number> {
  const [verb, name, ...more] = args;
  if (verb === 'list' && name === undefined) return list(paths, io);
  if (verb === 'install' && name !== undefined && more.length === 0) return install(name, paths, io);
  throw new OperatingError('usage', USAGE);
}

function list(paths: Paths, io: Io): number {
  const rows = harnessSchema.options.map((name) => ({
    name,
    packages: packagesOf(paths.root, name) !== null,
    installed: isInstalled(paths.root, name),
  }));
  if (io.json) io.out(JSON.stringify({ harnesses: rows }));
  else {
    for (const row of rows) {
      const state = row.installed ? 'installed' : `not installed: ./glass harness install ${row.name}`;
      io.out(`${row.name.padEnd(8)} ${row.packages ? state : 'built in'}`);
    }
  }
  return 0;
}

async function install(word: string, paths: Paths, io: Io): Promise<number> {
  const name = harnessSchema.options.find((known) => known === word);
  if (name === undefined)
    throw new OperatingError('not_found', `there is no harness "${word}"`, 'glass harness list shows them');
  const done = await installHarness(paths, name, io);
  if (io.json) io.out(JSON.stringify({ name, installed: true, changed: done }));
  else if (!done) io.out(`${name} is installed already`);
  return 0;
}

/**
 * After a secret was set: gets the harness that a group now runs because of it.
 */
export async function installForSecret(
  secret: string,
  secrets: ReadonlySet<string>,
  paths: Paths,
  io: Io,
): Promise<void> {
  const wanted = new Map<HarnessName, string>();
  for (const [group, wish] of wishesOf(paths)) {
    const name = effectiveHarness(wish, secrets);
    if (wish.model.secret === secret && !isInstalled(paths.root, name)) wanted.set(name, group);
  }
  for (const [name, group] of wanted) {
    io.err(`The group ${group} runs the harness ${name} from now on.`);
    await tryInstall(paths, name, io);
  }
}

/** Where the models are that a secret is for, of files that need not be in force: `api.anthropic.com`. */
export function modelHosts(secret: string, paths: Paths): string[] {
  const hosts = wishesOf(paths).flatMap(([, { model }]) =>
    model.secret === secret ? [new URL(model.upstream).host] : [],
  );
  return [...new Set(hosts)];
}

/**
 * Before a start: gets the harness that the default group names. For `auto` only the vault knows which one it is, so
 * then only an installed one that belongs to another version is renewed.
 */
export async function installForStart(paths: Paths, io: Io): Promise<void> {
  if (!existsSync(paths.config)) return;
  const { default_group } = readInstall(paths.config);
  if (!existsSync(paths.group(default_group).yaml)) return;
  const { harness: named } = readWish(paths.group(default_group).yaml);
  const names = named === 'auto' ? harnessSchema.options.filter((name) => isThere(paths, name)) : [named];
  for (const name of names) await tryInstall(paths, name, io);
}

/** A registry that is away must keep neither the secret from being set nor the other groups from running. */
async function tryInstall(paths: Paths, name: HarnessName, io: Io): Promise<void> {
  try {
    await installHarness(paths, name, io);
  } catch (error) {
    io.err(`Groups that run ${name} cannot answer yet: ${describeError(error)}`);
    io.err(`Try again with ./glass harness install ${name}`);
  }
}

function installHarness(paths: Paths, name: HarnessName, io: Io): Promise<boolean> {
  const packages = packagesOf(paths.root, name);
  return packages === null ? Promise.resolve(false) : installPackages(paths.root, packages, io.err);
}

function isThere(paths: Paths, name: HarnessName): boolean {
  return existsSync(join(harnessFolder(paths.root, name), 'node_modules'));
}

/** A group whose file is refused is left to the host, which says why. */
function wishesOf(paths: Paths): [group: string, ReturnType<typeof readWish>][] {
  if (!existsSync(paths.groups)) return [];
  return readdirSync(paths.groups)
    .filter(isGroupName)
    .flatMap((name) => {
      try {
        return [[name, readWish(paths.group(name).yaml)]];
      } catch {
        return [];
      }
    });
}
