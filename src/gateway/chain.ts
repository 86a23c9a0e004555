import { linkHash } from '../protocol/chain.ts';

/**
 * The chain of `audit.db`: the hash of each transaction covers the one before it, so that a row which is changed, removed
 * or put in later breaks every hash after it. What no chain shows, that its end was cut off or that all of it was made
 * anew, is shown by its anchors: heads that the host has written down in the ledger, which the gateway cannot write.
 */
export interface Link {
  seq: number;
  /** SHA-256, hex. */
  hash: string;
}

export const FIRST_LINK: Link = { seq: 0, hash: '' };

/** What a request asked for, when it began; never changed afterwards. */
export interface Begun {
  id: number;
  session: string;
  group: string;
  at_ms: number;
  method: string;
  host: string;
  path: string;
  service: string | null;
  secret: string | null;
}

/** What became of it. */
export interface Ended {
  id: number;
  ended_ms: number;
  decision: string;
  rule: string;
  status: number | null;
  model: string | null;
  request_bytes: number;
  response_bytes: number;
  input_tokens: number | null;
  output_tokens: number | null;
  redacted: number;
  cost_micros: number;
  tokens: number;
}

/** A head of the host's events that was written down here, so that the host alone cannot make them anew. */
export interface HostHead {
  at_ms: number;
  /** Key of the event, and its hash. */
  event: number;
  event_hash: string;
  /** The day of the cut that was signed there; null: no cut. */
  cut: string | null;
}

/** With its place in the chain. */
export interface ChainedHead extends HostHead, Link {}

export function headLink(head: Link, { at_ms, event, event_hash, cut }: HostHead): Link {
  return after(head, ['head', at_ms, event, event_hash, cut]);
}

export function begunLink(head: Link, row: Begun): Link {
  const { id, session, group, at_ms, method, host, path, service, secret } = row;
  return after(head, ['begun', id, session, group, at_ms, method, host, path, service, secret]);
}

export function endedLink(head: Link, row: Ended): Link {
  const { id, ended_ms, decision, rule, status, model, redacted, cost_micros, tokens } = row;
  const { request_bytes, response_bytes, input_tokens, output_tokens } = row;
  const amounts = [request_bytes, response_bytes, input_tokens, output_tokens, redacted, cost_micros, tokens];
  return after(head, ['ended', id, ended_ms, decision, rule, status, model, ...amounts]);
}

function after({ seq, hash: before }: Link, what: readonly (string | number | null)[]): Link {
  return { seq: seq + 1, hash: linkHash(before, seq + 1, what) };
}

/** A row with its two places in the chain; without the second while its request runs. */
export interface Chained extends Begun, Omit<Ended, 'ended_ms'> {
  ended_ms: number | null;
  /** Null: it began before there was a chain. */
  begun_seq: number | null;
  begun_hash: string | null;
  ended_seq: number | null;
  ended_hash: string | null;
}
