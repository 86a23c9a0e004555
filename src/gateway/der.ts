/** The part of DER (X.690) that a certificate is made of. Each function returns one whole value: tag, length, content. */

export function tagged(tag: number, ...content: Buffer[]): Buffer {
  const body = Buffer.concat(content);
  return Buffer.concat([Buffer.from([tag]), lengthOf(body.length), body]);
}

function lengthOf(length: number): Buffer {
  if (length < 0x80) return Buffer.from([length]);
  const hex = length.toString(16);
  const bytes = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
  return Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes]);
}

export function sequence(...content: Buffer[]): Buffer {
  return tagged(0x30, ...content);
}

export function set(...content: Buffer[]): Buffer {
  return tagged(0x31, ...content);
}

export const TRUE = tagged(0x01, Buffer.from([0xff]));

/** Big-endian, positive: the caller leaves the highest bit clear. */
export function integer(...bytes: number[]): Buffer {
  return tagged(0x02, Buffer.from(bytes));
}

/** `1.2.840.10045.4.3.2` */
export function oid(text: string): Buffer {
  const [first, second, ...rest] = text.split('.').map(Number) as [number, number, ...number[]];
  return tagged(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(arc: number): number[] {
  const groups = [arc & 0x7f];
  for (let rest = arc >>> 7; rest > 0; rest >>>= 7) groups.unshift((rest & 0x7f) | 0x80);
  return groups;
}

/** `unused`: bits at the end of the last byte that do not count. */
export function bitString(bytes: Buffer, unused = 0): Buffer {
  return tagged(0x03, Buffer.from([unused]), bytes);
}

export function octetString(content: Buffer): Buffer {
  return tagged(0x04, content);
}

export function utf8(text: string): Buffer {
  return tagged(0x0c, Buffer.from(text, 'utf8'));
}

/** Seconds, in UTC. Two digits of the year until 2049, four from then on, as RFC 5280 asks. */
export function time(at_ms: number): Buffer {
  const date = new Date(at_ms);
  const text = `${date.toISOString().replace(/[-:T]/g, '').slice(0, 14)}Z`;
  return date.getUTCFullYear() < 2050
    ? tagged(0x17, Buffer.from(text.slice(2), 'latin1'))
    : tagged(0x18, Buffer.from(text, 'latin1'));
}
