import { userInfo } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { PAIRING_MS } from '../base/limits/talk.ts';
import type { ChannelKind } from '../channels/kind.ts';
import type { PersonShown } from '../ledger/people.ts';
import type { ChannelShown } from '../operations/channels.ts';
import type { PairingShown } from '../operations/people.ts';
import type { Given } from './channel_settings.ts';
import type { ControlClient } from './control_client.ts';
import { type Input, readShown } from './hidden.ts';
import { bold, type Io, printable } from './io.ts';

/** Whoever adds a channel is made known there: by a code in a direct chat, or where there are none by who they say they are. Returns whether somebody who decides is. */
export async function knowOwner(
  client: ControlClient,
  kind: ChannelKind,
  channel: string,
  input: Input,
  io: Io,
): Promise<boolean> {
  if (await decidesThere(client, channel)) return true;
  return kind.person === undefined
    ? pairOwner(client, channel, io)
    : nameOwner(client, kind.person, channel, input, io);
}

/** The chat in which the channel is tried, where nobody can be written to alone; null: none is named. */
export async function chatToTry(kind: ChannelKind, settings: Given, input: Input): Promise<string | null> {
  const { no_direct } = kind.capabilities(settings);
  const said = await readShown(
    input,
    `where it is to be tried, as ${no_direct}: others read it too (Enter: nowhere): `,
  );
  return said === '' ? null : said;
}

async function nameOwner(
  client: ControlClient,
  { prompt, looks }: NonNullable<ChannelKind['person']>,
  channel: string,
  input: Input,
  io: Io,
): Promise<boolean> {
  io.out('Now it is to know you.');
  for (;;) {
    const handle = await readShown(input, `${prompt} (Enter: nobody): `);
    if (handle === '') {
      io.err(`Later: ./glass people add <name> ${channel} <id> --role owner`);
      return false;
    }
    if (looks?.like.test(handle) === false) {
      process.stderr.write(`${looks.hint}\n`);
      continue;
    }
    const person = { name: userInfo().username, identity: { channel, handle }, role: 'owner' };
    const { id, name } = await client.call<PersonShown>('person_add', person);
    io.out(`${printable(name)} is ${id}, an owner.`);
    return true;
  }
}

/** Until somebody who decides is known there, or the code is over. */
async function pairOwner(client: ControlClient, channel: string, io: Io): Promise<boolean> {
  const connected = async (): Promise<ChannelShown> => client.call<ChannelShown>('channel_show', { name: channel });
  for (let left = 60; left > 0 && (await connected()).state !== 'connected'; left -= 1) await sleep(500);
  if ((await connected()).state !== 'connected') return false; // the test that follows says why
  const pairing = await client.call<PairingShown>('pair', { channel, person: null, role: null, group: '' });
  io.out(`Now it is to know you. In a direct chat with the bot, send:  ${bold(io, `pair ${pairing.code}`)}`);
  if (pairing.link !== null) io.out(`or open  ${printable(pairing.link)}`);
  for (const until = Date.now() + PAIRING_MS; Date.now() < until; await sleep(1000))
    if (await decidesThere(client, channel)) return true;
  io.err(`Nobody came. Later: ./glass pair ${channel}`);
  return false;
}

async function decidesThere(client: ControlClient, channel: string): Promise<boolean> {
  const { people } = await client.call<{ people: PersonShown[] }>('people');
  return people.some(
    ({ roles, identities }) =>
      roles.some(({ role }) => role !== 'member') && identities.some((identity) => identity.channel === channel),
  );
}
