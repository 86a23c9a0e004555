import type { ApprovalShown } from '../approvals/approvals.ts';
import { fileFacts } from '../approvals/card.ts';
import type { QuestionShown, QuestionWhole } from '../approvals/desk.ts';
import { OperatingError } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';
import { type BodyPart, showsWhole } from '../protocol/gateway.ts';
import { ControlClient } from './control_client.ts';
import { bold, type Io, printable, red } from './io.ts';
import { split } from './words.ts';

/**
 * `glass approval list|show|approve|deny`: requests of agents, people and chats that wait for a person. Exit code 4 for an unknown
 * one, 5 for one that does not wait any more, or was approved and could not be done all the same.
 */
const USAGE =
  'usage: glass approval list | show <id> [--body] | approve <id> [--group <g>] | deny <id> [--reason <text>]';

/** What waits, of either sort. */
type Shown = ApprovalShown | QuestionShown;

export async function approval(args: string[], paths: Paths, io: Io): Promise<number> {
  const { verb, id, group, reason, body } = readArguments(args);
  const client = new ControlClient(paths.controlSocket);
  try {
    switch (verb) {
      case 'list':
        return list(await client.call<Listed>('approvals'), io);
      case 'show':
        return show(await wholeBody(client, id!, body), io);
      case 'approve':
      case 'deny': {
        const decision = { approval: id, allow: verb === 'approve', group, reason };
        return decided(await client.call<Shown>('approval_decide', decision), io);
      }
      default:
        throw new OperatingError('usage', USAGE);
    }
  } finally {
    client.close();
  }
}

function readArguments(args: string[]): {
  verb: string | undefined;
  id: string | undefined;
  group: string | null;
  reason: string;
  body: boolean;
} {
  const { words, values, flags } = split(args, ['reason', 'group'], ['body'], USAGE);
  const [verb, id, ...more] = words;
  const { reason, group } = values;
  const bare = verb === 'list' ? id === undefined : id !== undefined;
  const fits =
    (reason === undefined || verb === 'deny') &&
    (group === undefined || verb === 'approve') &&
    (!flags.has('body') || verb === 'show');
  if (!bare || more.length > 0 || !fits) throw new OperatingError('usage', USAGE);
  return { verb, id, group: group ?? null, reason: reason ?? '', body: flags.has('body') };
}

interface Listed {
  approvals: ApprovalShown[];
  questions: QuestionShown[];
}

function list(listed: Listed, io: Io): number {
  const { approvals, questions } = listed;
  if (io.json) io.out(JSON.stringify(listed));
  else if (approvals.length + questions.length === 0) io.out('nothing waits for approval, and nothing ever did');
  else {
    for (const one of questions) io.out(questionLine(one, io));
    for (const one of approvals) io.out(line(one, io));
  }
  return 0;
}

function questionLine(one: QuestionShown, io: Io): string {
  const { id, state, summary, message, choices } = one;
  const word = state === 'pending' ? red(io, state.padEnd(8)) : QUESTION_WORDS[state].padEnd(8);
  const choose = one.kind === 'chat' && state === 'pending' ? `: --group ${choices.join('|')}` : '';
  return `${id.padEnd(5)} ${word} ${printable(summary)} (${message})${choose}`;
}

const QUESTION_WORDS: Record<QuestionShown['state'], string> = {
  ...{ pending: 'pending', approved: 'approved', denied: 'denied', expired: 'not done', done: 'done' },
};

function questionCard(one: QuestionShown, io: Io): string {
  const by = one.decided_by === null ? '' : ` by ${printable(one.decided_by)}`;
  const why = one.reason === '' ? '' : `: ${printable(one.reason)}`;
  const until =
    one.state === 'pending' ? `  until ${when(one.expires_ms)}; in a chat: approve, deny or choose ${one.code}` : '';
  return [`${questionLine(one, io)}${by}${why}`, ...(until === '' ? [] : [until])].join('\n');
}

function line(one: ApprovalShown, io: Io): string {
  const { id, state, group, method, host, path, body_bytes } = one;
  const word = state === 'pending' ? red(io, state.padEnd(8)) : WORDS[state].padEnd(8);
  return `${id.padEnd(5)} ${word} ${group}  ${method} ${printable(`${host}${path}`)}  ${body_bytes} bytes`;
}

const WORDS: Record<ApprovalShown['state'], string> = {
  pending: 'pending',
  approved: 'approved',
  denied: 'denied',
  expired: 'not sent',
  done: 'sent',
};

/** With `body` of a held request also all that would leave, which only the gateway has: it comes in parts. */
async function wholeBody(
  client: ControlClient,
  approval: string,
  body: boolean,
): Promise<RequestWhole | QuestionWhole> {
  const one = await client.call<ApprovalShown | QuestionWhole>('approval_show', { approval });
  if (!body || 'kind' in one) return one;
  const parts: string[] = [];
  for (let from: number | null = 0; from !== null; ) {
    const part: BodyPart = await client.call('approval_body', { approval, from });
    parts.push(part.text);
    from = part.next;
  }
  return { ...one, body: parts.join('') };
}

/** `body`: all of it, where that was asked for. */
type RequestWhole = ApprovalShown & { body?: string };

function show(one: RequestWhole | QuestionWhole, io: Io): number {
  io.out(io.json ? JSON.stringify(one) : 'kind' in one ? wholeOf(one, io) : cardOf(one, io));
  return 0;
}

/** A question, and all that a yes would let in. */
export function wholeOf(one: QuestionWhole, io: Io): string {
  const { from, text, files, passes } = one;
  return [
    questionCard(one, io),
    `  ${one.message}, from ${printable(from)}`,
    ...text.split('\n').map(quoted),
    ...files.map((file) => `  with a file of ${fileFacts(file)} | ${printable(file.name)}`),
    ...(passes === null ? [] : ['  what it would pass on', ...passes.split('\n').map(quoted)]),
  ].join('\n');
}

/** Ours first, each in its place. Of what the agent wrote, every line has our mark before it. */
export function cardOf(one: RequestWhole, io: Io): string {
  const rows: [string, string][] = [
    ['method', one.method],
    ['host', one.host],
    ['path', one.path],
    ['rule of', `the service ${one.service}`],
    ['asked', `${when(one.created_ms)} by ${one.session}, until ${when(one.expires_ms)}`],
    ['body', `${one.body_bytes} bytes, SHA-256 ${one.body_sha256}`],
  ];
  const whole = one.body !== undefined || showsWhole(one);
  return [
    bold(io, `${one.id} of ${one.group}: ${stateOf(one)}`),
    ...rows.map(([name, text]) => `  ${name.padEnd(7)}  ${printable(text)}`),
    '  its headers',
    ...one.headers.map(quoted),
    whole ? '  its whole body' : `  the beginning of its body; ./glass approval show ${one.id} --body prints all of it`,
    quoted(one.body ?? one.preview),
  ].join('\n');
}

/** Cut before the terminal would: a line that it begins by itself could look like one of ours. */
function quoted(text: string): string {
  const columns = Math.max(COLUMNS_MIN, (process.stdout.columns ?? COLUMNS) - MARK.length);
  const lines = [''];
  let used = 0;
  for (const c of text) {
    const width = c.codePointAt(0)! < WIDE_FROM ? 1 : 2;
    if (used + width > columns) lines.push('');
    used = lines.at(-1) === '' ? width : used + width;
    lines.push(lines.pop() + c);
  }
  return lines.map((line) => MARK + printable(line)).join('\n');
}

const MARK = '  | ';
const COLUMNS = 80;
const COLUMNS_MIN = 20;
/** From here on a character may take two columns. */
const WIDE_FROM = 0x1100;

function decided(one: Shown, io: Io): number {
  if (io.json) io.out(JSON.stringify(one));
  else if ('kind' in one) io.out(questionCard(one, io));
  else io.out(`${one.id}: ${one.method} ${printable(`${one.host}${one.path}`)}: ${stateOf(one)}`);
  return 0;
}

function stateOf({ state, reason, decided_by }: ApprovalShown): string {
  const by = decided_by === null ? '' : ` by ${printable(decided_by)}`;
  const why = reason === '' ? '' : `: ${printable(reason)}`;
  return state === 'done' ? `approved${by}, and sent` : `${WORDS[state]}${by}${why}`;
}

function when(ms: number): string {
  return new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
}
