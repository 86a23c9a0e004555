/** Pieces of an unfinished line that are kept apart. */
const PIECES_MAX = 64;

/**
 * Splits a byte stream into lines of at most `bytesMax` bytes. A longer line is an error of the peer: `onOversize` is
 * called once and nothing more is read.
 */
export function lineReader(
  bytesMax: number,
  onLine: (line: string) => void,
  onOversize: () => void,
): (chunk: Buffer) => void {
  let rest: Buffer[] = [];
  let held = 0;
  let dead = false;
  return (chunk) => {
    let start = 0;
    while (!dead) {
      const end = chunk.indexOf(0x0a, start);
      const piece = chunk.subarray(start, end === -1 ? undefined : end);
      held += piece.length;
      if (held > bytesMax) {
        dead = true;
        rest = [];
        onOversize();
        return;
      }
      rest.push(piece);
      // A line that drips in must not keep an object a byte.
      if (rest.length > PIECES_MAX) rest = [Buffer.concat(rest)];
      if (end === -1) return;
      const line = Buffer.concat(rest).toString('utf8');
      rest = [];
      held = 0;
      start = end + 1;
      if (line.length > 0) onLine(line);
    }
  };
}
