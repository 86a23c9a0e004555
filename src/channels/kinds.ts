import { join } from 'node:path';
import type { ChannelConfig } from '../base/config.ts';
import { OperatingError } from '../base/errors.ts';
import type { PackageSet } from '../base/packages.ts';
import { discord } from './discord/kind.ts';
import { github } from './github/kind.ts';
import type { ChannelKind } from './kind.ts';
import { slack } from './slack/kind.ts';
import { teams } from './teams/kind.ts';
import { telegram } from './telegram/kind.ts';
import { whatsapp } from './whatsapp/kind.ts';
import { whatsappLinked } from './whatsapp-linked/kind.ts';

/** The kinds of channels that exist, besides `local`. */
export const KINDS: readonly ChannelKind[] = [telegram, slack, discord, github, teams, whatsapp, whatsappLinked];

/** What each kind makes of a link; null: it is none of its platform. */
export const LINKS = KINDS.flatMap(({ messageOfLink }) => messageOfLink ?? []);

/** Null: it needs none. */
export function driverPackages(root: string, { kind, title, packages_mb }: ChannelKind): PackageSet | null {
  if (packages_mb === 0) return null;
  const command = `./glass channel install ${kind}`;
  return {
    title: `the channel kind ${title}`,
    folder: join(root, 'src/channels', kind),
    size_mb: packages_mb,
    command,
  };
}

/** Throws `OperatingError('config')` for a kind that a channel cannot be of. */
export function kindOf(kinds: readonly ChannelKind[], channel: string, named: string): ChannelKind {
  const kind = kinds.find((known) => known.kind === named);
  if (kind !== undefined) return kind;
  const all = kinds.map((known) => known.kind).join(', ');
  throw new OperatingError('config', `channels.${channel}.kind: there is no kind "${named}"`, `one of ${all}`);
}

/** A channel's block of `glass.yaml`, checked by its kind. Throws `OperatingError('config')`. */
export function readSettings(
  kinds: readonly ChannelKind[],
  name: string,
  { kind: named, ...block }: ChannelConfig,
): { kind: ChannelKind; settings: Record<string, unknown> } {
  const kind = kindOf(kinds, name, named);
  const parsed = kind.settings.safeParse(block);
  if (parsed.success) return { kind, settings: parsed.data };
  const issue = parsed.error.issues[0]!;
  throw new OperatingError('config', `${['channels', name, ...issue.path].join('.')}: ${issue.message}`);
}
