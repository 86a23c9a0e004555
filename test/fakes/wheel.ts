import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** A wheel (PEP 427) of version 1.0 with one file of Python, as an index serves it. */
export function wheelOf(name: string, source: string): Buffer {
  const info = `${name}-1.0.dist-info`;
  const files: [path: string, text: string][] = [
    [`${name}.py`, source],
    [`${info}/METADATA`, `Metadata-Version: 2.1\nName: ${name}\nVersion: 1.0\n`],
    [`${info}/WHEEL`, 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n'],
  ];
  const record = files.map(([path, text]) => `${path},sha256=${digestOf(text)},${Buffer.byteLength(text)}\n`);
  return zipOf([...files, [`${info}/RECORD`, `${record.join('')}${info}/RECORD,,\n`]]);
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}

/** A zip archive whose files are stored as they are. */
function zipOf(files: readonly (readonly [path: string, text: string])[]): Buffer {
  const bodies: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const [path, text] of files) {
    const [name, data] = [Buffer.from(path), Buffer.from(text)];
    const shared = sharedHeader(name, data);
    const local = Buffer.concat([Buffer.from('PK\x03\x04'), shared, name, data]);
    const place = Buffer.alloc(14);
    place.writeUInt32LE(at, 10);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00'), shared, place, name]));
    bodies.push(local);
    at += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(files.length, 8);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...bodies, central, end]);
}

/** What a file's own header and its entry in the directory have in common: from the version needed to the length of the extra field. */
function sharedHeader(name: Buffer, data: Buffer): Buffer {
  const header = Buffer.alloc(26);
  header.writeUInt16LE(20, 0);
  header.writeUInt16LE(0x21, 8); // the first day of 1980
  header.writeUInt32LE(crc32(data), 10);
  header.writeUInt32LE(data.length, 14);
  header.writeUInt32LE(data.length, 18);
  header.writeUInt16LE(name.length, 22);
  return header;
}
