import { OperatingError } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';
import type { RunShown, TaskShown } from '../scheduler/tasks.ts';
import { ControlClient } from './control_client.ts';
import { bold, dim, type Io, printable } from './io.ts';
import { split } from './words.ts';

/** `glass task …`: what is asked at its time, by nobody at the keyboard. */
const USAGE =
  'usage: glass task list [<group>] | add <group> --to <chat> --when <time> [--zone <zone>] [--gate <script>] [--catch-up skip|once|all] [--here] <text> | log <k3> | run <k3> | pause <k3> | resume <k3> | remove <k3>';

export async function task(args: string[], paths: Paths, io: Io): Promise<number> {
  const { words, values, flags } = split(args, ['to', 'when', 'zone', 'gate', 'catch-up'], ['here'], USAGE);
  const [verb, first, ...more] = words;
  const client = new ControlClient(paths.controlSocket);
  try {
    switch (verb) {
      case 'list': {
        const { tasks } = await client.call<{ tasks: TaskShown[] }>('tasks', { group: first ?? null });
        io.out(io.json ? JSON.stringify({ tasks }) : tasks.map((one) => line(one, io)).join('\n') || 'no tasks');
        return 0;
      }
      case 'add': {
        const { to, when, zone, gate } = values;
        if (first === undefined || to === undefined || when === undefined || more.length === 0)
          throw new OperatingError('usage', USAGE);
        const asked = { group: first, to, when, zone, gate, catch_up: values['catch-up'], here: flags.has('here') };
        return shown(await client.call<TaskShown>('task_add', { ...asked, text: more.join(' ') }), io);
      }
      case 'log':
        return log(await client.call<Logged>('task_log', { task: needed(first) }), io);
      case 'run': {
        const started = await client.call<{ task: string; message: string }>('task_run', { task: needed(first) });
        const { message } = started;
        io.out(io.json ? JSON.stringify(started) : `${started.task} runs as ${message}: ./glass trace ${message}`);
        return 0;
      }
      case 'pause':
      case 'resume':
      case 'remove':
        return shown(await client.call<TaskShown>('task_change', { task: needed(first), what: verb }), io);
      default:
        throw new OperatingError('usage', USAGE);
    }
  } finally {
    client.close();
  }
}

interface Logged {
  task: TaskShown;
  runs: RunShown[];
}

function needed(word: string | undefined): string {
  if (word === undefined) throw new OperatingError('usage', USAGE);
  return word;
}

function shown(one: TaskShown, io: Io): number {
  io.out(io.json ? JSON.stringify(one) : line(one, io));
  return 0;
}

function line(one: TaskShown, io: Io): string {
  const { task, group, to, when, zone, text, state, reason, next, failures } = one;
  const time = state === 'active' ? `next ${next}` : `${state}${reason === '' ? '' : `: ${reason}`}`;
  const failed = failures === 0 ? '' : `, failed ${failures} times`;
  const head = `${bold(io, task)}  ${group} → ${printable(to)}  ${printable(when)} (${printable(zone)}), ${printable(time)}${failed}`;
  return `${head}\n    ${dim(io, printable(shortened(text)))}`;
}

function shortened(text: string): string {
  const flat = text.replaceAll('\n', ' ⏎ ');
  return flat.length <= 100 ? flat : `${flat.slice(0, 99)}…`;
}

function log(logged: Logged, io: Io): number {
  if (io.json) io.out(JSON.stringify(logged));
  else {
    io.out(line(logged.task, io));
    for (const { due, state, reason, message, ms } of logged.runs) {
      const took = ms === null ? '' : ` in ${(ms / 1000).toFixed(1)} s`;
      io.out(
        `  ${due}  ${state}${message === null ? '' : `${took}, ${message}`}${reason === '' ? '' : `: ${printable(reason)}`}`,
      );
    }
  }
  return 0;
}
