import { type LookupAddress, lookup as systemLookup } from 'node:dns';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/**
 * Which addresses what we talk to may have. A name is resolved once per connection, every answer is looked at, and
 * what was looked at is what is dialled: there is no second lookup that could say something else.
 */

const V4_PRIVATE = `0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
  192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
  168.63.129.16/32`;
const V6_PRIVATE = `::/128 ::1/128 100::/64 2001::/23 2001:db8::/32 3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10
  ff00::/8`;

/** Metadata services: no configuration opens them. */
const METADATA = new Set(['169.254.169.254', 'fd00:ec2::254', '168.63.129.16', '100.100.100.200']);
const METADATA_NAMES = new Set(['metadata.google.internal', 'metadata', 'instance-data']);

const blocked = new BlockList();
for (const [family, text] of [
  ['ipv4', V4_PRIVATE],
  ['ipv6', V6_PRIVATE],
] as const) {
  for (const entry of text.split(/\s+/)) {
    const [network, bits] = entry.split('/') as [string, string];
    blocked.addSubnet(network, Number(bits), family);
  }
}

/** Thrown into the connection when a name has an answer that is not public. */
export class PrivateAddressError extends Error {
  readonly code = 'GLASS_PRIVATE_ADDRESS';
  readonly host: string;

  constructor(host: string) {
    super(`${host} resolves to a private address`);
    this.host = host;
  }
}

/** True only for an address of the public internet; embedded IPv4 addresses are looked at as such. */
export function isPublic(address: string): boolean {
  const family = isIP(address);
  if (family === 4) return !blocked.check(address, 'ipv4');
  if (family !== 6) return false;
  const words = wordsOf(address);
  if (words === null) return false;
  const inner = embedded(words);
  if (inner !== null) return !blocked.check(inner, 'ipv4');
  return !blocked.check(address, 'ipv6');
}

/** True for a host that no configuration may name. `host` is a URL's hostname: lower case, canonical. */
export function isMetadata(host: string): boolean {
  const bare = host.startsWith('[') ? host.slice(1, -1) : host;
  if (METADATA_NAMES.has(bare) || METADATA.has(bare)) return true;
  const words = isIP(bare) === 6 ? wordsOf(bare) : null;
  const inner = words === null ? null : embedded(words);
  return inner !== null && METADATA.has(inner);
}

/** Networks that an operator has opened by name, such as `10.20.0.0/16`; a metadata service is never in one. */
export function isWithinRanges(address: string, ranges: BlockList): boolean {
  const family = isIP(address);
  if (family === 0 || isMetadata(address)) return false;
  if (family === 4) return ranges.check(address, 'ipv4');
  const words = wordsOf(address);
  const inner = words === null ? null : embedded(words);
  return inner === null ? ranges.check(address, 'ipv6') : ranges.check(inner, 'ipv4');
}

export function rangesOf(networks: readonly string[]): BlockList {
  const ranges = new BlockList();
  for (const entry of networks) {
    const [network, bits] = entry.split('/') as [string, string];
    ranges.addSubnet(network, Number(bits), isIP(network) === 4 ? 'ipv4' : 'ipv6');
  }
  return ranges;
}

/**
 * A lookup for connections that answers with public addresses only, and those of `networks`. `resolve` is the system's, but
 * for tests.
 */
export function publicLookup(
  resolve: typeof systemLookup = systemLookup,
  networks: readonly string[] = [],
): LookupFunction {
  const ranges = rangesOf(networks);
  const isOpen = ({ address }: LookupAddress): boolean => isPublic(address) || isWithinRanges(address, ranges);
  return (host, options, callback) => {
    // The operator's own machine is what such a configuration means; it says so literally.
    if (host === 'localhost') return resolve(host, options, callback as never);
    resolve(host, { all: true, family: options.family ?? 0 }, (error, addresses) => {
      if (error !== null) return callback(error, '', 0);
      const found = addresses as LookupAddress[];
      if (found.length === 0 || !found.every(isOpen)) return callback(new PrivateAddressError(host), '', 0);
      if (options.all === true) return callback(null, found);
      callback(null, found[0]!.address, found[0]!.family);
    });
  };
}

/** The eight 16-bit words of an IPv6 address. */
function wordsOf(address: string): number[] | null {
  const bare = address.split('%')[0]!;
  const url = `http://[${bare}]/`;
  if (!URL.canParse(url)) return null;
  const [head, tail] = new URL(url).hostname.slice(1, -1).split('::') as [string, string?];
  const parse = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16));
  const first = parse(head);
  if (tail === undefined) return first;
  const last = parse(tail);
  return [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last];
}

/** `::a.b.c.d`, `::ffff:a.b.c.d`, `64:ff9b::/96`, `2002::/16`: `net.BlockList` sees only the second. */
function embedded(words: number[]): string | null {
  const dotted = (high: number, low: number): string => `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
  if (words[0] === 0x2002) return dotted(words[1]!, words[2]!);
  const zeros = (count: number): boolean => words.slice(0, count).every((word) => word === 0);
  if (words[0] === 0x64 && words[1] === 0xff9b) return dotted(words[6]!, words[7]!);
  if (zeros(5) && words[5] === 0xffff) return dotted(words[6]!, words[7]!);
  if (zeros(6)) return dotted(words[6]!, words[7]!);
  return null;
}
