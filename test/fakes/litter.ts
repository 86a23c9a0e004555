import { execFileSync } from 'node:child_process';

/** What a hostile agent can leave in its workspace, as a shell script that runs inside its sandbox, and what is there afterwards. */

/** `outside`: an absolute path of the host that every link points to. */
export function litterScript(outside: string): string {
  return `mkdir -p w && cd w && ln -s ${outside} to-folder; ln -s ${outside}/file to-file; ln -s / root; ln -s ../../../../../.. up
ln -s loop loop; ln -s /group/AGENTS.md instructions; mkfifo pipe
node -e "require('net').createServer().listen('socket', () => process.exit(0))"; touch socket-was-tried
touch "$(printf 'two\\nlines')" "$(printf 'esc\\033[2J')" "$(printf 'rtl\\342\\200\\256gnp.exe')" "$(printf 'not\\377text')" "$(printf 'n%.0s' $(seq 255))" -- -rf '*' '$(reboot)'
mkdir closed open && echo x > closed/file && chmod 0 closed; echo y > unreadable && chmod 0 unreadable
mkdir -p "$(printf 'd/%.0s' $(seq 100))"; truncate -s 100G hole; echo z > set-uid; ln set-uid hard; chmod 4777 hard; chmod 2777 open`;
}

/** Kind, mode, owner, target and name of everything below a folder, and the hash of what is in each file. */
export function contentOf(folder: string, ...prune: string[]): string {
  const pruned = ['lost+found', ...prune].flatMap((path) => ['-path', `./${path}`, '-prune', '-o']);
  const find = (words: string[]): Buffer =>
    execFileSync('find', ['.', '-mindepth', '1', ...pruned, ...words], { cwd: folder, env, maxBuffer: 2 ** 28 });
  const list = find(['-printf', String.raw`%y %m %U %l %P\0`]).toString('latin1').split('\0').sort();
  // In bytes: of `-1G` find rounds a file's size up first, so that only an empty one is smaller. A hole is not read.
  const files = find(['-type', 'f', '-size', `-${2 ** 30}c`, '-print0']);
  const sums = execFileSync('xargs', ['-0', '-r', 'sha256sum', '--'], { cwd: folder, env, input: files }).toString(
    'latin1',
  );
  return [...list, ...sums.split('\n').sort()].join('\n');
}

/** The home without what agents own and what the host writes of its own accord. */
export function outsideOf(home: string): string {
  const own = ['ledger.db', 'audit.db', 'vault.db'].flatMap((db) => [`${db}-wal`, `${db}-shm`]);
  const written = ['ledger.db', 'audit.db', 'logs', 'blobs', 'cache', 'sessions', 'authorities', ...own];
  return contentOf(home, ...written, 'groups/assistant/workspace', 'groups/assistant/workspace.img');
}

const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C' };
