import type { IncomingMessage } from 'node:http';
import { request as requestTls } from 'node:https';
import type { SecureContext } from 'node:tls';
import type { AlertsConfig } from '../base/config.ts';
import { messageOf } from '../base/errors.ts';
import { request } from '../base/http.ts';
import { ALERT_WAY_MS } from '../base/limits/alerts.ts';
import { publicLookup } from './addresses.ts';

/**
 * Alerts and signs of life for the addresses of `glass.yaml`. The host has no way out of its own, and says only which of the two:
 * where they are, the gateway reads itself. Nothing of the vault goes there.
 */
export class Outward {
  readonly #urls: Pick<AlertsConfig, 'webhook' | 'heartbeat'>;
  readonly #trust: SecureContext | null;

  /** `trust`: whose certificates are believed; null: what Node believes. */
  constructor(urls: Pick<AlertsConfig, 'webhook' | 'heartbeat'>, trust: SecureContext | null) {
    this.#urls = urls;
    this.#trust = trust;
  }

  /** Resolves with why it was not taken, or null. Never rejects. The reason has no path of an address: one may be a secret. */
  async post(to: 'webhook' | 'heartbeat', body: string): Promise<string | null> {
    const url = this.#urls[to];
    if (url === undefined) return `glass.yaml had no ${to} when the gateway started`;
    try {
      const { statusCode } = await this.#ask(new URL(url), to === 'webhook' ? body : null);
      return statusCode! >= 200 && statusCode! < 300 ? null : `it was answered ${statusCode}`;
    } catch (error) {
      return messageOf(error).slice(0, REASON_CHARS_MAX);
    }
  }

  #ask(url: URL, body: string | null): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const options = {
      method: body === null ? 'GET' : 'POST',
      headers: body === null ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      // The operator has named it, so that it may be a private one; a metadata service is never dialled.
      lookup: publicLookup(undefined, ['0.0.0.0/0', '::/0']),
      signal: AbortSignal.timeout(ALERT_WAY_MS),
      agent: false as const,
    };
    const trusted = this.#trust === null ? {} : { secureContext: this.#trust };
    const asked = url.protocol === 'https:' ? requestTls(url, { ...options, ...trusted }) : request(url, options);
    asked.on('error', reject);
    asked.on('response', (reply) => {
      // What it says is nobody's.
      reply.on('error', () => {}).resume();
      resolve(reply);
      asked.destroy();
    });
    asked.end(body ?? undefined);
    return promise;
  }
}

const REASON_CHARS_MAX = 200;
