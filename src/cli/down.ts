import { existsSync } from 'node:fs';
import { OperatingError } from '../base/errors.ts';
import { isHeld } from '../base/lock.ts';
import type { Paths } from '../base/paths.ts';
import { ControlClient } from './control_client.ts';
import type { Io } from './io.ts';

/** Longer than a drain with its interrupts. */
const GONE_MS = 60_000;
const TELL_AFTER_MS = 2000;

/** `glass down`: asks the host to end after the running turns, and waits until it has, and who had started it: the next `up` finds nobody. */
export async function down(_args: string[], paths: Paths, io: Io): Promise<number> {
  if (paths.isService)
    throw new OperatingError('refused', 'this GlassClaw is a service', 'systemctl stop glassclaw glassclaw-gateway');
  const client = new ControlClient(paths.controlSocket);
  await client.call('stop');
  client.close();
  const began = performance.now();
  let told = false;
  while (existsSync(paths.controlSocket) || (await isHeld(`${paths.install}/up`))) {
    const waited = performance.now() - began;
    if (waited > GONE_MS)
      throw new OperatingError('unavailable', 'the host has not ended after a minute', `see ${paths.logs}/host.log`);
    if (waited > TELL_AFTER_MS && !told) {
      told = true;
      io.err('waiting for running turns…');
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  io.out(io.json ? JSON.stringify({ stopped: true }) : 'stopped');
  return 0;
}
