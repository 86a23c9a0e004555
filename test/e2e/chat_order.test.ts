import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { ROOT } from '../../src/base/paths.ts';
import { Install } from '../fakes/install.ts';

/** What is typed into `glass chat` arrives once and in its order, also when the host dies over it. */

const install = new Install();
const folder = mkdtempSync(join(tmpdir(), 'gc-chat-'));

before(async () => {
  install.group('assistant', 'harness: probe\n');
  await install.start();
});

after(async () => {
  await install.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** The terminal chat with these lines in a pipe, to its end. */
function typed(lines: string[], ...words: string[]): Promise<{ code: number | null; out: string }> {
  const child = spawn(process.execPath, [join(ROOT, 'src/cli/main.ts'), 'chat', ...words], {
    env: { ...process.env, GLASS_HOME: install.paths.home, NO_COLOR: '1' },
  });
  let out = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part) => (out += part));
  child.stdin.end(lines.map((line) => `${line}\n`).join(''));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out })));
}

/** Those of the person that say so, in the order of their arrival. */
function arrived(marked: string): string[] {
  const db = new DatabaseSync(install.paths.ledger, { readOnly: true });
  const rows = db.prepare('SELECT text FROM messages WHERE text LIKE ? ORDER BY id').all(`${marked}%`);
  db.close();
  return rows.map((row) => String(row['text']));
}

test('what follows a large file comes after it, and a burst in its order', async () => {
  const file = join(folder, 'large.bin');
  writeFileSync(file, Buffer.alloc(8 * 1024 * 1024));
  const lines = Array.from({ length: 20 }, (_, i) => `burst ${i}`);
  const { out } = await typed([`/file ${file} burst of a file`, ...lines], '--chat', 'burst');
  assert.doesNotMatch(out, /not sent/);
  assert.deepEqual(arrived('burst'), ['burst of a file', ...lines]);
});

for (const [name, words] of [
  ['typed', []],
  ['given as an argument', ['once over']],
] as const)
  for (const when of ['before', 'after'])
    test(`a host that dies ${when} it has committed a message that was ${name}: it is there once, and answered`, async () => {
      await install.end('host', 'SIGTERM');
      install.spawn('host', {
        GLASS_FAULT: JSON.stringify({ point: `ledger.accept:${when}`, hit: 1, kill: ['host'] }),
      });
      await install.ready();
      const text = words.length === 0 ? `once ${when}` : `${words[0]} ${when}`;
      const chat = typed(words.length === 0 ? [text] : [], '--chat', 'once', ...(words.length === 0 ? [] : [text]));
      await install.died('host');
      install.spawn('host');
      const { out } = await chat;
      assert.doesNotMatch(out, /not sent|not known/);
      assert.deepEqual(arrived(text), [text]);
      if (words.length > 0) assert.match(out, new RegExp(`You said: ${text}`));
    });
