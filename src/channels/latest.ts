/** The latest of something, by key: a new one lets go of the oldest. */
export class Latest<K, V> {
  readonly #kept = new Map<K, V>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  get(key: K): V | undefined {
    return this.#kept.get(key);
  }

  put(key: K, value: V): void {
    this.#kept.delete(key);
    this.#kept.set(key, value);
    if (this.#kept.size > this.#max) this.#kept.delete(this.#kept.keys().next().value!);
  }

  drop(key: K): void {
    this.#kept.delete(key);
  }
}
