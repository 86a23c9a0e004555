import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../src/base/paths.ts';
import type { ChannelCapabilities } from '../../src/channels/channel.ts';
import { KINDS } from '../../src/channels/kinds.ts';

/**
 * The table of what each kind of channel can do, in docs/channels/README.md: made from what the drivers declare, which the
 * conformance kit holds them to. `node test/kits/channel_table.ts` writes it anew.
 */
const FILE = join(ROOT, 'docs/channels/README.md');
const BEGIN = '<!-- made by test/kits/channel_table.ts -->\n';
const END = '<!-- to here -->';

const FACTS: [name: string, of: (can: ChannelCapabilities) => string | boolean][] = [
  ['dialect', (can) => `\`${can.markup}\``],
  ['characters of a message', (can) => String(can.text_max)],
  [
    'a file out, at most',
    (can) => (can.file_bytes_max === 0 ? false : `${Math.floor(can.file_bytes_max / 2 ** 20)} MiB`),
  ],
  ['direct chats', (can) => can.no_direct === undefined],
  ['buttons', (can) => can.buttons === true],
  ['cards', (can) => can.cards === true],
  ['shows what it answers', (can) => can.quotes === true],
  ['edits (a reply that grows)', (can) => can.edits === true],
  ['our reactions', (can) => can.reactions === true],
  ['typing', (can) => can.typing === true],
  ['threads', (can) => can.threads === true],
  ['files of people come in', (can) => can.files_in === true],
  ['what is known of our texts', (can) => (can.receipts === true ? 'delivered, read' : 'sent')],
  ['what was said while the host was down', (can) => can.missed ?? 'is lost'],
  ['can be written to first', (can) => can.writes_first ?? 'nobody'],
];

/** With the settings that a kind has of itself. */
function table(): string {
  const columns = KINDS.map((kind) => ({ kind, can: kind.capabilities(defaults(kind.settings.safeParse({}))) }));
  const line = (cells: string[]): string => `| ${cells.join(' | ')} |\n`;
  const shown = (fact: string | boolean): string => (fact === true ? 'yes' : fact === false ? '–' : fact);
  const webhook = { never: 'no', optional: 'if you like', always: 'yes' };
  return [
    line(['', ...columns.map(({ kind }) => `[${kind.title}](${kind.kind}.md)`)]),
    line(['---', ...columns.map(() => '---')]),
    ...FACTS.map(([name, of]) => line([name, ...columns.map(({ can }) => shown(of(can)))])),
    line(['needs a public address', ...columns.map(({ kind }) => webhook[kind.webhook])]),
  ].join('');
}

function defaults(parsed: { success: boolean; data?: Record<string, unknown> | undefined }): Record<string, unknown> {
  return parsed.success ? (parsed.data ?? {}) : {};
}

/** The page as it is, and as it should be. */
export function page(): { is: string; should: string } {
  const is = readFileSync(FILE, 'utf8');
  const [head, rest] = is.split(BEGIN);
  return { is, should: `${head}${BEGIN}${table()}${END}${rest?.split(END)[1]}` };
}

if (import.meta.main) writeFileSync(FILE, page().should);
