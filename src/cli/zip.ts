import { crc32 } from 'node:zlib';

/** A file of an archive. Names are of ASCII letters, without folders. */
export interface Packed {
  name: string;
  data: Buffer;
}

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
/** Version 2.0 of the format: files without folders. */
const VERSION = 20;
/** The first day that the format knows: the same files are the same archive. */
const DATE = 0x21;

/** A zip of some small files, as they are. */
export function zipOf(files: readonly Packed[]): Buffer {
  const parts: Buffer[] = [];
  const index: Buffer[] = [];
  let at = 0;
  for (const { name, data } of files) {
    const facts = factsOf(name, data);
    const local = Buffer.concat([words32(LOCAL), words16(VERSION), facts, Buffer.from(name), data]);
    const places = Buffer.concat([words16(0, 0, 0), words32(0, at)]);
    index.push(Buffer.concat([words32(CENTRAL), words16(VERSION, VERSION), facts, places, Buffer.from(name)]));
    parts.push(local);
    at += local.length;
  }
  const directory = Buffer.concat(index);
  const { length } = files;
  const end = [words32(END), words16(0, 0, length, length), words32(directory.length, at), words16(0)];
  return Buffer.concat([...parts, directory, ...end]);
}

/** What both places say of it: flags, not compressed, time and date, checksum, sizes, lengths of name and extra fields. */
function factsOf(name: string, data: Buffer): Buffer {
  return Buffer.concat([
    words16(0, 0, 0, DATE),
    words32(crc32(data), data.length, data.length),
    words16(name.length, 0),
  ]);
}

function words16(...values: number[]): Buffer {
  const bytes = Buffer.alloc(2 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt16LE(value, 2 * i);
  return bytes;
}

function words32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  for (const [i, value] of values.entries()) bytes.writeUInt32LE(value, 4 * i);
  return bytes;
}
