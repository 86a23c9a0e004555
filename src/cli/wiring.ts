import { OperatingError } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';
import type { UnwiredShown, WiringShown, WouldAnswer } from '../operations/wirings.ts';
import { ControlClient } from './control_client.ts';
import { bold, dim, type Io, printable } from './io.ts';
import { split } from './words.ts';

/** `glass wiring …`: which group answers in which chat, when, and whom. `test` exits with 1 when nobody would answer. */
const USAGE =
  'usage: glass wiring list [<chat>] | set <chat> <group> [--engage always|mention|mention-sticky|pattern:<p>] [--context drop|accumulate] [--senders anyone|admins|<p,p>] [--session thread|chat|group] | remove <chat> <group> | policy <chat> strict|ask|public | test <chat> <text> [--as <p>] [--thread <t>] [--mention]';

export async function wiring(args: string[], paths: Paths, io: Io): Promise<number> {
  const valued = ['engage', 'context', 'senders', 'session', 'as', 'thread'];
  const { words, values, flags } = split(args, valued, ['mention'], USAGE);
  const [verb, chat, second, ...more] = words;
  const client = new ControlClient(paths.controlSocket);
  try {
    if (more.length > 0) throw new OperatingError('usage', USAGE);
    switch (verb) {
      case 'list':
        return list(await client.call<Listed>('wirings', { chat: chat ?? null }), io);
      case 'set': {
        const { engage, context, senders, session } = values;
        const input = { chat, group: second, ...engageOf(engage), context, senders, session };
        return shown(await client.call<WiringShown>('wiring_set', input), io);
      }
      case 'remove':
        return said(
          await client.call<object>('wiring_remove', { chat, group: second }),
          `${second} answers in ${chat} no more`,
          io,
        );
      case 'policy':
        return said(await client.call<object>('wiring_policy', { chat, policy: second }), `${chat}: ${second}`, io);
      case 'test': {
        const input = { chat, text: second, as: values['as'] ?? null, thread: values['thread'] ?? '' };
        return tested(await client.call<WouldAnswer>('wiring_test', { ...input, addressed: flags.has('mention') }), io);
      }
      default:
        throw new OperatingError('usage', USAGE);
    }
  } finally {
    client.close();
  }
}

function engageOf(given: string | undefined): object {
  if (given === undefined) return {};
  return given.startsWith('pattern:')
    ? { engage: 'pattern', pattern: given.slice('pattern:'.length) }
    : { engage: given };
}

interface Listed {
  wirings: WiringShown[];
  unwired: UnwiredShown[];
}

function list(listed: Listed, io: Io): number {
  const { wirings, unwired } = listed;
  if (io.json) io.out(JSON.stringify(listed));
  else if (wirings.length + unwired.length === 0) io.out('no group answers there');
  else {
    for (const one of wirings) io.out(line(one, io));
    for (const { chat, title, policy } of unwired)
      io.out(`${placed(chat, title)}  ${dim(io, `no group answers, strangers ${policy}`)}`);
  }
  return 0;
}

function placed(chat: string, title: string): string {
  return printable(title === '' || chat.endsWith(`:${title}`) ? chat : `${chat} "${title}"`);
}

function shown(one: WiringShown, io: Io): number {
  io.out(io.json ? JSON.stringify(one) : line(one, io));
  return 0;
}

function line({ chat, title, group, engage, context, senders, session, policy }: WiringShown, io: Io): string {
  const rest = `engage ${engage}, context ${context}, senders ${senders}, a session for each ${session}, strangers ${policy}`;
  return `${placed(chat, title)}  ${bold(io, group)}  ${dim(io, printable(rest))}`;
}

function said(answer: object, words: string, io: Io): number {
  io.out(io.json ? JSON.stringify(answer) : printable(words));
  return 0;
}

const WORDS: Record<WouldAnswer['would'], string> = {
  answer: 'would be answered',
  ask: 'would wait',
  wait: 'would wait',
  refuse: 'would be refused',
  ignore: 'would be ignored',
  host: 'would be answered by the host itself',
};

function tested(found: WouldAnswer, io: Io): number {
  if (io.json) io.out(JSON.stringify(found));
  else {
    const by = found.groups.length === 0 ? '' : ` by ${found.groups.join(', ')}`;
    io.out(`${bold(io, `${WORDS[found.would]}${by}`)}: ${printable(found.rule)}`);
    for (const { group, engage, heard, engages } of found.wirings) {
      const why = heard ? (engages ? 'answers' : 'does not engage') : 'does not listen to this sender';
      io.out(`  ${group}  ${printable(engage)}: ${why}`);
    }
    if (found.kept.length > 0) io.out(`  kept for the next turn of ${found.kept.join(', ')}`);
  }
  return found.would === 'answer' || found.would === 'host' ? 0 : 1;
}
