/** A tar of a few texts (POSIX ustar), for programs that everybody has. */
export interface TarEntry {
  /** At most 99 ASCII characters. */
  name: string;
  text: string;
}

const BLOCK = 512;

/** Pure: the bytes of the archive, all files with mode 0600. */
export function tarOf(entries: readonly TarEntry[], at_ms: number): Buffer {
  const blocks = entries.flatMap(({ name, text }) => {
    const body = Buffer.from(text);
    const padding = Buffer.alloc((BLOCK - (body.length % BLOCK)) % BLOCK);
    return [header(name, body.length, at_ms), body, padding];
  });
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]);
}

function header(name: string, bytes: number, at_ms: number): Buffer {
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, width: number, at: number): number =>
    block.write(`${value.toString(8).padStart(width - 1, '0')}\0`, at, 'latin1');
  block.write(name, 0, 99, 'latin1');
  octal(0o600, 8, 100);
  octal(0, 8, 108);
  octal(0, 8, 116);
  octal(bytes, 12, 124);
  octal(Math.floor(at_ms / 1000), 12, 136);
  // The sum counts its own field as blanks.
  block.write(' '.repeat(8), 148, 'latin1');
  block.write('0ustar\x0000', 156, 'latin1');
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return block;
}
