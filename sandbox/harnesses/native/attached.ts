import { basename } from 'node:path';
import type { FilePart, ModelMessage, UserModelMessage } from 'ai';
import type { FrameMessage, FrameModel } from '../../../src/protocol/frames.ts';
import { isImage, Room, readShown, showable } from '../../runner/attachments.ts';

/**
 * Images and documents of the conversation. The history holds their paths in the place of their bytes, which would crowd
 * out everything else; each request reads them anew, the newest first, as many as it has room for.
 *
 * Documents go to Anthropic only: of the servers that speak Chat Completions many refuse a request that has one.
 */
export function fileParts(messages: FrameMessage[], provider: FrameModel['provider']): FilePart[] {
  return showable(messages)
    .filter((file) => isImage(file) || provider === 'anthropic')
    .map(({ path, type }) => ({
      type: 'file',
      mediaType: type,
      filename: basename(path),
      data: path,
    }));
}

/** The same messages with the bytes of their files. One that is not there is left out: the text names it still. */
export async function withBytes(messages: ModelMessage[]): Promise<ModelMessage[]> {
  const room = new Room({ bytes: 0, files: 0 });
  const filled: ModelMessage[] = [];
  for (const message of messages.toReversed())
    filled.unshift(message.role === 'user' ? await filledMessage(message, room) : message);
  return filled;
}

async function filledMessage(message: UserModelMessage, room: Room): Promise<UserModelMessage> {
  if (typeof message.content === 'string') return message;
  const content: typeof message.content = [];
  for (const part of message.content) {
    const data =
      part.type === 'file' && typeof part.data === 'string' ? await readShown(part.data, part.mediaType) : null;
    if (part.type !== 'file') content.push(part);
    else if (typeof data === 'string') content.push({ type: 'text', text: data });
    else if (data !== null && room.take(data.length)) content.push({ ...part, data });
  }
  return { ...message, content };
}
