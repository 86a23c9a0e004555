import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { holdLock, isHeld } from '../../src/base/lock.ts';
import { ROOT } from '../../src/base/paths.ts';
import { keptCodeOf } from '../fakes/code_cache.ts';
import { Install } from '../fakes/install.ts';

const ROUNDS = 4;
const AT_ONCE = 3;
const install = new Install();
install.group('assistant', 'harness: probe\n');

after(async () => {
  install.glass('down');
  await install.stop();
});

function start(): Promise<{ code: number | null; said: string }> {
  const child = spawn(process.execPath, [join(ROOT, 'src/cli/main.ts'), 'up', '--detach'], {
    env: { ...process.env, ...keptCodeOf(ROOT), GLASS_HOME: install.paths.home },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    said += part;
  });
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, said })));
}

test('of several starts at the same moment one is made, and the others say that it runs', async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const ends = await Promise.all(Array.from({ length: AT_ONCE }, start));
    for (const { code, said } of ends) assert.ok(code === 0 || (code === 5 && /already running/.test(said)), said);
    assert.ok(ends.some(({ code }) => code === 0));
    assert.equal((await install.ready()).gateway, 'connected');
    assert.equal(install.glass('down').status, 0);
    assert.ok(!(await isHeld(`${install.paths.install}/up`)), 'who had started it still ends');
  }
});

test('a start that finds another one at work begins neither of the two processes', async () => {
  const other = new Install();
  after(() => other.stop());
  other.group('assistant', 'harness: probe\n');
  // As an `up` does from its beginning to its end; here until this process ends.
  await holdLock(`${other.paths.install}/up`, 'held', 'held');
  const { status, stderr } = other.glass('up');
  assert.equal(status, 5);
  assert.match(stderr, /already running/);
  for (const file of [other.paths.ledger, other.paths.vault]) assert.ok(!existsSync(file), file);
});
