/** Discord's ids hold their time: milliseconds since 2015 above 22 bits that tell those of a millisecond apart. */

const EPOCH_MS = 1_420_070_400_000;

export function msOf(id: string): number {
  return Number(BigInt(id) >> 22n) + EPOCH_MS;
}

/** Before every id of that millisecond. */
export function idAt(ms: number): string {
  return before(String(BigInt(Math.max(1, Math.floor(ms) - EPOCH_MS)) << 22n));
}

/** Whether `one` is after `other`; '' is before everything. */
export function later(one: string, other: string): boolean {
  return BigInt(one || 0) > BigInt(other || 0);
}

export function before(id: string): string {
  return String(BigInt(id) - 1n);
}
