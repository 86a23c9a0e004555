import { StringDecoder } from 'node:string_decoder';
import { messageOf, OperatingError } from '../../base/errors.ts';
import { INSPECTION_MS, INSPECTION_OUTPUT_BYTES_MAX } from '../../base/limits/sandbox.ts';
import { observationSchema } from '../../protocol/inspection.ts';
import type { Runtime, Sandbox, SandboxExit, SandboxSpec } from '../../runtimes/runtime.ts';
import type { Observation } from './derive.ts';
import { type OutsideView, outsideView } from './outside.ts';

/** Runs one sandbox of the self-check to its end and keeps what its observer says. Its output is hostile bytes. */

export interface Observed {
  seen: Map<string, Observation>;
  /** Null when it said nothing. */
  outside: OutsideView | null;
  exit: SandboxExit;
  /** The end of what it said that was no observation: to explain a run without any. */
  other: string;
}

/** Never rejects: a sandbox that cannot be started has said nothing, with the reason in `exit`. */
export async function observe(runtime: Runtime, spec: SandboxSpec, nonce: string): Promise<Observed> {
  const lines = new ObservationReader(nonce);
  let sandbox: Sandbox | null = null;
  let outside: OutsideView | null = null;
  let ended: string | null = null;
  /** Told apart from an end by a limit: both are a SIGKILL. */
  const end = (why: string): void => {
    ended ??= `ended by the inspection: it ${why}`;
    sandbox?.kill();
  };
  const look = (): void => {
    if (sandbox === null) return;
    if (lines.overfull) end('said too much');
    // From the observer's first word on it is what it stays; before that it may be a launcher with other rights.
    if (lines.seen.size > 0) outside ??= outsideView(sandbox);
  };
  try {
    sandbox = await startInTime(runtime, spec, (chunk) => {
      lines.read(chunk);
      look();
    });
    // An engine may pass on output before it says that it has started.
    look();
    const timer = setTimeout(() => end(`did not end within ${INSPECTION_MS / 1000} s`), INSPECTION_MS);
    const exit = await sandbox.exited;
    clearTimeout(timer);
    return { seen: lines.seen, outside, exit: { ...exit, reason: ended ?? exit.reason }, other: lines.other };
  } catch (error) {
    const exit = { code: null, signal: null, reason: `start failed: ${messageOf(error)}` };
    return { seen: lines.seen, outside, exit, other: lines.other };
  }
}

/** An engine may hang: a sandbox that comes too late is ended, and counts as not started. */
async function startInTime(runtime: Runtime, spec: SandboxSpec, onOutput: (chunk: Buffer) => void): Promise<Sandbox> {
  const starting = runtime.start(spec, onOutput);
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(new OperatingError('unavailable', `the sandbox did not start within ${INSPECTION_MS / 1000} s`));
    void starting.then(
      (sandbox) => sandbox.kill(),
      () => {},
    );
  }, INSPECTION_MS);
  try {
    return await Promise.race([starting, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Characters kept of what was no observation. */
const OTHER_CHARS_MAX = 500;

/** What only the host can say: an observer that does is not heard. */
const SAID_BY_HOST = /^(host\.|end\.|control\.(loopback|abstract|canary)$|exhaust\.memory$)/;

/** Lines of an observer, checked: only those with the nonce count, and a key that is said twice is no answer. */
export class ObservationReader {
  readonly seen = new Map<string, Observation>();
  readonly #nonce: string;
  readonly #decoder = new StringDecoder('utf8');
  #bytes = 0;
  #pending = '';
  #other = '';

  constructor(nonce: string) {
    this.#nonce = nonce;
  }

  get other(): string {
    return (this.#other + this.#pending).slice(-OTHER_CHARS_MAX);
  }

  /** It has said more than it may: from there on nothing is read. */
  get overfull(): boolean {
    return this.#bytes > INSPECTION_OUTPUT_BYTES_MAX;
  }

  read(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.overfull) return;
    const lines = (this.#pending + this.#decoder.write(chunk)).split('\n');
    this.#pending = lines.pop()!;
    for (const line of lines) this.#line(line);
  }

  #line(line: string): void {
    const observation = parse(line);
    if (observation === null || observation.nonce !== this.#nonce || SAID_BY_HOST.test(observation.key)) {
      this.#other = `${this.#other}${line}\n`.slice(-OTHER_CHARS_MAX);
      return;
    }
    const { key } = observation;
    if (this.seen.has(key)) this.seen.set(key, { value: 'said twice' });
    else if ('value' in observation) this.seen.set(key, { value: observation.value });
    else this.seen.set(key, { not_run: observation.not_run });
  }
}

function parse(line: string) {
  try {
    return observationSchema.safeParse(JSON.parse(line)).data ?? null;
  } catch {
    return null;
  }
}
