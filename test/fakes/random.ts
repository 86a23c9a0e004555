/** A small seeded generator (mulberry32) of numbers from 0 to 1: the same seed is the same run. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Random bytes, in which some runs look like what is really spoken. */
export function randomBytes(random: () => number, length: number, phrases: readonly string[]): Buffer {
  const parts: Buffer[] = [];
  for (let size = 0; size < length; ) {
    const part =
      random() < 0.5
        ? Buffer.from(phrases[Math.floor(random() * phrases.length)]!)
        : Buffer.from(Array.from({ length: 1 + Math.floor(random() * 8) }, () => Math.floor(random() * 256)));
    parts.push(part);
    size += part.length;
  }
  return Buffer.concat(parts).subarray(0, length);
}
