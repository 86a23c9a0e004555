import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from '../../src/base/paths.ts';

/** Promises that tests hold which stand elsewhere: whether such a test is there, under its title, and runs. */

/** File below `test/`, title with `{}` for what differs from case to case, and, where one case is meant, words of it. */
export type Held = [file: string, title: string, among?: string];

/** What others offer, and the tests that show it here. */
export interface Offer {
  name: string;
  /** In a chat of the terminal; a string: why there is none. */
  terminal: Held[] | string;
  /** In a chat of a platform, through a driver. */
  platform: Held[] | string;
}

/** What is wrong with the words that somewhere a test holds this; '' : nothing. */
export function missing(held: Held): string {
  const [file] = held;
  const path = join(ROOT, 'test', file);
  if (!existsSync(path)) return `there is no ${file}`;
  return lacking(readFileSync(path, 'utf8'), held);
}

/** The same, of the text of its file. */
export function lacking(text: string, [file, title, among]: Held): string {
  // What a test is called, and no other words of the file.
  const words = title.split('{}').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  // A row of the channels' kit is a test of each driver.
  const test = /^kits\/channel_rows/.test(file) ? 'name: ' : '(?:await )?(?:\\w+\\.)?test\\(';
  const called = `^\\s*${test}(['"\`])${words.join('\\$\\{[^`]*?\\}')}\\1`;
  if (!new RegExp(called, 'm').test(text)) return `${file} has no test '${title}'`;
  if (new RegExp(`${called},\\s*\\{[^{}]*\\bskip: *(?:true|['"\`])`, 'm').test(text))
    return `${file} always skips '${title}'`;
  return among === undefined || text.includes(among) ? '' : `${file} has no case ${among}`;
}
