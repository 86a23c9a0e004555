import { z } from 'zod';
import type { Sink } from '../channel.ts';
import { ROOTS_MAX } from './limits.ts';

const person = z.object({ id: z.string(), name: z.string() });

export type Person = z.infer<typeof person>;

/**
 * What must be known to speak first: the address of each chat's service, and the id that Teams has for a person. Both are
 * cursors of the channel, `service:<chat>` and `person:<handle>`. Which threads we began is known until the driver ends.
 */
export class Memory {
  readonly #services = new Map<string, string>();
  readonly #people = new Map<string, Person>();
  readonly #roots = new Set<string>();
  #sink: Sink | null = null;

  begin(sink: Sink, cursors: ReadonlyMap<string, string>): void {
    this.#sink = sink;
    for (const [name, value] of cursors) {
      if (name.startsWith(SERVICE)) this.#services.set(name.slice(SERVICE.length), value);
      if (name.startsWith(PERSON)) {
        const { data } = person.safeParse(JSON.parse(value));
        if (data !== undefined) this.#people.set(name.slice(PERSON.length), data);
      }
    }
  }

  serviceOf(chat: string): string | undefined {
    return this.#services.get(chat);
  }

  personOf(handle: string): Person | undefined {
    return this.#people.get(handle);
  }

  /** Resolves when it is kept. */
  async learnService(chat: string, service: string): Promise<void> {
    if (this.#services.get(chat) === service) return;
    await this.#sink?.saveCursor(`${SERVICE}${chat}`, service);
    this.#services.set(chat, service);
  }

  async learnPerson(handle: string, { id, name }: Person): Promise<void> {
    const known = this.#people.get(handle);
    if (known?.id === id && known.name === name) return;
    await this.#sink?.saveCursor(`${PERSON}${handle}`, JSON.stringify({ id, name }));
    this.#people.set(handle, { id, name });
  }

  began(chat: string, message: string): void {
    this.#roots.add(`${chat} ${message}`);
    if (this.#roots.size > ROOTS_MAX) for (const oldest of this.#roots) return void this.#roots.delete(oldest);
  }

  isOurs(chat: string, message: string): boolean {
    return this.#roots.has(`${chat} ${message}`);
  }
}

const SERVICE = 'service:';
const PERSON = 'person:';
