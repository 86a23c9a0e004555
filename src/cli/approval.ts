import type { ApprovalShown } from '../approvals/approvals.ts';
import { OperatingError } from '../base/errors.ts';
import { APPROVAL_PREVIEW_BYTES_MAX } from '../base/limits/gateway.ts';
import type { Paths } from '../base/paths.ts';
import { ControlClient } from './control_client.ts';
import { bold, type Io, printable, red } from './io.ts';

/**
 * `glass approval list|show|approve|deny`: requests that wait for a person. Exit code 4 for an unknown one, 5 for one that does
 * not wait any more or was approved and not sent all the same.
 */
const USAGE = 'usage: glass approval list | show <id> | approve <id> | deny <id> [--reason <text>]';

export async function approval(args: string[], paths: Paths, io: Io): Promise<number> {
  const { verb, id, reason } = readArguments(args);
  const client = new ControlClient(paths.controlSocket);
  try {
    switch (verb) {
      case 'list':
        return list(await client.call<{ approvals: ApprovalShown[] }>('approvals'), io);
      case 'show':
        return show(await client.call<ApprovalShown>('approval_show', { approval: id }), io);
      case 'approve':
      case 'deny': {
        const decision = { approval: id, allow: verb === 'approve', reason };
        return decided(await client.call<ApprovalShown>('approval_decide', decision), io);
      }
      default:
        throw new OperatingError('usage', USAGE);
    }
  } finally {
    client.close();
  }
}

function readArguments(args: string[]): { verb: string | undefined; id: string | undefined; reason: string } {
  const at = args.indexOf('--reason');
  const reason = at === -1 ? '' : args[at + 1];
  const [verb, id, ...more] = args.filter((_, i) => at === -1 || (i !== at && i !== at + 1));
  const bare = verb === 'list' ? id === undefined : id !== undefined;
  if (!bare || more.length > 0 || reason === undefined || (at !== -1 && verb !== 'deny'))
    throw new OperatingError('usage', USAGE);
  return { verb, id, reason };
}

function list({ approvals }: { approvals: ApprovalShown[] }, io: Io): number {
  if (io.json) io.out(JSON.stringify({ approvals }));
  else if (approvals.length === 0) io.out('nothing waits for approval, and nothing ever did');
  else for (const one of approvals) io.out(line(one, io));
  return 0;
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

function show(one: ApprovalShown, io: Io): number {
  io.out(io.json ? JSON.stringify(one) : cardOf(one, io));
  return 0;
}

/** Ours first, each in its place. Of what the agent wrote, every line has our mark before it. */
export function cardOf(one: ApprovalShown, io: Io): string {
  const rows: [string, string][] = [
    ['method', one.method],
    ['host', one.host],
    ['path', one.path],
    ['rule of', `the service ${one.service}`],
    ['asked', `${when(one.created_ms)} by ${one.session}, until ${when(one.expires_ms)}`],
    ['body', `${one.body_bytes} bytes, SHA-256 ${one.body_sha256}`],
  ];
  const cut = one.body_bytes > APPROVAL_PREVIEW_BYTES_MAX;
  return [
    bold(io, `${one.id} of ${one.group}: ${stateOf(one)}`),
    ...rows.map(([name, text]) => `  ${name.padEnd(7)}  ${printable(text)}`),
    '  its headers',
    ...one.headers.map(quoted),
    cut ? `  the first ${APPROVAL_PREVIEW_BYTES_MAX} bytes of its body; the rest leaves unseen` : '  its whole body',
    quoted(one.preview),
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

function decided(one: ApprovalShown, io: Io): number {
  if (io.json) io.out(JSON.stringify(one));
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
