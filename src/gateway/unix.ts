import { unlinkSync } from 'node:fs';
import { createConnection, type Server } from 'node:net';
import { OperatingError, systemCodeOf } from '../base/errors.ts';

/** Unix sockets: removing what a killed process left, and listening with the right mode from the first moment. */

/**
 * Listens on `path` with `mode`; a file that lies there is removed first. The mode comes from the umask during the
 * bind, which is synchronous: a chmod afterwards would follow a link that somebody put there meanwhile.
 * Rejects with `OperatingError('unavailable')`.
 */
export function listenUnix(server: Server, path: string, mode: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void =>
      reject(new OperatingError('unavailable', `cannot listen on ${path} (${systemCodeOf(error)})`, undefined, error));
    server.once('error', fail);
    server.once('listening', () => {
      server.off('error', fail);
      server.on('error', () => {}); // A failed accept (out of files) loses that connection, not the listener.
      resolve();
    });
    const before = process.umask(0o777 & ~mode);
    try {
      removeSocket(path);
      server.listen(path);
    } catch (error) {
      fail(error);
    } finally {
      process.umask(before);
    }
  });
}

/** Throws `OperatingError('conflict')` when somebody listens on `path`. */
export function refuseLive(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createConnection({ path });
    probe.once('error', () => resolve());
    probe.once('connect', () => {
      probe.destroy();
      reject(new OperatingError('conflict', `a gateway is already running on ${path}`, 'stop it first: glass down'));
    });
  });
}

function removeSocket(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw error;
  }
}
