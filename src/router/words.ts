/**
 * Words of a person that are for the host and for no agent: a pure reading of a whole message.
 *
 *   pair <code>, /start <code>       makes the sender a person; in a direct chat only
 *   approve <code>, deny <code>      decides about what waits under the code
 *   choose <code> <number>           … by one of the choices that its card names
 *   answer <code> <what>             answers what an agent asks: a number of its options, or words
 *   quiet                            ends that an agent listens on after a mention
 *
 * Each also as a command: `/approve 7f3a`, or `/approve@our_bot 7f3a` as platforms with several bots in a chat send it.
 */
export type Words =
  | { kind: 'pair'; code: string }
  | { kind: 'decide'; code: string; choice: string }
  | { kind: 'answer'; code: string; text: string }
  | { kind: 'quiet' };

const PAIR = /^\/?(?:pair|start)\s+([A-Za-z0-9-]{1,64})$/;
const DECIDE = /^\/?(approve|deny)\s+([0-9a-f]{4})$/;
const CHOOSE = /^\/?choose\s+([0-9a-f]{4})\s+(\d{1,3})$/;
/** A code has both a digit and a letter, so that `answer dead letters` is talk. */
const ANSWER = /^\/?answer\s+(?=[a-f]*\d)(?=\d*[a-f])([0-9a-f]{4})\s+(\S[\s\S]*)$/i;

/** As `glass pair` shows it. */
const CODE = /^[0-9A-HJKMNP-TV-Z]{4}-?[0-9A-HJKMNP-TV-Z]{4}$/i;

/** The bot that a command names. */
const NAMED = /^(\/[a-z]{1,20})@[\w.-]{1,64}(?=\s|$)/i;

/** `addressed`: a bot that is named is ours. */
export function wordsOf(given: string, addressed: boolean): Words | null {
  const trimmed = given.trim();
  const text = trimmed.replace(NAMED, '$1');
  if (text !== trimmed && !addressed) return null;
  const answer = ANSWER.exec(text);
  if (answer !== null) return { kind: 'answer', code: answer[1]!.toLowerCase(), text: answer[2]! };
  const said = text.slice(0, 100).trim();
  if (text.length > said.length) return null;
  const pair = PAIR.exec(said);
  if (pair !== null) return { kind: 'pair', code: pair[1]! };
  const lower = said.toLowerCase();
  const decide = DECIDE.exec(lower);
  if (decide !== null) return { kind: 'decide', code: decide[2]!, choice: decide[1]! };
  const choose = CHOOSE.exec(lower);
  if (choose !== null) return { kind: 'decide', code: choose[1]!, choice: String(Number(choose[2])) };
  return lower === 'quiet' || lower === '/quiet' ? { kind: 'quiet' } : null;
}

/** Whether it has the form of a code: of somebody who is known, any other word is talk (`pair programming`). */
export function isPairingCode(word: string): boolean {
  return CODE.test(word);
}
