import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, type RequestOptions, request } from 'node:http';
import { dirname, join } from 'node:path';
import { GatewayProcess } from '../test/fakes/gateway_process.ts';
import { startModel } from '../test/fakes/model.ts';
import { type Spread, spreadOf } from './install.ts';

export interface GatewayFigures {
  direct: Spread;
  through: Spread;
  /** Medians and 99th percentiles, the gateway's less the direct ones. */
  added_p50_ms: number;
  added_p99_ms: number;
  /** The bare relay's own, less the direct ones: what any process in this place costs here. */
  bare_added_p50_ms: number;
  bare_added_p99_ms: number;
  /** What is the gateway's own. */
  over_bare_p50_ms: number;
  over_bare_p99_ms: number;
  cpu_us_per_request: number;
  /** Of a relay with the same libraries that looks at nothing and records nothing. */
  bare_cpu_us_per_request: number;
}

/** Until the engine has compiled what runs often: before, a request costs three times as much. */
const WARM_REQUESTS = 2000;
const REQUESTS = 2000;
const BODY = JSON.stringify({ model: 'scripted', max_tokens: 100, messages: [{ role: 'user', content: 'hello' }] });

type Target = RequestOptions & { headers?: Record<string, string> };

/** One of the ways that a request can take. */
export interface Way {
  target: Target;
  agent: Agent;
  times: number[];
}

/** The same request straight to the endpoint, through a bare relay and through the gateway, in turns, on kept-alive connections. */
export async function gatewayFigures(): Promise<GatewayFigures> {
  const model = await startModel();
  const gateway = new GatewayProcess();
  try {
    const yaml = `model: {provider: anthropic, name: scripted, upstream: "${model.origin}", secret: anthropic}\n`;
    const policy = gateway.group('bench', yaml);
    await gateway.start();
    const socket = await gateway.open(await gateway.host(), 's1', 'bench', policy);
    await gateway.setSecret('anthropic', 'fake-secret-value');
    const relaySocket = join(dirname(socket), 'relay.sock');
    const relay = spawn(process.execPath, [join(import.meta.dirname, 'bare_relay.ts'), relaySocket, model.origin]);
    await once(relay.stdout, 'data');
    const direct = way({ host: '127.0.0.1', port: model.port, path: '/v1/messages' });
    const bare = way({ socketPath: relaySocket, path: '/v1/messages' });
    const through = way({ socketPath: socket, path: '/model/default/v1/messages' });
    const ways = [direct, bare, through];
    await inTurns(ways, WARM_REQUESTS);
    for (const each of ways) each.times = [];
    const pids = [gateway.pid, relay.pid!];
    const before = pids.map(cpuSeconds);
    await inTurns(ways, REQUESTS);
    const [own, bareOwn] = pids.map((pid, i) => Math.round(((cpuSeconds(pid) - before[i]!) / REQUESTS) * 1e6));
    for (const { agent } of ways) agent.destroy();
    relay.kill();
    const [a, b, r] = [direct, through, bare].map(({ times }) => spreadOf(times)) as [Spread, Spread, Spread];
    return {
      direct: a,
      through: b,
      added_p50_ms: round(b.p50 - a.p50),
      added_p99_ms: round(b.p99 - a.p99),
      bare_added_p50_ms: round(r.p50 - a.p50),
      bare_added_p99_ms: round(r.p99 - a.p99),
      over_bare_p50_ms: round(b.p50 - r.p50),
      over_bare_p99_ms: round(b.p99 - r.p99),
      cpu_us_per_request: own!,
      bare_cpu_us_per_request: bareOwn!,
    };
  } finally {
    await gateway.dispose();
    await model.close();
  }
}

export function way(target: Target, agent = new Agent({ keepAlive: true, maxSockets: 1 })): Way {
  return { target, agent, times: [] };
}

export async function inTurns(ways: Way[], requests: number): Promise<void> {
  for (let i = 0; i < requests; i += 1) for (const each of ways) each.times.push(await timed(each));
}

function timed({ target, agent }: Way): Promise<number> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const headers = { ...target.headers, 'content-type': 'application/json', 'content-length': BODY.length };
    const sent = request({ ...target, agent, method: 'POST', headers }, (response) => {
      response.resume();
      response.on('end', () => resolve(performance.now() - began));
    });
    sent.on('error', reject);
    sent.end(BODY);
  });
}

/** User and system time of a process so far; the kernel's ticks are 10 ms. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function round(ms: number): number {
  return Number(ms.toFixed(2));
}

if (import.meta.main) console.log(await gatewayFigures());
