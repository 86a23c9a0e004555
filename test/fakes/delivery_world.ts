import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { noFaults } from '../../src/base/faults.ts';
import type {
  Channel,
  ChannelCapabilities,
  Reconciled,
  SendOperation,
  SendResult,
} from '../../src/channels/channel.ts';
import { Delivery } from '../../src/delivery/delivery.ts';
import type { Ledger } from '../../src/ledger/ledger.ts';
import type { SessionRow } from '../../src/ledger/sessions.ts';
import { freshLedger, seedChat } from './ledger_kit.ts';

export type Send = (operation: SendOperation) => Promise<SendResult>;

/** A channel in memory: what it was asked to send, and what it answers. */
export class FakeChannel implements Channel {
  readonly name = 'local';
  readonly capabilities: ChannelCapabilities = { markup: 'markdown', text_max: 1000, file_bytes_max: 0 };
  readonly asked: SendOperation[] = [];
  answer: Send;
  reconcile?: (operation: SendOperation) => Promise<Reconciled>;

  constructor(answer: Send) {
    this.answer = answer;
  }

  async start(): Promise<void> {}
  async stop(): Promise<void> {}

  send(operation: SendOperation): Promise<SendResult> {
    this.asked.push(operation);
    return this.answer(operation);
  }

  health(): { state: 'connected'; detail: string } {
    return { state: 'connected', detail: '' };
  }

  bodies(): string[] {
    return this.asked.map((operation) => operation.body);
  }
}

export const accepted: Send = async (operation) => ({ ok: true, receipt: `r ${operation.key}` });

export interface World {
  ledger: Ledger;
  channel: FakeChannel;
  delivery: Delivery;
  session: SessionRow;
  alerts: string[];
  restart(): Delivery;
}

export async function world(context: TestContext, answer: Send = accepted): Promise<World> {
  const ledger = await freshLedger(context);
  const session = seedChat(ledger.db);
  const channel = new FakeChannel(answer);
  const alerts: string[] = [];
  const restart = (): Delivery => {
    const delivery = new Delivery(ledger, '/nowhere', systemClock, new Map([['local', channel]]), noFaults, {
      rejected: () => {},
      alert: (kind, subject, text) => alerts.push(`${kind} ${subject}: ${text}`),
    });
    context.after(() => delivery.stop(0));
    return delivery;
  };
  return { ledger, channel, delivery: restart(), session, alerts, restart };
}

export function states(ledger: Ledger): string[] {
  return ledger.db.all<{ state: string }>('SELECT state FROM outbound ORDER BY id').map((row) => row.state);
}

export async function until(done: () => boolean): Promise<void> {
  for (let i = 0; i < 1000 && !done(); i += 1) await pause(5);
  assert.ok(done(), 'not within 5 s');
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export const settled = (ledger: Ledger) => (): boolean =>
  states(ledger).every((state) => ['sent', 'rejected', 'uncertain'].includes(state));

export async function delivered(ledger: Ledger, body: string): Promise<void> {
  for (let i = 0; i < 1000; i += 1) {
    if (ledger.db.get("SELECT 1 AS yes FROM outbound WHERE body = ? AND state = 'sent'", body) !== undefined) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail(`"${body}" was not sent`);
}
