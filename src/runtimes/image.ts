import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { messageOf, OperatingError } from '../base/errors.ts';
import { SANDBOX_IMAGE } from './docker.ts';
import { Engine, engineSocket } from './engine.ts';

/**
 * Builds the image of docker sandboxes from `sandbox/image/Dockerfile`: on a Debian image of a registry, or, where none
 * can be reached, on a base that `mmdebstrap` makes of Debian packages (about 35 s).
 *
 *     node src/runtimes/image.ts
 */

const RECIPE = fileURLToPath(new URL('../../sandbox/image', import.meta.url));
const REGISTRY_BASE = 'debian:bookworm-slim';
const LOCAL_BASE = 'glassclaw-base:local';
const SUITE = 'bookworm';
/** The same as in the Dockerfile. */
const PACKAGES = 'ca-certificates,curl,git,procps,python3-minimal';

/**
 * Builds `SANDBOX_IMAGE`. `onProgress` gets lines for a person. Throws `OperatingError('unavailable')` with the last
 * reason when neither way works.
 */
export async function buildImage(engine: Engine, onProgress: (line: string) => void): Promise<void> {
  try {
    onProgress(`Building ${SANDBOX_IMAGE} on ${REGISTRY_BASE}`);
    await build(engine, REGISTRY_BASE, onProgress);
    return;
  } catch (error) {
    if (!(error instanceof OperatingError)) throw error;
    onProgress(`That did not work (${error.message}); making a base of Debian packages instead`);
  }
  await importBase(engine, onProgress);
  await build(engine, LOCAL_BASE, onProgress);
}

async function build(engine: Engine, base: string, onProgress: (line: string) => void): Promise<void> {
  const context = await promisify(execFile)('tar', ['-c', '-C', RECIPE, 'Dockerfile'], { encoding: 'buffer' });
  const query = new URLSearchParams({
    t: SANDBOX_IMAGE,
    rm: '1',
    forcerm: '1',
    buildargs: JSON.stringify({ BASE: base }),
  });
  await follow(await engine.stream('POST', `/build?${query}`, context.stdout), onProgress);
}

async function importBase(engine: Engine, onProgress: (line: string) => void): Promise<void> {
  if (!existsSync('/usr/bin/mmdebstrap')) {
    throw new OperatingError(
      'unavailable',
      'No registry can be reached, and mmdebstrap is not there',
      'apt install mmdebstrap',
    );
  }
  const mirrors = ['/etc/apt/sources.list', '/etc/apt/sources.list.d/debian.sources'].filter((file) =>
    existsSync(file),
  );
  const maker = spawn('mmdebstrap', ['--variant=minbase', `--include=${PACKAGES}`, SUITE, '-', ...mirrors], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let last = '';
  maker.stderr.on('data', (chunk: Buffer) => {
    last = chunk.toString('utf8').trim().split('\n').at(-1) ?? last;
    onProgress(last);
  });
  const ended = new Promise<number | null>((resolve) =>
    maker.once('error', () => resolve(null)).once('close', resolve),
  );
  const [repo, tag] = LOCAL_BASE.split(':');
  const query = new URLSearchParams({ fromSrc: '-', repo: repo!, tag: tag! });
  await follow(await engine.stream('POST', `/images/create?${query}`, maker.stdout), onProgress);
  const code = await ended;
  if (code !== 0) throw new OperatingError('unavailable', `mmdebstrap failed (${last || `exit code ${code}`})`);
}

/** The engine answers 200 first and reports a failure as a line of the stream. */
async function follow(stream: Readable, onProgress: (line: string) => void): Promise<void> {
  let pending = '';
  for await (const chunk of stream) {
    const lines = (pending + String(chunk)).split('\n');
    pending = lines.pop() ?? '';
    for (const line of lines) report(line, onProgress);
  }
  report(pending, onProgress);
}

function report(line: string, onProgress: (line: string) => void): void {
  if (line.trim() === '') return;
  const event = JSON.parse(line) as { stream?: string; status?: string; error?: string };
  if (event.error !== undefined) throw new OperatingError('unavailable', event.error);
  const text = (event.stream ?? event.status ?? '').trim();
  if (text !== '') onProgress(text);
}

if (import.meta.main) {
  const socket = engineSocket(process.env);
  try {
    if (socket === null) throw new OperatingError('unavailable', 'DOCKER_HOST is not a unix socket');
    await buildImage(new Engine(socket), (line) => console.log(line));
  } catch (error) {
    console.error(messageOf(error));
    process.exitCode = 1;
  }
}
