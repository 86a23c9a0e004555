import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Places where the crash matrix may kill. Every ledger transaction and every external effect passes `point()` before
 * and after; the names stand in the source next to what they guard, and the matrix collects them from there.
 *
 * GLASS_FAULT         JSON: {"point":"ledger.settle:before","hit":2,"kill":["host","sandbox"]}
 * GLASS_FAULT_LOG     file that gets a line for each kill, with those who were alive to be killed
 * GLASS_FAULT_PASSED  file that gets the name of each point when it is first passed
 */
export interface Faults {
  point(name: string): void;
}

interface Plan {
  point: string;
  hit: number;
  kill: string[];
}

export const noFaults: Faults = { point: () => {} };

/**
 * Runs one transaction or one external effect between its two points. The name is a string literal at the call, of that
 * call alone, because the matrix collects the names from the source. For a promise the second point is its fulfilment;
 * a failure has no second point.
 */
export function guarded<T>(faults: Faults, name: string, run: () => T): T {
  faults.point(`${name}:before`);
  const result = run();
  if (result instanceof Promise) {
    return result.then((value: unknown) => {
      faults.point(`${name}:after`);
      return value;
    }) as T;
  }
  faults.point(`${name}:after`);
  return result;
}

/** Reads the plan from the environment, for the process `self`. `pidFolder` holds `<process>.pid` files of the others that it may kill. */
export function faultsFrom(env: NodeJS.ProcessEnv, pidFolder: string, self: 'host' | 'gateway'): Faults {
  const [text, logFile, passedFile] = [env['GLASS_FAULT'], env['GLASS_FAULT_LOG'], env['GLASS_FAULT_PASSED']];
  if (text === undefined && passedFile === undefined) return noFaults;
  const plan: Plan | null = text === undefined ? null : JSON.parse(text);
  const passed = new Set<string>();
  let hits = 0;
  return {
    point(name) {
      if (passedFile !== undefined && !passed.has(name)) appendFileSync(passedFile, `${name}\n`);
      passed.add(name);
      if (plan?.point !== name) return;
      hits += 1;
      if (hits !== plan.hit) return;
      // Itself last, and it can say so only before.
      const killed = plan.kill.filter((victim) => victim === self || hasKilled(join(pidFolder, `${victim}.pid`)));
      if (killed.length > 0 && logFile !== undefined)
        appendFileSync(logFile, `killed ${killed.join('+')} at ${name}\n`);
      if (killed.includes(self)) process.kill(process.pid, 'SIGKILL');
    },
  };
}

/** Whether the process whose number stands there was alive. */
function hasKilled(file: string): boolean {
  try {
    const pid = Number(readFileSync(file, 'utf8').trim());
    return Number.isInteger(pid) && pid > 1 && process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}
