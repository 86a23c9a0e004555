import { randomBytes } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { OperatingError } from '../base/errors.ts';
import { parseId, showId } from '../base/ids.ts';
import { PAIRING_CODE_CHARS, PAIRINGS_OPEN_MAX } from '../base/limits/talk.ts';
import type { Channel } from '../channels/channel.ts';
import type { Db } from '../ledger/db.ts';
import { recordEvent } from '../ledger/events.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { insertPairing, openPairings, type PairingTerms } from '../ledger/pairings.ts';
import {
  addPerson,
  addRole,
  hasOwner,
  identitiesOf,
  isLastOwner,
  link,
  type PersonShown,
  peopleShown,
  personOf,
  personShown,
  type Role,
  removePerson,
  removeRole,
  unlink,
} from '../ledger/people.ts';
import { chatCodesOf } from './chat_claims.ts';

/**
 * Who may talk: what the operator changes of people, each as an event with who and when. Every method that changes something
 * rejects with `OperatingError`, and then nothing has changed: `not_found`, `usage`, `conflict` for what would leave nobody to decide.
 */
export interface PeopleInput {
  ledger: Ledger;
  clock: Clock;
  channels: ReadonlyMap<string, Channel>;
  groups(): string[];
  defaultGroup: string;
  /** Who is the operator, in what is recorded. */
  by: string;
  /** Their key. */
  operator(): number;
}

export interface Identity {
  channel: string;
  handle: string;
}

export interface PairingAsked {
  person: string | null;
  role: Role | null;
  group: string;
  /** It is for a chat instead of a person. */
  chat?: boolean;
}

export interface PairingShown {
  channel: string;
  code: string;
  /** Opens the chat and sends the code, where the platform has that. */
  link: string | null;
  role: string;
  expires_ms: number;
}

/** Whoever can open the control socket. */
const OPERATORS = 'local';

export class People {
  readonly #input: PeopleInput;

  constructor(input: PeopleInput) {
    this.#input = input;
  }

  list(): PersonShown[] {
    return peopleShown(this.#input.ledger.db);
  }

  /** By `p3`. Throws `OperatingError('not_found')`. */
  show(id: string): PersonShown {
    return known(this.#input.ledger.db, id).shown;
  }

  add(name: string, identity: Identity | null, role: Role | null, group: string): Promise<PersonShown> {
    return this.#change((db, now) => {
      if (identity !== null) checkFree(db, identity, null);
      this.#checkRole(role, group);
      const person = addPerson(db, now, name);
      if (identity !== null) link(db, identity.channel, identity.handle, person);
      if (role !== null) addRole(db, person, role, group);
      return {
        person,
        changes: ['added', ...(identity === null ? [] : [`linked ${nameOf(identity)}`]), ...gains(role, group)],
      };
    });
  }

  link(id: string, identity: Identity): Promise<PersonShown> {
    return this.#change((db) => {
      const { person } = known(db, id);
      if (checkFree(db, identity, person)) return { person, changes: [] };
      link(db, identity.channel, identity.handle, person);
      return { person, changes: [`linked ${nameOf(identity)}`] };
    });
  }

  unlink(id: string, identity: Identity): Promise<PersonShown> {
    return this.#change((db) => {
      const { person, shown } = known(db, id);
      if (personOf(db, identity.channel, identity.handle) !== person)
        throw new OperatingError('not_found', `${shown.id} has no identity ${nameOf(identity)}`);
      if (identity.channel === OPERATORS)
        throw new OperatingError('conflict', `${shown.id} is the operator of this machine, whoever that is`);
      if (isLastOwner(db, person) && identitiesOf(db, person).length === 1)
        throw new OperatingError('conflict', `${shown.id} is the last owner, and would not be reached any more`);
      unlink(db, identity.channel, identity.handle);
      return { person, changes: [`unlinked ${nameOf(identity)}`] };
    });
  }

  role(id: string, role: Role, group: string, take: boolean): Promise<PersonShown> {
    return this.#change((db) => {
      const { person } = known(db, id);
      const words = roleWords(role, group);
      if (take) {
        if (role === 'owner') this.#checkStays(db, person);
        if (!removeRole(db, person, role, group)) throw new OperatingError('not_found', `${id} is not ${words}`);
        return { person, changes: [`loses ${words}`] };
      }
      this.#checkRole(role, group);
      return { person, changes: addRole(db, person, role, group) ? [`gains ${words}`] : [] };
    });
  }

  remove(id: string): Promise<PersonShown> {
    return this.#change((db, now) => {
      const { person } = known(db, id);
      this.#checkStays(db, person);
      removePerson(db, now, person);
      return { person, changes: ['removed'] };
    });
  }

  /**
   * A code, once and for ten minutes. Without `person` and `role` it makes the first owner of a channel that has none; with `chat` it
   * gives the chat where an admin of the group says it to that group.
   */
  async pair(channel: string, asked: PairingAsked): Promise<PairingShown> {
    const { ledger, clock, channels, defaultGroup, by } = this.#input;
    const driver = channels.get(channel);
    if (driver === undefined)
      throw new OperatingError('not_found', `there is no channel ${channel}`, 'glass status lists them');
    if (channel === OPERATORS)
      throw new OperatingError(
        'usage',
        'the channel local is for whoever can open the control socket: nobody pairs there',
      );
    if (driver.capabilities.no_direct !== undefined && asked.chat !== true)
      throw new OperatingError(
        'usage',
        `${channel} has no direct chats, and what is said there is no place for a code`,
        `add them by hand: glass people add <name> ${channel} <id> --role owner`,
      );
    const bytes = [...randomBytes(PAIRING_CODE_CHARS)];
    const code = bytes.map((byte) => ALPHABET[byte % ALPHABET.length]).join('');
    const shown = `${code.slice(0, PAIRING_CODE_CHARS / 2)}-${code.slice(PAIRING_CODE_CHARS / 2)}`;
    const made = await ledger.write('pair', (db) => {
      const terms = asked.chat ? this.#chatTerms(channel, asked) : this.#pairingTerms(db, channel, asked);
      if (openPairings(db, clock.now(), terms.channel).length >= PAIRINGS_OPEN_MAX)
        throw new OperatingError(
          'conflict',
          `${PAIRINGS_OPEN_MAX} codes of ${channel} are open`,
          'use one, or wait ten minutes',
        );
      const expires_ms = insertPairing(db, clock.now(), { ...terms, wire_group: asked.group || defaultGroup }, code);
      const what = asked.chat ? `a chat for ${asked.group}` : 'what they are';
      const role = terms.role === null ? what : roleWords(terms.role, terms.group_name);
      recordEvent(db, clock, 'pairing.made', {}, { channel, role, by });
      return { role, expires_ms };
    });
    return { channel, code: shown, link: asked.chat ? null : (driver.deepLink?.(shown) ?? null), ...made };
  }

  #chatTerms(channel: string, { person, role, group }: PairingAsked): Omit<PairingTerms, 'wire_group'> {
    if (person !== null || role !== null || group === '')
      throw new OperatingError(
        'usage',
        'a code for a chat is for a group, and makes nobody known',
        'say --group <group>',
      );
    this.#checkRole(null, group);
    return { channel: chatCodesOf(channel), person_id: null, role: null, group_name: group };
  }

  #pairingTerms(db: Db, channel: string, { person, role, group }: PairingAsked): Omit<PairingTerms, 'wire_group'> {
    this.#checkRole(role, group);
    if (person !== null) return { channel, person_id: known(db, person).person, role, group_name: group };
    const owned = hasOwner(db, channel);
    if (role === null && owned)
      throw new OperatingError(
        'usage',
        `${channel} has an owner already`,
        'say --person <id>, or --role member --group <group>',
      );
    if (role === 'owner' && owned)
      throw new OperatingError('conflict', `${channel} has an owner already`, 'glass people role makes another one');
    return { channel, person_id: null, role: role ?? 'owner', group_name: group };
  }

  async #change(change: (db: Db, now: number) => { person: number; changes: string[] }): Promise<PersonShown> {
    const { ledger, clock, by } = this.#input;
    return ledger.write('person', (db) => {
      const { person, changes } = change(db, clock.now());
      const id = showId('p', person);
      for (const words of changes) recordEvent(db, clock, 'person.changed', {}, { person: id, change: words, by });
      return personShown(db, person) ?? { id, name: '', roles: [], identities: [] };
    });
  }

  #checkRole(role: Role | null, group: string): void {
    if (group !== '' && !this.#input.groups().includes(group))
      throw new OperatingError('not_found', `no group ${group} is in force`, './glass group list shows them');
    if (role === 'owner' && group !== '')
      throw new OperatingError('usage', 'an owner is everybody’s', 'for one group, make an admin');
  }

  /** Somebody must remain who can decide. */
  #checkStays(db: Db, person: number): void {
    const id = showId('p', person);
    if (isLastOwner(db, person))
      throw new OperatingError(
        'conflict',
        `${id} is the last owner`,
        'make another owner first: glass people role <id> owner',
      );
    if (person === this.#input.operator())
      throw new OperatingError('conflict', `${id} is the operator of this machine, and an owner for that`);
  }
}

/** Without letters that look like others. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

function known(db: Db, id: string): { person: number; shown: PersonShown } {
  const person = parseId('p', id) ?? 0;
  const shown = personShown(db, person);
  if (shown === undefined)
    throw new OperatingError('not_found', `there is no person "${id}"`, 'glass people list shows them');
  return { person, shown };
}

/** Whether the person has the identity already. Throws for somebody else's, and for the operator's. */
function checkFree(db: Db, identity: Identity, person: number | null): boolean {
  if (identity.channel === OPERATORS)
    throw new OperatingError('usage', 'the channel local is for whoever can open the control socket');
  const owner = personOf(db, identity.channel, identity.handle);
  if (owner !== undefined && owner !== person)
    throw new OperatingError('conflict', `${nameOf(identity)} is ${showId('p', owner)}`, 'unlink it there first');
  return owner !== undefined;
}

function nameOf({ channel, handle }: Identity): string {
  return `${channel}:${handle}`;
}

function gains(role: Role | null, group: string): string[] {
  return role === null ? [] : [`gains ${roleWords(role, group)}`];
}

function roleWords(role: Role, group: string): string {
  return group === '' ? role : `${role} of ${group}`;
}
