import { STATUS_LINES_MAX } from '../base/limits/alerts.ts';
import type { Paths } from '../base/paths.ts';
import type { Status } from '../evidence/status.ts';
import { ControlClient } from './control_client.ts';
import { bold, type Io, red } from './io.ts';
import { groupRows, machineRows, messageRows, type StatusRow, setRows, waitingRows } from './status_rows.ts';

/** `glass status`: one screen. Exit code 0 when all is well, 1 when a person should look, 6 when it does not run. */
export async function status(args: string[], paths: Paths, io: Io): Promise<number> {
  const client = new ControlClient(paths.controlSocket);
  try {
    const found = await client.call<Status>('status');
    if (args.includes('--clear')) await client.call('clear_alerts');
    io.out(io.json ? JSON.stringify(found) : renderStatus(found, io));
    return found.state === 'ok' ? 0 : 1;
  } finally {
    client.close();
  }
}

/** What is wrong comes first, with what to do; what is well is a line each. Of many of a kind the first are shown, so that it stays a screen. */
export function renderStatus(found: Status, io: Io): string {
  const rows = [machineRows, groupRows, messageRows, waitingRows, setRows].flatMap((section) => section(found));
  const wrong = rows.filter((row) => row.wrong === true);
  const well = rows.filter((row) => row.wrong !== true);
  const words = found.state === 'ok' ? 'ok' : 'needs attention';
  const head = bold(io, `GlassClaw ${found.version}: ${words}`);
  const parted = wrong.length === 0 ? [] : [''];
  const lines = (each: number): string[] =>
    [head, ...shown(wrong, each, io), ...parted, ...shown(well, each, io)].flatMap((text) => text.split('\n'));
  const fits = OF_A_KIND.map(lines).find(({ length }) => length <= STATUS_LINES_MAX);
  return (fits ?? cut(lines(1))).join('\n');
}

/** How many rows of one name are shown: as many as leave room for the others. */
const OF_A_KIND = [Number.POSITIVE_INFINITY, 10, 6, 4, 3, 2, 1];
const ALL = './glass status --json has all';

function shown(rows: StatusRow[], each: number, io: Io): string[] {
  return [...Map.groupBy(rows, ({ name }) => name).values()].flatMap((same) => {
    const more = same.length - each;
    const rest = more > 0 ? [{ name: '', text: `and ${more} more: ${ALL}` }] : [];
    return [...same.slice(0, each), ...rest].map((row) => show(row, io));
  });
}

/** What is well is what goes: it comes last. */
function cut(lines: string[]): string[] {
  const kept = lines.slice(0, STATUS_LINES_MAX - 1);
  return [...kept, `  and ${lines.length - kept.length} more lines: ${ALL}`];
}

const INDENT = 11;

function show({ name, text, fix, wrong }: StatusRow, io: Io): string {
  const width = (io.columns ?? Number.POSITIVE_INFINITY) - INDENT;
  const lines = wrap(text, width).map((line, at) => {
    const said = wrong === true ? red(io, line) : line;
    return `${at === 0 ? `  ${name.padEnd(INDENT - 2)}` : ' '.repeat(INDENT)}${said}`;
  });
  const todo = fix === undefined ? [] : wrap(fix, width - 2);
  return [...lines, ...todo.map((line, at) => `${' '.repeat(INDENT)}${at === 0 ? '→' : ' '} ${line}`)].join('\n');
}

/** Cut at blanks; a word that is longer than a line stays whole, so that it can be copied. */
function wrap(text: string, width: number): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!;
    if (line !== '' && line.length + word.length + 1 > width) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines;
}
