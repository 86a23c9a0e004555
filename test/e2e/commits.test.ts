import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, test } from 'node:test';
import { Install } from '../fakes/install.ts';
import { Terminal } from '../fakes/terminal.ts';

/** What a message costs the disk: each durable commit waits for it, so that they are the floor of how fast an answer can be. */
const install = new Install();
/** From a message to its answer, in a warm session. */
const COMMITS_MAX = 4;
const MESSAGES = 10;

before(async () => {
  install.group('assistant', 'harness: probe\nlimits: {idle: 60s}\n');
  await install.start();
});
afterEach((context) => install.explain(context));
after(() => install.stop());

/**
 * Commits in the ledger's log since it was begun anew, and which log that is: frames that have the header's salts, and a size of the
 * database after them (https://www.sqlite.org/fileformat2.html#the_write_ahead_log).
 */
function commits(): { log: string; count: number } {
  const bytes = readFileSync(`${install.paths.ledger}-wal`);
  const log = bytes.subarray(16, 24).toString('hex');
  const frame = 24 + bytes.readUInt32BE(8);
  let count = 0;
  for (let at = 32; at + frame <= bytes.length; at += frame) {
    if (bytes.subarray(at + 8, at + 16).toString('hex') !== log) break;
    if (bytes.readUInt32BE(at + 4) !== 0) count += 1;
  }
  return { log, count };
}

test('a warm message is answered after four durable commits at most', async (context) => {
  const chat = await Terminal.open(install.control, 'commits');
  await chat.say('warm up');
  await chat.hears(/You said: warm up/);
  const counts: number[] = [];
  for (let i = 0; i < MESSAGES; i += 1) {
    await new Promise((resolve) => setTimeout(resolve, 300));
    const earlier = commits();
    await chat.say(`message ${i};`);
    await chat.hears(new RegExp(`You said: message ${i};`));
    const now = commits();
    if (now.log === earlier.log) counts.push(now.count - earlier.count);
  }
  context.diagnostic(`commits of each message: ${counts}`);
  assert.ok(counts.length > MESSAGES / 2, `${counts.length} of ${MESSAGES} were counted`);
  assert.ok(Math.min(...counts) > 0, 'commits are seen');
  assert.ok(Math.max(...counts) <= COMMITS_MAX);
});
