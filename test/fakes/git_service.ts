import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Handler } from './upstream.ts';

/** Repositories over HTTPS: git's own server program behind an `Upstream`. */

/** Makes `<folder>/<name>` a bare repository with so many commits. */
export function makeRepository(folder: string, name: string, commits: number): void {
  const work = join(folder, 'work');
  mkdirSync(work);
  const git = (...words: string[]): void => {
    const who = ['-c', 'user.name=Test', '-c', 'user.email=test@example.com', '-c', 'init.defaultBranch=main'];
    const { status, stderr } = spawnSync('git', [...who, ...words], { cwd: work, encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
  };
  git('init', '-q');
  for (let at = 1; at <= commits; at += 1) {
    writeFileSync(join(work, 'file.txt'), `version ${at}\n`);
    git('add', '-A');
    git('commit', '-qm', `commit ${at}`);
  }
  git('clone', '-q', '--bare', work, join(folder, name));
}

/** Serves what lies in `folder`, for reading and writing. */
export function gitHandler(folder: string): Handler {
  return (request, response, { method, target, body }) => {
    const url = new URL(target, 'http://git');
    const program = spawn('git', ['-c', 'safe.directory=*', '-c', 'http.receivepack=true', 'http-backend'], {
      env: {
        PATH: process.env['PATH'],
        GIT_PROJECT_ROOT: folder,
        GIT_HTTP_EXPORT_ALL: '1',
        GIT_CONFIG_COUNT: '1',
        GIT_CONFIG_KEY_0: 'safe.directory',
        GIT_CONFIG_VALUE_0: '*',
        PATH_INFO: url.pathname,
        QUERY_STRING: url.search.slice(1),
        REQUEST_METHOD: method,
        REMOTE_USER: 'test',
        CONTENT_TYPE: request.headers['content-type'] ?? '',
        CONTENT_LENGTH: String(body.length),
        HTTP_CONTENT_ENCODING: request.headers['content-encoding'] ?? '',
        GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const parts: Buffer[] = [];
    program.stdout.on('data', (part) => parts.push(part));
    program.on('close', () => {
      const all = Buffer.concat(parts);
      const end = all.indexOf('\r\n\r\n');
      const headers = all.subarray(0, end).toString('latin1').split('\r\n');
      for (const line of headers.filter((text) => !text.startsWith('Status:')))
        response.appendHeader(line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim());
      response.statusCode = Number(/^Status: (\d+)/m.exec(headers.join('\n'))?.[1] ?? 200);
      response.end(all.subarray(end + 4));
    });
    program.stdin.on('error', () => {});
    program.stdin.end(body);
  };
}
