import { z } from 'zod';
import { nameSchema } from '../../base/config.ts';
import { NAME_CHARS_MAX } from '../../base/limits/messages.ts';
import { NOTHING, type Operation, value } from './operation.ts';

const person = z.string().regex(/^p\d{1,15}$/, 'must be a person such as p3');
const channel = z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'must be the name of a channel');
const handle = z.string().min(1).max(NAME_CHARS_MAX);
const role = z.enum(['owner', 'admin', 'member']);
/** `''`: every group. */
const group = nameSchema.or(z.literal('')).default('');

const INPUTS = {
  person: z.strictObject({ person }),
  add: z.strictObject({
    name: z.string().trim().min(1).max(NAME_CHARS_MAX),
    identity: z.strictObject({ channel, handle }).nullable().default(null),
    role: role.nullable().default(null),
    group,
  }),
  identity: z.strictObject({ person, channel, handle }),
  role: z.strictObject({ person, role, group, take: z.boolean().default(false) }),
  pair: z.strictObject({
    channel,
    person: person.nullable().default(null),
    role: role.nullable().default(null),
    group,
    chat: z.boolean().default(false),
  }),
};

/** Who may talk, and who decides. */
export const PEOPLE: readonly Operation[] = [
  {
    name: 'people',
    summary: 'everybody who is known, with roles and identities',
    input: NOTHING,
    handle: async ({ people }) => value({ people: people.list() }),
  },
  {
    name: 'person_show',
    summary: 'one person',
    input: INPUTS.person,
    handle: async ({ people }, input: z.infer<typeof INPUTS.person>) => value(people.show(input.person)),
  },
  {
    name: 'person_add',
    summary: 'a new person, with an identity and a role if they are given',
    input: INPUTS.add,
    handle: async ({ people }, input: z.infer<typeof INPUTS.add>) =>
      value(await people.add(input.name, input.identity, input.role, input.group)),
  },
  {
    name: 'person_link',
    summary: 'one more identity of a person',
    input: INPUTS.identity,
    handle: async ({ people }, input: z.infer<typeof INPUTS.identity>) => value(await people.link(input.person, input)),
  },
  {
    name: 'person_unlink',
    summary: 'an identity that is no longer theirs',
    input: INPUTS.identity,
    handle: async ({ people }, input: z.infer<typeof INPUTS.identity>) =>
      value(await people.unlink(input.person, input)),
  },
  {
    name: 'person_role',
    summary: 'give a person a role, or take it',
    input: INPUTS.role,
    handle: async ({ people }, input: z.infer<typeof INPUTS.role>) =>
      value(await people.role(input.person, input.role, input.group, input.take)),
  },
  {
    name: 'person_remove',
    summary: 'a person loses every identity and role',
    input: INPUTS.person,
    handle: async ({ people }, input: z.infer<typeof INPUTS.person>) => value(await people.remove(input.person)),
  },
  {
    name: 'pair',
    summary:
      'a code, once, for ten minutes: whoever sends it in a direct chat is a person, or a group answers in a chat',
    input: INPUTS.pair,
    handle: async ({ people }, input: z.infer<typeof INPUTS.pair>) => value(await people.pair(input.channel, input)),
  },
];
