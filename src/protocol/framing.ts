/** On the wire a frame is its length (4 bytes, big endian) and its JSON. The length is judged before a byte is kept. */
const HEADER_BYTES = 4;

export function encodeFrame(frame: object): Buffer {
  const body = Buffer.from(JSON.stringify(frame), 'utf8');
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUInt32BE(body.length);
  return Buffer.concat([header, body]);
}

/**
 * Cuts a byte stream into frames. `onBroken` is called once, with the reason, for an empty or oversized frame; after it
 * nothing more is read. `onFrame` returns false to stop.
 */
export function frameReader(
  bytesMax: number,
  onFrame: (bytes: Buffer) => boolean,
  onBroken: (reason: string) => void,
): (chunk: Buffer) => void {
  const header = Buffer.alloc(HEADER_BYTES);
  let body: Buffer | null = null;
  let filled = 0;
  let stopped = false;

  /** Copies what is still missing of `target`; a frame that drips in costs its own size, not an object a byte. */
  const fill = (target: Buffer, chunk: Buffer, at: number): number => {
    const copied = chunk.copy(target, filled, at, Math.min(chunk.length, at + target.length - filled));
    filled += copied;
    return at + copied;
  };

  const begin = (): void => {
    const bytes = header.readUInt32BE();
    filled = 0;
    if (bytes > 0 && bytes <= bytesMax) {
      body = Buffer.allocUnsafe(bytes);
      return;
    }
    stopped = true;
    onBroken(`a frame of ${bytes} bytes (at most ${bytesMax})`);
  };

  return (chunk) => {
    for (let at = 0; at < chunk.length && !stopped; ) {
      at = fill(body ?? header, chunk, at);
      if (body === null) {
        if (filled === HEADER_BYTES) begin();
      } else if (filled === body.length) {
        const frame = body;
        body = null;
        filled = 0;
        if (!onFrame(frame)) stopped = true;
      }
    }
  };
}
