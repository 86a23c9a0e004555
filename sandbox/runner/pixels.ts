/**
 * The size that an image says it has, from its header alone: nothing is decoded. A few KB may say that they are two
 * thousand million pixels, and whoever unpacks them has to find room for those.
 */
export interface Pixels {
  width: number;
  height: number;
}

/** Null: the header is not one of this type. Never throws. */
export function declaredPixels(data: Buffer, type: string): Pixels | null {
  try {
    const found = READERS[type]?.(data) ?? null;
    return found === null || found.width === 0 || found.height === 0 ? null : found;
  } catch {
    return null; // it ends before its size
  }
}

const READERS: Record<string, (data: Buffer) => Pixels | null> = {
  'image/png': (data) =>
    data.toString('latin1', 12, 16) === 'IHDR' ? { width: data.readUInt32BE(16), height: data.readUInt32BE(20) } : null,
  'image/gif': (data) => ({ width: data.readUInt16LE(6), height: data.readUInt16LE(8) }),
  'image/webp': webp,
  'image/jpeg': jpeg,
};

function webp(data: Buffer): Pixels | null {
  switch (data.toString('latin1', 12, 16)) {
    case 'VP8 ':
      return { width: data.readUInt16LE(26) & 0x3fff, height: data.readUInt16LE(28) & 0x3fff };
    case 'VP8L': {
      const bits = data.readUInt32LE(21);
      return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
    }
    case 'VP8X':
      return { width: data.readUIntLE(24, 3) + 1, height: data.readUIntLE(27, 3) + 1 };
    default:
      return null;
  }
}

/** Frames of any coding; C4, C8 and CC are tables between them. */
const isFrame = (marker: number): boolean => marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);

/** Segments follow one another, each with its length, until one is a frame. */
function jpeg(data: Buffer): Pixels | null {
  let at = 2;
  while (data.readUInt8(at) === 0xff) {
    const marker = data.readUInt8(at + 1);
    if (isFrame(marker)) return { width: data.readUInt16BE(at + 7), height: data.readUInt16BE(at + 5) };
    // Filling bytes, and marks without content, stand alone.
    if (marker === 0xff) at += 1;
    else if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) at += 2;
    else if (marker === 0xd9 || marker === 0xda) return null;
    else at += 2 + Math.max(2, data.readUInt16BE(at + 2));
  }
  return null;
}
