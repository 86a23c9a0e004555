import type { ModelMessage } from 'ai';
import { COMPACT_SUMMARY_BYTES_MAX } from '../../../src/base/limits/messages.ts';
import { cutBytes } from '../../../src/base/text.ts';
import type { Turn } from './history.ts';
import type { Model } from './model.ts';

/**
 * The older part of a conversation, put into words by the model itself. It is shown as text, without tools and without the
 * bytes of files, so that any endpoint takes it and no tool runs meanwhile.
 */
const SYSTEM = `You write summaries of conversations between people and you, their assistant. Keep what the rest of the work needs: who the people
are and what they want, what was decided and why, what was done (files, commands, messages sent, with their exact names), what is open.
Leave out greetings and outputs that can be had again. Answer with the summary alone, in the language of the conversation, 1000 words at most.`;
/** Characters of one output of a tool, of which a summary needs the gist. */
const OUTPUT_CHARS = 2000;

/** Rejects when the model cannot be asked or says nothing; see `failures.ts`. */
export async function summaryOf(model: Model, older: Turn[], signal: AbortSignal): Promise<string> {
  const text = `<conversation>\n${older.flat().map(shown).join('\n')}\n</conversation>\n\nSummarise this conversation.`;
  const messages: ModelMessage[] = [{ role: 'user', content: text }];
  const answer = await model.step({
    system: SYSTEM,
    messages,
    tools: {},
    signal,
    onRequest: () => {},
    onText: () => {},
  });
  const summary = cutBytes(answer.text.trim(), COMPACT_SUMMARY_BYTES_MAX);
  if (summary === '') throw new Error('the model gave an empty summary');
  return summary;
}

function shown(message: ModelMessage): string {
  const { role, content } = message;
  if (typeof content === 'string') return `${role}: ${content}`;
  return content.map((part) => `${role}: ${partText(part)}`).join('\n');
}

type Part = Exclude<ModelMessage['content'], string>[number];

function partText(part: Part): string {
  switch (part.type) {
    case 'text':
      return part.text;
    case 'file':
      return `[file ${part.filename ?? ''}]`;
    case 'tool-call':
      return `[calls ${part.toolName}] ${shortened(JSON.stringify(part.input) ?? '')}`;
    case 'tool-result':
      return `[result of ${part.toolName}] ${shortened('value' in part.output ? asText(part.output.value) : '')}`;
    default:
      return `[${part.type}]`;
  }
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

function shortened(text: string): string {
  return text.length <= OUTPUT_CHARS ? text : `${text.slice(0, OUTPUT_CHARS)}…`;
}
