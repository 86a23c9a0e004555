import type { Readable } from 'node:stream';

/**
 * Hands on what a sandbox writes, up to so many bytes a second; then it is not read for a second, and the sandbox waits for
 * room in its own pipe or socket. Reading everything cost the host 60 % of its processor and its other sessions two thirds of their
 * replies, at 240 MB a second of output. Returns how to read the rest at once: at the end of the process.
 */
export function paced(stream: Readable, bytesPerSecond: number, onData: (chunk: Buffer) => void): () => void {
  let left = bytesPerSecond;
  let pause: NodeJS.Timeout | null = null;
  let ended = false;
  const goOn = (): void => {
    if (pause !== null) clearTimeout(pause);
    pause = null;
    left = bytesPerSecond;
    stream.resume();
  };
  stream.on('data', (chunk: Buffer) => {
    onData(chunk);
    left -= chunk.length;
    if (left > 0 || ended || pause !== null) return;
    stream.pause();
    pause = setTimeout(goOn, 1000);
  });
  return () => {
    ended = true;
    goOn();
  };
}
