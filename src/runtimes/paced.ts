import type { Readable } from 'node:stream';
import { OUTPUT_BYTES_PER_SECOND_MAX } from '../base/limits/messages.ts';

/**
 * Hands on what a sandbox prints, up to so many bytes a second; then it is not read for a second, and the sandbox waits for
 * room in its own pipe. Reading everything cost the host 60 % of its processor and its other sessions two thirds of their
 * replies, at 240 MB a second. Returns how to read the rest at once: at the end of the process.
 */
export function paced(stream: Readable, onData: (chunk: Buffer) => void): () => void {
  let left = OUTPUT_BYTES_PER_SECOND_MAX;
  let pause: NodeJS.Timeout | null = null;
  let ended = false;
  const goOn = (): void => {
    if (pause !== null) clearTimeout(pause);
    pause = null;
    left = OUTPUT_BYTES_PER_SECOND_MAX;
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
