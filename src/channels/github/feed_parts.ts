import type { Sink } from '../channel.ts';
import type { DriverParts } from '../kind.ts';
import type { Unreadable } from '../unreadable.ts';
import type { Me } from './auth.ts';
import type { Client } from './client.ts';
import type { SeenMarks } from './seen_marks.ts';

/** What the feeds of all repositories share. */
export interface FeedParts {
  client: Client;
  sink: Sink;
  cursors: ReadonlyMap<string, string>;
  marks: SeenMarks;
  log: DriverParts['log'];
  unreadable: Unreadable;
  /** Strangers are passed on too. */
  public: boolean;
  me(): Promise<Me>;
  /** Nothing is handed over any more. */
  ended: AbortSignal;
}
