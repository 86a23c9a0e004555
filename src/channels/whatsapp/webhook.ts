import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { WebhookAnswer, WebhookRequest } from '../channel.ts';

/** Whether Meta has signed these bytes. Without a secret nobody has. */
export function isSigned({ headers, body }: WebhookRequest, secret: string): boolean {
  const [, given] = /^sha256=([0-9a-f]{64})$/.exec(headers['x-hub-signature-256'] ?? '') ?? [];
  if (secret === '' || given === undefined) return false;
  return timingSafeEqual(Buffer.from(given, 'hex'), createHmac('sha256', secret).update(body).digest());
}

/** Meta's first call: who knows the word that was entered beside the address is given the challenge back. */
export function verified({ query }: WebhookRequest, word: string): WebhookAnswer {
  const asked = new URLSearchParams(query);
  const challenge = asked.get('hub.challenge') ?? '';
  const knows = word !== '' && timingSafeEqual(digest(asked.get('hub.verify_token') ?? ''), digest(word));
  if (!knows || asked.get('hub.mode') !== 'subscribe') return { status: 403 };
  return /^[\w.-]{1,200}$/.test(challenge) ? { status: 200, body: challenge } : { status: 400 };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

export function parsed(body: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(body).toString('utf8'));
  } catch {
    return undefined;
  }
}
