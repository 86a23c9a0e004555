import type { Readable } from 'node:stream';
import { OperatingError } from '../base/errors.ts';
import type { Engine } from './engine.ts';
import { type OnProgress, startTool } from './tool.ts';

/** Builds by an engine: a folder goes in, progress comes out. */

export interface Build {
  /** Folder with a `Dockerfile` and what it copies. */
  context: string;
  tag: string;
  /** Values of the recipe's `ARG`s. */
  args: Record<string, string>;
}

/** Proxies that an engine hands to a build as arguments of their own, which stay out of the image and its history. */
const PROXIES = ['http_proxy', 'https_proxy', 'no_proxy', 'HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'];

/**
 * Resolves when the image is there. Throws `OperatingError('unavailable')` with the last reason. The steps use the host's
 * network: an engine's own bridge may have no way out where the host has one.
 */
export async function buildIn(engine: Engine, build: Build, onProgress: OnProgress): Promise<void> {
  const proxies = PROXIES.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]));
  const query = new URLSearchParams({
    t: build.tag,
    rm: '1',
    forcerm: '1',
    networkmode: 'host',
    buildargs: JSON.stringify({ ...Object.fromEntries(proxies), ...build.args }),
  });
  const context = startTool(
    ['tar', '-c', '--owner=0', '--group=0', '-C', build.context, '.'],
    'install tar',
    onProgress,
  );
  await follow(await engine.stream('POST', `/build?${query}`, context.output), onProgress);
  await context.ended;
}

/** The engine answers 200 first and reports a failure as a line of the stream. */
export async function follow(stream: Readable, onProgress: OnProgress): Promise<void> {
  let pending = '';
  for await (const chunk of stream) {
    const lines = (pending + String(chunk)).split('\n');
    pending = lines.pop() ?? '';
    for (const line of lines) report(line, onProgress);
  }
  report(pending, onProgress);
}

function report(line: string, onProgress: OnProgress): void {
  if (line.trim() === '') return;
  const event = JSON.parse(line) as { stream?: string; status?: string; error?: string };
  if (event.error !== undefined) throw new OperatingError('unavailable', event.error);
  const text = (event.stream ?? event.status ?? '').trim();
  if (text !== '') onProgress(text);
}

/** The id (`sha256:…`) of an image that the engine has under that name, or null. Throws `OperatingError('unavailable')`. */
export async function imageId(engine: Engine, name: string): Promise<string | null> {
  const answer = await engine.expect('GET', `/images/${name}/json`, undefined, [404]);
  return answer.status === 404 ? null : (answer.body as { Id: string }).Id;
}
