import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { GatewayProcess } from '../test/fakes/gateway_process.ts';
import { startModel } from '../test/fakes/model.ts';
import { type Spread, spreadOf } from './install.ts';

export interface GatewayFigures {
  direct: Spread;
  through: Spread;
  /** Medians and 99th percentiles, the gateway's less the direct ones. */
  added_p50_ms: number;
  added_p99_ms: number;
  cpu_us_per_request: number;
}

const REQUESTS = 1500;
const BODY = JSON.stringify({ model: 'scripted', max_tokens: 100, messages: [{ role: 'user', content: 'hello' }] });

/** The same request straight to the endpoint and through the gateway, in turns, on kept-alive connections. */
export async function gatewayFigures(): Promise<GatewayFigures> {
  const model = await startModel();
  const gateway = new GatewayProcess();
  try {
    const yaml = `model: {provider: anthropic, name: scripted, upstream: "${model.origin}", secret: anthropic}\n`;
    const policy = gateway.group('bench', yaml);
    await gateway.start();
    const socket = await gateway.open(await gateway.host(), 's1', 'bench', policy);
    await gateway.setSecret('anthropic', 'fake-secret-value');
    const agents = [
      new Agent({ keepAlive: true, maxSockets: 1 }),
      new Agent({ keepAlive: true, maxSockets: 1 }),
    ] as const;
    const direct: number[] = [];
    const through: number[] = [];
    const cpu = (): number => cpuSeconds(gateway.pid);
    for (let i = 0; i < 100; i += 1)
      await timed({ socketPath: socket, path: '/model/default/v1/messages', agent: agents[1] });
    const before = cpu();
    for (let i = 0; i < REQUESTS; i += 1) {
      direct.push(await timed({ host: '127.0.0.1', port: model.port, path: '/v1/messages', agent: agents[0] }));
      through.push(await timed({ socketPath: socket, path: '/model/default/v1/messages', agent: agents[1] }));
    }
    const cpu_us_per_request = Math.round(((cpu() - before) / REQUESTS) * 1e6);
    for (const agent of agents) agent.destroy();
    const [a, b] = [spreadOf(direct), spreadOf(through)];
    return {
      direct: a,
      through: b,
      added_p50_ms: round(b.p50 - a.p50),
      added_p99_ms: round(b.p99 - a.p99),
      cpu_us_per_request,
    };
  } finally {
    await gateway.dispose();
    await model.close();
  }
}

function timed(target: {
  host?: string;
  port?: number;
  socketPath?: string;
  path: string;
  agent: Agent;
}): Promise<number> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': BODY.length };
    const sent = request({ ...target, method: 'POST', headers }, (response) => {
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
