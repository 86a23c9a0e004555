import { parseArgs } from 'node:util';
import type { Change } from '../authority/difference.ts';
import { type ErrorCode, OperatingError } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';
import type { GroupShown, Plan } from '../operations/groups.ts';
import type { Step, TemplateShown } from '../operations/templates.ts';
import { confirmed } from './confirm.ts';
import { ControlClient } from './control_client.ts';
import { bold, dim, type Io, printable, red } from './io.ts';
import { accountWords } from './words.ts';

/**
 * `glass group list|templates|new|show|plan|apply`. `apply` shows the difference, asks, and puts exactly that in force; `--yes` does
 * not ask, `--hash` applies only the object that an earlier `plan` named.
 */
const USAGE =
  'usage: glass group list | templates | new <name> [--template <t>] [--set <parameter>=<value>]… [--to <channel:chat>] | show <name> | plan <name> | apply <name> [--yes] [--hash <hash>]';

export async function group(args: string[], paths: Paths, io: Io): Promise<number> {
  const { verb, name, hash, yes, fresh } = readArguments(args);
  const client = new ControlClient(paths.controlSocket);
  try {
    switch (verb) {
      case 'list':
        return list(await client.call<{ groups: GroupShown[] }>('groups'), io);
      case 'show':
        return show(await client.call<GroupShown>('group_show', { group: name }), io);
      case 'plan':
        return printPlan(await client.call<Plan>('group_plan', { group: name }), io);
      case 'new':
        return made(await client.call<Made>('group_new', { group: name, ...fresh }), paths, io);
      case 'templates':
        return printTemplates(await client.call<{ templates: TemplateShown[] }>('templates'), io);
      case 'apply':
        return await apply(client, name!, hash, yes, io);
      default:
        throw new OperatingError('usage', USAGE);
    }
  } finally {
    client.close();
  }
}

interface Arguments {
  verb: string | undefined;
  name: string | undefined;
  hash: string | null;
  yes: boolean;
  /** Of `new`: what is not said is left out. */
  fresh: { template?: string; set?: Record<string, string>; to?: string };
}

const OPTIONS = {
  yes: { type: 'boolean', default: false },
  hash: { type: 'string' },
  template: { type: 'string' },
  set: { type: 'string', multiple: true },
  to: { type: 'string' },
} as const;

function readArguments(args: string[]): Arguments {
  const { yes, hash = null, set, words, ...fresh } = parsed(args);
  const [verb, name, ...more] = words;
  const bare = verb === 'list' || verb === 'templates' ? name === undefined : name !== undefined;
  const isFresh = set !== undefined || Object.keys(fresh).length > 0;
  if (!bare || more.length > 0 || ((yes || hash !== null) && verb !== 'apply') || (isFresh && verb !== 'new'))
    throw new OperatingError('usage', USAGE);
  return { verb, name, hash, yes, fresh: { ...fresh, ...(set === undefined ? {} : { set: settings(set) }) } };
}

function parsed(args: string[]) {
  try {
    const { values, positionals } = parseArgs({ args, options: OPTIONS, allowPositionals: true, strict: true });
    return { ...values, words: positionals };
  } catch {
    throw new OperatingError('usage', USAGE);
  }
}

/** `repo=acme/app`, each once. */
function settings(given: string[]): Record<string, string> {
  const pairs = given.map((text) => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)] as const);
  if (given.some((text) => text.indexOf('=') < 1))
    throw new OperatingError('usage', 'a parameter is given as --set <parameter>=<value>, such as --set repo=acme/app');
  if (new Set(pairs.map(([name]) => name)).size < pairs.length)
    throw new OperatingError('usage', 'a parameter is given twice', 'give each --set once');
  return Object.fromEntries(pairs);
}

function list({ groups }: { groups: GroupShown[] }, io: Io): number {
  if (io.json) io.out(JSON.stringify({ groups }));
  else {
    for (const { group, in_force, edited } of groups) {
      const state = in_force === null ? red(io, 'nothing in force') : `in force since ${when(in_force.applied_ms)}`;
      io.out(`${group.padEnd(31)}  ${state}${edited === null ? '' : `; ${printable(edited)}`}`);
    }
  }
  return 0;
}

function show(shown: GroupShown, io: Io): number {
  if (io.json) {
    io.out(JSON.stringify(shown));
    return 0;
  }
  const { in_force } = shown;
  io.out(bold(io, shown.group));
  io.out(
    in_force === null
      ? red(io, '  nothing is in force')
      : `  in force since ${when(in_force.applied_ms)}, applied by ${printable(in_force.applied_by)}, ${in_force.hash.slice(0, 12)}`,
  );
  if (shown.image !== null) io.out(`  programs from ${printable(shown.image)}`);
  io.out(`  account on the host: ${accountWords(shown)}`);
  for (const { name, words } of shown.capabilities) io.out(`  ${name.padEnd(18)}  ${printable(words)}`);
  printControls(shown.controls, io);
  if (shown.edited !== null) io.out(red(io, `  ${printable(shown.edited)}`));
  return 0;
}

function printPlan(plan: Plan, io: Io): number {
  if (io.json) io.out(JSON.stringify(plan));
  else describe(plan, io);
  return 0;
}

function describe(plan: Plan, io: Io): void {
  if (plan.changes.length === 0) io.out(`${plan.group}: nothing would change`);
  else io.out(bold(io, `${plan.group}: ${plan.in_force === null ? 'nothing is in force yet' : 'what would change'}`));
  for (const change of plan.changes) io.out(`  ${changeLine(change, io)}`);
  printControls(plan.controls, io);
  io.out(dim(io, `  hash ${plan.hash}`));
}

/** A change as one line. */
export function changeLine({ kind, words }: Change, io: Io): string {
  const text = `${`${kind}:`.padEnd(8)} ${printable(words)}`;
  return kind === 'loses' ? dim(io, text) : text;
}

function printControls(controls: Plan['controls'], io: Io): void {
  const weak = controls.filter((control) => control.state !== 'enforced');
  const strong = controls.filter((control) => control.state === 'enforced').map((control) => control.name);
  if (strong.length > 0) io.out(`  ${'enforced here'.padEnd(18)}  ${strong.join(', ')}`);
  for (const { name, state, reason } of weak) io.out(`  ${`${state} here`.padEnd(18)}  ${name}: ${reason}`);
}

type Made = Plan & { template: string; steps: Step[] };

/** What comes next, ready to be pasted. */
function made(plan: Made, paths: Paths, io: Io): number {
  if (io.json) {
    io.out(JSON.stringify(plan));
    return 0;
  }
  const { folder, yaml } = paths.group(plan.group);
  if (plan.steps.length === 1) {
    io.out(`${yaml} is made. Edit it, then: ./glass group apply ${plan.group}`);
    return 0;
  }
  io.out(`${folder} is made from the template ${plan.template}; nothing of it is in force yet. Next:`);
  plan.steps.forEach(({ about, command }, at) => {
    io.out(`  ${at + 1}. ${printable(about)}${command === null ? '' : ':'}`);
    if (command !== null) io.out(bold(io, `     ${command}`));
  });
  return 0;
}

function printTemplates({ templates }: { templates: TemplateShown[] }, io: Io): number {
  if (io.json) io.out(JSON.stringify({ templates }));
  else {
    for (const { template, summary, parameters, needs, chat } of templates) {
      io.out(`${bold(io, template.padEnd(17))}  ${printable(summary)}`);
      for (const { name, about, example, default: value } of parameters)
        io.out(`    --set ${name}=${example}  ${about}${value === null ? '' : ` (else ${value})`}`);
      if (chat !== null) io.out(dim(io, `    speaks in ${chat}`));
      if (needs.length > 0) io.out(dim(io, `    uses ${needs.join(', ')} in the sandbox`));
    }
  }
  return 0;
}

async function apply(client: ControlClient, name: string, hash: string | null, yes: boolean, io: Io): Promise<number> {
  const plan = await client.call<Plan>('group_plan', { group: name });
  if (hash !== null && hash !== plan.hash)
    throw new OperatingError(
      'conflict',
      `groups/${name}/group.yaml is not what that hash was shown for`,
      `glass group plan ${name}`,
    );
  if (!io.json) describe(plan, io);
  if (plan.changes.length === 0 && plan.hash === plan.in_force && hash === null && !yes) {
    if (io.json) io.out(JSON.stringify({ ...plan, applied: false }));
    return 0;
  }
  if (!yes && hash === null && !(await confirmed(`Put this in force for ${name}?`, '--yes')))
    throw new OperatingError('refused', 'nothing was applied');
  if (plan.image) await prepare(client, name, io);
  const applied = await client.call<Plan>('group_apply', { group: name, hash: plan.hash });
  if (io.json) io.out(JSON.stringify({ ...applied, applied: true }));
  else io.out(`${name}: in force. A sandbox that runs keeps what it started with until its next start.`);
  return 0;
}

/** The image, with progress. A failure is the stream's last line. */
async function prepare(client: ControlClient, group: string, io: Io): Promise<void> {
  let failure: OperatingError | null = null;
  await client.stream('group_image', { group }, (row) => {
    if (row['t'] === 'progress') io.err(`  ${printable(String(row['text']))}`);
    const error = row['error'] as { code: ErrorCode; message: string; fix?: string } | undefined;
    if (error !== undefined) failure = new OperatingError(error.code, error.message, error.fix);
  });
  if (failure !== null) throw failure;
}

function when(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
}
