import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Channel, ChannelHealth, IncomingMessage, SendResult, Sink } from '../../src/channels/channel.ts';
import type { DriverParts } from '../../src/channels/kind.ts';
import { PlatformChannel } from './platform_channel.ts';

/** What the token must be; with another one it is refused at the start, and with that one at each send. */
const REVOKED = 'fake-token-revoked';
const UNKNOWN = 'fake-token-unknown';

/** Where its phone says that it has linked it, in the driver's folder. */
export const LINKED_FILE = 'linked';
/** As it begins: nobody has linked it, and it asks for nothing more in this life. */
export const OVER_FILE = 'over';

/**
 * The driver of the fake platform; `unlinked`: it asks to be linked until a file in its folder says that it is;  `deaf`: it hears nothing, and only speaks. A message `driver throw` and so on, once it has been accepted, makes it fail as the
 * packages of a real one might.
 */
export function open(parts: DriverParts): Channel {
  const token = parts.secrets['token']!;
  const inner = new PlatformChannel(parts.settings['url'] as string);
  let failing = 0;
  let isLimited = false;
  const isLinked = (): boolean => parts.settings['unlinked'] !== true || existsSync(join(parts.folder, LINKED_FILE));
  const isOver = existsSync(join(parts.folder, OVER_FILE));
  const state = (): ChannelHealth => {
    if (isOver) return { state: 'failed', detail: 'nobody has linked it' };
    if (!isLinked()) return { state: 'starting', detail: 'it waits to be linked' };
    return parts.settings['deaf'] === true ? { state: 'connected', detail: 'it only speaks' } : inner.health();
  };
  const misbehave: Record<string, (sink: Sink, message: IncomingMessage) => void> = {
    throw: () => setTimeout(() => JSON.parse('{')),
    hang: () => {
      for (;;);
    },
    leak: () => leak([]),
    exit: () => process.exit(3),
    flood: (sink, message) => {
      for (let i = 0; i < 1000; i += 1) void sink.accept({ ...message, dedupe_key: `flood ${i}`, text: '/help' });
    },
    print: () => process.stdout.write(`the token is ${token}\n`),
    environ: () => process.stdout.write(`environment: ${Object.keys(process.env).join() || 'empty'}\n`),
    fail: () => {
      failing = 5;
    },
    limit: () => {
      isLimited = true;
    },
  };
  const begin = async (sink: Sink, cursors: ReadonlyMap<string, string>): Promise<void> => {
    if (token === UNKNOWN) throw new Error(`the platform does not know ${token}`);
    const accept = async (message: IncomingMessage) => {
      const accepted = await sink.accept(message);
      // Once: what it has not confirmed comes again.
      if (!accepted.repeated) misbehave[/^driver (\w+)$/.exec(message.text)?.[1] ?? '']?.(sink, message);
      return accepted;
    };
    if (parts.settings['deaf'] !== true) await inner.start({ ...sink, accept }, cursors);
    let was = '';
    setInterval(() => {
      const now = state().state;
      if (now !== was) parts.changed();
      was = now;
    }, 20);
  };
  const send: Channel['send'] = async (operation): Promise<SendResult> => {
    if (token === REVOKED) return { ok: false, class: 'auth', reason: `${token} is revoked` };
    if (isLimited && operation.kind === 'reply') {
      isLimited = false;
      return { ok: false, class: 'rate_limited', reason: 'slow down' };
    }
    if (failing > 0 && operation.kind === 'reply') {
      failing -= 1;
      return { ok: false, class: 'retryable', reason: 'the platform fails' };
    }
    return inner.send(operation);
  };
  return {
    name: parts.name,
    capabilities: inner.capabilities,
    start: begin,
    send,
    stop: () => inner.stop(),
    edit: (operation) => inner.edit(operation),
    react: (operation) => inner.react(operation),
    typing: (chat, thread) => inner.typing(chat, thread),
    reconcile: (operation) => inner.reconcile(operation),
    openDm: (handle) => inner.openDm(handle),
    menu: (commands) => inner.menu(commands),
    deepLink: (code) => inner.deepLink(code),
    linking: () => (isOver ? { over: true } : isLinked() ? null : { code: 'AB12CD34' }),
    health: state,
    webhook: async ({ method, path, query, headers, body }) => ({
      status: 200,
      body: JSON.stringify({ method, path, query, signature: headers['x-signature'], body: body.toString('utf8') }),
      type: 'application/json',
    }),
  };
}

function leak(kept: object[]): void {
  for (let i = 0; i < 10_000; i += 1) kept.push({ text: `${i}`.padEnd(1000, 'x').split('') });
  setImmediate(() => leak(kept));
}
