import { closeSync, fstatSync, openSync, writeSync } from 'node:fs';
import { SESSION_LOG_BYTES_MAX } from '../base/limits/messages.ts';
import { redact } from '../base/log.ts';

/** Keeps what a sandbox prints: dated lines in the session's own file, up to a cap. Hostile bytes: control characters are shown as escapes. */
export class SessionOutput {
  #fd: number | null = null;
  #bytes = 0;
  #rest = '';

  constructor(path: string) {
    try {
      this.#fd = openSync(path, 'a', 0o600);
      this.#bytes = fstatSync(this.#fd).size;
    } catch {
      this.#fd = null; // A full disk loses output, never a message.
    }
  }

  write(chunk: Buffer): void {
    // A sandbox that floods costs no more than the reading of it.
    if (this.#fd === null || this.#bytes > SESSION_LOG_BYTES_MAX) return;
    const lines = (this.#rest + chunk.toString('utf8')).split('\n');
    this.#rest = lines.pop()!.slice(0, 4096);
    for (const line of lines) this.#append(line);
  }

  close(): void {
    if (this.#rest !== '') this.#append(this.#rest);
    if (this.#fd !== null) closeSync(this.#fd);
    this.#fd = null;
  }

  #append(line: string): void {
    if (this.#fd === null || this.#bytes > SESSION_LOG_BYTES_MAX) return;
    const shown = redact(line.slice(0, 4096)).replace(
      /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g,
      (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`,
    );
    try {
      this.#bytes += writeSync(this.#fd, `${new Date().toISOString()} ${shown}\n`);
      if (this.#bytes > SESSION_LOG_BYTES_MAX)
        writeSync(this.#fd, `${new Date().toISOString()} [further output of this session is not kept]\n`);
    } catch {
      // see the constructor
    }
  }
}
