import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { LOOP_GONE_MS, LOOP_REQUEST_KIB, LOOP_REQUESTS, LOOP_REQUESTS_DEFAULT } from '../base/limits/sandbox.ts';
import { mountArgv, must, run } from './image_tools.ts';
import { fileOfLoop, mountAt } from './mounts.ts';

/**
 * An image on a loop device on a folder. The device goes with its last mount, also after a host that was killed. Rejects
 * with `OperatingError('unavailable')`.
 */
export async function mountImage(image: string, folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  chmodSync(folder, 0); // without the mount nobody but root writes here
  await must(`${image} cannot be mounted`, mountArgv(image, folder));
}

/** Rejects with `OperatingError('unavailable')` when somebody stands in it. Nothing to do when it is not mounted. */
export async function unmountImage(folder: string): Promise<void> {
  const mounted = mountAt(folder);
  if (mounted === null) return;
  // Somebody who starts just now may hold a copy of all mounts: then the kernel writes what is left when they let go, and not now.
  await run(['sync', '-f', folder]);
  await must(`${folder} cannot be unmounted`, ['umount', folder]);
  setQueue(mounted.source, 'nr_requests', LOOP_REQUESTS_DEFAULT); // the device's next user is not ours
  // The kernel frees the device a little later, and only a free one says that nobody else has the image.
  const end = performance.now() + LOOP_GONE_MS;
  while (fileOfLoop(mounted.source) !== null && performance.now() < end) await sleep(5);
}

/**
 * An agent that writes without end fills the queue of the disk, and every commit of the ledger waits behind it: 45 to 60 ms
 * at the 95th percentile, against 1 ms alone. Past the page cache and with few, small requests at once it is 4 to 7 ms, and
 * the agent still writes 150 MiB a second. A kindness, not the cap: where the machine does not let us, the mount is as good.
 */
export async function calm(folder: string): Promise<void> {
  const device = mountAt(folder)?.source;
  if (device === undefined) return;
  await run(['losetup', '--direct-io=on', device]);
  setQueue(device, 'max_sectors_kb', LOOP_REQUEST_KIB);
  setQueue(device, 'nr_requests', LOOP_REQUESTS);
}

function setQueue(device: string, setting: 'nr_requests' | 'max_sectors_kb', value: number): void {
  try {
    writeFileSync(`/sys/block/${basename(device)}/queue/${setting}`, String(value));
  } catch {
    // see calm
  }
}
