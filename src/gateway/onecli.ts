import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { createSecureContext, connect as openTls, type SecureContext } from 'node:tls';
import type { buildConnector } from 'undici';
import type { OneCliConfig } from '../base/config.ts';
import { messageOf, OperatingError, systemCodeOf } from '../base/errors.ts';
import { request } from '../base/http.ts';
import { HEADER_BYTES_MAX, MODEL_CONNECT_MS } from '../base/limits/gateway.ts';

/**
 * The way through an OneCLI gateway: CONNECT with its agent's token, then TLS that ends in OneCLI, which adds the credential. A
 * tunnel that it does not look into ends at the service's own certificate, which is not believed here: nothing is asked in
 * it. Nothing else is ever dialled for a service that goes this way.
 */
export interface OneCli {
  /** Name of the secret that is the agent's access token. */
  token: string;
  hostname: string;
  port: number;
  /** As the secret's own list of hosts names it. */
  place: string;
  /** OneCLI's certificate authority, and no other. */
  trust: SecureContext;
}

/** Throws `OperatingError('config')` when the authority cannot be used. */
export function oneCliOf({ gateway, token, ca }: OneCliConfig): OneCli {
  const { hostname, port, host } = new URL(gateway);
  try {
    const pem = readFileSync(ca, 'utf8');
    if (pem.split('BEGIN CERTIFICATE').length !== 2) throw new Error('it must hold exactly one certificate');
    if (!new X509Certificate(pem).ca) throw new Error('it is not the certificate of an authority');
    return { token, hostname, port: Number(port || 80), place: host, trust: createSecureContext({ ca: pem }) };
  } catch (error) {
    throw new OperatingError('config', `onecli.ca: ${ca} cannot be used (${messageOf(error)})`, undefined, error);
  }
}

/** Why there is no way through OneCLI: thrown into the connection. */
export class OneCliError extends Error {
  readonly code = 'GLASS_ONECLI';
  /** For the agent. */
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

/** What makes the connections of one pool. `authorization`: the token, as CONNECT has it. */
export function throughOneCli(onecli: OneCli, authorization: string): buildConnector.connector {
  return ({ hostname, port }, callback) => {
    const path = `${hostname}:${port || 443}`;
    const headers = { host: path, 'proxy-authorization': authorization, connection: 'keep-alive' };
    const asked = request({
      ...{ host: onecli.hostname, port: onecli.port, method: 'CONNECT', path, headers },
      ...{ agent: false, maxHeaderSize: HEADER_BYTES_MAX },
    });
    let open: Socket | null = null;
    let done = false;
    const fail = (what: string, status = 502): void => {
      if (done) return;
      done = true;
      clearTimeout(timer);
      asked.destroy();
      open?.destroy();
      callback(new OneCliError(what, status), null);
    };
    const timer = setTimeout(() => fail('does not open a tunnel in time', 504), MODEL_CONNECT_MS);
    asked.on('error', (error) => fail(`cannot be asked (${systemCodeOf(error) ?? 'no answer'})`));
    asked.on('connect', ({ statusCode }, socket, head) => {
      open = socket;
      socket.on('error', () => fail('has cut the tunnel'));
      if (statusCode === 407) return fail('does not take the token (407)');
      if (statusCode !== 200) return fail(`refuses the tunnel (${statusCode})`);
      if (head.length > 0) return fail('answers CONNECT with something else');
      const tls = openTls({
        ...{ socket, servername: hostname, secureContext: onecli.trust },
        ...{ rejectUnauthorized: true, ALPNProtocols: ['http/1.1'] },
      });
      open = tls;
      tls.on('error', (error) => fail(`did not answer for ${hostname} itself (${systemCodeOf(error) ?? 'TLS'})`));
      tls.on('secureConnect', () => {
        if (done) return;
        done = true;
        clearTimeout(timer);
        callback(null, tls);
      });
    });
    asked.end();
  };
}
