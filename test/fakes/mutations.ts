/** Hostile variants of valid text, from a seeded generator: what a fuzzer feeds to a parser. */

/** What parsers have disagreed about somewhere. */
const TOKENS = [
  ...[
    '..',
    '.',
    '/',
    '//',
    '/./',
    '/../',
    '\\',
    '%2e',
    '%2E%2e',
    '%2f',
    '%5c',
    '%00',
    '%',
    '%zz',
    '%252e',
    '%c0%ae',
    ';x',
    '#',
  ],
  ...[
    '?',
    '&',
    '=',
    '?a=b',
    '&_method=DELETE',
    '?access_token=x',
    '@',
    'user@',
    ':',
    ':443',
    ':80',
    ':0443',
    '[::1]',
    '127.0.0.1',
  ],
  ...[
    '127.1',
    '2130706433',
    '0x7f000001',
    '.evil.example.com',
    'xn--',
    'é',
    '。',
    '①',
    '\u202e',
    '\0',
    '\t',
    '\x7f',
    ' ',
    '  ',
  ],
  ...[
    '\r\n',
    '\n',
    '\r',
    '\r\n\r\n',
    '\r\n ',
    ',',
    ';',
    '"',
    "'",
    '{',
    '}',
    '*',
    '**',
    '-',
    '_',
    '~',
    'A',
    'z',
    '0',
    '99999999999',
  ],
  ...[
    'Host: evil.example.com',
    'Content-Length: 5',
    'Transfer-Encoding: chunked',
    'GET /hidden HTTP/1.1',
    'HTTP/2.0',
    'HTTP/0.9',
  ],
];

export class Mutations {
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  below(count: number): number {
    return Math.floor(this.#random() * count);
  }

  chance(share: number): boolean {
    return this.#random() < share;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** Some of a list, in its order. */
  some<T>(list: readonly T[], share: number): T[] {
    return list.filter(() => this.chance(share));
  }

  /** `text` with up to `most` changes; none now and then, so that what is valid is met too. */
  of(text: string, most = 3): string {
    let changed = text;
    for (let left = this.below(most + 1); left > 0; left -= 1) changed = this.#once(changed);
    return changed;
  }

  #once(text: string): string {
    const at = this.below(text.length + 1);
    const [before, after] = [text.slice(0, at), text.slice(at)];
    switch (this.below(6)) {
      case 0:
        return before + this.pick(TOKENS) + after;
      case 1:
        return before + after.slice(1 + this.below(4));
      case 2:
        return before + this.pick(TOKENS) + after.slice(1);
      case 3:
        return before + after.slice(0, 1).toUpperCase() + after.slice(1);
      case 4:
        return before + after.slice(0, this.below(12)) + after;
      default:
        return before + String.fromCharCode(this.below(256)) + after;
    }
  }
}

/** `GLASS_FUZZ_SEED` and `GLASS_FUZZ_CASES` try other cases, and more of them, than the suite does. */
export function fuzzOf(cases: number): { seed: number; cases: number } {
  const of = (name: string, otherwise: number): number => Number(process.env[name] ?? otherwise);
  return { seed: of('GLASS_FUZZ_SEED', 1), cases: of('GLASS_FUZZ_CASES', cases) };
}
