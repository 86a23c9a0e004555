import { connect, createServer } from 'node:net';
import { OperatingError, systemCodeOf } from './errors.ts';

/**
 * Holds a name for as long as this process lives: an abstract socket, which the kernel gives to one process and takes
 * back at its death, so that nothing is ever left behind. Rejects with `OperatingError('conflict')` when it is held.
 */
export function holdLock(name: string, sentence: string, fix: string): Promise<void> {
  const server = createServer((socket) => socket.destroy());
  server.unref();
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      reject(systemCodeOf(error) === 'EADDRINUSE' ? new OperatingError('conflict', sentence, fix, error) : error);
    });
    server.listen(`\0glassclaw/${name}`, resolve);
  });
}

/** Whether somebody listens there. */
export function answers(where: { path: string } | { host: string; port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(where as { path: string });
    const end = (yes: boolean): void => {
      socket.destroy();
      resolve(yes);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}

/** Whether a process holds that name. */
export function isHeld(name: string): Promise<boolean> {
  return answers({ path: `\0glassclaw/${name}` });
}
