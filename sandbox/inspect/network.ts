import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { connect, type NetConnectOpts } from 'node:net';
import { join } from 'node:path';
import type { Dial, InspectionTask } from '../../src/protocol/inspection.ts';
import { EGRESS_FOLDER } from '../../src/protocol/proxy.ts';
import { codeOf, listed, type Report, textOf } from './report.ts';

/** What can be reached over a network or a socket. */

/** Without a network a refusal comes at once; what takes longer was let through. */
const DIAL_MS = 2000;
/** The second one only where the gateway has an account of its own. */
const SOCKET_FOLDERS = ['/run/glass', EGRESS_FOLDER];

export async function observeNetwork(report: Report, task: InspectionTask): Promise<void> {
  report.saw(
    'network.links',
    textOf(() => listed(linksOf(readFileSync('/proc/net/dev', 'latin1')))),
  );
  report.saw(
    'network.routes',
    textOf(() => listed(routesOf(readFileSync('/proc/net/route', 'latin1')))),
  );
  report.saw(
    'network.abstract',
    textOf(() => listed(abstractOf(readFileSync('/proc/net/unix', 'latin1')))),
  );
  report.saw(
    'sockets',
    textOf(() => listed(SOCKET_FOLDERS.filter((folder) => existsSync(folder)).flatMap(socketsBelow))),
  );
  const dials = task.dials.map(async (dial) =>
    report.saw(`dial.${dial.name}`, await bounded((done) => start(dial, done))),
  );
  const { path, answer } = task.control;
  const control = bounded((done) => connectTo({ path }, done, answer));
  await Promise.all([...dials, control.then((outcome) => report.saw('control.socket', outcome))]);
}

/** Names in `/proc/net/dev`, below its two lines of headings. */
function linksOf(text: string): string[] {
  return text
    .split('\n')
    .slice(2)
    .filter(Boolean)
    .map((line) => line.split(':')[0]!.trim());
}

function routesOf(text: string): string[] {
  return text
    .split('\n')
    .slice(1)
    .filter(Boolean)
    .map((line) => line.split('\t').slice(0, 3).join(' '));
}

function abstractOf(text: string): string[] {
  return text.split('\n').flatMap((line) => /\s(@\S+)$/.exec(line)?.[1] ?? []);
}

function socketsBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isSocket())
    .map((entry) => join(entry.parentPath, entry.name));
}

type Done = (outcome: string) => void;

/** The first outcome counts; none in time is `no answer`. */
function bounded(begin: (done: Done) => void): Promise<string> {
  return new Promise((resolve) => {
    // An answer that came while something else kept this process busy is read before the immediate.
    setTimeout(() => setImmediate(() => resolve('no answer')), DIAL_MS).unref();
    try {
      begin(resolve);
    } catch (error) {
      resolve(codeOf(error));
    }
  });
}

function start(dial: Dial, done: Done): void {
  switch (dial.kind) {
    case 'tcp':
      return connectTo({ host: dial.to, port: dial.port }, done, null);
    case 'unix':
      return connectTo({ path: dial.to }, done, null);
    case 'abstract':
      return connectTo({ path: `\0${dial.to}` }, done, null);
    case 'udp':
      return sendTo(dial, done);
    case 'name':
      return lookup(dial.to, (error) => done(error === null ? 'ok' : codeOf(error)));
  }
}

/** Connected is `ok`; with an expected answer, only that answer is. */
function connectTo(where: NetConnectOpts, done: Done, answer: string | null): void {
  const socket = connect(where);
  let heard = '';
  socket.once('error', (error) => done(codeOf(error)));
  socket.once('connect', () => {
    if (answer === null) finish('ok');
  });
  socket.on('data', (chunk: Buffer) => {
    heard += chunk.toString('latin1').slice(0, 200);
    if (heard === answer) finish('ok');
  });
  const finish = (outcome: string): void => {
    socket.destroy();
    done(outcome);
  };
}

function sendTo({ to, port }: Dial, done: Done): void {
  const socket = createSocket(to.includes(':') ? 'udp6' : 'udp4');
  socket.once('error', (error) => done(codeOf(error)));
  socket.send('?', port, to, (error) => done(error === null ? 'ok' : codeOf(error)));
  socket.unref();
}
