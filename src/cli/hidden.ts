import { OperatingError } from '../base/errors.ts';
import { SECRET_BYTES_MAX } from '../base/limits/gateway.ts';

/** Reading a secret: from a terminal without echo, or from a pipe. */

const ENTER = new Set(['\r', '\n']);
const CTRL_C = '\x03';
const CTRL_D = '\x04';
const CTRL_U = '\x15';
const BACKSPACE = new Set(['\x7f', '\b']);

/** A terminal or a pipe. */
export type Input = NodeJS.ReadStream;

/** Resolves with the line that was typed. Rejects with `OperatingError('usage')` on Ctrl-C. The terminal is restored. */
export function readHidden(input: Input, prompt: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let typed = '';
    const end = (act: () => void): void => {
      input.off('data', onData);
      input.setRawMode(false);
      input.pause();
      process.stderr.write('\n');
      act();
    };
    const onData = (chunk: Buffer): void => {
      for (const sign of chunk.toString('utf8')) {
        if (ENTER.has(sign) || sign === CTRL_D) {
          end(() => resolve(typed.trim()));
          return;
        }
        if (sign === CTRL_C) {
          end(() => reject(new OperatingError('usage', 'cancelled; nothing was changed')));
          return;
        }
        if (BACKSPACE.has(sign)) typed = typed.slice(0, -1);
        else if (sign === CTRL_U) typed = '';
        else if (sign >= ' ' && typed.length < SECRET_BYTES_MAX) typed += sign;
      }
    };
    process.stderr.write(prompt);
    input.setRawMode(true);
    input.on('data', onData);
    input.resume();
  });
}

/** Everything that comes, without the line end that `echo` adds. */
export async function readPiped(input: Input): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of input) {
    const chunk = Buffer.from(part);
    bytes += chunk.length;
    if (bytes > SECRET_BYTES_MAX + 2)
      throw new OperatingError('usage', `the value has more than ${SECRET_BYTES_MAX} bytes`);
    parts.push(chunk);
  }
  return Buffer.concat(parts)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}
