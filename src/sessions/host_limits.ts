import { INTERRUPT_GRACE_MS, OUTPUT_BYTES_PER_SECOND_MAX, SESSION_LOG_BYTES_MAX } from '../base/limits/messages.ts';
import { showSize } from '../base/text.ts';
import type { LimitState } from '../runtimes/runtime.ts';

/** Limits that the host itself keeps: of folders, and those that hold under every runtime and on every machine. */
export async function limitsOfHost(folders: { limits(): Promise<LimitState[]> }): Promise<LimitState[]> {
  const kept = `${showSize(OUTPUT_BYTES_PER_SECOND_MAX)} a second of a stream are read, ${showSize(SESSION_LOG_BYTES_MAX)} of a session are kept`;
  const ended = `the host’s clock: interrupted at its deadline, and ended ${INTERRUPT_GRACE_MS / 1000} s later`;
  return [
    ...(await folders.limits()),
    { name: 'turn_ms', state: 'watched', reason: ended },
    { name: 'output_bytes', state: 'enforced', reason: kept },
  ];
}
