import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:net';
import { join } from 'node:path';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { isatty } from 'node:tty';
import { systemClock } from './base/clock.ts';
import { readInstall } from './base/config.ts';
import { exitCodeOf, messageOf, OperatingError } from './base/errors.ts';
import { faultsFrom } from './base/faults.ts';
import {
  AGENT_TLS_MS,
  AUDIT_ANCHOR_MS,
  MODEL_FIRST_BYTE_MS,
  MODEL_IDLE_MS,
  WEBSOCKET_IDLE_MS,
} from './base/limits/gateway.ts';
import { EVENTS_KEEP_DAYS } from './base/limits/messages.ts';
import { ANCHORED, type FileLog, type Log, openLog } from './base/log.ts';
import { dropStartGarbage } from './base/memory.ts';
import { homeFrom, type Paths, pathsOf, prepareGateway } from './base/paths.ts';
import { feedWatchdog } from './base/watchdog.ts';
import { checkAudit } from './evidence/request_chain.ts';
import { Audit } from './gateway/audit.ts';
import { Budgets } from './gateway/budget.ts';
import { CertificateAuthority } from './gateway/ca.ts';
import { Holds } from './gateway/holds.ts';
import { HostService } from './gateway/host_service.ts';
import { Injector } from './gateway/inject.ts';
import { oneCliOf } from './gateway/onecli.ts';
import { OperatorService } from './gateway/operator_service.ts';
import { Outward } from './gateway/outward.ts';
import { Prices } from './gateway/prices.ts';
import { Rates } from './gateway/rates.ts';
import { EgressSessions } from './gateway/sessions.ts';
import { serveLines } from './gateway/sockets.ts';
import { Tokens } from './gateway/tokens.ts';
import { refuseLive } from './gateway/unix.ts';
import { refuseHalfRestored, whenTrialEnds } from './operations/starts.ts';
import { DAY_MS } from './protocol/chain.ts';
import { keySourceOf } from './vault/keys.ts';
import { Vault } from './vault/vault.ts';

/**
 * The gateway: the process that owns the vault, and the only way out of a sandbox. This file only wires.
 *
 *   gateway.sock  the host: open and close sessions, decisions about held requests, names of secrets, audit, usage, tokens of channels
 *   vault.sock    the operator: set, list, promote, remove, rotate
 *   <session>/egress.sock  one per session: model requests, and tunnels to the group's services
 *
 * Environment: GLASS_HOME, or GLASS_SERVICE where it has an account of its own. One line `{"event":"ready"}` on standard error when all of it listens; SIGTERM ends it; SIGINT
 * only on a terminal of its own.
 */

async function main(): Promise<void> {
  process.umask(0o077);
  // The parent may be gone before us; its closed pipe must not end the process that others depend on.
  process.stderr.on('error', () => {});
  process.title = 'glassclaw-gateway';
  noCoreDump();
  feedWatchdog(process.env);
  const paths = pathsOf(homeFrom(process.env), process.env);
  refuseHalfRestored(paths.home);
  prepareGateway(paths);
  const aloud = (event: string): boolean => paths.isService && event === ANCHORED;
  const log = openLog('gateway', join(paths.gatewayLogs, 'gateway.log'), true, aloud);
  crashLoudly(log);
  const stop = await start(paths, log);
  process.once('SIGTERM', stop);
  // Ctrl-C reaches every process of a terminal at once; under a supervisor the host ends first, and asks for us until then.
  process.on('SIGINT', isatty(0) ? stop : () => {});
  whenTrialEnds(process.env, stop);
  log.info('ready', { pid: process.pid });
  dropStartGarbage();
  const ready = { at: new Date().toISOString(), level: 'info', process: 'gateway', event: 'ready', pid: process.pid };
  process.stderr.write(`${JSON.stringify(ready)}\n`);
}

/** Builds everything; returns what takes it down. */
async function start(paths: Paths, log: FileLog): Promise<() => void> {
  const faults = faultsFrom(process.env, paths.gatewayRun, 'gateway');
  // The clear sentence first; the lock on vault.db then decides between two that start at the same moment. Asked on
  // vault.sock, because a connection to gateway.sock would replace the host.
  await refuseLive(paths.vaultSocket);
  const pidFile = join(paths.gatewayRun, 'gateway.pid');
  writeFileSync(pidFile, `${process.pid}\n`, { mode: 0o600 });
  const install = existsSync(paths.config) ? readInstall(paths.config) : null;
  const source = keySourceOf(install?.vault ?? { key: 'file' }, paths, process.env);
  const vault = await Vault.unlock(paths.vault, source, systemClock, faults);
  const audit = new Audit(paths.audit, systemClock, faults);

  const alert = (kind: string, subject: string, text: string): void => {
    log.warn('alert', { kind, subject, text });
    host.tell({ event: 'alert', kind, subject, text });
  };
  const trust = upstreamTrust(install?.upstream_ca);
  const onecli = install?.onecli === undefined ? null : oneCliOf(install.onecli);
  const context = {
    audit,
    prices: new Prices([paths.prices, join(import.meta.dirname, 'gateway/prices.json')]),
    budgets: new Budgets(
      systemClock,
      (group, since_ms) => audit.usedSince(group, since_ms),
      (subject, text) => alert('budget', subject, text),
    ),
    injector: new Injector(vault, new Tokens(vault, systemClock, trust, log, faults)),
    holds: new Holds(systemClock, (event) => host.tell(event)),
    authority: new CertificateAuthority(paths, systemClock, faults),
    rates: new Rates(systemClock, (group, service, since_ms) => audit.countSince(group, service, since_ms)),
    clock: systemClock,
    faults,
    log,
    deadlines: {
      tls_ms: AGENT_TLS_MS,
      first_byte_ms: MODEL_FIRST_BYTE_MS,
      idle_ms: MODEL_IDLE_MS,
      ws_idle_ms: WEBSOCKET_IDLE_MS,
    },
    alert,
  };
  const sessions = new EgressSessions(paths, context, trust, onecli);
  const keep_ms = install?.events.keep ?? EVENTS_KEEP_DAYS * DAY_MS;
  const outward = new Outward(install?.alerts ?? {}, trust);
  const host = new HostService(sessions, context, vault, { keep_ms, check: checkAudit }, outward);
  setInterval(() => host.anchor(), AUDIT_ANCHOR_MS).unref();
  const secretsChanged = (): void => host.tell({ event: 'secrets', names: vault.names() });
  const operator = new OperatorService(vault, audit, join(paths.gatewayHome, 'backups'), secretsChanged, log);
  const servers: Server[] = [
    await serveLines(paths.vaultSocket, paths.socketMode, operator),
    await serveLines(paths.gatewaySocket, paths.socketMode, host),
  ];

  return () => {
    log.info('stopping', { sessions: sessions.count });
    for (const server of servers) server.close();
    sessions.closeAll();
    // The agents' connections end in this tick, the rows of their requests in the next.
    setImmediate(() => {
      audit.close();
      vault.close();
      rmSync(pidFile, { force: true });
      process.exit(0);
    });
  };
}

/** Whose certificates of endpoints are believed, where the operator has named more than Node's own list; else null. */
function upstreamTrust(file: string | undefined): SecureContext | null {
  if (file === undefined) return null;
  try {
    return createSecureContext({ ca: [...getCACertificates('default'), readFileSync(file, 'utf8')] });
  } catch (error) {
    throw new OperatingError('config', `upstream_ca: ${file} cannot be used (${messageOf(error)})`, undefined, error);
  }
}

/** A core would hold secrets: without mappings it is empty. Linux only; elsewhere the service manager's limit holds. */
function noCoreDump(): void {
  try {
    writeFileSync('/proc/self/coredump_filter', '0');
  } catch {
    // Not Linux, or no /proc.
  }
}

/** Crash-only: what nobody foresaw ends the process, and is in the log. */
function crashLoudly(log: Log): void {
  process.on('uncaughtException', (error) => {
    log.error('crash', { reason: messageOf(error), stack: error instanceof Error ? error.stack : undefined });
    process.exit(exitCodeOf(null));
  });
}

try {
  await main();
} catch (error) {
  const fix = error instanceof OperatingError && error.fix !== undefined ? ` (${error.fix})` : '';
  const text = error instanceof OperatingError || !(error instanceof Error) ? messageOf(error) : error.stack;
  process.stderr.write(`gateway: ${text}${fix}\n`);
  process.exit(exitCodeOf(error));
}
