import { OperatingError } from '../base/errors.ts';
import { SECRET_BYTES_MAX } from '../base/limits/gateway.ts';

/** Reading what a person types: a secret without echo, or from a pipe; anything else as it is typed. */

const ENTER = new Set(['\r', '\n']);
const CTRL_C = '\x03';
const CTRL_D = '\x04';
const CTRL_U = '\x15';
/** One column back, and nothing stands there any more. */
const ERASE = '\b \b';
const BACKSPACE = new Set(['\x7f', '\b']);

/** A terminal or a pipe. */
export type Input = NodeJS.ReadStream;

/** Resolves with the line that was typed. Rejects with `OperatingError('usage')` on Ctrl-C. The terminal is restored. */
export function readHidden(input: Input, prompt: string): Promise<string> {
  return readTyped(input, prompt, () => {});
}

/** As `readHidden`, of what may be seen. */
export function readShown(input: Input, prompt: string): Promise<string> {
  return readTyped(input, prompt, (text) => process.stderr.write(text));
}

function readTyped(input: Input, prompt: string, show: (text: string) => void): Promise<string> {
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
        if (BACKSPACE.has(sign) && typed !== '') {
          show(ERASE);
          typed = typed.slice(0, -1);
        } else if (sign === CTRL_U) {
          show(ERASE.repeat(typed.length));
          typed = '';
        } else if (sign >= ' ' && !BACKSPACE.has(sign) && typed.length < SECRET_BYTES_MAX) {
          show(sign);
          typed += sign;
        }
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
