import { resolve } from 'node:path';
import { daysSchema, durationSchema } from '../base/config.ts';
import { messageOf, OperatingError } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';
import { writeWhole } from '../base/whole_file.ts';
import type { Trace } from '../evidence/trace.ts';
import type { Match, Searched } from '../evidence/trace_search.ts';
import type { TraceStep } from '../evidence/trace_steps.ts';
import { ControlClient } from './control_client.ts';
import { bold, dim, type Io, printable } from './io.ts';
import { page } from './trace_html.ts';
import { endLines, headLines, render, stepLines } from './trace_text.ts';
import { clockTime, shorten } from './trace_words.ts';
import { split } from './words.ts';

/** `glass trace …`: where a message went. With `--follow` it exits with 1 unless the message was answered and all of it delivered. */
const USAGE =
  'usage: glass trace [<m12|o7|t5|s3|q2|h4|k1|platform id|link>|latest] [--group <g>] [--chat <c>] [--find <words> [--since <2h|7d>]] [--follow | --html] [-o <file>]';

interface Which {
  message: string;
  group?: string | undefined;
  chat?: string | undefined;
}

export async function trace(args: string[], paths: Paths, io: Io): Promise<number> {
  const spelled = args.map((word) => (word === '-o' ? '--out' : word));
  const { words, values, flags } = split(spelled, ['group', 'chat', 'find', 'since', 'out'], ['follow', 'html'], USAGE);
  const { group, chat, find, since, out } = values;
  const [follows, asPage] = [flags.has('follow'), flags.has('html')];
  const clash = (follows && (asPage || out !== undefined)) || (since !== undefined && find === undefined);
  if (words.length > (find === undefined ? 1 : 0) || clash || (asPage && io.json))
    throw new OperatingError('usage', USAGE);
  const client = new ControlClient(paths.controlSocket);
  try {
    const message = find === undefined ? (words[0] ?? 'latest') : await search(client, find, since, io);
    if (typeof message === 'number') return message;
    if (follows) return await follow(client, { message, group, chat }, io);
    const found = await client.call<Trace>('trace', { message, group, chat });
    const text = io.json ? JSON.stringify(found) : asPage ? page(found) : render(found, out === undefined ? io : PLAIN);
    if (out === undefined) io.out(text);
    else save(out, text);
    return 0;
  } finally {
    client.close();
  }
}

/** As into a pipe. */
const PLAIN: Io = { out: () => {}, err: () => {}, json: false, colour: false };

/** It holds what people wrote: nobody else may read it. */
function save(file: string, text: string): void {
  try {
    writeWhole(resolve(file), Buffer.from(`${text}\n`), 0o600);
  } catch (error) {
    throw new OperatingError('storage', `${file} could not be written: ${messageOf(error)}`, undefined, error);
  }
}

type FindRow =
  | ({ t: 'match' } & Match)
  | { t: 'looked'; looked: number; back_to_ms: number }
  | ({ t: 'end' } & Searched);

/** The only match; else prints them, and returns the exit code. */
async function search(
  client: ControlClient,
  words: string,
  since: string | undefined,
  io: Io,
): Promise<string | number> {
  const back = since === undefined ? null : (durationSchema.or(daysSchema).safeParse(since).data ?? wrongSince());
  const matches: Match[] = [];
  let searched: Searched | null = null;
  await client.stream('trace_find', { words, since_ms: back === null ? null : Date.now() - back }, (raw) => {
    const row = raw as unknown as FindRow;
    if (row.t === 'match') matches.push(row);
    else if (row.t === 'end') searched = row;
    else if (row.looked % PROGRESS_EVERY === 0 && !io.json)
      io.err(dim(io, `looked at ${row.looked} messages, back to ${clockTime(row.back_to_ms * 1000).slice(0, 19)} UTC`));
  });
  if (searched === null) throw new OperatingError('unavailable', 'the host went away during the search', 'try again');
  if (matches.length === 1) return matches[0]!.id;
  if (io.json)
    io.out(
      JSON.stringify({
        matches: matches.map(({ id, received_ms, place, from, text }) => ({ id, received_ms, place, from, text })),
        searched,
      }),
    );
  else for (const line of matchLines(matches, searched, words, io)) io.out(line);
  return matches.length === 0 ? 1 : 0;
}

function wrongSince(): never {
  throw new OperatingError('usage', '--since needs a time such as 90m, 12h or 7d');
}

const PROGRESS_EVERY = 50_000;

function matchLines(matches: Match[], { looked, back_to_ms, stopped }: Searched, words: string, io: Io): string[] {
  const lines = matches.map(({ id, received_ms, place, from, text }) => {
    const line = `${id.padEnd(8)} ${clockTime(received_ms * 1000).slice(0, 19)}  ${printable(`${place}  ${from}: ${shorten(text, 120)}`)}`;
    return io.columns === undefined ? line : line.slice(0, io.columns);
  });
  const back = back_to_ms === null ? '' : `, back to ${clockTime(back_to_ms * 1000).slice(0, 19)} UTC`;
  const why = {
    all: 'that is all there is',
    matches: 'there may be more',
    since: '',
    limit: 'older ones: --since 30d',
  }[stopped];
  const sum = `${matches.length === 0 ? `nothing holds "${printable(words)}"` : `${matches.length} messages`}; ${looked} were looked at${back}${why === '' ? '' : ` (${why})`}`;
  return [
    ...lines,
    dim(io, sum),
    ...(matches.length === 0 ? [] : [dim(io, `one of them: glass trace ${matches[0]!.id}`)]),
  ];
}

type FollowRow =
  | { t: 'trace'; trace: Omit<Trace, 'steps'> }
  | { t: 'step'; step: TraceStep }
  | { t: 'end'; answered: boolean; trace: Trace };

async function follow(client: ControlClient, which: Which, io: Io): Promise<number> {
  const ended = new AbortController();
  process.once('SIGINT', () => ended.abort());
  let before: TraceStep | undefined;
  let answered = false;
  const show = (row: FollowRow): void => {
    switch (row.t) {
      case 'trace':
        for (const line of headLines(row.trace, io)) io.out(line);
        return;
      case 'step':
        for (const line of stepLines(row.step, before, io)) io.out(line);
        before = row.step;
        return;
      case 'end':
        answered = row.answered;
        for (const line of endLines(row.trace, io)) io.out(line);
        io.out(bold(io, answered ? 'answered, and delivered' : 'not answered, or not delivered'));
    }
  };
  const print = (row: FollowRow): void => {
    if (row.t === 'end') answered = row.answered;
    io.out(JSON.stringify(row));
  };
  await client.stream(
    'trace_follow',
    which,
    (row) => (io.json ? print : show)(row as unknown as FollowRow),
    ended.signal,
  );
  return answered ? 0 : 1;
}
