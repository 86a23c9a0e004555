import { cpus, tmpdir } from 'node:os';
import { ROOT } from '../src/base/paths.ts';
import { DockerRuntime } from '../src/runtimes/docker.ts';
import { engineSocket } from '../src/runtimes/engine.ts';
import { isInstalled } from '../src/sessions/harnesses.ts';
import { countTrustedLines, KERNEL_LINES_MAX, TRUSTED_LINES_MAX } from '../test/count_lines.ts';
import { abuseFigures } from './abuse.ts';
import { auditFigures } from './audit.ts';
import { channelFigures } from './channels.ts';
import { addedToBareClaude } from './claude.ts';
import { gatewayFigures } from './gateway.ts';
import { Install } from './install.ts';
import { launcherTime } from './launcher.ts';
import { coldLatency, latencyAt, sustainedRate, warmLatency } from './messages.ts';
import { idleMemory, modelFigures, recoveryTimes, sessionMemory } from './resources.ts';
import { serviceFigures } from './services.ts';
import { chatStop, groupStop, STOP_LOAD } from './stops.ts';
import { latestTask } from './tasks.ts';
import { traceFigures } from './trace.ts';

/**
 * `glass bench [part…]`: the numbers that this project promises, measured on this machine, in throw-away installs with real
 * sandboxes and a model endpoint on loopback that answers at once. A table for people on standard error, JSON on
 * standard output. Nothing is judged but against the stated target, and a machine that does other work is slower.
 */
interface Row {
  what: string;
  value: string;
  target: string;
  /** Null: there is no target, or the figure could not be taken. */
  met: boolean | null;
}

const rows: Row[] = [];

/** Messages a second that are promised. */
const RATE_MIN = 300;

function add(what: string, value: number, unit: string, max: number, atLeast = false): void {
  const met = Number.isNaN(value) ? null : atLeast ? value >= max : value <= max;
  const row = { what, value: `${value} ${unit}`, target: `${atLeast ? '≥' : '≤'} ${max} ${unit}`, met };
  rows.push(row);
  process.stderr.write(
    `${met === null ? '?' : met ? '✓' : '✗'} ${what.padEnd(58)} ${row.value.padStart(14)}   ${row.target}\n`,
  );
}

/** A figure without a target. */
function note(what: string, value: number, unit: string): void {
  rows.push({ what, value: `${value} ${unit}`, target: '–', met: null });
  process.stderr.write(`  ${what.padEnd(58)} ${`${value} ${unit}`.padStart(14)}\n`);
}

function progress(text: string): void {
  process.stderr.write(`· ${text}\n`);
}

async function probeFigures(): Promise<void> {
  progress('probe in bubblewrap: latency, rate, memory, recovery');
  const install = new Install();
  install.group('assistant', 'harness: probe\n');
  // The first start fills the caches of compiled code; what is promised holds from the second on.
  await install.start();
  await warmLatency(install, 20);
  await install.end('host', 'SIGTERM');
  await install.end('gateway', 'SIGTERM');
  await install.start();
  const memory = await idleMemory(install);
  add('host + gateway resident, idle', memory.together_mb, 'MB', 160);
  add('  … with pages that both share counted once', memory.shared_counted_once_mb, 'MB', 160);
  const warm = await warmLatency(install);
  add('warm message → reply, p50', warm.p50, 'ms', 5);
  add('warm message → reply, p95', warm.p95, 'ms', 20);
  const cold = await coldLatency(install, 'cold');
  add('cold message → reply, bubblewrap, p50', cold.p50, 'ms', 250);
  add('idle session resident, probe', await sessionMemory(install, 'memory', 2000), 'MB', 60);
  const rate = await sustainedRate(install);
  add('sustained messages per second, 20 sessions', rate.per_second, '/s', RATE_MIN, true);
  const half = await latencyAt(install, RATE_MIN / 2);
  add('warm message → reply at half of the promised rate, p50', half.p50, 'ms', 5);
  add('warm message → reply at half of the promised rate, p95', half.p95, 'ms', 20);
  const busy = await latencyAt(install, rate.per_second / 2);
  note('warm message → reply at half of the measured rate, p50', busy.p50, 'ms');
  note('warm message → reply at half of the measured rate, p95', busy.p95, 'ms');
  const recovery = await recoveryTimes(install);
  add('./glass help, p50', launcherTime(), 'ms', 150);
  add('host kill −9 → ready again', recovery.host_ready_ms, 'ms', 1000);
  add('sandbox kill −9 → turn running again', recovery.turn_running_again_ms, 'ms', 1000);
  await install.stop();
}

async function dockerFigures(): Promise<void> {
  const problems = await new DockerRuntime({
    socket: engineSocket(process.env),
    cache: tmpdir(),
    run: tmpdir(),
  }).check();
  if (problems.length > 0) return progress(`docker is not measured: ${problems.join('; ')}`);
  progress('probe in docker');
  const install = new Install();
  install.group('assistant', 'harness: probe\n');
  install.install('runtime: docker\n');
  await install.start();
  await warmLatency(install, 5);
  add('cold message → reply, docker, p50', (await coldLatency(install, 'cold')).p50, 'ms', 900);
  await install.stop();
}

/** What a harness with a model costs; the targets are the design's. */
async function harnessFigures(
  harness: 'native' | 'claude',
  bytesMax: number,
  memoryMax: number,
  settle_ms: number,
): Promise<void> {
  if (!isInstalled(ROOT, harness))
    return progress(`${harness} is not measured: it is not installed (./glass harness install ${harness})`);
  progress(`${harness} with a scripted model`);
  const figures = await modelFigures(harness, settle_ms);
  add(`bytes of the first model request for "hello", ${harness}`, figures.first_request_bytes, 'B', bytesMax);
  add(`idle session resident, ${harness}`, figures.idle_mb, 'MB', memoryMax);
  note(`warm message → model request, ${harness}, p50`, figures.warm_to_request_ms, 'ms');
  note(`cold message → reply, ${harness}`, figures.cold_reply_ms, 'ms');
  if (harness !== 'claude') return;
  add('after its process has ended idle: message → model request', figures.rested_to_request_ms, 'ms', 1500);
  const added = await addedToBareClaude();
  add('claude: added to the bare SDK, warm message → model request', added.free_ms, 'ms', 10);
  note('  … with the default limit of one processor', added.limited_ms, 'ms');
}

/** A ratio within one run: what else the machine does meets both sides of it. */
async function abuseRows(): Promise<void> {
  if (!isInstalled(ROOT, 'native')) return progress('abuse is not measured: native is not installed');
  progress('a quiet session’s replies while another one misbehaves');
  for (const { abuse, ratio } of await abuseFigures())
    add(`warm p95 beside ${abuse}, against a quiet one`, ratio, '×', 2);
}

async function serviceRows(): Promise<void> {
  progress('a service through a tunnel against the service itself, in turns');
  const service = await serviceFigures();
  add('service request in a tunnel, added latency, p50', service.added_p50_ms, 'ms', 0.5);
  add('service request in a tunnel, added latency, p99', service.added_p99_ms, 'ms', 3);
  add('event of a service’s stream, added delay, p50', service.event_added_p50_ms, 'ms', 1);
  add('event of a service’s stream, added delay, p95', service.event_added_p95_ms, 'ms', 1);
  add('gateway resident at most: 16 connections, 100 MB each way', service.peak_mb, 'MB', 256);
  const audit = await auditFigures();
  note('record of a request, both transactions, p50', audit.normal.p50, 'ms');
  note('  … with synchronous FULL', audit.full.p50, 'ms');
}

async function channelRows(): Promise<void> {
  progress('all kinds of channels in one host, each against the fake of its platform');
  const channels = await channelFigures();
  add('six drivers, idle: added resident', channels.idle_mb, 'MB', 200);
  note('six drivers, idle: processor of the host', channels.idle_cpu_percent, '%');
  for (const [kind, { whole, server, added }] of channels.warm) {
    note(`warm message → reply through ${kind}, p50`, whole.p50, 'ms');
    note('  … of it the server’s own time', server.p50, 'ms');
    add('  … and on top of that', added.p50, 'ms', 15);
  }
}

/** A promise about the worst case: the slowest of all. */
async function stopRows(): Promise<void> {
  progress('/stop in the middle of a command');
  for (const harness of ['probe', 'native', 'claude'] as const) {
    if (!isInstalled(ROOT, harness)) continue;
    add(`/stop → nothing left of it, ${harness}, p99`, await chatStop(harness), 'ms', 1000);
    add(`emergency stop → nothing can leave, ${harness}, p99`, await groupStop(harness, 0), 'ms', 1000);
    const loaded = await groupStop(harness, STOP_LOAD);
    add(`  … with ${STOP_LOAD} messages a second into another group, p99`, loaded, 'ms', 1000);
  }
}

async function traceRows(): Promise<void> {
  progress('traces in a ledger of a million hops');
  const { traces, search_ms } = await traceFigures();
  add('trace of a message among 100,000, by id, link or name, p50', traces.p50, 'ms', 100);
  add('trace of a message among 100,000, by id, link or name, p99', traces.p99, 'ms', 100);
  note('search for words that 100,000 messages do not hold', search_ms, 'ms');
}

async function gatewayRows(): Promise<void> {
  progress('gateway against the endpoint itself, in turns');
  const gateway = await gatewayFigures();
  add('gateway added latency, p50', gateway.added_p50_ms, 'ms', 0.5);
  note('  … of a relay that does nothing else, same run', gateway.bare_added_p50_ms, 'ms');
  add('gateway added latency over that relay, p50', gateway.over_bare_p50_ms, 'ms', 0.5);
  add('gateway added latency, p99', gateway.added_p99_ms, 'ms', 3);
  note('  … of a relay that does nothing else, same run', gateway.bare_added_p99_ms, 'ms');
  add('gateway added latency over that relay, p99', gateway.over_bare_p99_ms, 'ms', 3);
  add('gateway CPU per request', gateway.cpu_us_per_request, 'µs', 300);
  const ratio = gateway.cpu_us_per_request / gateway.bare_cpu_us_per_request;
  add('  … against a relay that does nothing else, same run', Number(ratio.toFixed(2)), '×', 2);
}

async function taskRows(): Promise<void> {
  add('task said after its time, latest', await latestTask(), 'ms', 1000);
}

async function lineRows(): Promise<void> {
  const lines = countTrustedLines();
  add('trusted code, kernel', lines.kernel, 'lines', KERNEL_LINES_MAX);
  add('trusted code, all', lines.all, 'lines', TRUSTED_LINES_MAX);
}

type Parts = Record<string, () => Promise<void>>;

/** A message's way from end to end; three minutes. */
const USUAL: Parts = {
  probe: probeFigures,
  docker: dockerFigures,
  native: () => harnessFigures('native', 10_000, 120, 1000),
  claude: () => harnessFigures('claude', 25_000, 60, 35_000),
  gateway: gatewayRows,
  lines: lineRows,
};

/** What else is promised; seven minutes more. */
const FURTHER: Parts = {
  abuse: abuseRows,
  stops: stopRows,
  tasks: taskRows,
  services: serviceRows,
  channels: channelRows,
  trace: traceRows,
};

const PARTS: Parts = { ...USUAL, ...FURTHER };

/** Those that are named, `all`, or the usual ones. Ends the process when there is no such part. */
function chosen(names: string[]): string[] {
  const unknown = names.find((name) => name !== 'all' && PARTS[name] === undefined);
  if (unknown !== undefined) {
    process.stderr.write(
      `there is no measurement "${unknown}"\nTry: all, or some of ${Object.keys(PARTS).join(', ')}\n`,
    );
    process.exit(2);
  }
  if (names.includes('all')) return Object.keys(PARTS);
  if (names.length > 0) return names;
  progress(`further measurements: ${Object.keys(FURTHER).join(', ')}, or all`);
  return Object.keys(USUAL);
}

const began = performance.now();
const seconds: Record<string, number> = {};
for (const name of chosen(process.argv.slice(2))) {
  const start = performance.now();
  await PARTS[name]!();
  seconds[name] = secondsSince(start);
}
if (Object.keys(USUAL).every((name) => name in seconds)) add('the usual measurements', secondsSince(began), 's', 300);
const machine = {
  cpus: cpus().length,
  model: cpus()[0]?.model ?? 'unknown',
  node: process.version,
  seconds: secondsSince(began),
};
console.log(JSON.stringify({ machine, seconds, rows }, null, 2));

function secondsSince(start: number): number {
  return Math.round((performance.now() - start) / 1000);
}
