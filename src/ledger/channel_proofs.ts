import type { Db } from './db.ts';

/** What last proved a channel. `ok` null: it is known since `at_ms`, and not proven yet. */
export interface ChannelProof {
  channel: string;
  at_ms: number;
  ok: 0 | 1 | null;
  how: string;
  detail: string;
  ms: number;
}

export function channelProof(db: Db, channel: string): ChannelProof | undefined {
  return db.get<ChannelProof>('SELECT * FROM channel_proofs WHERE channel = ?', channel);
}

export function putChannelProof(db: Db, { channel, at_ms, ok, how, detail, ms }: ChannelProof): void {
  db.run(
    `INSERT INTO channel_proofs (channel, at_ms, ok, how, detail, ms) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (channel)
     DO UPDATE SET at_ms = excluded.at_ms, ok = excluded.ok, how = excluded.how, detail = excluded.detail, ms = excluded.ms`,
    ...[channel, at_ms, ok, how, detail, ms],
  );
}
