import { spawn } from 'node:child_process';

/** Node cannot write to systemd's datagram socket: systemd's own program does. A fixed path, and nothing of ours in its environment. */
const NOTIFY = '/usr/bin/systemd-notify';
/** Signs of life within the time after which systemd takes the process for hung. */
const SIGNS = 4;

/**
 * Tells systemd's watchdog (`WatchdogSec=` of the unit) that this process's loop turns, from now on; one that does not is killed and
 * started again. Without a watchdog, or without systemd's program, it does nothing.
 */
export function feedWatchdog(env: NodeJS.ProcessEnv): void {
  const { NOTIFY_SOCKET: socket, WATCHDOG_USEC: micros } = env;
  if (socket === undefined || !(Number(micros) > 0)) return;
  const tell = (): void => {
    const told = spawn(NOTIFY, ['WATCHDOG=1'], { env: { NOTIFY_SOCKET: socket }, stdio: 'ignore' });
    told.on('error', () => {});
    told.unref();
  };
  tell();
  setInterval(tell, Number(micros) / 1000 / SIGNS).unref();
}
