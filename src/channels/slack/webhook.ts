import { createHmac, timingSafeEqual } from 'node:crypto';
import type { WebhookAnswer, WebhookRequest } from '../channel.ts';
import { SIGNED_AGE_S } from './limits.ts';

/** Whether Slack has signed these bytes, lately. Without a secret nobody has. `nowS`: seconds since the epoch. */
export function isSigned(request: WebhookRequest, secret: string, nowS: number): boolean {
  const stamp = request.headers['x-slack-request-timestamp'] ?? '';
  const given = request.headers['x-slack-signature'] ?? '';
  if (secret === '' || !/^\d{1,12}$/.test(stamp) || Math.abs(nowS - Number(stamp)) > SIGNED_AGE_S) return false;
  const right = createHmac('sha256', secret).update(`v0:${stamp}:`).update(request.body).digest();
  const claimed = Buffer.from(given.replace(/^v0=/, ''), 'hex');
  return given.startsWith('v0=') && claimed.length === right.length && timingSafeEqual(claimed, right);
}

export type Call =
  | { kind: 'challenge'; challenge: string }
  | { kind: 'event'; body: unknown }
  | { kind: 'interaction'; body: unknown }
  | { kind: 'other' };

/** What a signed request asks. */
export function callOf({ headers, body }: WebhookRequest): Call {
  const text = body.toString('utf8');
  if (headers['content-type']?.startsWith('application/x-www-form-urlencoded') === true) {
    const payload = parsed(new URLSearchParams(text).get('payload') ?? '');
    return payload === undefined ? { kind: 'other' } : { kind: 'interaction', body: payload };
  }
  const value = parsed(text) as { type?: unknown; challenge?: unknown } | null | undefined;
  if (value?.type === 'url_verification' && typeof value.challenge === 'string')
    return { kind: 'challenge', challenge: value.challenge };
  return value?.type === 'event_callback' ? { kind: 'event', body: value } : { kind: 'other' };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export const DONE: WebhookAnswer = { status: 200 };
