import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../base/errors.ts';
import { DRIVER_REASON_CHARS_MAX } from '../base/limits/channels.ts';
import { dropStartGarbage } from '../base/memory.ts';
import type { Channel, SendResult, Sink, WebhookRequest } from './channel.ts';
import {
  CallPort,
  CODE_HERE,
  DRIVER_METHODS,
  type DriverMethod,
  type DriverNews,
  type DriverSpec,
  SINK_METHODS,
} from './driver_calls.ts';
import type { OpenDriver } from './kind.ts';

/** The program of a driver's thread: loads the driver, and passes on what it and the host say to one another. */

const port = parentPort!;
const { driver, name, settings, folder, secrets } = workerData as DriverSpec;
const tell = (news: DriverNews): void => port.postMessage(news);

/** A net under the rule that a driver says no secret. */
function masked(text: string): string {
  return Object.values(secrets).reduce((said, secret) => said.replaceAll(secret, '[secret]'), text);
}

/** Cut to what a line of the status holds. */
function harmless(text: string): string {
  return masked(text).slice(0, DRIVER_REASON_CHARS_MAX);
}

function log(level: 'info' | 'warn', event: string, fields: Record<string, string | number> = {}): void {
  const safe = Object.entries(fields).map(([key, value]) => [key, typeof value === 'string' ? harmless(value) : value]);
  tell({ t: 'log', level, event, fields: Object.fromEntries(safe) });
}

let channel: Channel | undefined;

function changed(): void {
  if (channel === undefined) return;
  const { state, detail } = channel.health();
  const link = channel.deepLink?.(CODE_HERE) ?? null;
  tell({ t: 'health', health: { state, detail: harmless(detail) }, link, linking: channel.linking?.() ?? null });
}

async function handle(method: string, args: unknown[]): Promise<unknown> {
  try {
    return await act(method as DriverMethod, args);
  } catch (error) {
    throw new Error(harmless(messageOf(error)));
  }
}

async function act(method: DriverMethod, args: unknown[]): Promise<unknown> {
  const opened = channel!;
  switch (method) {
    case 'start':
      await opened.start(sink, args[0] as Map<string, string>);
      return changed();
    case 'webhook': {
      const request = args[0] as WebhookRequest;
      return opened.webhook!({ ...request, body: Buffer.from(request.body) });
    }
    case 'send':
    case 'edit':
    case 'react': {
      const result: SendResult = await opened[method]!(args[0] as never);
      return result.ok ? result : { ...result, reason: harmless(result.reason) };
    }
    default:
      return (opened[method] as (...given: unknown[]) => unknown)(...args);
  }
}

const calls = new CallPort((message) => port.postMessage(message), handle);

const sink = Object.fromEntries(
  SINK_METHODS.map((method) => [method, (...args: unknown[]) => calls.call(method, args)]),
) as unknown as Sink;

/** What a platform sends may hold what we gave it. */
sink.unreadable = async (event) => void (await calls.call('unreadable', [{ ...event, raw: masked(event.raw) }]));

/** Where nothing is to be answered nothing may reject either. */
sink.reachable = (chat) => void calls.call('reachable', [chat]).catch(() => {});

port.on('message', (message) => {
  if (message.t === 'ping') tell({ t: 'pong' });
  else calls.receive(message);
});

try {
  const { open } = (await import(driver)) as { open: OpenDriver };
  channel = open({ name, settings, folder, secrets, log, changed });
  tell({ t: 'opened', methods: DRIVER_METHODS.filter((method) => channel![method] !== undefined) });
  changed();
  dropStartGarbage();
} catch (error) {
  tell({ t: 'refused', reason: harmless(messageOf(error)) });
}
