import { parseDocument } from 'yaml';
import { OperatingError } from '../base/errors.ts';
import type { ChannelKind } from '../channels/kind.ts';
import { type Input, readShown } from './hidden.ts';

/** What `--set`, and a person at a terminal, say of a channel's settings before there is a channel. */
export type Given = Record<string, unknown>;

/** Of `<setting>=<value>`. Throws `usage` for what is none; what the kind does not take is returned as it would stand in `glass.yaml`. */
export function settingOf(kind: ChannelKind, pair: string): [string, unknown] {
  const at = pair.indexOf('=');
  if (at < 1) throw new OperatingError('usage', `--set takes <setting>=<value>, not "${pair}"`);
  const name = pair.slice(0, at);
  return [name, meantBy(kind, name, pair.slice(at + 1))];
}

/**
 * The names of those that it cannot do without and that nobody has given. Throws `config` for a given one that its kind refuses, and
 * for one that it does not know.
 */
export function missingOf(kind: ChannelKind, channel: string, given: Given): string[] {
  const issues = kind.settings.safeParse(given).error?.issues ?? [];
  const isMissing = (path: PropertyKey[]): boolean => path.length === 1 && !Object.hasOwn(given, path[0]!);
  const wrong = issues.find(({ path }) => !isMissing(path));
  if (wrong !== undefined)
    throw new OperatingError('config', `${['channels', channel, ...wrong.path].join('.')}: ${wrong.message}`);
  return [...new Set(issues.map(({ path }) => String(path[0])))];
}

/** `given` with what a person has said of each missing one. Where nobody is to be asked it throws `usage` and names them all. */
export async function completed(kind: ChannelKind, channel: string, given: Given, asks: Input | null): Promise<Given> {
  const all = { ...given };
  for (;;) {
    const missing = missingOf(kind, channel, all);
    if (missing.length === 0) {
      // As the kind reads it, and no more than was said: defaults are not the operator's words.
      const parsed = kind.settings.parse(all);
      return Object.fromEntries(Object.keys(all).map((name) => [name, parsed[name]]));
    }
    if (asks === null) {
      const words = missing.map((name) => `--set ${name}=… (${wordsOf(kind, name)})`);
      throw new OperatingError('usage', `a channel of kind ${kind.kind} needs ${words.join(' and ')}`);
    }
    for (const name of missing) all[name] = await asked(kind, name, asks);
  }
}

async function asked(kind: ChannelKind, name: string, input: Input): Promise<unknown> {
  for (;;) {
    const said = await readShown(input, `${wordsOf(kind, name)} (${name}): `);
    const value = meantBy(kind, name, said);
    const issue = kind.settings.shape[name]?.safeParse(value).error?.issues[0];
    if (said !== '' && issue === undefined) return value;
    process.stderr.write(`${said === '' ? 'It is needed.' : `${name}: ${issue!.message}`}\n`);
  }
}

function wordsOf({ asks }: ChannelKind, name: string): string {
  return asks?.[name] ?? 'see its page in docs/channels';
}

/** As the kind wants it: what it would be in `glass.yaml`, else the bare text, else a list of what stands between commas. */
function meantBy(kind: ChannelKind, name: string, said: string): unknown {
  const list = said.split(',').map((part) => part.trim());
  const readings = [...yamlOf(said), said, list];
  const schema = Object.hasOwn(kind.settings.shape, name) ? kind.settings.shape[name] : undefined;
  if (schema === undefined) return readings[0];
  const good = readings.find((reading) => schema.safeParse(reading).success);
  if (good !== undefined) return good;
  // What it refuses a part of is nearest to what was meant.
  return (schema.safeParse(list).error?.issues[0]?.path.length ?? 0) > 0 ? list : said;
}

/** Nothing: it is no YAML, or says nothing. */
function yamlOf(said: string): unknown[] {
  const document = parseDocument(said, { version: '1.2' });
  const value = document.errors.length > 0 ? null : document.toJS();
  return value === null ? [] : [value];
}
