/** The longest beginning of a text that fits into so many UTF-8 bytes, without half a character at its end. */
export function cutBytes(text: string, bytesMax: number): string {
  if (text.length * 3 <= bytesMax) return text;
  const bytes = Buffer.from(text);
  if (bytes.length <= bytesMax) return text;
  let end = bytesMax;
  // A UTF-8 continuation byte begins with the bits 10.
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end -= 1;
  return bytes.subarray(0, end).toString('utf8');
}

/** What is not seen, or moves what stands beside it: controls, bidi marks, zero widths, fillers, strange spaces. */
const UNSEEN = /[\p{C}\p{Default_Ignorable_Code_Point}\p{Zl}\p{Zp}\u2800]|(?! )\p{Zs}/gu;

/** Hostile text on one line, each unseen character as `U+200B`: it can neither hide nor break a layout. */
export function visible(text: string): string {
  return text.replace(UNSEEN, (c) => `U+${c.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`);
}

/** As `visible`, line by line. */
export function visibleLines(text: string): string {
  return text.split('\n').map(visible).join('\n');
}

/** A size for people: `12 KB`. */
export function showBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1_000_000 ? `${Math.round(bytes / 1000)} KB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}

/** A size as the operator's files write it, exact: `512 MiB`. */
export function showSize(bytes: number): string {
  const power = [3, 2].find((each) => bytes % 1024 ** each === 0) ?? 1;
  return `${bytes / 1024 ** power} ${['', 'KiB', 'MiB', 'GiB'][power]}`;
}

/** How an agent is told of a file. */
export function fileLine(file: { path: string; type: string; bytes: number }): string {
  return `[file ${file.path}, ${file.type}, ${showBytes(file.bytes)}]`;
}
