import { existsSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { readInstall } from '../base/config.ts';
import { describeError, messageOf, OperatingError, systemCodeOf } from '../base/errors.ts';
import { isComplete, type PackageSet } from '../base/packages.ts';
import type { Paths } from '../base/paths.ts';
import { driverPackages, KINDS, readSettings } from '../channels/kinds.ts';
import type { ChannelShown } from '../operations/channels.ts';
import { installPackages } from '../operations/package_install.ts';
import { packagesNamed } from '../operations/package_sets.ts';
import { addChannel, wantedOf } from './channel_add.ts';
import { linkChannel } from './channel_link.ts';
import { proveChannel, runTest } from './channel_test.ts';
import { healthWords, showUnreadable } from './channel_words.ts';
import { confirmed } from './confirm.ts';
import { ControlClient } from './control_client.ts';
import type { Input } from './hidden.ts';
import { type Io, red } from './io.ts';
import { zipOf } from './zip.ts';

/** `glass channel list|kinds|add|link|package|test|unreadable|remove|install`. */
const USAGE =
  'usage: glass channel list | kinds | add <kind> [--name <name>] [--set <setting>=<value>]… [--stdin] [--yes] | link <name> | package <name> [<file>] | test <name> [--to <chat>] [--no-reply | --quiet] | unreadable <name> | remove <name> [--yes] | install <kind>';

const OPTIONS = {
  name: { type: 'string' },
  set: { type: 'string', multiple: true },
  stdin: { type: 'boolean', default: false },
  to: { type: 'string' },
  'no-reply': { type: 'boolean', default: false },
  quiet: { type: 'boolean', default: false },
  yes: { type: 'boolean', default: false },
} as const;

export async function channel(args: string[], paths: Paths, io: Io, input: Input = process.stdin): Promise<number> {
  const { positionals, values } = words(args);
  const [verb, ...rest] = positionals;
  if (verb === 'kinds' && rest.length === 0) return kinds(paths, io);
  if (verb === 'install' && rest.length === 1) return install(rest[0]!, paths, io);
  if (verb === 'package' && rest.length > 0 && rest.length < 3) return writeUpload(rest[0]!, rest[1], paths, io);
  if (verb === 'add') {
    const named = values.name === undefined ? {} : { name: values.name };
    return addChannel(wantedOf(rest, named, values.set ?? [], values), paths, io, input);
  }
  const client = new ControlClient(paths.controlSocket);
  try {
    if (verb === 'list' && rest.length === 0) return list(await client.call('channels'), io);
    const [name, ...more] = rest;
    if (name === undefined || more.length > 0) throw new OperatingError('usage', USAGE);
    if (verb === 'test' && values.quiet) return await proveChannel(client, name, io);
    if (verb === 'test') return await runTest(client, name, { reply: !values['no-reply'], to: values.to ?? null }, io);
    if (verb === 'unreadable') return showUnreadable(await client.call('channel_unreadable', { name }), io);
    if (verb === 'link') return await link(client, name, io);
    if (verb === 'remove') return await remove(client, name, values.yes, io);
    throw new OperatingError('usage', USAGE);
  } finally {
    client.close();
  }
}

function words(args: string[]) {
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true, strict: true });
  } catch (error) {
    throw new OperatingError('usage', messageOf(error).split('\n')[0]!, USAGE);
  }
}

function list({ channels, webhooks }: { channels: ChannelShown[]; webhooks: string | null }, io: Io): number {
  if (io.json) io.out(JSON.stringify({ channels, webhooks }));
  else {
    for (const shown of channels)
      io.out(`${shown.name.padEnd(16)}  ${shown.kind.padEnd(15)}  ${healthWords(shown, io, shown.unreadable)}`);
    if (webhooks !== null) io.out(red(io, webhooks));
  }
  return 0;
}

function kinds(paths: Paths, io: Io): number {
  const rows = KINDS.map((kind) => ({
    ...{ kind: kind.kind, title: kind.title, summary: kind.summary, webhook: kind.webhook },
    installed: isReady(driverPackages(paths.root, kind)),
  }));
  if (io.json) io.out(JSON.stringify({ kinds: rows }));
  else for (const { kind, title, summary } of rows) io.out(`${kind.padEnd(15)}  ${title}: ${summary}`);
  return 0;
}

function isReady(packages: PackageSet | null): boolean {
  return packages === null || isComplete(packages.folder);
}

async function install(word: string, paths: Paths, io: Io): Promise<number> {
  const kind = KINDS.find((known) => known.kind === word);
  if (kind === undefined) throw new OperatingError('not_found', `there is no kind "${word}"`, 'glass channel kinds');
  const packages = driverPackages(paths.root, kind);
  const changed = packages !== null && (await installPackages(paths.root, packages, io.err));
  if (io.json) io.out(JSON.stringify({ kind: word, installed: true, changed }));
  else if (!changed) io.out(`the packages of ${word} are installed already`);
  return 0;
}

/** What a person uploads to the platform, with this channel's settings in it. Throws `not_found`, and `usage` where there is nothing to upload. */
function writeUpload(name: string, file: string | undefined, paths: Paths, io: Io): number {
  const block = readInstall(paths.config).channels[name];
  if (block === undefined)
    throw new OperatingError('not_found', `there is no channel "${name}"`, 'glass channel list shows them');
  const { kind, settings } = readSettings(KINDS, name, block);
  if (kind.upload === undefined)
    throw new OperatingError('usage', `nothing is uploaded for a channel of kind ${kind.kind}`);
  const written = file ?? `glass-${name}.zip`;
  try {
    writeFileSync(written, zipOf(kind.upload(settings)));
  } catch (error) {
    throw new OperatingError('usage', `${written} cannot be written (${systemCodeOf(error)})`);
  }
  if (io.json) io.out(JSON.stringify({ name, file: written }));
  else io.out(`${written} is to be uploaded to ${kind.title}`);
  return 0;
}

/** Begins anew, so that it asks for its link again; a channel that is well is left alone. */
async function link(client: ControlClient, name: string, io: Io): Promise<number> {
  const { kind } = await client.call<ChannelShown>('channel_show', { name });
  if (KINDS.find((known) => known.kind === kind)?.linked !== true)
    throw new OperatingError('usage', `a channel of kind ${kind} has tokens; nothing is to be linked`);
  await client.call('channel_retry', { name });
  if (!(await linkChannel(client, name, io))) return 1;
  if (!io.json) io.out(`If nobody is known there yet: ./glass pair ${name}`);
  return 0;
}

async function remove(client: ControlClient, name: string, yes: boolean, io: Io): Promise<number> {
  const shown = await client.call<ChannelShown>('channel_show', { name });
  if (!yes && !(await confirmed(`Remove the channel ${name} (${shown.kind}) from glass.yaml?`, '--yes'))) return 1;
  await client.call('channel_remove', { name });
  if (io.json) io.out(JSON.stringify({ name, removed: true }));
  else io.out(`${name} is removed; its messages stay on record, its tokens in the vault: ./glass secret list`);
  return 0;
}

/** Before a start: the packages that `glass.yaml` needs. A registry that is away keeps nothing else from running. */
export async function installPackagesForStart(paths: Paths, io: Io): Promise<void> {
  if (!existsSync(paths.config)) return;
  for (const set of packagesNamed(paths.root, readInstall(paths.config))) {
    try {
      await installPackages(paths.root, set, io.err);
    } catch (error) {
      io.err(`Without their packages ${set.title} cannot begin: ${describeError(error)}`);
    }
  }
}
