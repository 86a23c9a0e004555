import { OperatingError } from '../base/errors.ts';
import type { Paths } from '../base/paths.ts';
import type { PersonShown } from '../ledger/people.ts';
import { ControlClient } from './control_client.ts';
import { type Io, printable } from './io.ts';
import { split } from './words.ts';

/** `glass people …`: who may talk, as whom, and who decides. Exit code 4 for an unknown one, 5 for what would leave no owner. */
const USAGE =
  'usage: glass people list | show <p> | add <name> [<channel> <handle>] [--role r] [--group g] | link|unlink <p> <channel> <handle> | role <p> <role> [--group g] [--take] | remove <p>';

export async function people(args: string[], paths: Paths, io: Io): Promise<number> {
  const { words, values, flags } = split(args, ['role', 'group'], ['take'], USAGE);
  const [verb, ...rest] = words;
  const { role = null, group = '' } = values;
  const [first, second, third] = rest;
  const client = new ControlClient(paths.controlSocket);
  const takes = (...counts: number[]): void => {
    if (!counts.includes(rest.length)) throw new OperatingError('usage', USAGE);
  };
  try {
    switch (verb) {
      case 'list':
        takes(0);
        return list(await client.call<{ people: PersonShown[] }>('people'), io);
      case 'show':
        takes(1);
        return show(await client.call<PersonShown>('person_show', { person: first }), io);
      case 'add': {
        takes(1, 3);
        const identity = second === undefined ? null : { channel: second, handle: third };
        return show(await client.call<PersonShown>('person_add', { name: first, identity, role, group }), io);
      }
      case 'link':
      case 'unlink':
        takes(3);
        return show(
          await client.call<PersonShown>(`person_${verb}`, { person: first, channel: second, handle: third }),
          io,
        );
      case 'role':
        takes(2);
        return show(
          await client.call<PersonShown>('person_role', {
            person: first,
            role: second,
            group,
            take: flags.has('take'),
          }),
          io,
        );
      case 'remove':
        takes(1);
        await client.call<PersonShown>('person_remove', { person: first });
        io.out(io.json ? JSON.stringify({ removed: first }) : `${first}: removed`);
        return 0;
      default:
        throw new OperatingError('usage', USAGE);
    }
  } finally {
    client.close();
  }
}

function list({ people: all }: { people: PersonShown[] }, io: Io): number {
  if (io.json) io.out(JSON.stringify({ people: all }));
  else for (const person of all) io.out(line(person));
  return 0;
}

function show(person: PersonShown, io: Io): number {
  io.out(io.json ? JSON.stringify(person) : line(person));
  return 0;
}

function line({ id, name, roles, identities }: PersonShown): string {
  const held = roles.map(({ role, group }) => (group === '' ? role : `${role} of ${group}`)).join(', ') || 'no role';
  const known = identities.map(({ channel, handle }) => `${channel}:${handle}`).join(', ') || 'no identity';
  return printable(`${id.padEnd(5)} ${name}  ${held}  ${known}`);
}
