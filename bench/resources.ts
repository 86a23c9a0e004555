import { readFileSync } from 'node:fs';
import { START_GARBAGE_MS } from '../src/base/limits/sandbox.ts';
import type { Status } from '../src/evidence/status.ts';
import { type FakeModel, startModel } from '../test/fakes/model.ts';
import { Install, rssMb, Terminal, treeRssMb, until } from './install.ts';

/** Resident memory of an install in its normal state: compiled code is cached, nothing happens. */
export async function idleMemory(
  install: Install,
): Promise<{ host_mb: number; gateway_mb: number; together_mb: number; shared_counted_once_mb: number }> {
  await sleep(START_GARBAGE_MS + 1500);
  const [host_mb, gateway_mb] = [rssMb(install.pid('host')), rssMb(install.pid('gateway'))];
  const shared_counted_once_mb = Math.round(pssMb(install.pid('host')) + pssMb(install.pid('gateway')));
  return { host_mb, gateway_mb, together_mb: host_mb + gateway_mb, shared_counted_once_mb };
}

/** An idle session, everything in its sandbox counted, some time after its last answer. */
export async function sessionMemory(install: Install, chat: string, settle_ms: number): Promise<number> {
  const terminal = new Terminal(install.control, chat);
  await terminal.open();
  await terminal.ask('hello');
  terminal.close();
  await sleep(settle_ms);
  const status = await install.control.call<Status>('status');
  // The newest: others have answered hundreds of times.
  const pid = status.sessions.findLast((session) => session.state === 'idle' && session.pid !== null)?.pid;
  return pid === undefined || pid === null ? Number.NaN : treeRssMb(pid);
}

export interface ModelFigures {
  /** Bytes of the first request to the model for "hello". */
  first_request_bytes: number;
  /** Milliseconds from the client's write to the request's arrival at the model, live sandbox. */
  warm_to_request_ms: number;
  cold_reply_ms: number;
  idle_mb: number;
  /** From a message to its request's arrival at the model, after that rest; NaN: the request did not hold what was said before. */
  rested_to_request_ms: number;
}

const WARM_TURNS = 15;

/** A harness with a model, in a real sandbox, against a model that answers at once. */
export async function modelFigures(harness: 'native' | 'claude', settle_ms: number): Promise<ModelFigures> {
  const model = await startModel();
  const install = new Install();
  install.group('assistant', groupYaml(harness, model));
  try {
    await install.start();
    await install.secret('anthropic', 'fake-secret-value');
    await install.settle();
    const terminal = new Terminal(install.control, 'model');
    await terminal.open();
    const cold = await terminal.ask('hello');
    const first = model.requests
      .filter((request) => request.body.includes('hello'))
      .toSorted((a, b) => b.body.length - a.body.length)[0];
    const times: number[] = [];
    for (let i = 0; i < WARM_TURNS; i += 1) times.push(await toRequest(terminal, model, `question-${i}`));
    await sleep(settle_ms);
    const status = await install.control.call<Status>('status');
    const pid = status.sessions[0]?.pid;
    const idle_mb = pid === undefined || pid === null ? Number.NaN : treeRssMb(pid);
    const rested = await toRequest(terminal, model, 'after a rest');
    terminal.close();
    const knows = model.requests.some(({ body }) => body.includes('question-0') && body.includes('after a rest'));
    times.sort((a, b) => a - b);
    return {
      first_request_bytes: Buffer.byteLength(first?.body ?? ''),
      warm_to_request_ms: Number(times[Math.floor(times.length / 2)]!.toFixed(1)),
      cold_reply_ms: Math.round(cold.ms),
      idle_mb,
      rested_to_request_ms: knows ? Math.round(rested) : Number.NaN,
    };
  } finally {
    await install.stop();
    await model.close();
  }
}

/** Milliseconds from the client's write to the request's arrival at the model. */
export async function toRequest(terminal: Terminal, model: FakeModel, text: string): Promise<number> {
  const began = performance.now();
  let arrived = Number.NaN;
  const script = model.script;
  model.script = (request) => {
    if (Number.isNaN(arrived) && request.body.includes(text)) arrived = performance.now() - began;
    return script(request);
  };
  await terminal.ask(text);
  model.script = script;
  return arrived;
}

export function groupYaml(harness: string, model: FakeModel): string {
  return `harness: ${harness}\nmodel: {provider: anthropic, name: scripted, upstream: "${model.origin}", secret: anthropic}\n`;
}

/** Proportional memory: a page that several processes share is split among them. */
function pssMb(pid: number): number {
  return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0) / 1024;
}

/** Times of coming back, each a median of a few. */
export async function recoveryTimes(
  install: Install,
): Promise<{ host_ready_ms: number; turn_running_again_ms: number }> {
  const host: number[] = [];
  const turn: number[] = [];
  for (let i = 0; i < 5; i += 1) {
    host.push(await hostReady(install));
    turn.push(await turnAgain(install, `again-${i}`));
  }
  return { host_ready_ms: median(host), turn_running_again_ms: median(turn) };
}

async function hostReady(install: Install): Promise<number> {
  await install.end('host', 'SIGKILL');
  const began = performance.now();
  install.spawn('host');
  await install.ready();
  return performance.now() - began;
}

/** From the death of a sandbox in mid-turn to the turn's next attempt. */
async function turnAgain(install: Install, chat: string): Promise<number> {
  const terminal = new Terminal(install.control, chat);
  await terminal.open();
  await terminal.ask('hello');
  const reply = terminal.ask('sleep 2');
  const session = await until('the turn runs', async () => {
    const status = await install.control.call<Status>('status');
    const running = status.sessions.find((each) => each.state === 'running' && each.pid !== null);
    if (running === undefined) throw new Error('not yet');
    return running;
  });
  await sleep(100);
  const killed_ms = Date.now();
  process.kill(session.pid!, 'SIGKILL');
  await reply;
  terminal.close();
  const steps = (
    await install.control.call<{ steps: { at_us: number; kind: string }[] }>('trace', { message: 'latest' })
  ).steps;
  const died = steps.find((step) => step.kind === 'turn.attempt_failed');
  const again = steps.findLast((step) => step.kind === 'turn.started');
  return died === undefined || again === undefined ? Number.NaN : again.at_us / 1000 - killed_ms;
}

function median(values: number[]): number {
  return Math.round(values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
