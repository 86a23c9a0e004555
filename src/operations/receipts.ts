import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../base/clock.ts';
import { showId } from '../base/ids.ts';
import { visible } from '../base/text.ts';
import type { Receipt } from '../channels/channel.ts';
import { links } from '../delivery/outcomes.ts';
import type { Db } from '../ledger/db.ts';
import { recordEvent } from '../ledger/events.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { OutboundRow } from '../ledger/outbound.ts';

export interface ReceiptParts {
  ledger: Ledger;
  clock: Clock;
  alert(kind: string, subject: string, text: string): void;
}

type Row = OutboundRow & { to: string };

/** A platform may say that a text has arrived before the host has noted that it was taken: it is waited for, that long. */
const NOTED_MS = 1000;
const LOOK_EVERY_MS = 50;

/**
 * What a platform says of a text of ours that it had taken is an event of that text, each once. The row stays `sent`: that is what we
 * have done, and it is in one state. That it did not arrive somebody is told. A text that we do not know is somebody else's.
 */
export async function takeReceipt({ ledger, clock, alert }: ReceiptParts, channel: string, receipt: Receipt) {
  const row = await noted(ledger.db, channel, receipt.message);
  if (row === undefined) return;
  const { state, reason = '', at_ms } = receipt;
  await ledger.write('receipt', (db) => {
    const kind = `receipt.${state}` as const;
    if (db.get('SELECT 1 AS yes FROM events WHERE outbound_id = ? AND kind = ?', row.id, kind) !== undefined) return;
    recordEvent(db, clock, kind, links(row), { said_ms: at_ms, ...(reason !== '' && { reason }) });
  });
  const said = reason === '' ? 'no reason given' : reason;
  if (state === 'failed')
    alert('delivery.rejected', showId('o', row.id), `A message to ${row.to} was taken and did not arrive: ${said}`);
}

/** Undefined: it is none of ours. While nothing is being sent there, what is not noted never will be. */
async function noted(db: Db, channel: string, message: string): Promise<Row | undefined> {
  for (let waited = 0; ; waited += LOOK_EVERY_MS) {
    const waits = waited < NOTED_MS && isSending(db, channel);
    const row = rowOf(db, channel, message);
    if (row !== undefined || !waits) return row && { ...row, to: visible(row.to) };
    await sleep(LOOK_EVERY_MS);
  }
}

function isSending(db: Db, channel: string): boolean {
  const sql = `SELECT 1 AS yes FROM outbound o JOIN chats c ON c.id = o.chat_id
    WHERE o.state IN ('queued', 'sending', 'retry') AND o.state = 'sending' AND c.channel = ? LIMIT 1`;
  return db.get(sql, channel) !== undefined;
}

function rowOf(db: Db, channel: string, message: string): Row | undefined {
  return db.get<Row>(
    `SELECT o.*, coalesce(nullif(c.title, ''), c.platform_id) AS "to"
       FROM outbound o JOIN chats c ON c.id = o.chat_id
      WHERE o.receipt = ? AND o.act = 'send' AND c.channel = ? ORDER BY o.id DESC LIMIT 1`,
    message,
    channel,
  );
}
