import { unreachable } from '../base/errors.ts';
import { showId } from '../base/ids.ts';
import { CARD_CHOICES_MAX, CARD_FILES_MAX, CARD_NAME_CHARS_MAX, CARD_TEXT_CHARS_MAX } from '../base/limits/talk.ts';
import { visible } from '../base/text.ts';
import type { FileFacts } from '../ledger/files.ts';
import type { Action, Question } from '../ledger/questions.ts';

/** What a person is shown before they decide: our words first, each line of somebody else's with our mark before it. */
export interface CardFacts {
  question: Pick<Question, 'id' | 'code' | 'expires_ms'>;
  action: Action;
  /** Who wrote the message that waits, by name and by `channel:handle`. */
  name: string;
  handle: string;
  /** What the chat is called, and its `channel:id`. */
  title: string;
  chat: string;
  text: string;
  /** What comes with it. */
  files: readonly FileFacts[];
}

/** What can be chosen: a button each, and a line of words for where there are none. */
export interface Choice {
  choice: string;
  label: string;
  words: string;
}

export function choicesOf(action: Action, code: string): Choice[] {
  const [approve, deny] = yesOrNo(code);
  switch (action.kind) {
    case 'sender':
    case 'authority':
    case 'message':
    case 'entry':
      return [approve, deny];
    case 'chat': {
      const groups = action.choices.slice(0, CARD_CHOICES_MAX).map((group, i) => {
        return { choice: `${i + 1}`, label: group, words: `choose ${code} ${i + 1}: ${group}` };
      });
      return [...groups, deny];
    }
    default:
      return unreachable(action);
  }
}

export function yesOrNo(code: string): [Choice, Choice] {
  return [
    { choice: 'approve', label: 'Approve', words: `approve ${code}` },
    { choice: 'deny', label: 'Deny', words: `deny ${code}` },
  ];
}

export function cardText(facts: CardFacts): string {
  const { question, action } = facts;
  return [
    `${showId('h', question.id)}: ${headOf(facts)}`,
    `From ${named(facts.name)} (${named(facts.handle)}):`,
    ...quoted(facts.text),
    ...restOf(facts),
    askOf(action),
    ...choicesOf(action, question.code).map(({ words }) => `  ${words}`),
    `Nothing happens without a decision until ${untilOf(question.expires_ms)} UTC.`,
  ].join('\n');
}

/** What comes along with what is shown: a yes lets all of it in. */
function restOf({ question, text, files }: CardFacts): string[] {
  const show = `./glass approval show ${showId('h', question.id)}`;
  const over = [...text].length - CARD_TEXT_CHARS_MAX;
  const more = files.length - CARD_FILES_MAX;
  return [
    ...(over > 0 ? [`${over} characters more: ${show}`] : []),
    ...files.slice(0, CARD_FILES_MAX).map((file) => `With a file of ${fileFacts(file)} | ${named(file.name)}`),
    ...(more > 0 ? [`${more} files more: ${show}`] : []),
  ];
}

/** Without its name, which is somebody else's. */
export function fileFacts({ type, bytes, sha256 }: FileFacts): string {
  return `${bytes} bytes, ${visible(type)}, SHA-256 ${sha256.slice(0, 12)}…`;
}

/** To the minute, in UTC. */
export function untilOf(expires_ms: number): string {
  return new Date(expires_ms).toISOString().slice(0, 16).replace('T', ' ');
}

/** What was asked, in a line. */
export function summaryOf(action: Action, name: string, chat: string): string {
  switch (action.kind) {
    case 'sender':
      return `let ${named(name)} talk to ${action.groups.join(', ')} in ${named(chat)}`;
    case 'chat':
      return `choose who answers in ${named(chat)}`;
    case 'authority':
      return `give the agent ${action.group}: ${action.changes.map(visible).join('; ')}`;
    case 'message':
      return `let the agent ${action.group} write to ${toWords(action.to)}: ${named(action.text)}`;
    case 'entry':
      return `let ${action.group} read what ${named(name)} wrote in ${named(chat)}`;
    default:
      return unreachable(action);
  }
}

function headOf({ action, title, chat }: CardFacts): string {
  const where = `${named(title)} (${named(chat)})`;
  switch (action.kind) {
    case 'sender':
      return `somebody without a role waits for ${action.groups.join(', ')} in ${where}.`;
    case 'chat':
      return `a message waits in ${where}, where no group answers.`;
    case 'authority':
      return `the agent ${action.group} asks for more, while it answers in ${where}.`;
    case 'message':
      return `the agent ${action.group} wants to write to ${toWords(action.to)}, while it answers in ${where}.`;
    case 'entry':
      return `what anybody may have written waits for ${action.group} in ${where}, by its rule of two.`;
    default:
      return unreachable(action);
  }
}

function askOf(action: Action): string {
  switch (action.kind) {
    case 'sender':
      return `Make them a member of ${action.groups.join(', ')}, and have this message answered?`;
    case 'chat': {
      const more = action.choices.length - CARD_CHOICES_MAX;
      return `Which group is to answer there?${more > 0 ? ` (${more} more: ./glass wiring set)` : ''}`;
    }
    case 'authority':
      return [
        'Why, in its words:',
        ...quoted(action.reason, action.reason.length),
        'What its authority would gain:',
        ...action.changes.map((change) => `| ${visible(change)}`),
        'Put exactly this in force?',
      ].join('\n');
    case 'message':
      return [
        'Its message, whole:',
        ...quoted(action.text, action.text.length),
        ...fileOf(action.file),
        'Pass it on?',
      ].join('\n');
    case 'entry':
      return 'That conversation has read what is private, and has acted. Let it read this too? Each of its acts waits for a person then.';
    default:
      return unreachable(action);
  }
}

/** Who a message is for. */
export function toWords(to: string): string {
  return to.includes(':') ? named(to) : `the agent ${to}`;
}

function fileOf(file: string): string[] {
  if (file === '') return [];
  const { name, type, bytes, sha256 } = JSON.parse(file) as FileFacts;
  return [`With the file | ${visible(name)}`, `${visible(type)}, ${bytes} bytes, SHA-256 ${sha256}`];
}

function named(text: string): string {
  return visible(cut(text, CARD_NAME_CHARS_MAX));
}

function quoted(text: string, max = CARD_TEXT_CHARS_MAX): string[] {
  return cut(text, max)
    .split('\n')
    .map((line) => `| ${visible(line)}`);
}

/** By characters, so that none is cut in half. */
export function cut(text: string, max: number): string {
  const chars = [...text.slice(0, max * 2)];
  return chars.length <= max && text.length <= max * 2 ? text : `${chars.slice(0, max).join('')}…`;
}
