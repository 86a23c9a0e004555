import { type Install, type Spread, spreadOf, Terminal } from './install.ts';

const WARM_MESSAGES = 300;
/** Until the engine has compiled what runs often, as in `gateway.ts`. */
const WARMING_MESSAGES = 300;
const SESSIONS = 20;
const BURST_MS = 5000;
const COLD_STARTS = 10;

/** One message at a time into a live sandbox. */
export async function warmLatency(install: Install, messages = WARM_MESSAGES): Promise<Spread> {
  const terminal = new Terminal(install.control, 'warm');
  await terminal.open();
  for (let i = 0; i < WARMING_MESSAGES; i += 1) await terminal.ask('warming up');
  const times: number[] = [];
  for (let i = 0; i < messages; i += 1) times.push((await terminal.ask(`message ${i}`)).ms);
  terminal.close();
  return spreadOf(times);
}

/** Each message finds no sandbox: a chat of its own. */
export async function coldLatency(install: Install, prefix: string): Promise<Spread> {
  const times: number[] = [];
  for (let i = 0; i < COLD_STARTS; i += 1) {
    const terminal = new Terminal(install.control, `${prefix}-${i}`);
    await terminal.open();
    times.push((await terminal.ask('hello')).ms);
    terminal.close();
  }
  return spreadOf(times);
}

/** 20 sessions, each asking again as soon as it is answered. */
export async function sustainedRate(install: Install): Promise<{ per_second: number; latency: Spread }> {
  const terminals = Array.from({ length: SESSIONS }, (_, i) => new Terminal(install.control, `load-${i}`));
  for (const terminal of terminals) {
    await terminal.open();
    await terminal.ask('hello');
  }
  const times: number[] = [];
  const end = performance.now() + BURST_MS;
  await Promise.all(
    terminals.map(async (terminal) => {
      while (performance.now() < end) times.push((await terminal.ask('go on')).ms);
    }),
  );
  const per_second = Math.round(times.length / (BURST_MS / 1000));
  for (const terminal of terminals) terminal.close();
  return { per_second, latency: spreadOf(times) };
}

/** Messages at a fixed rate over 20 sessions; the latency of each. */
export async function latencyAt(install: Install, perSecond: number): Promise<Spread> {
  const terminals = Array.from({ length: SESSIONS }, (_, i) => new Terminal(install.control, `load-${i}`));
  for (const terminal of terminals) await terminal.open();
  const times: number[] = [];
  const gap = (1000 / perSecond) * SESSIONS;
  const began = performance.now() + 100;
  const end = began + BURST_MS;
  await Promise.all(
    terminals.map(async (terminal, i) => {
      // A fixed schedule: who waited for an answer does not move to where the others are.
      for (let next = began + (gap / SESSIONS) * i; next < end; next += gap) {
        await sleep(next - performance.now());
        times.push((await terminal.ask('steady')).ms);
      }
    }),
  );
  for (const terminal of terminals) terminal.close();
  return spreadOf(times);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}
