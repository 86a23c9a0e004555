import { existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Provider } from '../base/config.ts';
import { messageOf, OperatingError } from '../base/errors.ts';
import { METERED_BYTES_PER_TOKEN } from '../base/limits/gateway.ts';
import type { Usage } from './usage.ts';

/**
 * What a request to a model costs, in millionths of a US dollar. The table is a data file with its date, dollars per million
 * tokens in and out; a name that it does not have is the longest one that it begins with, and an unknown model is as dear
 * as the dearest. Of the list prices, surcharges for very long contexts and discounts for batches are not in it.
 */
const price = z.tuple([z.number().min(0), z.number().min(0)]);
const tableSchema = z.strictObject({ as_of: z.iso.date(), models: z.record(z.string(), price), unknown: price });

/** Of Anthropic's list: what is read from the cache, and what is written to it for five minutes, against plain input. */
const CACHE_READ = 0.1;
const CACHE_WRITE = 1.25;

/** What a request used, or may use. */
export interface Amount {
  cost_micros: number;
  tokens: number;
}

export class Prices {
  readonly as_of: string;
  readonly #models: [name: string, price: [number, number]][];
  readonly #unknown: [number, number];

  /** The first file that exists counts: the operator's own, then the one that comes with us. Throws `OperatingError('config')`. */
  constructor(files: readonly string[]) {
    const path = files.find((file) => existsSync(file)) ?? files[0]!;
    try {
      const table = tableSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
      this.as_of = table.as_of;
      this.#models = Object.entries(table.models).toSorted(([a], [b]) => b.length - a.length);
      this.#unknown = table.unknown;
    } catch (error) {
      throw new OperatingError('config', `${path} is no table of prices (${messageOf(error)})`, undefined, error);
    }
  }

  /**
   * `named`: the model in the group's authority, where the reply names none. A reply whose usage nobody understood is metered
   * by its bytes: never free.
   */
  of(provider: Provider, named: string, used: Usage, bytes: { up: number; down: number }): Amount {
    const [input, output] = provider === 'ollama' ? [0, 0] : this.#priceOf(used.model ?? named);
    const tokensIn = used.input_tokens ?? Math.ceil(bytes.up / METERED_BYTES_PER_TOKEN);
    const tokensOut = used.output_tokens ?? Math.ceil(bytes.down / METERED_BYTES_PER_TOKEN);
    const cheaper = used.cache_read_tokens * (1 - CACHE_READ) - used.cache_write_tokens * (CACHE_WRITE - 1);
    const cost = (tokensIn - cheaper) * input + tokensOut * output;
    return { cost_micros: Math.ceil(cost), tokens: tokensIn + tokensOut };
  }

  #priceOf(model: string): [number, number] {
    return this.#models.find(([name]) => model.startsWith(name))?.[1] ?? this.#unknown;
  }
}
