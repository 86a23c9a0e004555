/** Time as an argument, so that tests own it. */
export interface Clock {
  /** Wall time in milliseconds since the epoch; may step. For rows and people. */
  now(): number;
  /** Wall time in microseconds since the epoch, as fine as the machine gives it. For hops. */
  micros(): number;
  /** Monotonic milliseconds. For durations and deadlines. */
  monotonic(): number;
}

/** Beyond this the wall clock was stepped, and microseconds are tied to it anew. */
const STEP_MS = 3;

function microsOfSystem(): () => number {
  let offset = Date.now() - performance.now();
  return () => {
    const estimate = offset + performance.now();
    const wall = Date.now();
    if (Math.abs(estimate - wall) <= STEP_MS) return Math.round(estimate * 1000);
    offset = wall - performance.now();
    return wall * 1000;
  };
}

export const systemClock: Clock = {
  now: () => Date.now(),
  micros: microsOfSystem(),
  monotonic: () => performance.now(),
};
