import assert from 'node:assert/strict';
import { until } from './install.ts';
import type { Talk } from './talk.ts';
import { rows } from './terminal.ts';

/** A question of an agent, as people on the fake platform see it. */
export interface Question {
  /** As it is shown: `q3`. */
  id: string;
  code: string;
  text: string;
  /** The platform's id of the message that shows it. */
  message: number;
  /** The message that made the agent ask. */
  asker: string;
  token: (label: string) => string;
}

/** Somebody has the agent of a chat ask; resolves with the question once it is shown there. */
export async function asked(talk: Talk, chat: string, who: string, question: string): Promise<Question> {
  const before = (await talk.sent(chat)).length;
  const asker = await talk.say(chat, who, `ask ${question}`);
  const { id, text, buttons } = await talk.hears(chat, /\(q\d+, open for/, before);
  return {
    id: /\((q\d+),/.exec(text)![1]!,
    code: /answer ([0-9a-f]{4}) /.exec(text)![1]!,
    ...{ text, message: id, asker },
    token: (label) => buttons!.find((button) => button.label === label)!.token,
  };
}

export interface Ask {
  state: string;
  reason: string;
  answer: string | null;
  who: string | null;
}

export function askRow(talk: Talk, id: string): Ask {
  const sql = 'SELECT state, reason, answer, who FROM asks WHERE id = ?';
  return { ...rows<Ask>(talk.install, sql, Number(id.slice(1)))[0]! };
}

/** Waits until a question is in the state. */
export function isIn(talk: Talk, id: string, state: string): Promise<void> {
  return until(`${id} is ${state}`, async () => assert.equal(askRow(talk, id).state, state));
}

/** How many messages in a chat show a question. What a later attempt is told of it is none. */
export async function shown(talk: Talk, chat: string): Promise<number> {
  return (await talk.sent(chat)).filter(({ text }) => /\(q\d+, open for/.test(text) && !text.includes('sent before'))
    .length;
}
