import type { IncomingMessage, Server } from 'node:http';
import { createServer } from '../base/http.ts';
import {
  AGENT_CHECK_MS,
  AGENT_HEADERS_MS,
  AGENT_KEEP_ALIVE_MS,
  AGENT_REQUEST_MS,
  HEADER_BYTES_MAX,
  HEADERS_MAX,
  SESSION_CONNECTIONS_MAX,
} from '../base/limits/gateway.ts';
import { listenUnix } from './unix.ts';

/** One HTTP server on one unix socket: the socket is the identity of the session that speaks on it. */
export interface Listener {
  /** Resolves when connections are accepted; rejects with `OperatingError('unavailable')`. */
  readonly ready: Promise<void>;
  /** Ends every connection and removes the socket, at once. Safe to call twice. */
  close(): void;
}

/** What answers on it. */
export interface Answering {
  serve(server: Server): void;
  /** Whether a request with an upgrade is to leave HTTP; if not, it is answered like any other. Must not throw. */
  upgrades(request: IncomingMessage): boolean;
}

export function listenEgress(path: string, answering: Answering): Listener {
  const server = createServer({
    insecureHTTPParser: false,
    maxHeaderSize: HEADER_BYTES_MAX,
    headersTimeout: AGENT_HEADERS_MS,
    requestTimeout: AGENT_REQUEST_MS,
    connectionsCheckingInterval: AGENT_CHECK_MS,
    keepAliveTimeout: AGENT_KEEP_ALIVE_MS,
    requireHostHeader: false, // Counted with the duplicates, so that the refusal is recorded like the others.
    shouldUpgradeCallback: (request) => answering.upgrades(request),
  });
  server.maxHeadersCount = HEADERS_MAX;
  server.maxConnections = SESSION_CONNECTIONS_MAX;
  answering.serve(server);
  // A sandbox has another uid; that it can reach no socket but its own is the business of the folder.
  const ready = listenUnix(server, path, 0o666);
  return {
    ready,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
