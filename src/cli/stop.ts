import { OperatingError } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';
import { endText, type Resumed, resumedText, type StopReceipt } from '../operations/stop_words.ts';
import { ControlClient } from './control_client.ts';
import { bold, type Io, printable, red } from './io.ts';
import { split } from './words.ts';

/** `glass stop`: everything, or one group, at once. Exit code 0: nothing can leave; 1: that is not certain. */
const STOP_USAGE = 'usage: glass stop [<group> | --all]';
const RESUME_USAGE = 'usage: glass resume <group> | --all [--drop-held]';

export async function stop(args: string[], paths: Paths, io: Io): Promise<number> {
  const { words, flags } = split(args, [], ['all'], STOP_USAGE);
  if (words.length > 1 || (words.length === 1 && flags.has('all'))) throw new OperatingError('usage', STOP_USAGE);
  // Who types no more than that is in a hurry.
  const receipt = await call<StopReceipt>(paths, 'group_stop', { group: words[0] ?? null });
  io.out(io.json ? JSON.stringify(receipt) : receiptText(receipt, io));
  return receipt.ms === null ? 1 : 0;
}

/** `glass resume`: says which; nothing goes on by mistake. */
export async function resume(args: string[], paths: Paths, io: Io): Promise<number> {
  const { words, flags } = split(args, [], ['all', 'drop-held'], RESUME_USAGE);
  if (words.length + (flags.has('all') ? 1 : 0) !== 1) throw new OperatingError('usage', RESUME_USAGE);
  const input = { group: words[0] ?? null, drop_held: flags.has('drop-held') };
  const resumed = await call<Resumed>(paths, 'group_resume', input);
  io.out(io.json ? JSON.stringify(resumed) : printable(resumedText(resumed)));
  return 0;
}

async function call<T>(paths: Paths, operation: string, input: object): Promise<T> {
  const client = new ControlClient(paths.controlSocket);
  try {
    return await client.call<T>(operation, input);
  } catch (error) {
    if (error instanceof OperatingError && error.code === 'unavailable')
      throw new OperatingError(
        'unavailable',
        `${error.message}: without its host nothing of it runs`,
        'start it with ./glass up --safe, say this again, then ./glass down and ./glass up',
      );
    throw error;
  } finally {
    client.close();
  }
}

function receiptText(receipt: StopReceipt, io: Io): string {
  const { group, by, stopped_ms, again, turns, held, waiting, last_message, last_request } = receipt;
  const who = group === null ? 'Every group is' : `${group} is`;
  const rows: [name: string, text: string, alarming?: boolean][] = [
    ['at once', endText(receipt), receipt.ms === null],
    ['turns', turns.length === 0 ? 'none was running' : `${turns.join(', ')} cancelled: ./glass trace latest`],
    ...receipt.cut.map(({ session, method, host, path }): [string, string, boolean] => [
      'cut',
      `${session} ${method} ${host}${path}: what it has done there is not known`,
      true,
    ]),
    ...receipt.sending.map(({ message, to }): [string, string, boolean] => [
      'in flight',
      `${message} to ${to} may arrive`,
      true,
    ]),
    [
      'last',
      last_message === null
        ? 'it has sent no message'
        : `message ${last_message.message} to ${last_message.to}, ${utc(last_message.at_ms)}`,
    ],
    [
      'last',
      last_request === null
        ? 'no request was let out within a day, or the gateway does not say'
        : `request ${last_request.call} of ${last_request.session}, ${utc(last_request.at_ms)}${last_request.ended ? '' : ', not ended'}`,
    ],
    ['held', `${held} texts; they leave with the resume, or never: --drop-held`],
    ['waiting', `${waiting} messages; they are handled after the resume`],
  ];
  const head = bold(io, `${who} stopped${again ? ' already' : ''}: by ${printable(by)}, ${utc(stopped_ms)}`);
  const next = `Let it go on: ./glass resume ${group ?? '--all'}`;
  const shown = rows.map(([name, text, alarming]) => {
    const line = printable(text);
    return `  ${name.padEnd(9)} ${alarming === true ? red(io, line) : line}`;
  });
  return [head, ...shown, next].join('\n');
}

function utc(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}
