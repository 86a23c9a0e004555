import { fileLine } from '../src/base/text.ts';
import type { FrameEntry, FrameFile, FrameMessage, FramePriorSend } from '../src/protocol/frames.ts';
import type { TurnInput } from './runner/harness.ts';
import { MEMORY } from './runner/memory.ts';

/** How a turn is put into words for a model: the same for every harness that has one. */

const CHARTER = `You are a personal assistant that answers people in a chat. Your final text is sent to the chat as your answer; keep it short.
Work in /workspace (yours; it stays). /group and /inbox (files that people sent) are read-only. There is no network besides the model, and the services that your instructions name.
Keep what should outlive a conversation in ${MEMORY}, a file for each subject, and a line for each in its INDEX.md.`;

/** The system prompt: a short charter, the operator's own instructions, and what the agent has noted. */
export function systemPrompt(instructions: string, memory: string): string {
  return [CHARTER, instructions.trim(), memory].filter((part) => part !== '').join('\n\n');
}

/** The user message that opens a turn. */
export function turnPrompt(input: TurnInput): string {
  return [transcript(input.transcript), notices(input.notices), prior(input), messages(input.messages)]
    .filter((part) => part !== '')
    .join('\n\n');
}

/** Messages with who wrote them, when, and what came with them. Nothing that a person writes can end a frame or open another one. */
export function messages(list: FrameMessage[]): string {
  return list
    .map(
      (message) =>
        `<message from="${name(message.from)}" at="${stamp(message.sent_ms)}">\n${inert(said(message))}\n</message>`,
    )
    .join('\n');
}

function said({ text, files }: FrameMessage): string {
  return [text, ...files.map(fileShown)].filter((part) => part !== '').join('\n');
}

function fileShown(file: FrameFile): string {
  return file.lost ? `${fileLine(file)} (lost)` : fileLine(file);
}

/** The words of our own frames, written by somebody else, are only words. */
function inert(text: string): string {
  return text.replace(/<(?=\/?(?:message|earlier_conversation|notices|interrupted)\b)/gi, '&lt;');
}

function name(text: string): string {
  return text.replace(/[\s"<>]+/g, ' ').trim();
}

/** One speaker a line; what else somebody said in theirs is indented, so that it cannot pass for another speaker. */
function transcript(entries: FrameEntry[]): string {
  if (entries.length === 0) return '';
  const lines = entries.map(
    (entry) =>
      `${entry.role === 'person' ? name(entry.author) : entry.role}: ${inert(entry.text).replaceAll('\n', '\n  ')}`,
  );
  return `<earlier_conversation>\n${lines.join('\n')}\n</earlier_conversation>`;
}

function notices(list: string[]): string {
  return list.length === 0 ? '' : `<notices>\n${list.map(inert).join('\n')}\n</notices>`;
}

/** A later attempt must not repeat what an earlier one has already done. */
function prior(input: TurnInput): string {
  if (input.attempt === 1) return '';
  const sends = input.prior.map((send: FramePriorSend) => `- (${send.state}) ${inert(send.text)}`);
  const done =
    sends.length === 0
      ? 'It had sent nothing.'
      : `It had already sent these messages; do not send them again:\n${sends.join('\n')}`;
  return `<interrupted>\nThis is attempt ${input.attempt}: an earlier attempt at these messages was interrupted. Files in /workspace may show its work. ${done}\n</interrupted>`;
}

function stamp(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
}
