import type { Channel, IncomingMessage, SendResult, Sink } from '../../src/channels/channel.ts';
import type { DriverParts } from '../../src/channels/kind.ts';
import { PlatformChannel } from './platform_channel.ts';

/** What the token must be; with another one it is refused at the start, and with that one at each send. */
const REVOKED = 'fake-token-revoked';
const UNKNOWN = 'fake-token-unknown';

/**
 * The driver of the fake platform; `deaf`: it hears nothing, and only speaks. A message `driver throw` and so on, once it has been accepted, makes it fail as the
 * packages of a real one might.
 */
export function open(parts: DriverParts): Channel {
  const token = parts.secrets['token']!;
  const inner = new PlatformChannel(parts.settings['url'] as string);
  let failing = 0;
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
      const { state } = inner.health();
      if (state !== was) parts.changed();
      was = state;
    }, 20);
  };
  const send: Channel['send'] = async (operation): Promise<SendResult> => {
    if (token === REVOKED) return { ok: false, class: 'auth', reason: `${token} is revoked` };
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
    health: () => (parts.settings['deaf'] === true ? { state: 'connected', detail: 'it only speaks' } : inner.health()),
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
