import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { GatewayProcess } from '../test/fakes/gateway_process.ts';
import { remove } from '../test/fakes/remove.ts';
import { openTunnel } from '../test/fakes/tunnel.ts';
import { bearerFor, namesEnv, TestAuthority, Upstream } from '../test/fakes/upstream.ts';
import { inTurns, type Way, way } from './gateway.ts';
import { type Spread, spreadOf } from './install.ts';

/** Requests to a service, in a kept-alive tunnel of the gateway and straight to it over TLS, in turns; its secret is injected and masked. */
export interface ServiceFigures {
  added_p50_ms: number;
  added_p99_ms: number;
  /** From the service's write of an event to its arrival. */
  event_added_p50_ms: number;
  event_added_p95_ms: number;
  /** Resident at most, while one connection of 16 sends a large body, one receives one, and the others ask. */
  peak_mb: number;
}

const HOST = 'api.example.com';
const WARM_REQUESTS = 1000;
const REQUESTS = 2000;
const EVENTS = 400;
const EVENT_EVERY_MS = 2;
const CONNECTIONS = 16;
/** Of each: so that the large bodies get their share of the processors. */
const ASK_EVERY_MS = 20;
const LARGE_BYTES = 100_000_000;

export async function serviceFigures(): Promise<ServiceFigures> {
  const folder = mkdtempSync(join(tmpdir(), 'gb-'));
  const authority = new TestAuthority();
  const service = new Upstream(HOST, authority);
  const gateway = new GatewayProcess(namesEnv({ [HOST]: ['127.0.0.1'] }));
  try {
    await service.listen();
    service.handler = (incoming, response) => {
      if (incoming.url === '/events') void sendEvents((text) => response.write(text)).then(() => response.end());
      else response.end(incoming.url === '/large' ? Buffer.alloc(LARGE_BYTES) : '{"items":3}');
    };
    const tunnel = await openService(gateway, service, authority.write(folder));
    const tls = { ca: authority.certificate, host: '127.0.0.1', servername: HOST };
    const directAgent = new TlsAgent({ keepAlive: true, maxSockets: 1, ...tls });
    const place = { path: '/items', headers: { host: service.place } };
    const direct = way({ ...place, protocol: 'https:', ...tls, port: service.port }, directAgent);
    const through = way(place, await tunnel());
    const ways = [direct, through];
    await inTurns(ways, WARM_REQUESTS);
    for (const each of ways) each.times = [];
    await inTurns(ways, REQUESTS);
    const added = less(through.times, direct.times);
    const events = less(await eventDelays(through), await eventDelays(direct));
    await crowd(tunnel, service.place);
    for (const { agent } of ways) agent.destroy();
    return {
      ...{ added_p50_ms: added.p50, added_p99_ms: added.p99 },
      ...{ event_added_p50_ms: events.p50, event_added_p95_ms: events.p95 },
      peak_mb: peakMb(gateway.pid),
    };
  } finally {
    await gateway.dispose();
    await service.close();
    remove(folder);
  }
}

/** Returns what makes an agent whose only connection is a tunnel to the service. */
async function openService(gateway: GatewayProcess, service: Upstream, ca: string): Promise<() => Promise<Agent>> {
  const yaml = `model: {upstream: "http://127.0.0.1:9"}
secrets: [api-token]
egress:
  api: {host: ${HOST}, port: ${service.port}, private: [127.0.0.0/8], use: api-token, allow: ["* /**"]}
`;
  writeFileSync(gateway.paths.config, `upstream_ca: ${ca}\n`);
  const policy = gateway.group('bench', yaml);
  await gateway.start();
  await gateway.setSecret('api-token', 'fake-token-of-the-operator', bearerFor(service.place));
  const socket = await gateway.open(await gateway.host(), 's1', 'bench', policy);
  const trusted = readFileSync(gateway.paths.caCertificate, 'utf8');
  return async () => {
    const tls = await openTunnel(socket, { ca: trusted, place: service.place });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    agent.createConnection = () => tls;
    return agent;
  };
}

/** Each event is the time at which it was written. */
async function sendEvents(write: (text: string) => void): Promise<void> {
  for (let i = 0; i < EVENTS; i += 1) {
    write(`data: ${performance.now()}\n\n`);
    await sleep(EVENT_EVERY_MS);
  }
}

function eventDelays({ target, agent }: Way): Promise<number[]> {
  const delays: number[] = [];
  return new Promise((resolve, reject) => {
    const sent = request({ ...target, path: '/events', method: 'GET', agent }, (response) => {
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        const now = performance.now();
        for (const [, at] of text.matchAll(/data: (\S+)/g)) delays.push(now - Number(at));
      });
      response.on('end', () => resolve(delays));
    });
    sent.on('error', reject);
    sent.end();
  });
}

async function crowd(tunnel: () => Promise<Agent>, host: string): Promise<void> {
  const agents = await Promise.all(Array.from({ length: CONNECTIONS }, tunnel));
  const exchange = (agent: Agent, path: string, body: Buffer) => exchanged({ host }, agent, path, body);
  let busy = true;
  const asking = agents.slice(2).map(async (agent) => {
    while (busy) {
      await exchange(agent, '/items', Buffer.from('{}'));
      await sleep(ASK_EVERY_MS);
    }
  });
  await Promise.all([
    exchange(agents[0]!, '/upload', Buffer.alloc(LARGE_BYTES)),
    exchange(agents[1]!, '/large', Buffer.from('{}')),
  ]);
  busy = false;
  await Promise.all(asking);
  for (const agent of agents) agent.destroy();
}

function exchanged(host: { host: string }, agent: Agent, path: string, body: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const headers = { ...host, 'content-length': body.length };
    const sent = request({ agent, path, method: 'POST', headers }, (response) => {
      response.resume();
      response.on('end', resolve);
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

/** Quantiles of the one less those of the other. */
function less(through: number[], direct: number[]): Spread {
  const [a, b] = [spreadOf(direct), spreadOf(through)];
  const of = (name: keyof Spread): number => Number((b[name] - a[name]).toFixed(2));
  return { p50: of('p50'), p95: of('p95'), p99: of('p99') };
}

/** Of the process's whole life. */
function peakMb(pid: number): number {
  return Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024);
}

if (import.meta.main) console.log(await serviceFigures());
