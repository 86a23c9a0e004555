import { chmodSync, existsSync, lchownSync, mkdirSync, rmSync } from 'node:fs';
import { connect, createServer, type NetConnectOpts, type Server } from 'node:net';
import { join } from 'node:path';
import { systemCodeOf } from '../../base/errors.ts';
import { randomToken } from '../../base/ids.ts';
import { CONTROL_SOCKET, RUN_TARGET } from './shown.ts';

/**
 * What a sandbox must not reach, shown to be reachable from here first; and the one socket that it must reach. A refusal
 * inside proves something only beside these.
 */
export interface Controls {
  loopback_port: number;
  abstract: string;
  /** In the session's own run folder: answers every connection with `answer`. */
  socket: { path: string; answer: string };
  /** `ok`, or why a connection from the host did not work. */
  outcomes: { loopback: string; abstract: string };
  /** Closes all and removes the run folder. */
  close(): Promise<void>;
}

/**
 * `run` is made for the sandbox's uid and removed in the end. Rejects with the system's error when it cannot be made, or a
 * socket in it cannot be listened on.
 */
export async function openControls(run: string, uid: number | null): Promise<Controls> {
  mkdirSync(run, { recursive: true, mode: 0o700 });
  const answer = randomToken(12);
  const abstract = `glassclaw-inspect-${randomToken(9)}`;
  const path = join(run, CONTROL_SOCKET);
  const [loopback, hidden, own] = await Promise.all([
    listen({ host: '127.0.0.1', port: 0 }, ''),
    listen({ path: `\0${abstract}` }, ''),
    listen({ path }, answer),
  ]);
  // Whatever the umask: connect needs write permission, and who may come near is decided by the folder.
  chmodSync(path, 0o666);
  if (uid !== null) lchownSync(run, uid, uid);
  const { port } = loopback.address() as { port: number };
  const outcomes = {
    loopback: await outcomeOf({ host: '127.0.0.1', port }),
    abstract: await outcomeOf({ path: `\0${abstract}` }),
  };
  const close = async (): Promise<void> => {
    await Promise.all([loopback, hidden, own].map((server) => new Promise((resolve) => server.close(resolve))));
    if (existsSync(run)) rmSync(run, { recursive: true, force: true });
  };
  return {
    loopback_port: port,
    abstract,
    socket: { path: `${RUN_TARGET}/${CONTROL_SOCKET}`, answer },
    outcomes,
    close,
  };
}

function listen(where: { path: string } | { host: string; port: number }, answer: string): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.end(answer);
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(where, () => resolve(server));
  });
}

function outcomeOf(where: NetConnectOpts): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(where);
    socket.once('connect', () => {
      socket.destroy();
      resolve('ok');
    });
    socket.once('error', (error) => resolve(systemCodeOf(error) ?? 'failed'));
  });
}
