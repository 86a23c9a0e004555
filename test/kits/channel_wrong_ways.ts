import type { Channel, IncomingMessage, SendOperation, SendResult, Sink } from '../../src/channels/channel.ts';
import type { Need } from './channel_row.ts';
import type { Wrong } from './channel_scene.ts';

/** How a driver is made wrong. */

/** Drivers that do one thing wrong, by the row that must find it. */
export interface WrongDriver {
  row: string;
  title: string;
  makes: Wrong;
  /** What the row says. */
  says: RegExp;
  /** Absent: it says so by waiting for what does not come, and need not wait long. */
  patience_ms?: number;
  /** It is wrong only where there is this. */
  needs?: Need;
}

export const SENT: SendResult = { ok: true, receipt: 'made up' };

export type Send = (operation: SendOperation) => Promise<SendResult>;

/** The driver as a plain object, of which a wrong one changes a part. */
export function delegate(channel: Channel): Channel {
  const bound: Record<string, unknown> = {
    name: channel.name,
    capabilities: channel.capabilities,
    health: () => channel.health(),
  };
  const methods = [
    'start',
    'stop',
    'send',
    'edit',
    'react',
    'typing',
    'reconcile',
    'openDm',
    'menu',
    'deepLink',
    'webhook',
  ];
  for (const method of methods) {
    const own = channel[method as keyof Channel];
    if (typeof own === 'function') bound[method] = own.bind(channel);
  }
  return bound as unknown as Channel;
}

export function butSink(sink: Sink, other: Partial<Sink>): Sink {
  return {
    accept: (message) => sink.accept(message),
    edited: (edit) => sink.edited(edit),
    deleted: (deletion) => sink.deleted(deletion),
    reacted: (reaction) => sink.reacted(reaction),
    pressed: (press) => sink.pressed(press),
    unreadable: (event) => sink.unreadable(event),
    receipt: (receipt) => sink.receipt(receipt),
    reachable: (chat) => sink.reachable(chat),
    saveCursor: (name, value) => sink.saveCursor(name, value),
    ...other,
  };
}

export function wrongSink(other: (sink: Sink) => Partial<Sink>): Wrong {
  return (channel) => ({
    ...delegate(channel),
    start: (sink, cursors) => channel.start(butSink(sink, other(sink)), cursors),
  });
}

/** Each message has this instead. */
export function inWrong(row: string, title: string, other: Partial<IncomingMessage>): WrongDriver {
  const makes = wrongSink((sink) => ({ accept: (message) => sink.accept({ ...message, ...other }) }));
  return { row, title, makes, says: /strictly equal|deep-equal|same bytes|the text names/ };
}

export function sinkWrong(row: string, title: string, other: (sink: Sink) => Partial<Sink>): WrongDriver {
  return { row, title, makes: wrongSink(other), says: /deep-equal|the edit|the deletion/ };
}

export function sendWrong(
  row: string,
  title: string,
  wrong: (send: Send, operation: SendOperation) => Promise<SendResult>,
): WrongDriver {
  const makes: Wrong = (channel) => ({
    ...delegate(channel),
    send: (operation) => wrong((each) => channel.send(each), operation),
  });
  return { row, title, makes, says: /strictly equal|deep-equal|it was sent|not sent|Cannot read|falsy|shown as code/ };
}

export function loses(row: string): WrongDriver {
  const makes = wrongSink((sink) => ({
    accept: (message) => (message.text === 'meanwhile' ? lost() : sink.accept(message)),
  }));
  return { row, title: 'loses what was said meanwhile', makes, says: /all messages/ };
}

/** What opens and closes code, in any dialect, is taken off a piece that begins with it. */
export function unfenced(body: string): string {
  const [, html] = /^<pre>(?:<code[^>]*>)?([\s\S]*?)(?:<\/code>)?<\/pre>/.exec(body) ?? [];
  if (html !== undefined) return html;
  const [, fenced] = /^```\w*\n([\s\S]*?)\n?```/.exec(body) ?? [];
  return fenced ?? body;
}

export async function again(send: Send, operation: SendOperation): Promise<SendResult> {
  const first = await send(operation);
  return first.ok ? first : send(operation);
}

export async function retryable(send: Send, operation: SendOperation): Promise<SendResult> {
  const result = await send(operation);
  return result.ok ? result : { ...result, class: 'retryable' };
}

export async function lost(): Promise<{ message: number; repeated: boolean; ignored: null }> {
  return { message: 0, repeated: false, ignored: null };
}

export async function untilKept(act: () => Promise<void>): Promise<void> {
  await act().catch(() => untilKept(act));
}

/** Said at once, whatever comes of it. */
export function early(work: Promise<unknown>): ReturnType<typeof lost> {
  work.catch(() => {});
  return lost();
}
