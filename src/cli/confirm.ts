import { createInterface } from 'node:readline/promises';
import { OperatingError } from '../base/errors.ts';

/**
 * Asks for a yes on the terminal; anything but `y` or `yes` is a no. Without a terminal there is nobody to ask: rejects
 * with `OperatingError('usage')` that names the flag which answers instead.
 */
export async function confirmed(question: string, flag: string): Promise<boolean> {
  if (!process.stdin.isTTY)
    throw new OperatingError('usage', `there is no terminal to ask on: ${question}`, `add ${flag}`);
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^\s*y(es)?\s*$/i.test(await lines.question(`${question} [y/N] `));
  } finally {
    lines.close();
  }
}
